/**
 * A row of eight 32-bit integers for each stored key, in typed arrays of a fixed
 * size, of which more are made as keys come. A million keys are no objects for the
 * garbage collector, and no table is ever copied into a larger one.
 *
 * ```
 * HASH      32 bits of the key's hash            (key-index.ts)
 * CHAIN     next row of the bucket, or free row  (key-index.ts)
 * SLAB      number of the record's slab          (key-index.ts)
 * OFFSET    where in the slab it begins          (key-index.ts)
 * STATE     bits 0–19 mark of the decoded copy   (key-index.ts, decoded-cache.ts)
 *           bits 20–21 uses since (re)insertion  (eviction.ts)
 *           bits 22–26 frequency of use          (eviction.ts)
 *           bits 27–31 magnitude of its bytes    (eviction.ts)
 * NEXT      next row of the queue, towards its tail  (eviction.ts)
 * PREVIOUS  previous row of the queue            (eviction.ts)
 * TIME      when it entered its queue            (eviction.ts)
 * ```
 * @module
 */

export const NO_ROW = -1;

export const [HASH, CHAIN, SLAB, OFFSET, STATE, NEXT, PREVIOUS, TIME] = [0, 1, 2, 3, 4, 5, 6, 7] as const;

const ROW_BITS = 3;

/** Integers in one array, as a power of two: 64 KiB. */
const CHUNK_BITS = 14;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;

export class Rows {
  readonly #chunks: Int32Array[] = [];
  #count = 0;
  #free = NO_ROW;

  /** Rows that were ever in use: every row in use is below this number. */
  get count(): number {
    return this.#count;
  }

  get(row: number, field: number): number {
    const at = (row << ROW_BITS) + field;
    return (this.#chunks[at >>> CHUNK_BITS] as Int32Array)[at & CHUNK_MASK] as number;
  }

  set(row: number, field: number, value: number): void {
    const at = (row << ROW_BITS) + field;
    (this.#chunks[at >>> CHUNK_BITS] as Int32Array)[at & CHUNK_MASK] = value;
  }

  /** Sets a field; no other thread has these rows. */
  change(row: number, field: number, _from: number, to: number): void {
    this.set(row, field, to);
  }

  /** @returns A row that is not in use; its fields hold whatever they held. */
  take(): number {
    const row = this.#free;
    if (row !== NO_ROW) {
      this.#free = this.get(row, CHAIN);
      return row;
    }
    if ((this.#count << ROW_BITS) >>> CHUNK_BITS === this.#chunks.length) {
      this.#chunks.push(new Int32Array(CHUNK_MASK + 1));
    }
    return this.#count++;
  }

  /** Gives a row back; its CHAIN belongs to the list of free rows from now on. */
  release(row: number): void {
    this.set(row, CHAIN, this.#free);
    this.#free = row;
  }
}
