/**
 * TLS options for visitors: versions, ciphers, protocols.
 * @module
 */
import { constants, randomBytes } from 'node:crypto';
import type { SecureContext, SecureContextOptions, TLSSocket, TlsOptions } from 'node:tls';
import { connectionBelow } from '../node-internals/connection-below.ts';
import type { Certificates } from './certificates.ts';

/** Forward secrecy and authenticated encryption only (Mozilla's "intermediate", version 5.7). */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** The visitor chooses among them: one without AES in hardware prefers ChaCha20. */
export const CONTEXT_OPTIONS: SecureContextOptions = {
  minVersion: 'TLSv1.2',
  ciphers: CIPHERS,
  honorCipherOrder: false,
  // A visitor could have keys made anew all the time (TLS 1.2; RFC 8446 has no renegotiation): it gets the alert
  // `no_renegotiation`.
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
};

/**
 * Lifetime of a session: it can be resumed as long as its ticket keys may be known (RFC 8446, section 4.6.1 allows 7
 * days).
 */
const SESSION_SECONDS = 12 * 60 * 60;

/** Interval at which ticket keys are replaced: a stolen key reveals no more than that. */
export const TICKET_KEYS_MS: number = SESSION_SECONDS * 1_000;

/** Name, HMAC and AES keys of session tickets, as Node takes them. */
const TICKET_KEY_BYTES = 48;

export function makeTicketKeys(): Buffer {
  return randomBytes(TICKET_KEY_BYTES);
}

/**
 * `unrecognized_name`, fatal (RFC 8446, section 6.2; RFC 6066, section 3), as a record before anything is encrypted.
 */
const UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112]);

export interface TlsServerOptions {
  readonly certificates: Certificates;
  readonly ticketKeys: Buffer;
  readonly handshakeTimeoutMs: number;
}

/** Options of the default context, for clients without SNI; its ticket keys serve all contexts. */
export function contextOptions(certificates: Certificates, ticketKeys: Buffer): SecureContextOptions {
  const session = { sessionTimeout: SESSION_SECONDS, sessionIdContext: 'seawall', ticketKeys };
  return { ...CONTEXT_OPTIONS, ...certificates.forAnyName, ...session };
}

export function tlsServerOptions({ certificates, ticketKeys, handshakeTimeoutMs }: TlsServerOptions): TlsOptions {
  return {
    ...contextOptions(certificates, ticketKeys),
    ALPNProtocols: ['h2', 'http/1.1'],
    handshakeTimeout: handshakeTimeoutMs,
    SNICallback(this: TLSSocket, name: string, done: SniDone) {
      const context = certificates.contextFor(name);
      if (context !== undefined) {
        done(null, context);
        return;
      }
      // Node closes without a word; the visitor would take that for a broken network.
      connectionBelow(this)?.end(UNRECOGNIZED_NAME);
      done(new UnknownName(name));
    },
  } as TlsOptions;
}

type SniDone = (error: Error | null, context?: SecureContext) => void;

/** A visitor asked for a name that no certificate is for. */
export class UnknownName extends Error {
  override readonly name = 'UnknownName';
  readonly code = 'tls_unknown_name';
}
