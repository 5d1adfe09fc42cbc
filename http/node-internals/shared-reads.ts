/**
 * Reads connections into one buffer that all of them share.
 *
 * Node gives each piece that a socket reads memory of its own, and takes it
 * through a stream, which costs more than answering a small request (ADR 6 has
 * the numbers). A client can avoid that with the option `onread`; for an accepted
 * socket there is no public way. What the option sets is set here on the
 * socket, where it looks as expected. Where it does not, the connection is
 * read as usual.
 * @module
 */
import type { Socket } from 'node:net';
import { turns } from '../listener/turns.ts';
import { NodeInternal } from './node-internal.ts';
import { skipTimer } from './read-timers.ts';

export const SHARED_READS = new NodeInternal({
  name: 'shared_reads',
  uses: 'the symbols `kBuffer` and `kBufferCb` of a socket, and `useUserBuffer` of its handle',
  without: 'each read has memory of its own, and a hit costs half as much again',
});

/** Size of a read buffer. */
const READ_BYTES = 64 * 1024;

const SHARED = Buffer.allocUnsafeSlow(READ_BYTES);

/** @param bytes - Valid until the call returns. @returns Whether to go on reading. */
export type OnBytes = (bytes: Buffer, length: number) => boolean;

/** Properties of a socket with `onread` that hold its buffer and its callback. */
interface Slots {
  readonly buffer: symbol;
  readonly callback: symbol;
}

/** `null`: this version of Node has none. */
let slots: Slots | null | undefined;

/**
 * From now on what the socket reads comes to `onBytes`; what it has read already
 * is in its stream. A timeout of the socket is not restarted by reads any more (`restoreTimer`).
 *
 * @param socket - Accepted, over TLS or not, without a reader.
 * @returns Whether it does; if not, it is to be read as usual.
 */
export function shareReads(socket: Socket, onBytes: OnBytes): boolean {
  if (!SHARED_READS.isUsable) return false;
  if (slots === undefined) slots = slotsOf(socket) ?? null;
  const holder = socket as Socket & Record<symbol, unknown> & { readonly _handle?: { useUserBuffer?: unknown } | null };
  const { _handle: handle } = holder;
  if (slots === null || holder[slots.buffer] !== null || typeof handle?.useUserBuffer !== 'function') return false;
  handle.useUserBuffer(SHARED);
  holder[slots.buffer] = SHARED;
  holder[slots.callback] = (length: number, bytes: Buffer) => {
    turns.hasRead(length);
    return onBytes(bytes, length);
  };
  skipTimer(socket);
  return true;
}

/**
 * From now on what the socket reads is dropped, where its reads are shared: nothing is copied to be thrown away.
 *
 * @param onDropped - Called with the number of bytes.
 */
export function dropReads(socket: object, onDropped: (length: number) => void): void {
  const holder = socket as Record<symbol, unknown>;
  if (slots == null || holder[slots.buffer] !== SHARED) return;
  holder[slots.callback] = (length: number) => {
    turns.hasRead(length);
    onDropped(length);
    return true;
  };
}

function slotsOf(socket: Socket): Slots | undefined {
  const symbols = Object.getOwnPropertySymbols(socket);
  const buffer = symbols.find(({ description }) => description === 'kBuffer');
  const callback = symbols.find(({ description }) => description === 'kBufferCb');
  return buffer && callback && { buffer, callback };
}
