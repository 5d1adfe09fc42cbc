/**
 * Reasons for which a node does not talk to another side: the label `reason` of `seawall_node_refusals_total`, and the
 * field `reason` of log lines.
 * @module
 */

export const PEER_REFUSALS = {
  peer_plain: 'It spoke without TLS.',
  peer_handshake: 'The TLS handshake failed: another version, or an end in the middle of it.',
  peer_no_certificate: 'It showed no certificate.',
  peer_wrong_ca: 'No authority in `tier_tls.ca_file` has issued its certificate.',
  peer_expired: 'Its certificate has expired.',
  peer_not_yet_valid: 'Its certificate is not valid yet: look at the clocks.',
  peer_revoked: 'Its certificate is in `tier_tls.crl_file`.',
  peer_not_a_node: 'Its certificate has no identity of a node.',
  peer_wrong_network: 'Its certificate is of another network.',
  peer_wrong_role: 'Its role may not do what it asked for, or is not that of the node that was asked.',
  peer_wrong_name: 'Its name is not the one that it gives, or not that of the node that was asked.',
  peer_wrong_site: 'It may not purge the site: its region file does not name it.',
  peer_unknown: 'The region files do not name it, or not in this role or region.',
} as const;

export type PeerRefusal = keyof typeof PEER_REFUSALS;
