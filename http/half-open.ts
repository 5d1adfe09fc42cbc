/**
 * Connections whose other side has said that it sends no more. It may be
 * waiting for its answers (`nc -N`, shutdown(SHUT_WR)), or have gone: TCP shows
 * both alike until something is written. So it gets its answers, if they begin
 * in time.
 * @module
 */
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

/** How long an answer that has not begun keeps such a connection, and what is asked upstream on its behalf. */
export const HALF_OPEN_MS = 10_000;

/** Returns whether the other side may have closed one direction only: over TLS no client does. */
export function mayBeHalfOpen(socket: Duplex): boolean {
  return (socket as Partial<TLSSocket>).encrypted !== true;
}

/**
 * Closes the connection unless an answer begins in time.
 *
 * @param hasBegun - Whether what is written shows if the other side is there.
 */
export function closeUnlessBegun(socket: Duplex, hasBegun: () => boolean): void {
  const timer = setTimeout(() => {
    if (!hasBegun()) socket.destroy();
  }, HALF_OPEN_MS).unref();
  socket.once('close', () => clearTimeout(timer));
}
