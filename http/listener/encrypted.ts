/**
 * Encryption of a connection, as its socket shows it.
 * @module
 */
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

/** Returns whether the connection is encrypted: by TLS that ends here. */
export function isEncrypted(socket: Duplex): boolean {
  return (socket as Partial<TLSSocket>).encrypted === true;
}
