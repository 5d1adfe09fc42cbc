/**
 * Cache of decoded records, so that popular ones are decoded once. Two generations, bounded in bytes: an entry without
 * a lookup in the time that one takes to fill up is dropped.
 *
 * The first lookup of a record is not cached: most are not repeated soon, and objects that live for a while, but not
 * long, cost the garbage collector most.
 * @module
 */

import { TwoGenerationCache } from '../../lib/two-generation-cache.ts';
import { bodiesOf, type StoredResponse } from '../stored-response.ts';
import { MARK_MASK } from './key-index.ts';
import { isPacked } from './record.ts';

/** Maximum size of each generation, in bytes and as a fraction of all memory. */
const GENERATION_BYTES = 24 * 1024 * 1024;
const PART_OF_ALL = 24;

/** Overhead of a response as an object, besides its texts and its body. */
const OBJECT_BYTES = 900;

/** Size of a prepared response, besides a head. Measured by load-tests/micro. */
const PREPARED_BYTES = 2_000;

/** About what a response of 1 KB takes here: a generation ends after as many reads of records as have room in it. */
const USUAL_BYTES = 5 * 1024;

/**
 * Marks of a row: decoded here, or never read; other values are the number of the generation in which it was last read.
 */
export const DECODED: number = MARK_MASK;
const NEVER = 0;

interface DecodedEntry {
  readonly variants: readonly StoredResponse[];
  readonly bytes: number;
}

export class DecodedCache {
  /** By row. */
  readonly #found: TwoGenerationCache<number, DecodedEntry>;
  #reads = 0;
  #generation = 1;

  /** @param onForgotten - Called with the row of what goes by itself. */
  constructor(maxBytes: number, onForgotten: (row: number) => void) {
    this.#found = new TwoGenerationCache({
      generationWeight: generationBytes(maxBytes),
      weightOf: (_row, { bytes }) => bytes,
      onDropped: onForgotten,
    });
  }

  /** Sets the memory budget of the whole store. */
  set maxBytes(maxBytes: number) {
    this.#found.generationWeight = generationBytes(maxBytes);
  }

  /** Bytes in use. */
  get bytes(): number {
    return this.#found.weight;
  }

  get(row: number): readonly StoredResponse[] | undefined {
    return this.#found.get(row)?.variants;
  }

  /**
   * A record has been read.
   *
   * @param mark - The row's until now.
   * @returns The row's new mark; `KEPT` says that it is worth to be kept here.
   */
  markOf(mark: number): number {
    if (++this.#reads * USUAL_BYTES > this.#found.generationWeight) {
      this.#reads = 0;
      this.#generation = (this.#generation % (DECODED - 1)) + 1;
    }
    return mark !== NEVER && this.#generation - mark <= 1 ? DECODED : this.#generation;
  }

  add(row: number, variants: readonly StoredResponse[]): void {
    let bytes = 0;
    for (const stored of variants) {
      // Each of its encodings is answered with like a response of its own.
      for (const body of bodiesOf(stored)) {
        bytes += OBJECT_BYTES + PREPARED_BYTES;
        for (const text of stored.headers) bytes += 2 * text.length; // its own, and in the prepared head
        // A large one is counted where it is.
        if (isPacked(body)) bytes += body.size;
      }
    }
    this.#found.set(row, { variants, bytes });
  }

  delete(row: number): void {
    this.#found.delete(row);
  }
}

function generationBytes(maxBytes: number): number {
  return Math.min(GENERATION_BYTES, maxBytes / PART_OF_ALL);
}
