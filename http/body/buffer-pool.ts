/**
 * Memory for pieces of bodies as they come from a connection. What passes
 * through, or was stored and is evicted, is used again: left to the garbage
 * collector, V8 lets 64 MiB of it lie before it looks (promise P5), and the
 * system's allocator does not give back what was freed in between.
 *
 * A buffer begins with one reference, held by its receiver. Further users retain
 * it and release it; the last release returns it to the pool. A reference that is
 * never released leaves it to the garbage collector, which is always safe; a
 * release before a socket has sent it never is. A store has the reference of what
 * it keeps, and releases it when nothing reads the body any more.
 * @module
 */

/** Size of one read of a connection. */
export const BUFFER_BYTES = 64 * 1024;

/** A piece that is smaller has memory of its own, as most of a buffer would be empty. */
const LEAST_POOLED_BYTES: number = BUFFER_BYTES / 4;

/** Bounds what lies here: 64 MiB, which an eviction may free at once. */
const MAX_FREE = 1_024;

/** The same while memory is scarce. */
const MAX_FREE_WHEN_SCARCE = 16;

/** Copies that readers of a thread hold together while they take nothing, as far as they can be made smaller. */
const READERS_BYTES: number = 16 * 1024 * 1024;
const READERS_BYTES_WHEN_SCARCE: number = READERS_BYTES / 8;
const LEAST_FOR_READER: number = 4 * 1024;

/** Half of what was not needed for so long goes to the garbage collector. */
const SHRINK_MS = 1_000;

/** Whole bodies up to this share memory: each of its own costs more than to copy it. */
const SHARED_MEMORY_BYTES = 4 * 1024;

const REFERENCES = Symbol('holders');
const WHOLE = Symbol('whole');

interface PooledBuffer extends Buffer {
  /** Absent: it is not used again. */
  [REFERENCES]?: number;
  /** Buffer of which it is the beginning. */
  [WHOLE]?: PooledBuffer;
}

const free: PooledBuffer[] = [];

/** Memory of all buffers that may be used again. */
const pooled = new WeakSet<ArrayBufferLike>();

/** Least number of free buffers since the pool was shrunk last. */
let leastFree = 0;
let shrinking: NodeJS.Timeout | undefined;

let isScarce = false;

/** Says whether the process is near the bound of its memory: this thread holds as little as it can from now on. */
export function setScarce(value: boolean): void {
  isScarce = value;
  if (!value || free.length <= MAX_FREE_WHEN_SCARCE) return;
  free.length = MAX_FREE_WHEN_SCARCE;
  leastFree = Math.min(leastFree, free.length);
}

/** Readers that take nothing at the moment. */
let waiting = 0;

/** A reader takes nothing from now on. */
export function beginWait(): void {
  waiting++;
}

/** It takes what it was given, or has gone. */
export function endWait(): void {
  waiting--;
}

/** Bytes that are given to a reader at a time: the more readers wait, the less does each of them hold. */
export function bytesForReader(): number {
  const all = isScarce ? READERS_BYTES_WHEN_SCARCE : READERS_BYTES;
  if (waiting * BUFFER_BYTES <= all) return BUFFER_BYTES;
  return Math.max(LEAST_FOR_READER, Math.floor(all / waiting));
}

/** @returns A copy of `bytes` from `start` to `end`. */
export function copyToPool(bytes: Buffer, start: number, end: number): Buffer {
  const piece = bufferFor(end - start);
  bytes.copy(piece, 0, start, end);
  return piece;
}

/** @returns A buffer of this length, with one reference unless it has memory of its own. */
export function bufferFor(length: number): Buffer {
  if (length < LEAST_POOLED_BYTES || length > BUFFER_BYTES) return Buffer.allocUnsafeSlow(length);
  const whole = takeFromPool();
  if (length === BUFFER_BYTES) return whole;
  const piece: PooledBuffer = whole.subarray(0, length);
  piece[REFERENCES] = 1;
  piece[WHOLE] = whole;
  return piece;
}

/** @returns A buffer of `BUFFER_BYTES` with one reference, whose content is of no meaning. */
export function takeFromPool(): Buffer {
  let piece = free.pop();
  if (piece === undefined) {
    piece = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    pooled.add(piece.buffer);
  } else if (free.length < leastFree) leastFree = free.length;
  piece[REFERENCES] = 1;
  return piece;
}

/** Gives the memory of free buffers back, while there are more than are needed. */
function shrink(): void {
  free.length -= Math.ceil(leastFree / 2);
  leastFree = free.length;
  if (free.length > 0) return;
  clearInterval(shrinking);
  shrinking = undefined;
}

/** Returns whether the piece counts its references: its memory is used again when there are none. */
export function isPooled(piece: PooledBuffer): boolean {
  return piece[REFERENCES] !== undefined;
}

/** Returns whether the piece lies in memory that is used again when others release it: it has no reference itself. */
export function isPartOfPooled(piece: Buffer): boolean {
  return !isPooled(piece) && pooled.has(piece.buffer);
}

/** @returns A copy of a body that is whole. A small one shares memory with others: a store that keeps it copies it. */
export function wholeBody(bytes: Buffer, start: number, end: number): Buffer {
  if (end - start > SHARED_MEMORY_BYTES) return copyToPool(bytes, start, end);
  const piece = Buffer.allocUnsafe(end - start);
  bytes.copy(piece, 0, start, end);
  return piece;
}

/** @returns Whether the piece is to be let go: it may be used again. */
export function retain(piece: PooledBuffer): boolean {
  if (piece[REFERENCES] === undefined) return false;
  piece[REFERENCES]++;
  return true;
}

/** The holder does not look at the piece any more. */
export function release(piece: PooledBuffer): void {
  if (!piece[REFERENCES] || --piece[REFERENCES] > 0) return;
  if (free.length >= (isScarce ? MAX_FREE_WHEN_SCARCE : MAX_FREE)) return;
  free.push(piece[WHOLE] ?? piece);
  shrinking ??= setInterval(shrink, SHRINK_MS).unref();
}
