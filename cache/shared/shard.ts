/**
 * Part of the keys, with an index and slabs of its own. Readers take no lock; writers take the shard's.
 *
 * **Versions.** A bucket has a version, odd while its chain or a place in it is being changed. A reader notes it, walks
 * the chain, copies the record (or pins its slab), and looks at the version again: if it is the same, the record was in
 * use all the time, so its slab was not written. If not, the reader begins anew.
 *
 * **Rows are the truth.** A key is stored exactly if a row has a PLACE: one word, written when the record is complete.
 * Chains, free rows, queues and counts follow from the rows. So a thread may end after any instruction: `#repair` makes
 * all else anew, and what was stored before stays stored.
 *
 * **Order of memory.** What writers change and readers walk by is read and written atomically, in one order for all
 * threads. A record's bytes are not: they are written before the row that leads to them, and written over only when
 * none does. `#isUnchanged` keeps reads of them from being done after the last look at the version.
 * @module
 */
import type { KeyBytes } from '../store/key-bytes.ts';
import { type Eviction, NO_ROW } from './eviction.ts';
import {
  BUCKET_WORDS,
  CHAIN,
  CHECKED,
  FREE_ROW,
  HASH,
  HEADER_WORDS,
  PLACE,
  ROW_COUNT,
  ROW_WORDS,
  SERIAL,
  type Shape,
  SIZE,
  SLAB_WORDS,
  UNIT,
  UNIT_WORDS,
} from './layout.ts';
import { AS_OF, type AsOf, type Data, EPOCH, KEY_LENGTH, PAYLOAD, RECORD_HEADER, RECORD_SERIAL } from './record.ts';
import { ShardLock } from './shard-lock.ts';
import { NO_PLACE, SharedSlabs } from './slabs.ts';
import type { Threads } from './threads.ts';

/** Fields of a bucket. */
const [VERSION, FIRST] = [0, 1] as const;

/** Attempts of a reader in whose way writers are, before it sleeps between them, and in all. */
const SPINS = 1_000;
const MAX_ATTEMPTS: number = SPINS + 500;
const SLEEP_MS = 1;

/** Rows that a reader walks at most: one that is led astray by a writer comes back to itself. */
const MAX_CHAIN = 256;

export const MISS = -1;

/** Indices of a shard's parts in `control`. */
export interface ShardParts {
  readonly header: number;
  readonly buckets: number;
  readonly rows: number;
  readonly slabs: number;
  readonly claims: number;
}

export function partsOf(at: number, { buckets, rows, slabs }: Shape): ShardParts {
  const rowsAt = at + HEADER_WORDS + buckets * BUCKET_WORDS;
  const slabsAt = rowsAt + rows * ROW_WORDS;
  return {
    header: at,
    buckets: at + HEADER_WORDS,
    rows: rowsAt,
    slabs: slabsAt,
    claims: slabsAt + slabs * SLAB_WORDS,
  };
}

export interface ShardOptions {
  readonly control: Int32Array;
  readonly data: Data;
  readonly shape: Shape;
  readonly parts: ShardParts;
  /** Among the shards. */
  readonly number: number;
  readonly threads: Threads;
  /** Token of the thread that this object belongs to. */
  readonly thread: number;
  readonly eviction: Eviction;
}

export class Shard {
  readonly #control: Int32Array;
  readonly #data: Data;
  readonly #shape: Shape;
  readonly #parts: ShardParts;
  readonly #threads: Threads;
  readonly #thread: number;
  readonly #eviction: Eviction;
  readonly #slabs: SharedSlabs;
  readonly lock: ShardLock;
  /** Bucket and version of the last lookup. */
  #bucketAt = 0;
  #version = 0;
  /** A row that stays while room is made for its new record. */
  #except = NO_ROW;

  /** Properties of the record that was found last. */
  row = NO_ROW;
  serial = 0;
  asOf = 0;
  epoch = 0;
  /** Number in the journal up to which no purge concerns it, modulo 2³²; 0 at first. */
  checked = 0;

  constructor({ control, data, shape, parts, number, threads, thread, eviction }: ShardOptions) {
    this.#control = control;
    this.#data = data;
    this.#shape = shape;
    this.#parts = parts;
    this.#threads = threads;
    this.#thread = thread;
    this.#eviction = eviction;
    this.lock = new ShardLock(control, parts.header, threads, () => this.#repair());
    this.#slabs = new SharedSlabs({
      control,
      at: parts.slabs,
      headerAt: parts.header,
      data,
      first: number * shape.slabs,
      shape,
      threads,
      owner: {
        isAt: (row, place) => this.#get(row, PLACE) === place + 1,
        moved: (row, place) => this.#moved(row, place),
        evict: () => this.#evict(),
      },
    });
  }

  /** @returns Bytes of the payload, or `MISS`. The fields of this object say more. */
  peek(key: KeyBytes): number {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const place = this.#locate(key);
      if (place === NO_PLACE) return MISS;
      const length = this.#note(place);
      if (this.#isUnchanged()) return this.#used(length);
      this.#backOff(attempt);
    }
    return MISS;
  }

  /** Copies the payload. @returns Its bytes, or `MISS`; if `target` is too small nothing is copied. */
  read(key: KeyBytes, target: Buffer): number {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const place = this.#locate(key);
      if (place === NO_PLACE) return MISS;
      const length = this.#note(place);
      const from = place * UNIT + RECORD_HEADER + key.length;
      if (length >= 0 && length <= target.length) this.#data.bytes.copy(target, 0, from, from + length);
      if (this.#isUnchanged()) return this.#used(length);
      this.#backOff(attempt);
    }
    return MISS;
  }

  /** @returns The payload where it lies, not written over before `unpin`; or undefined. */
  pin(key: KeyBytes): Buffer | undefined {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const place = this.#locate(key);
      if (place === NO_PLACE) return undefined;
      const length = this.#note(place);
      const slab = this.#slabs.slabOf(place);
      this.#threads.pin(this.#thread, slab);
      if (this.#isUnchanged()) {
        const from = place * UNIT + RECORD_HEADER + key.length;
        return this.#data.bytes.subarray(from, from + this.#used(length));
      }
      this.#threads.unpin(this.#thread, slab);
      this.#backOff(attempt);
    }
    return undefined;
  }

  /** @param payload - As `pin` returned it. */
  unpin(payload: Buffer): void {
    this.#threads.unpin(this.#thread, this.#slabs.slabOf((payload.byteOffset - RECORD_HEADER) / UNIT));
  }

  /**
   * Notes that no purge up to this number of the journal concerns the record that was found last; unless another one
   * is in its place by now, or a writer at work.
   */
  check(seq: number): void {
    if (this.row === NO_ROW || !this.lock.tryAcquire(this.#thread)) return;
    const place = this.#get(this.row, PLACE) - 1;
    const isSame = place !== NO_PLACE && this.#data.words[place * UNIT_WORDS + RECORD_SERIAL] === this.serial;
    if (isSame) this.#set(this.row, CHECKED, seq | 0);
    this.lock.release();
  }

  /**
   * Stores a payload in place of what was there.
   *
   * @returns False if there is no room: then the key is removed; or if the lock was not to be had: then nothing changes.
   */
  set(key: KeyBytes, payload: Buffer, { asOf, epoch }: AsOf): boolean {
    if (!this.lock.acquire(this.#thread)) return false;
    try {
      const bytes = Math.ceil((RECORD_HEADER + key.length + payload.length) / UNIT) * UNIT;
      const known = this.#find(key);
      const row = known !== NO_ROW ? known : bytes > this.#slabs.maxRecordBytes ? NO_ROW : this.#takeRow(key.hash);
      if (row === NO_ROW) return false;
      this.#except = row;
      const place = bytes > this.#slabs.maxRecordBytes ? NO_PLACE : this.#slabs.allocate(bytes, row);
      this.#except = NO_ROW;
      if (place === NO_PLACE) {
        if (known === NO_ROW) this.#freeRow(row);
        else this.#remove(row);
        return false;
      }
      this.#write(place, key, payload, asOf, epoch);
      if (known === NO_ROW) this.#link(row, key.hash, place);
      else this.#replace(row, place);
      return true;
    } finally {
      this.lock.release();
    }
  }

  /** @returns False if the lock was not to be had. */
  delete(key: KeyBytes): boolean {
    if (!this.lock.acquire(this.#thread)) return false;
    try {
      const row = this.#find(key);
      if (row !== NO_ROW) this.#remove(row);
      return true;
    } finally {
      this.lock.release();
    }
  }

  get size(): number {
    return Atomics.load(this.#control, this.#parts.header + SIZE);
  }

  /** Bytes of slabs in use. */
  get bytes(): number {
    return this.#slabs.bytes;
  }

  get maxPayload(): number {
    return this.#slabs.maxRecordBytes - RECORD_HEADER;
  }

  /** @returns Errors in what follows from the rows; for tests, with no writer at work. */
  errors(): string[] {
    const errors: string[] = [];
    const rowCount = this.#header(ROW_COUNT);
    const chained = new Set<number>();
    for (let bucket = 0; bucket < this.#shape.buckets; bucket++) {
      const at = this.#parts.buckets + bucket * BUCKET_WORDS;
      if (((this.#control[at + VERSION] as number) & 1) !== 0) errors.push(`bucket ${bucket} is being changed`);
      for (let row = (this.#control[at + FIRST] as number) - 1; row !== NO_ROW; row = this.#get(row, CHAIN) - 1) {
        if (chained.has(row)) return [...errors, `row ${row} is in a chain twice`];
        chained.add(row);
        if (this.#get(row, PLACE) === 0) errors.push(`row ${row} is in a chain and has no place`);
        if (this.#bucketOf(this.#get(row, HASH)) !== at) errors.push(`row ${row} is in another chain than its own`);
      }
    }
    for (let row = 0; row < rowCount; row++) {
      const place = this.#get(row, PLACE) - 1;
      if (place === NO_PLACE) continue;
      if (!chained.has(row)) errors.push(`row ${row} is in no chain`);
      if (this.#data.words[place * UNIT_WORDS] !== row) errors.push(`the record of row ${row} is another one's`);
    }
    if (chained.size !== this.size) errors.push(`size ${this.size}, ${chained.size} rows`);
    if (this.lock.holder !== 0) errors.push(`thread ${this.lock.holder} has the lock`);
    return errors;
  }

  /** Finds the record of a key; `#isUnchanged` says whether what is read of it counts. @returns Its place, or `NO_PLACE`. */
  #locate(key: KeyBytes): number {
    const control = this.#control;
    const { hash } = key;
    const bucketAt = this.#bucketOf(hash);
    this.#bucketAt = bucketAt;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const version = Atomics.load(control, bucketAt + VERSION);
      if ((version & 1) === 0) {
        this.#version = version;
        let row = Atomics.load(control, bucketAt + FIRST) - 1;
        for (let walked = 0; row !== NO_ROW && walked < MAX_CHAIN; walked++) {
          const at = this.#field(row, 0);
          if (Atomics.load(control, at + HASH) === hash) {
            const place = Atomics.load(control, at + PLACE) - 1;
            if (place !== NO_PLACE && this.#isKeyAt(place, key)) {
              this.row = row;
              return place;
            }
          }
          row = Atomics.load(control, at + CHAIN) - 1;
        }
        if (this.#isUnchanged()) break;
      }
      this.#backOff(attempt);
    }
    this.row = NO_ROW;
    return NO_PLACE;
  }

  #isKeyAt(place: number, key: KeyBytes): boolean {
    const { words, view } = this.#data;
    // What is read while the slab is written anew may be anything: a longer key could reach beyond the end.
    const start = place * UNIT + RECORD_HEADER;
    return (
      words[place * UNIT_WORDS + KEY_LENGTH] === key.length &&
      start + key.length <= view.byteLength &&
      key.isAt(view, start)
    );
  }

  /** Notes what stands in a record's header. @returns Bytes of the payload. */
  #note(place: number): number {
    const { words, doubles } = this.#data;
    const word = place * UNIT_WORDS;
    this.serial = words[word + RECORD_SERIAL] as number;
    this.epoch = words[word + EPOCH] as number;
    this.asOf = doubles[(word + AS_OF) / 2] as number;
    this.checked = Atomics.load(this.#control, this.#field(this.row, CHECKED));
    return words[word + PAYLOAD] as number;
  }

  #isUnchanged(): boolean {
    // Reads of plain memory before an atomic write are done before it, and a later atomic read after it.
    Atomics.store(FENCE, 0, 0);
    return Atomics.load(this.#control, this.#bucketAt + VERSION) === this.#version;
  }

  #used(length: number): number {
    this.#eviction.use(this.row);
    return length;
  }

  #backOff(attempt: number): void {
    if (attempt < SPINS) return;
    // A writer was stopped at the wrong moment, by the system or for good.
    const { holder } = this.lock;
    if (this.lock.takeOver(holder, this.#thread)) this.lock.release();
    const version = Atomics.load(this.#control, this.#bucketAt + VERSION);
    if ((version & 1) !== 0) Atomics.wait(this.#control, this.#bucketAt + VERSION, version, SLEEP_MS);
  }

  /** As `#locate`, with the lock. @returns The row, or `NO_ROW`. */
  #find(key: KeyBytes): number {
    let row = (this.#control[this.#bucketOf(key.hash) + FIRST] as number) - 1;
    while (row !== NO_ROW) {
      if (this.#get(row, HASH) === key.hash && this.#isKeyAt(this.#get(row, PLACE) - 1, key)) return row;
      row = this.#get(row, CHAIN) - 1;
    }
    return NO_ROW;
  }

  #write(place: number, key: KeyBytes, payload: Buffer, asOf: number, epoch: number): void {
    const { words, doubles, bytes } = this.#data;
    const word = place * UNIT_WORDS;
    words[word + KEY_LENGTH] = key.length;
    words[word + PAYLOAD] = payload.length;
    words[word + RECORD_SERIAL] = Atomics.add(this.#control, this.#parts.header + SERIAL, 1);
    words[word + EPOCH] = epoch;
    doubles[(word + AS_OF) / 2] = asOf;
    key.copyTo(bytes, place * UNIT + RECORD_HEADER);
    bytes.set(payload, place * UNIT + RECORD_HEADER + key.length);
  }

  #link(row: number, hash: number, place: number): void {
    const bucketAt = this.#open(hash);
    this.#set(row, CHAIN, Atomics.load(this.#control, bucketAt + FIRST));
    this.#set(row, PLACE, place + 1);
    Atomics.store(this.#control, bucketAt + FIRST, row + 1);
    this.#close(bucketAt);
    this.#eviction.add(row);
    Atomics.add(this.#control, this.#parts.header + SIZE, 1);
  }

  #replace(row: number, place: number): void {
    const before = this.#get(row, PLACE) - 1;
    const bucketAt = this.#open(this.#get(row, HASH));
    this.#set(row, CHECKED, 0);
    this.#set(row, PLACE, place + 1);
    this.#close(bucketAt);
    this.#slabs.release(before);
  }

  #moved(row: number, place: number): void {
    const bucketAt = this.#open(this.#get(row, HASH));
    this.#set(row, PLACE, place + 1);
    this.#close(bucketAt);
  }

  #remove(row: number): void {
    const place = this.#get(row, PLACE) - 1;
    const bucketAt = this.#open(this.#get(row, HASH));
    let link = bucketAt + FIRST;
    while (this.#control[link] !== row + 1) link = this.#field((this.#control[link] as number) - 1, CHAIN);
    Atomics.store(this.#control, link, this.#get(row, CHAIN));
    this.#set(row, PLACE, 0);
    this.#close(bucketAt);
    this.#slabs.release(place);
    this.#eviction.remove(row);
    this.#freeRow(row);
    Atomics.sub(this.#control, this.#parts.header + SIZE, 1);
  }

  #evict(): boolean {
    const victim = this.#eviction.victim(this.#except);
    if (victim === NO_ROW) return false;
    this.#remove(victim);
    return true;
  }

  /** @returns A row without a place, or `NO_ROW`. */
  #takeRow(hash: number): number {
    if (this.#header(FREE_ROW) === 0 && this.#header(ROW_COUNT) === this.#shape.rows && !this.#evict()) return NO_ROW;
    let row = this.#header(FREE_ROW) - 1;
    if (row === NO_ROW) row = Atomics.add(this.#control, this.#parts.header + ROW_COUNT, 1);
    else this.#setHeader(FREE_ROW, this.#get(row, CHAIN));
    this.#set(row, HASH, hash);
    this.#set(row, CHECKED, 0);
    return row;
  }

  #freeRow(row: number): void {
    this.#set(row, CHAIN, this.#header(FREE_ROW));
    this.#setHeader(FREE_ROW, row + 1);
  }

  /** Makes all that follows from the rows anew. A thread that ends while it does leaves the same task to the next. */
  #repair(): void {
    const { buckets } = this.#shape;
    for (let bucket = 0; bucket < buckets; bucket++) {
      const at = this.#parts.buckets + bucket * BUCKET_WORDS;
      if ((Atomics.load(this.#control, at + VERSION) & 1) === 0) Atomics.add(this.#control, at + VERSION, 1);
      Atomics.store(this.#control, at + FIRST, 0);
    }
    this.#setHeader(FREE_ROW, 0);
    this.#eviction.clear();
    this.#slabs.clear();
    let size = 0;
    for (let row = 0; row < this.#header(ROW_COUNT); row++) {
      const place = this.#get(row, PLACE) - 1;
      if (place === NO_PLACE) {
        this.#freeRow(row);
        continue;
      }
      const at = this.#bucketOf(this.#get(row, HASH));
      this.#set(row, CHAIN, Atomics.load(this.#control, at + FIRST));
      Atomics.store(this.#control, at + FIRST, row + 1);
      this.#slabs.count(place);
      this.#eviction.add(row);
      size++;
    }
    this.#setHeader(SIZE, size);
    for (let bucket = 0; bucket < buckets; bucket++) {
      Atomics.add(this.#control, this.#parts.buckets + bucket * BUCKET_WORDS + VERSION, 1);
    }
  }

  /** @returns The bucket's index in `control`. */
  #bucketOf(hash: number): number {
    return this.#parts.buckets + (hash & (this.#shape.buckets - 1)) * BUCKET_WORDS;
  }

  /** @returns The bucket, whose version is odd from now on. */
  #open(hash: number): number {
    const bucketAt = this.#bucketOf(hash);
    Atomics.add(this.#control, bucketAt + VERSION, 1);
    return bucketAt;
  }

  #close(bucketAt: number): void {
    Atomics.add(this.#control, bucketAt + VERSION, 1);
  }

  #get(row: number, field: number): number {
    return this.#control[this.#field(row, field)] as number;
  }

  #set(row: number, field: number, value: number): void {
    Atomics.store(this.#control, this.#field(row, field), value);
  }

  #header(field: number): number {
    return this.#control[this.#parts.header + field] as number;
  }

  #setHeader(field: number, value: number): void {
    Atomics.store(this.#control, this.#parts.header + field, value);
  }

  #field(row: number, field: number): number {
    return this.#parts.rows + row * ROW_WORDS + field;
  }
}

/** Memory of this thread alone. */
const FENCE = new Int32Array(1);
