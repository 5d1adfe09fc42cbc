/**
 * Memory for pieces of bodies as they come from a connection. What passes
 * through without being kept is used again: left to the garbage collector, V8
 * lets 64 MiB of it lie before it looks (promise P5).
 *
 * A buffer begins with one reference, held by its receiver. Further users retain
 * it and release it; the last release returns it to the pool. A reference that is
 * never released leaves it to the garbage collector, which is always safe; a
 * release before a socket has sent it, or while a store holds it, never is.
 * @module
 */

/** Size of one read of a connection. Only full ones are reused: long bodies arrive in them. */
export const BUFFER_BYTES = 64 * 1024;

/** Bounds what lies here: 16 MiB. */
const MAX_FREE = 256;

/** Whole bodies up to this share memory: each of its own costs more than to copy it. */
const SHARED_MEMORY_BYTES = 4 * 1024;

const REFERENCES = Symbol('holders');

interface PooledBuffer extends Buffer {
  /** Absent: it is not used again. */
  [REFERENCES]?: number;
}

const free: PooledBuffer[] = [];

/** @returns A copy of `bytes` from `start` to `end`. */
export function copyToPool(bytes: Buffer, start: number, end: number): Buffer {
  const isWhole = end - start === BUFFER_BYTES;
  const piece: PooledBuffer = (isWhole ? free.pop() : undefined) ?? Buffer.allocUnsafeSlow(end - start);
  if (isWhole) piece[REFERENCES] = 1;
  bytes.copy(piece, 0, start, end);
  return piece;
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
  if (free.length < MAX_FREE) free.push(piece);
}
