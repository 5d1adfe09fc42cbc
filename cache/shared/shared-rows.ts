/**
 * Rows in shared memory. A row is a stored key's, or a piece's (pieces.ts): which one says the record that it leads to.
 *
 * ```
 * HASH        32 bits of the key's hash            (shared-index.ts)
 * CHAIN       next row of the bucket, or free row  (shared-index.ts)
 * PLACE       of the record; 0: the row is free    (shared-index.ts)
 * REFERENCES  to a piece, by records of keys       (pieces.ts)
 * STATE       use, frequency, size                 (cache/store/eviction.ts)
 * NEXT        of the queue; of a piece: OWNER      (cache/store/eviction.ts, pieces.ts)
 * PREVIOUS    of the queue                         (cache/store/eviction.ts)
 * TIME        when it entered its queue            (cache/store/eviction.ts)
 * ```
 *
 * `publish` writes what readers without the lock walk by, `set` the rest.
 * @module
 */
import type { QueuedRows } from '../store/eviction.ts';
import { CHAIN, NO_ROW, SLAB as PLACE, STATE } from '../store/rows.ts';
import { FREE_ROW, type Parts, ROW_COUNT, ROW_WORDS, type Shape } from './layout.ts';

export { CHAIN, HASH, NEXT as OWNER, NO_ROW, OFFSET as REFERENCES, SLAB as PLACE } from '../store/rows.ts';

export class SharedRows implements QueuedRows {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #header: number;
  readonly #limit: number;

  constructor(words: Int32Array, parts: Parts, shape: Shape) {
    this.#words = words;
    this.#at = parts.rows;
    this.#header = parts.header;
    this.#limit = shape.rows;
  }

  /** Rows that were ever in use: every row in use is below this number. */
  get count(): number {
    return Atomics.load(this.#words, this.#header + ROW_COUNT);
  }

  get(row: number, field: number): number {
    return this.#words[this.#at + row * ROW_WORDS + field] as number;
  }

  load(row: number, field: number): number {
    return Atomics.load(this.#words, this.#at + row * ROW_WORDS + field);
  }

  set(row: number, field: number, value: number): void {
    this.#words[this.#at + row * ROW_WORDS + field] = value;
  }

  publish(row: number, field: number, value: number): void {
    Atomics.store(this.#words, this.#at + row * ROW_WORDS + field, value);
  }

  change(row: number, field: number, from: number, to: number): void {
    Atomics.compareExchange(this.#words, this.#at + row * ROW_WORDS + field, from, to);
  }

  /** @returns A row that is not in use and has no place; `NO_ROW` if there is none. */
  take(): number {
    const words = this.#words;
    const free = (words[this.#header + FREE_ROW] as number) - 1;
    if (free !== NO_ROW) {
      words[this.#header + FREE_ROW] = this.get(free, CHAIN);
      this.set(free, STATE, 0);
      return free;
    }
    const { count } = this;
    if (count === this.#limit) return NO_ROW;
    Atomics.store(words, this.#header + ROW_COUNT, count + 1);
    return count;
  }

  /** Gives back a row, which has no place any more. */
  release(row: number): void {
    this.publish(row, CHAIN, this.#words[this.#header + FREE_ROW] as number);
    this.#words[this.#header + FREE_ROW] = row + 1;
  }

  /** Makes the list of free rows anew. */
  repair(): void {
    this.#words[this.#header + FREE_ROW] = 0;
    for (let row = this.count - 1; row >= 0; row--) if (this.get(row, PLACE) === 0) this.release(row);
  }
}
