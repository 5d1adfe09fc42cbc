/**
 * Bytes of an object of any size, which tell where they stand: they repeat after a prime number of bytes.
 * @module
 */

const PERIOD = 65_521;

/** Most bytes that are made at a time. */
export const MAX_PIECE_BYTES: number = 64 * 1024;

const bytes = Buffer.alloc(PERIOD + MAX_PIECE_BYTES);
for (let i = 0; i < bytes.length; i++) bytes[i] = ((i % PERIOD) * 2_654_435_761) >>> 13;

/** @returns The bytes in [start, end), which are at most `MAX_PIECE_BYTES`. */
export function piece(start: number, end: number): Buffer {
  const at = start % PERIOD;
  return bytes.subarray(at, at + end - start);
}

/** @returns Whether these are the bytes from `start` on. */
export function isPiece(found: Buffer, start: number): boolean {
  for (let at = 0; at < found.length; at += MAX_PIECE_BYTES) {
    const end = Math.min(at + MAX_PIECE_BYTES, found.length);
    if (!found.subarray(at, end).equals(piece(start + at, start + end))) return false;
  }
  return true;
}
