/**
 * Index of keys in shared memory. Readers take no lock; writers have the store's.
 *
 * **Versions.** A bucket has a version, odd while its chain or a place in it is being changed. A reader notes it, walks
 * the chain, reads the record (or pins its slab), and looks at the version again: if it is the same, the record was in
 * use all the time, so its slab was not written. If not, the reader begins anew.
 *
 * **Order of memory.** What writers change and readers walk by is read and written atomically, in one order for all
 * threads. A record's bytes are not: they are written before the row that leads to them, and written over only when
 * none does. `isUnchanged` keeps reads of them from being done after the last look at the version.
 * @module
 */
import type { KeyBytes } from '../store/key-bytes.ts';
import { isKeyOf } from '../store/record.ts';
import { BUCKET_WORDS, type Parts, type Shape, SIZE, UNIT } from './layout.ts';
import type { SharedData } from './shared-data.ts';
import { CHAIN, HASH, NO_ROW, PLACE, type SharedRows } from './shared-rows.ts';
import type { StoreLock } from './store-lock.ts';

/** Fields of a bucket. */
const [VERSION, FIRST] = [0, 1] as const;

/** Attempts of a reader in whose way writers are, before it sleeps between them, and in all. */
const SPINS = 1_000;
export const MAX_ATTEMPTS: number = SPINS + 500;
const SLEEP_MS = 1;

/** Rows that a reader walks at most: one that is led astray by a writer comes back to itself. */
const MAX_CHAIN = 1_024;

export class SharedIndex {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #sizeAt: number;
  readonly #buckets: number;
  readonly #rows: SharedRows;
  readonly #data: SharedData;
  readonly #lock: StoreLock;
  readonly #thread: number;
  /** Bucket and version of the last lookup. */
  #bucketAt = 0;
  #version = 0;
  /** Place of the record that was found last. */
  place = 0;

  constructor(
    words: Int32Array,
    parts: Parts,
    shape: Shape,
    { rows, data, lock, thread }: { rows: SharedRows; data: SharedData; lock: StoreLock; thread: number },
  ) {
    this.#words = words;
    this.#at = parts.buckets;
    this.#sizeAt = parts.header + SIZE;
    this.#buckets = shape.buckets;
    this.#rows = rows;
    this.#data = data;
    this.#lock = lock;
    this.#thread = thread;
  }

  /** Keys that are stored. */
  get size(): number {
    return Atomics.load(this.#words, this.#sizeAt);
  }

  /**
   * Finds a key without the lock; `isUnchanged` says whether what is read of its record counts.
   *
   * @returns Its row, or `NO_ROW`.
   */
  find(key: KeyBytes): number {
    const words = this.#words;
    const { hash } = key;
    const bucketAt = this.#bucketOf(hash);
    this.#bucketAt = bucketAt;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const version = Atomics.load(words, bucketAt + VERSION);
      if ((version & 1) === 0) {
        this.#version = version;
        let row = Atomics.load(words, bucketAt + FIRST) - 1;
        for (let walked = 0; row !== NO_ROW && walked < MAX_CHAIN; walked++) {
          if (this.#rows.load(row, HASH) === hash) {
            const place = this.#rows.load(row, PLACE) - 1;
            if (place >= 0 && isKeyOf(this.#data, place * UNIT, key)) {
              this.place = place;
              return row;
            }
          }
          row = this.#rows.load(row, CHAIN) - 1;
        }
        if (this.isUnchanged()) return NO_ROW;
      }
      this.backOff(attempt);
    }
    return NO_ROW;
  }

  isUnchanged(): boolean {
    // Reads of plain memory before an atomic write are done before it, and a later atomic read after it.
    Atomics.store(FENCE, 0, 0);
    return Atomics.load(this.#words, this.#bucketAt + VERSION) === this.#version;
  }

  /** Waits a moment, before an attempt is repeated. */
  backOff(attempt: number): void {
    if (attempt < SPINS) return;
    // A writer was stopped at the wrong moment, by the system or for good.
    const { holder } = this.#lock;
    if (this.#lock.takeOver(holder, this.#thread)) this.#lock.release();
    const at = this.#bucketAt + VERSION;
    const version = Atomics.load(this.#words, at);
    if ((version & 1) !== 0) Atomics.wait(this.#words, at, version, SLEEP_MS);
  }

  /** As `find`, with the lock. */
  findLocked(key: KeyBytes): number {
    let row = (this.#words[this.#bucketOf(key.hash) + FIRST] as number) - 1;
    while (row !== NO_ROW) {
      if (this.#rows.get(row, HASH) === key.hash && isKeyOf(this.#data, this.placeOf(row) * UNIT, key)) return row;
      row = this.#rows.get(row, CHAIN) - 1;
    }
    return NO_ROW;
  }

  /** @returns The place of a row that is in use, or -1. */
  placeOf(row: number): number {
    return this.#rows.load(row, PLACE) - 1;
  }

  /** Adds the row of a key, whose record is written. */
  link(row: number, hash: number, place: number): void {
    const bucketAt = this.#open(hash);
    this.#rows.publish(row, HASH, hash);
    this.#rows.publish(row, CHAIN, Atomics.load(this.#words, bucketAt + FIRST));
    this.#rows.publish(row, PLACE, place + 1);
    Atomics.store(this.#words, bucketAt + FIRST, row + 1);
    this.#close(bucketAt);
    Atomics.add(this.#words, this.#sizeAt, 1);
  }

  /** Leads a row to another record of its key, or another place of the same one. */
  relink(row: number, place: number): void {
    const bucketAt = this.#open(this.#rows.get(row, HASH));
    this.#rows.publish(row, PLACE, place + 1);
    this.#close(bucketAt);
  }

  /** Takes a key's row out: it has no place any more. */
  unlink(row: number): void {
    const bucketAt = this.#open(this.#rows.get(row, HASH));
    let before = NO_ROW;
    let at = Atomics.load(this.#words, bucketAt + FIRST) - 1;
    while (at !== row) {
      before = at;
      at = this.#rows.get(at, CHAIN) - 1;
    }
    const next = this.#rows.get(row, CHAIN);
    if (before === NO_ROW) Atomics.store(this.#words, bucketAt + FIRST, next);
    else this.#rows.publish(before, CHAIN, next);
    this.#rows.publish(row, PLACE, 0);
    this.#close(bucketAt);
    Atomics.sub(this.#words, this.#sizeAt, 1);
  }

  /** Makes all chains anew, of these rows. A thread that ends while it does leaves the same task to the next. */
  repair(rows: Iterable<number>): void {
    for (let at = this.#at; at < this.#at + this.#buckets * BUCKET_WORDS; at += BUCKET_WORDS) {
      if ((Atomics.load(this.#words, at + VERSION) & 1) === 0) Atomics.add(this.#words, at + VERSION, 1);
      Atomics.store(this.#words, at + FIRST, 0);
    }
    let size = 0;
    for (const row of rows) {
      const at = this.#bucketOf(this.#rows.get(row, HASH));
      this.#rows.publish(row, CHAIN, Atomics.load(this.#words, at + FIRST));
      Atomics.store(this.#words, at + FIRST, row + 1);
      size++;
    }
    Atomics.store(this.#words, this.#sizeAt, size);
    for (let at = this.#at; at < this.#at + this.#buckets * BUCKET_WORDS; at += BUCKET_WORDS) this.#close(at);
  }

  /** @returns Errors in the chains, and the rows that are in one; for tests, with no writer at work. */
  check(): { readonly errors: string[]; readonly rows: ReadonlySet<number> } {
    const errors: string[] = [];
    const rows = new Set<number>();
    for (let at = this.#at; at < this.#at + this.#buckets * BUCKET_WORDS; at += BUCKET_WORDS) {
      if (((this.#words[at + VERSION] as number) & 1) !== 0) errors.push('a bucket is being changed');
      for (let row = (this.#words[at + FIRST] as number) - 1; row !== NO_ROW; row = this.#rows.get(row, CHAIN) - 1) {
        if (rows.has(row)) return { errors: [...errors, `row ${row} is in a chain twice`], rows };
        rows.add(row);
        if (this.placeOf(row) < 0) errors.push(`row ${row} is in a chain and has no place`);
        if (this.#bucketOf(this.#rows.get(row, HASH)) !== at)
          errors.push(`row ${row} is in another chain than its own`);
      }
    }
    if (rows.size !== this.size) errors.push(`size ${this.size}, ${rows.size} rows`);
    return { errors, rows };
  }

  /** @returns The bucket's index in `words`. */
  #bucketOf(hash: number): number {
    return this.#at + (hash & (this.#buckets - 1)) * BUCKET_WORDS;
  }

  /** @returns The bucket, whose version is odd from now on. */
  #open(hash: number): number {
    const bucketAt = this.#bucketOf(hash);
    Atomics.add(this.#words, bucketAt + VERSION, 1);
    return bucketAt;
  }

  #close(bucketAt: number): void {
    Atomics.add(this.#words, bucketAt + VERSION, 1);
  }
}

/** Memory of this thread alone. */
const FENCE = new Int32Array(1);
