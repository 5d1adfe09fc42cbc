/**
 * The TCP connection below a TLS connection whose handshake has failed: what
 * Node has written nothing to yet can still be answered in words that the
 * other side understands.
 * @module
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { NodeInternal } from './node-internal.ts';

export const CONNECTION_BELOW = new NodeInternal({
  name: 'connection_below',
  uses: '`_parent` of a TLS socket',
  without: 'connections of plain HTTP to a TLS port, and for names without a certificate, are closed without an answer',
});

export function connectionBelow(socket: TLSSocket): Socket | undefined {
  return CONNECTION_BELOW.isUsable ? (socket as { readonly _parent?: Socket })._parent : undefined;
}
