/**
 * TLS on a listener for nodes: both sides show a certificate.
 * @module
 */
import type { TLSSocket } from 'node:tls';
import { HttpError } from '../http/errors.ts';
import type { SecureListening } from '../http/listener/tls.ts';
import { connectionBelow } from '../http/node-internals/connection-below.ts';
import { setHandshakeTimeout } from '../http/node-internals/handshake-timeout.ts';
import type { NodeCertificates } from './node-certificates.ts';

const PROTOCOL = 'http/1.1';

export function nodeListening(certificates: NodeCertificates): SecureListening {
  return {
    serverOptions: ({ handshake_timeout: handshakeTimeout }) => ({
      ...certificates.contextOptions,
      ALPNProtocols: [PROTOCOL],
      requestCert: true,
      rejectUnauthorized: false, // `admit` decides, and says why
      handshakeTimeout,
    }),
    attach(server, { onPlainHttp, reject }) {
      certificates.onChange(() => server.setSecureContext(certificates.contextOptions));
      server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
        if (error.code === 'ECONNRESET') return; // it has gone: a probe whether the port takes connections, for one
        const below = connectionBelow(socket);
        const isPlain = error.code === 'ERR_SSL_HTTP_REQUEST';
        const address = `${below?.remoteAddress ?? ''}:${below?.remotePort ?? ''}`;
        const detail = error.code ?? error.message;
        certificates.refused(isPlain ? 'peer_plain' : 'peer_handshake', { direction: 'incoming', address, detail });
        if (isPlain && below !== undefined) onPlainHttp(below);
        else socket.destroy();
      });
      return {
        take(socket) {
          const reason = certificates.admit(socket, socket.getPeerX509Certificate());
          if (reason === undefined) return false;
          reject(socket, new HttpError('unauthorised_tier', reason));
          return true;
        },
        update: ({ handshake_timeout: timeoutMs }) => setHandshakeTimeout(server, timeoutMs),
        close: () => undefined,
      };
    },
  };
}
