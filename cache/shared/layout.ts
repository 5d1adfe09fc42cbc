/**
 * Memory that all threads of a process share: two SharedArrayBuffers, of which the system commits a page when it is
 * first written. Zeros are an empty store.
 *
 * `control`, in integers of 32 bits:
 *
 * ```
 * threads   for each place: TOKEN, GENERATION                            (threads.ts)
 * pins      for each thread: a count for each slab of each shard         (threads.ts)
 * shards    for each:
 *   header  LOCK, WAITERS, then what the lock guards                     (shard-lock.ts, shard.ts)
 *   buckets VERSION, FIRST                                               (shard.ts)
 *   rows    HASH, CHAIN, PLACE, STATE, NEXT, PREVIOUS, CHECKED, unused   (shard.ts, eviction.ts)
 *   slabs   USED, END                                                    (slabs.ts)
 *   claims  OWNER, LOW, HIGH, EVENTS                                     (fill-claims.ts)
 * ```
 *
 * `data`: the slabs of all shards. A row that is referred to is one more than its number, so that 0 is none; so is
 * a place, in units of `UNIT` bytes.
 * @module
 */

/** Sizes that all threads agree on. */
export interface Shape {
  readonly threads: number;
  /** A power of two. */
  readonly shards: number;
  /** Number per shard. */
  readonly rows: number;
  /** Number per shard: a power of two. */
  readonly buckets: number;
  /** Number per shard. */
  readonly slabs: number;
  readonly slabBytes: number;
  /** Number per shard. */
  readonly claims: number;
}

/** Memory of a store, as it is handed to a thread. */
export interface SharedMemory {
  readonly control: SharedArrayBuffer;
  readonly data: SharedArrayBuffer;
  readonly shape: Shape;
}

/** Bytes that a place counts, and words. */
export const UNIT = 8;
export const UNIT_WORDS = 2;

/** Words of a cache line: what different threads write often does not share one. */
const LINE_WORDS = 16;

export const THREAD_WORDS = LINE_WORDS;
export const HEADER_WORDS: number = 2 * LINE_WORDS;
export const BUCKET_WORDS = 2;
export const ROW_WORDS = 8;
export const SLAB_WORDS = 2;
export const CLAIM_WORDS = 4;

/** Fields of a shard's header. */
export const [LOCK, WAITERS, SIZE, ROW_COUNT, FREE_ROW, CURRENT, SERIAL, HEAD, TAIL] = [
  0,
  1,
  LINE_WORDS,
  LINE_WORDS + 1,
  LINE_WORDS + 2,
  LINE_WORDS + 3,
  LINE_WORDS + 4,
  LINE_WORDS + 5,
  LINE_WORDS + 6,
] as const;

/** Fields of a row. */
export const [HASH, CHAIN, PLACE, STATE, NEXT, PREVIOUS, CHECKED] = [0, 1, 2, 3, 4, 5, 6] as const;

/** Bytes of all that is stored for each row that there is: its own, and a bucket. */
const BYTES_PER_ROW = 512;
const INDEX_BYTES: number = (ROW_WORDS + 2 * BUCKET_WORDS) * 4;

const MIN_SHARDS = 2;
const MAX_SHARDS = 16;
const LEAST_SHARD_BYTES = 1024 * 1024;
const SLABS_PER_SHARD = 32;
const MIN_SLAB_BYTES = 4 * 1024;
const MAX_SLAB_BYTES = 256 * 1024;
const CLAIMS = 256;

export interface MemoryOptions {
  /** Bytes of index and data together; at least 256 KiB. */
  readonly maxBytes: number;
  /** Threads at a time. */
  readonly threads: number;
}

/** Makes the memory of an empty store. */
export function makeSharedMemory({ maxBytes, threads }: MemoryOptions): SharedMemory {
  const shards = Math.min(MAX_SHARDS, Math.max(MIN_SHARDS, powerOfTwo(maxBytes / LEAST_SHARD_BYTES)));
  const shardBytes = Math.floor(maxBytes / shards);
  const rows = Math.max(1, Math.floor(shardBytes / (BYTES_PER_ROW + INDEX_BYTES)));
  const dataBytes = shardBytes - rows * INDEX_BYTES;
  const slabBytes = Math.min(MAX_SLAB_BYTES, Math.max(MIN_SLAB_BYTES, powerOfTwo(dataBytes / SLABS_PER_SHARD)));
  const slabs = Math.floor(dataBytes / slabBytes);
  const shape = { threads, shards, rows, buckets: 2 * powerOfTwo(rows), slabs, slabBytes, claims: CLAIMS };
  return {
    control: new SharedArrayBuffer((shardsAt(shape) + shards * shardWords(shape)) * 4),
    data: new SharedArrayBuffer(shards * slabs * slabBytes),
    shape,
  };
}

/** @returns Words between the pins of one thread and those of the next. */
export function pinWords({ shards, slabs }: Shape): number {
  return Math.ceil((shards * slabs) / LINE_WORDS) * LINE_WORDS;
}

export function pinsAt({ threads }: Shape): number {
  return threads * THREAD_WORDS;
}

export function shardsAt(shape: Shape): number {
  return pinsAt(shape) + shape.threads * pinWords(shape);
}

export function shardWords({ buckets, rows, slabs, claims }: Shape): number {
  const words = HEADER_WORDS + buckets * BUCKET_WORDS + rows * ROW_WORDS + slabs * SLAB_WORDS + claims * CLAIM_WORDS;
  return Math.ceil(words / LINE_WORDS) * LINE_WORDS;
}

/** Returns the largest power of two that is not above the number; at least 1. */
function powerOfTwo(number: number): number {
  return 2 ** Math.max(0, Math.floor(Math.log2(number)));
}
