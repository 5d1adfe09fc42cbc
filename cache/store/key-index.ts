/**
 * Finds the row of a key, and knows where its record lies. The hash table grows
 * by one bucket with each key (lib/linear-hashing.ts). Buckets and chains are
 * numbers in arrays, as there may be millions of keys: those of cache/key-map.ts
 * are objects, for thousands of keys with values of any kind.
 * @module
 */
import { LinearBuckets } from '../../lib/linear-hashing.ts';
import type { KeyBytes } from './key-bytes.ts';
import { CHAIN, HASH, NO_ROW, OFFSET, type Rows, SLAB, STATE } from './rows.ts';

/** Bytes that a key costs here, besides its record: its row and its bucket. */
export const INDEX_BYTES = 36;

/** Bits of STATE that hold the mark. */
export const MARK_MASK = 0xfffff;

/** Integers in one array of buckets, as a power of two: 64 KiB. */
const CHUNK_BITS = 14;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;

const FIRST_BUCKETS = 64;

/** SLAB of a row that is not in use. */
const FREE = -1;

export class KeyIndex {
  readonly #rows: Rows;
  readonly #isKey: (row: number, key: KeyBytes) => boolean;
  readonly #buckets: Int32Array[] = [];
  readonly #linear = new LinearBuckets(FIRST_BUCKETS);
  #size = 0;

  /** @param isKey - Whether the row, whose hash is the key's, is the key's. */
  constructor(rows: Rows, isKey: (row: number, key: KeyBytes) => boolean) {
    this.#rows = rows;
    this.#isKey = isKey;
  }

  get size(): number {
    return this.#size;
  }

  /** @returns The row of the key, or `NO_ROW`. */
  find(key: KeyBytes): number {
    const { hash } = key;
    const rows = this.#rows;
    let row = this.#bucket(this.#linear.bucketOf(hash));
    while (row !== NO_ROW) {
      if (rows.get(row, HASH) === hash && this.#isKey(row, key)) return row;
      row = rows.get(row, CHAIN);
    }
    return NO_ROW;
  }

  /** @param key - One that is not there. @returns Its row, of which STATE is 0. */
  add({ hash }: KeyBytes): number {
    const row = this.#rows.take();
    this.#rows.set(row, HASH, hash);
    this.#rows.set(row, STATE, 0);
    this.#chain(row, this.#linear.bucketOf(hash));
    if (++this.#size > this.#linear.count) this.#grow();
    return row;
  }

  remove(row: number): void {
    this.#unchain(row);
    this.#rows.set(row, SLAB, FREE);
    this.#rows.release(row);
    this.#size--;
  }

  /** Rows in use, in no order. Rows may be removed meanwhile. */
  *rows(): IterableIterator<number> {
    for (let row = 0; row < this.#rows.count; row++) if (this.#rows.get(row, SLAB) !== FREE) yield row;
  }

  place(row: number, slab: number, offset: number): void {
    this.#rows.set(row, SLAB, slab);
    this.#rows.set(row, OFFSET, offset);
  }

  isAt(row: number, slab: number, offset: number): boolean {
    return this.#rows.get(row, SLAB) === slab && this.#rows.get(row, OFFSET) === offset;
  }

  slabOf(row: number): number {
    return this.#rows.get(row, SLAB);
  }

  offsetOf(row: number): number {
    return this.#rows.get(row, OFFSET);
  }

  /** @returns 0 at first. */
  markOf(row: number): number {
    return this.#rows.get(row, STATE) & MARK_MASK;
  }

  /** @param mark - 0 to `MARK_MASK`. */
  mark(row: number, mark: number): void {
    this.#rows.set(row, STATE, (this.#rows.get(row, STATE) & ~MARK_MASK) | mark);
  }

  /** @returns The first row of the bucket. */
  #bucket(bucket: number): number {
    return this.#buckets[bucket >>> CHUNK_BITS]?.[bucket & CHUNK_MASK] ?? NO_ROW;
  }

  #setBucket(bucket: number, row: number): void {
    if (bucket >>> CHUNK_BITS === this.#buckets.length) this.#buckets.push(new Int32Array(CHUNK_MASK + 1).fill(NO_ROW));
    (this.#buckets[bucket >>> CHUNK_BITS] as Int32Array)[bucket & CHUNK_MASK] = row;
  }

  /** Splits one bucket in two. */
  #grow(): void {
    const { next: from, count: to } = this.#linear;
    let row = this.#bucket(from);
    this.#setBucket(from, NO_ROW);
    this.#setBucket(to, NO_ROW);
    while (row !== NO_ROW) {
      const next = this.#rows.get(row, CHAIN);
      this.#chain(row, this.#linear.goes(this.#rows.get(row, HASH)) ? to : from);
      row = next;
    }
    this.#linear.grow();
  }

  #chain(row: number, bucket: number): void {
    this.#rows.set(row, CHAIN, this.#bucket(bucket));
    this.#setBucket(bucket, row);
  }

  #unchain(row: number): void {
    const rows = this.#rows;
    const bucket = this.#linear.bucketOf(rows.get(row, HASH));
    const next = rows.get(row, CHAIN);
    let before = this.#bucket(bucket);
    if (before === row) {
      this.#setBucket(bucket, next);
      return;
    }
    while (rows.get(before, CHAIN) !== row) before = rows.get(before, CHAIN);
    rows.set(before, CHAIN, next);
  }
}
