/**
 * Reasons for which a visitor's connection is closed without a response: the label `reason` of
 * `seawall_connections_refused_total`.
 * @module
 */

export const CONNECTION_REFUSALS = {
  too_many_connections: 'The address has `limits.connections_per_address` connections open.',
  tls_unknown_name: 'The client asked for a name that no certificate is for, or for none.',
  tls_timeout: 'The handshake took longer than `limits.handshake_timeout`.',
  tls_abandoned: 'The client closed the connection during the handshake.',
  tls_handshake: 'The handshake failed otherwise: plain HTTP, an old version of TLS, no cipher in common.',
  http2_refused:
    'The HTTP/2 connection broke the protocol, or sent more frames, resets or header fields that bring nothing than ' +
    '[a connection may](tls.md#http2).',
  http2_overhead: 'The frames of the HTTP/2 connection were mostly overhead.',
  http2_calls: 'The HTTP/2 connection sent more PING or SETTINGS frames than a connection may.',
} as const;

export type ConnectionRefusal = keyof typeof CONNECTION_REFUSALS;
