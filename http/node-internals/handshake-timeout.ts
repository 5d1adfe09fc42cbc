/**
 * Time limit for TLS handshakes of a server that listens already. Node has no
 * public way to change it, and reads it from the server at each connection.
 * @module
 */
import type { Server } from 'node:net';
import { NodeInternal } from './node-internal.ts';

export const HANDSHAKE_TIMEOUT = new NodeInternal({
  name: 'handshake_timeout',
  uses: 'the symbol `handshake-timeout` of a TLS server',
  without: 'a reload leaves `limits.handshake_timeout` as it was when the node started',
});

export function setHandshakeTimeout(server: Server, ms: number): void {
  const slot = HANDSHAKE_TIMEOUT.isUsable ? slotOf(server) : undefined;
  if (slot !== undefined) (server as unknown as Record<symbol, unknown>)[slot] = ms;
}

export function hasHandshakeTimeout(server: Server): boolean {
  const slot = slotOf(server);
  return slot !== undefined && typeof (server as unknown as Record<symbol, unknown>)[slot] === 'number';
}

function slotOf(server: Server): symbol | undefined {
  return Object.getOwnPropertySymbols(server).find(({ description }) => description === 'handshake-timeout');
}
