/**
 * Connections whose other side has said that it sends no more. It may be
 * waiting for its answers (`nc -N`, shutdown(SHUT_WR)), or have gone: TCP shows
 * both alike until something is written. So it gets its answers, as long as
 * there is something to write.
 * @module
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type MonotonicMs, monotonicNow, msBetween } from '../../lib/clock.ts';
import { isEncrypted } from './encrypted.ts';

/** Maximum time that such a connection, and its upstream requests, are kept while there is nothing to write. */
export const HALF_OPEN_MS = 10_000;

/** Connections of a process that wait like that; beyond, the one that has waited for longest counts as gone. */
export const MAX_HALF_OPEN = 1_000;

/** Interval of checks. */
const SWEEP_MS = 500;

interface Watched {
  readonly isAwaited: () => boolean;
  bytes: number;
  /** Time of the last write. */
  since: MonotonicMs;
}

const waiting = new Map<Socket, Watched>();
let sweeping: NodeJS.Timeout | undefined;

/** Returns whether the other side may have closed one direction only: over TLS no client does. */
export function mayBeHalfOpen(socket: Duplex): boolean {
  return !isEncrypted(socket);
}

/**
 * Closes the connection when nothing was there to be written for too long, before an answer or in the midst of it.
 *
 * @param isAwaited - Whether there are answers that are not written to their end.
 */
export function closeWhenSilent(socket: Socket, isAwaited: () => boolean): void {
  if (waiting.size >= MAX_HALF_OPEN) {
    const [longest] = waiting.keys();
    longest?.destroy();
    if (longest !== undefined) waiting.delete(longest);
  }
  waiting.set(socket, { isAwaited, bytes: socket.bytesWritten, since: monotonicNow() });
  socket.once('close', () => forget(socket));
  sweeping ??= setInterval(() => sweep(monotonicNow()), SWEEP_MS).unref();
}

function sweep(now: MonotonicMs): void {
  for (const [socket, watched] of waiting) {
    const { bytesWritten } = socket;
    if (!watched.isAwaited()) forget(socket);
    else if (bytesWritten !== watched.bytes || socket.writableLength > 0) {
      watched.bytes = bytesWritten;
      watched.since = now; // the reader's pace is for others to watch
    } else if (msBetween(watched.since, now) >= HALF_OPEN_MS) socket.destroy();
  }
}

function forget(socket: Socket): void {
  waiting.delete(socket);
  if (waiting.size > 0) return;
  clearInterval(sweeping);
  sweeping = undefined;
}
