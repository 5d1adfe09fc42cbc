/**
 * Writes small answers to where Node's stream would write them: its handle.
 *
 * A stream keeps books of each write and tells its end in a tick of its own,
 * also where the kernel has taken everything before the call returns, as it does
 * with nearly every small answer. That is a twentieth of what such an answer costs (ADR 6).
 *
 * Node does not document handles. So the first write of this process goes by
 * the stream and is watched: only where Node calls its handle as it is called
 * here, and gets the answers that are read here, others go past the stream.
 * @module
 */
import type { Socket } from 'node:net';
import { isEncrypted } from '../listener/encrypted.ts';
import { NodeInternal } from './node-internal.ts';

/** A write that the kernel has not taken at once. */
interface Pending {
  /** Kept from the garbage collector until it is written. */
  buffer?: Buffer;
  /** @param status - Negative for an error. */
  oncomplete?: (status: number) => void;
  /** The status, if it was there before `oncomplete` was. */
  writeStatus?: number | null;
}

type WriteBuffer = (request: null, bytes: Buffer) => number | Pending;

interface Handle {
  writeBuffer?: WriteBuffer;
}

/**
 * `refused`: nothing is written, it is to be written by the stream. `pending`: `onWritten` is called later, or the
 * socket closes.
 */
export type DirectWrite = 'written' | 'pending' | 'refused';

export const DIRECT_WRITES = new NodeInternal({
  name: 'direct_writes',
  uses: "`writeBuffer` of a connection's handle",
  without: 'small answers go by the stream, and a hit without TLS costs a twentieth more',
});

/**
 * @param onFailed - Called instead of closing the socket when it takes nothing more; `onWritten` is not called then.
 */
export function writeDirectly(
  socket: Socket,
  bytes: Buffer,
  onWritten: () => void,
  onFailed?: () => void,
): DirectWrite {
  if (!DIRECT_WRITES.isUsable || !isIdle(socket)) return 'refused';
  const handle = (socket as { readonly _handle?: Handle | null })._handle;
  if (handle == null || typeof handle.writeBuffer !== 'function') return 'refused';
  if (!DIRECT_WRITES.isChecked) {
    watch(handle, handle.writeBuffer);
    return 'refused';
  }
  const result = handle.writeBuffer(null, bytes);
  if (result === 0) return 'written';
  settle(socket, result, bytes, onWritten, onFailed);
  return 'pending';
}

/** Rest of a write that the kernel has not taken at once: apart, so that one that it has taken makes no closure. */
function settle(
  socket: Socket,
  result: number | Pending,
  bytes: Buffer,
  onWritten: () => void,
  onFailed: () => void = () => socket.destroy(),
): void {
  if (typeof result === 'number') {
    onFailed();
    return;
  }
  const done = (status: number): void => {
    if (status < 0) onFailed();
    else onWritten();
  };
  result.buffer = bytes;
  result.oncomplete = done;
  const { writeStatus } = result;
  if (typeof writeStatus === 'number') process.nextTick(done, writeStatus);
}

/**
 * Returns whether the stream has no pending writes and would write at once. A TLS handle takes one write at a time, and
 * only Node knows which.
 */
function isIdle(socket: Socket): boolean {
  return socket.writableLength === 0 && socket.writable && socket.writableCorked === 0 && !isEncrypted(socket);
}

/** Watches the next write to a handle. */
function watch(handle: Handle, writeBuffer: WriteBuffer): void {
  handle.writeBuffer = function watched(this: Handle, ...args: [null, Buffer]) {
    delete handle.writeBuffer; // what it has from its prototype is there again
    const result = writeBuffer.apply(handle, args);
    DIRECT_WRITES.found(
      args.length === 2 && args[0] === null && Buffer.isBuffer(args[1]) && (result === 0 || isPending(result)),
    );
    return result;
  };
}

function isPending(result: unknown): boolean {
  return typeof result === 'object' && result !== null && 'writeStatus' in result;
}
