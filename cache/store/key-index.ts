/**
 * Which keys there are, where what is kept under each lies, and in what order
 * they were used. All of it is numbers in typed arrays of a fixed size, of
 * which more are made as keys come: a million keys are not a million objects
 * that the garbage collector must look at, and nothing is ever copied into a
 * table of twice the size, so no single key costs more than another.
 *
 * The table grows by one bucket with each key (linear hashing, W. Litwin, 1980).
 * A row is eight numbers: hash, next row of the bucket, next newer row, next
 * older row, slab, offset, mark, one to spare.
 * @module
 */
import type { KeyBytes } from './key-bytes.ts';

/** What a key costs here, besides where it is written: its row and its bucket. */
export const INDEX_BYTES = 36;

export const NO_ROW = -1;

const ROW_BITS = 3;
const [HASH, CHAIN, NEWER, OLDER, SLAB, OFFSET, MARK] = [0, 1, 2, 3, 4, 5, 6] as const;

/** Numbers in one array, as a power of two: 64 KiB. */
const CHUNK_BITS = 14;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;

const FIRST_BUCKETS = 64;

const FREE = -1;

export class KeyIndex {
  readonly #isKey: (row: number, key: KeyBytes) => boolean;
  readonly #rows: Int32Array[] = [];
  readonly #buckets: Int32Array[] = [];
  /** Buckets are `#base + #split`; of the first `#base`, the first `#split` have been split in two. */
  #base = FIRST_BUCKETS;
  #split = 0;
  #size = 0;
  /** Rows that were ever used. */
  #used = 0;
  #freeRow = NO_ROW;
  #newest = NO_ROW;
  #oldest = NO_ROW;

  /** @param isKey - Whether the row, whose hash is the key's, is the key's. */
  constructor(isKey: (row: number, key: KeyBytes) => boolean) {
    this.#isKey = isKey;
  }

  get size(): number {
    return this.#size;
  }

  /** The least recently used row, or `NO_ROW`. */
  get oldest(): number {
    return this.#oldest;
  }

  /** The most recently used row, or `NO_ROW`. */
  get newest(): number {
    return this.#newest;
  }

  /** @returns The row of the key, or `NO_ROW`. It is not used by that. */
  find(key: KeyBytes): number {
    const { hash } = key;
    let row = this.#bucket(this.#bucketOf(hash));
    while (row !== NO_ROW) {
      if (this.#get(row, HASH) === hash && this.#isKey(row, key)) return row;
      row = this.#get(row, CHAIN);
    }
    return NO_ROW;
  }

  /** @param key - One that is not there. @returns Its row, the most recently used one. */
  add({ hash }: KeyBytes): number {
    const row = this.#takeRow();
    this.#set(row, HASH, hash);
    this.#set(row, MARK, 0);
    this.#chain(row, this.#bucketOf(hash));
    this.#link(row);
    if (++this.#size > this.#base + this.#split) this.#grow();
    return row;
  }

  remove(row: number): void {
    this.#unchain(row);
    this.#unlink(row);
    this.#set(row, SLAB, FREE);
    this.#set(row, CHAIN, this.#freeRow);
    this.#freeRow = row;
    this.#size--;
  }

  /** Makes the row the most recently used one. */
  use(row: number): void {
    if (row === this.#newest) return;
    this.#unlink(row);
    this.#link(row);
  }

  /** @returns The row that was used before this one, or `NO_ROW`; `NO_ROW` also for a row that is not there any more. */
  olderThan(row: number): number {
    return this.#get(row, SLAB) === FREE ? NO_ROW : this.#get(row, OLDER);
  }

  place(row: number, slab: number, offset: number): void {
    this.#set(row, SLAB, slab);
    this.#set(row, OFFSET, offset);
  }

  isAt(row: number, slab: number, offset: number): boolean {
    return this.#get(row, SLAB) === slab && this.#get(row, OFFSET) === offset;
  }

  slabOf(row: number): number {
    return this.#get(row, SLAB);
  }

  offsetOf(row: number): number {
    return this.#get(row, OFFSET);
  }

  /** @returns 0 at first. */
  markOf(row: number): number {
    return this.#get(row, MARK);
  }

  mark(row: number, mark: number): void {
    this.#set(row, MARK, mark);
  }

  #get(row: number, field: number): number {
    const at = (row << ROW_BITS) + field;
    return (this.#rows[at >>> CHUNK_BITS] as Int32Array)[at & CHUNK_MASK] as number;
  }

  #set(row: number, field: number, value: number): void {
    const at = (row << ROW_BITS) + field;
    (this.#rows[at >>> CHUNK_BITS] as Int32Array)[at & CHUNK_MASK] = value;
  }

  #takeRow(): number {
    const row = this.#freeRow;
    if (row !== NO_ROW) {
      this.#freeRow = this.#get(row, CHAIN);
      return row;
    }
    if ((this.#used << ROW_BITS) >>> CHUNK_BITS === this.#rows.length) this.#rows.push(new Int32Array(CHUNK_MASK + 1));
    return this.#used++;
  }

  #bucketOf(hash: number): number {
    const bucket = hash & (2 * this.#base - 1);
    return bucket < this.#base + this.#split ? bucket : bucket - this.#base;
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
    const from = this.#split;
    const to = this.#base + this.#split;
    let row = this.#bucket(from);
    this.#setBucket(from, NO_ROW);
    this.#setBucket(to, NO_ROW);
    while (row !== NO_ROW) {
      const next = this.#get(row, CHAIN);
      this.#chain(row, (this.#get(row, HASH) & this.#base) === 0 ? from : to);
      row = next;
    }
    if (++this.#split < this.#base) return;
    this.#base *= 2;
    this.#split = 0;
  }

  #chain(row: number, bucket: number): void {
    this.#set(row, CHAIN, this.#bucket(bucket));
    this.#setBucket(bucket, row);
  }

  #unchain(row: number): void {
    const bucket = this.#bucketOf(this.#get(row, HASH));
    const next = this.#get(row, CHAIN);
    let before = this.#bucket(bucket);
    if (before === row) {
      this.#setBucket(bucket, next);
      return;
    }
    while (this.#get(before, CHAIN) !== row) before = this.#get(before, CHAIN);
    this.#set(before, CHAIN, next);
  }

  #link(row: number): void {
    this.#set(row, OLDER, this.#newest);
    this.#set(row, NEWER, NO_ROW);
    if (this.#newest === NO_ROW) this.#oldest = row;
    else this.#set(this.#newest, NEWER, row);
    this.#newest = row;
  }

  #unlink(row: number): void {
    const newer = this.#get(row, NEWER);
    const older = this.#get(row, OLDER);
    if (newer === NO_ROW) this.#newest = older;
    else this.#set(newer, OLDER, older);
    if (older === NO_ROW) this.#oldest = newer;
    else this.#set(older, NEWER, newer);
  }
}
