/**
 * Chunks of a large object: their places in it, and their keys in the store (docs/adr/0022-large-objects.md).
 * @module
 */
import type { ByteRange } from '../../http/fields/range.ts';

/** Bytes of a chunk, but for the last one of an object. */
export const CHUNK_BYTES: number = 1024 * 1024;

/** Begins no key of a request, as those begin with a scheme and `://`. */
const PREFIX = 'chunk:';

/** @returns The key under which the store has a chunk. It names the generation, so no purge and no request does. */
export function chunkKey(generation: string, index: number): string {
  return `${PREFIX}${generation}:${index}`;
}

/** @returns The index of the chunk that has the byte at this position. */
export function chunkAt(position: number): number {
  return Math.floor(position / CHUNK_BYTES);
}

/** @returns The number of chunks that begin before this position. */
export function chunksBefore(position: number): number {
  return Math.ceil(position / CHUNK_BYTES);
}

/** @param length - Bytes of the object. */
export function chunkRange(index: number, length: number): ByteRange {
  return { start: index * CHUNK_BYTES, end: Math.min((index + 1) * CHUNK_BYTES, length) };
}
