/**
 * Memory that all threads of a process share: three SharedArrayBuffers, of which the system commits a page when it is
 * first written. It is made for four times the memory that the store has at first, so that that can grow.
 *
 * `control`, in integers of 32 bits:
 *
 * ```
 * threads   for each place: TOKEN, GENERATION, two doubles, THREAD, PLACES      (threads.ts)
 * pins      for each thread: a count for each slab                              (threads.ts)
 * header    LOCK, WAITERS, then what the lock guards                            (store-lock.ts, shared-store.ts)
 * texts     LOCK, WAITERS, COUNT, END, then END of each text, and its kind      (shared-texts.ts)
 * changes   how often keys of a hash were invalidated                           (shared-store.ts)
 * queues    of the eviction                                                     (cache/store/eviction.ts)
 * history   of the eviction                                                     (cache/store/eviction-history.ts)
 * buckets   VERSION, FIRST                                                      (shared-index.ts)
 * rows      HASH, CHAIN, PLACE, REFERENCES, STATE, NEXT, PREVIOUS, TIME         (shared-rows.ts)
 * slabs     USED, END, NEXT_FREE                                                (slabs.ts)
 * claims    OWNER, LOW, HIGH, EVENTS                                            (fill-claims.ts)
 * ```
 *
 * `data`: the slabs. `texts`: the characters of texts. A row or slab that is referred to is one more than its number,
 * so that 0 is none; so is a place, in units of `UNIT` bytes.
 * @module
 */
import { QUEUE_WORDS } from '../store/eviction.ts';
import { historyPlaces } from '../store/eviction-history.ts';
import { MAX_EACH, MAX_LENGTH } from '../store/texts.ts';

/** Sizes that all threads agree on. */
export interface Shape {
  /** Threads at a time. */
  readonly threads: number;
  readonly rows: number;
  /** A power of two. */
  readonly buckets: number;
  readonly slabs: number;
  readonly slabBytes: number;
  readonly claims: number;
  /** Places of the eviction's history. */
  readonly history: number;
}

/** Memory of a store, as it is handed to a thread. */
export interface SharedMemory {
  readonly control: SharedArrayBuffer;
  readonly data: SharedArrayBuffer;
  readonly texts: SharedArrayBuffer;
  readonly shape: Shape;
}

/** Indices of the parts in `control`. */
export interface Parts {
  readonly pins: number;
  readonly header: number;
  readonly texts: number;
  readonly queues: number;
  readonly history: number;
  readonly buckets: number;
  readonly rows: number;
  readonly slabs: number;
  readonly claims: number;
  readonly changes: number;
  /** Number of words in all. */
  readonly words: number;
}

/** Bytes that a place counts. */
export const UNIT = 8;

/** Words of a cache line: what different threads write often does not share one. */
const LINE_WORDS = 16;

export const THREAD_WORDS = LINE_WORDS;
export const BUCKET_WORDS = 2;
export const ROW_WORDS = 8;
export const SLAB_WORDS = 4;
export const CLAIM_WORDS = 4;

/** Fields of the header. */
export const [LOCK, WAITERS, SIZE, ROW_COUNT, FREE_ROW, CURRENT, SERIAL, SLAB_COUNT, FREE_SLAB, HELD, IDS, SHARES] = [
  0, 1, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
] as const;
/** Field of the header that is a double. */
export const MAX_BYTES = 26;
/** Slabs that were ever written. */
export const TOUCHED = 28;
const HEADER_WORDS: number = 2 * LINE_WORDS;

/** Texts at most, and words before the list of them. */
export const MAX_TEXTS: number = 2 * MAX_EACH;
export const TEXTS_HEAD = LINE_WORDS;

/** Most that places can lead to, less what the slabs of each thread may take besides. */
export const MAX_DATA_BYTES: number = 15 * 2 ** 30;

/** Memory that the arrays are made for, as a multiple of what the store has at first. */
export const RESERVE = 4;

/** Bytes of all memory for each row, and for each bucket at first. */
const BYTES_PER_ROW = 512;
const BYTES_PER_BUCKET = 1024;

/** A slab is at most this part of all memory, and has at most and at least so many bytes. */
const PART_OF_ALL = 64;
const MAX_SLAB_BYTES = 256 * 1024;
const MIN_SLAB_BYTES = 4 * 1024;

/** A power of two. */
const CLAIMS = 1024;

/** Counters of invalidations; a power of two. */
export const CHANGES = 4096;

export interface MemoryOptions {
  readonly maxBytes: number;
  /** Threads at a time. */
  readonly threads: number;
}

/**
 * Makes the memory of an empty store; `SharedStore.supervise` has to be called once.
 *
 * @throws {RangeError} if the system has no address space for it.
 */
export function makeSharedMemory(options: MemoryOptions): SharedMemory {
  const most = MAX_DATA_BYTES / options.maxBytes;
  for (let reserve = Math.max(1, Math.min(RESERVE, most)); ; reserve = Math.max(1, reserve / 2)) {
    try {
      return reserveMemory({ ...options, maxBytes: Math.min(options.maxBytes, MAX_DATA_BYTES) }, reserve);
    } catch (error) {
      // The system may refuse to reserve more than the machine has, though it would never be written.
      if (!(error instanceof RangeError) || reserve === 1) throw error;
    }
  }
}

function reserveMemory({ maxBytes, threads }: MemoryOptions, reserve: number): SharedMemory {
  const slabBytes = Math.min(MAX_SLAB_BYTES, Math.max(MIN_SLAB_BYTES, powerOfTwo(maxBytes / PART_OF_ALL)));
  const shape: Shape = {
    threads,
    rows: Math.ceil((reserve * maxBytes) / BYTES_PER_ROW) + threads,
    buckets: powerOfTwo(maxBytes / BYTES_PER_BUCKET),
    slabs: Math.ceil((reserve * maxBytes) / slabBytes) + threads,
    slabBytes,
    claims: CLAIMS,
    history: historyPlaces(maxBytes),
  };
  return {
    control: new SharedArrayBuffer(partsOf(shape).words * 4),
    data: new SharedArrayBuffer(shape.slabs * slabBytes),
    texts: new SharedArrayBuffer(MAX_TEXTS * MAX_LENGTH),
    shape,
  };
}

export function partsOf(shape: Shape): Parts {
  let words = shape.threads * THREAD_WORDS;
  const part = (length: number): number => {
    const at = words;
    words += Math.ceil(length / LINE_WORDS) * LINE_WORDS;
    return at;
  };
  const parts = {
    pins: part(shape.threads * pinWords(shape)),
    header: part(HEADER_WORDS),
    texts: part(TEXTS_HEAD + 2 * MAX_TEXTS),
    queues: part(QUEUE_WORDS),
    history: part(shape.history),
    buckets: part(shape.buckets * BUCKET_WORDS),
    rows: part(shape.rows * ROW_WORDS),
    slabs: part(shape.slabs * SLAB_WORDS),
    claims: part(shape.claims * CLAIM_WORDS),
    changes: part(CHANGES),
  };
  return { ...parts, words };
}

/** @returns Words between the pins of one thread and those of the next. */
export function pinWords({ slabs }: Shape): number {
  return Math.ceil(slabs / LINE_WORDS) * LINE_WORDS;
}

/** Returns the largest power of two that is not above the number; at least 1. */
function powerOfTwo(number: number): number {
  return 2 ** Math.max(0, Math.floor(Math.log2(number)));
}
