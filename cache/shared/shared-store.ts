/**
 * Responses in memory that all threads of a process share, bounded in bytes. Each thread has an object of its own for
 * it.
 *
 * A key has one record (cache/store/record.ts) in a slab; bodies that are no part of it lie in pieces
 * (pieces.ts). What was looked up lately each thread keeps decoded, and knows by the serial number of the record
 * whether it is still what is stored. Bodies on their way into the store are memory of their thread, and count.
 *
 * **Rows are the truth.** A key is stored exactly if a row has a place: one word, written when the record is complete.
 * Chains, free rows, queues, references and what slabs hold follow from the rows. So a thread may end after any
 * instruction: `#repair` makes all else anew, and what was stored before stays stored.
 *
 * One thread supervises: it makes the memory, starts the others, and calls `ended` for each that has ended, however it
 * did.
 * @module
 */

import { combined, MemoryBody, MemoryWriter, type Segment } from '../store/body.ts';
import { DECODED, DecodedCache } from '../store/decoded-cache.ts';
import { EvictionQueues, QUEUE_WORDS } from '../store/eviction.ts';
import { EvictionHistory } from '../store/eviction-history.ts';
import { KeyBytes } from '../store/key-bytes.ts';
import {
  isPacked,
  isSplit,
  keyOf,
  makeRecord,
  makeSplitRecord,
  outsideOf,
  type RecordSource,
  readRecord,
  writeRecord,
} from '../store/record.ts';
import { EvictedError, type Store, type StoredBody, type StoreWriter } from '../store/store.ts';
import { bodiesOf, type StoredResponse, withBodies } from '../stored-response.ts';
import { type Claim, FillClaims } from './fill-claims.ts';
import { CHANGES, IDS, MAX_BYTES, partsOf, SERIAL, SHARES, type SharedMemory, UNIT } from './layout.ts';
import { PiecedBody, Pieces } from './pieces.ts';
import { SharedData } from './shared-data.ts';
import { MAX_ATTEMPTS, SharedIndex } from './shared-index.ts';
import { NO_ROW, PLACE, REFERENCES, SharedRows } from './shared-rows.ts';
import { SharedTexts } from './shared-texts.ts';
import { NO_PLACE, SharedSlabs } from './slabs.ts';
import { StoreLock, SUPERVISOR } from './store-lock.ts';
import { IN_USE, REMEMBERED, Threads } from './threads.ts';

/** Bytes that a key costs in the index, besides its record. */
const INDEX_BYTES = 40;

/** Numbers of bodies that a thread takes at a time. */
const IDS_AT_A_TIME = 2 ** 20;

/** Threads that may each have as much room for decoded copies as one thread has: most hits are of those. */
const THREADS_WITH_ALL = 3;

/** Attempts to store a record of which bodies are evicted meanwhile. */
const MAX_PUTS = 8;

export type MakeQueues = (...options: ConstructorParameters<typeof EvictionQueues>) => EvictionQueues;

export class SharedStore implements Store {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #memory: SharedMemory;
  readonly #header: number;
  readonly #changes: number;
  readonly #thread: number;
  readonly #threads: Threads;
  readonly #lock: StoreLock;
  readonly #data: SharedData;
  readonly #rows: SharedRows;
  readonly #index: SharedIndex;
  readonly #slabs: SharedSlabs;
  readonly #pieces: Pieces;
  readonly #queues: EvictionQueues;
  readonly #claims: FillClaims;
  readonly #source: RecordSource;
  readonly #decoded: DecodedCache;
  /** Serial numbers of the decoded records, and marks of the rows (cache/store/decoded-cache.ts). */
  readonly #serials: Int32Array;
  readonly #marks: Int32Array;
  onReused: Store['onReused'];
  /** Bytes of this thread's memory: bodies under way, and those that are read. */
  #own = 0;
  /** Number that the next body has, and where the numbers of this thread end. */
  #id = 0;
  #idsEnd = 0;

  /** @param thread - From `addThread`; absent: the thread that supervises, which stores nothing. */
  constructor(memory: SharedMemory, thread: number = SUPERVISOR, makeQueues: MakeQueues = makePlainQueues) {
    const { shape, control } = memory;
    const parts = partsOf(shape);
    const words = new Int32Array(control);
    this.#memory = memory;
    this.#words = words;
    this.#doubles = new Float64Array(control);
    this.#header = parts.header;
    this.#thread = thread;
    this.#threads = new Threads(memory);
    this.#lock = new StoreLock(words, parts.header, this.#threads, () => this.#repair());
    this.#data = new SharedData(memory);
    this.#rows = new SharedRows(words, parts, shape);
    this.#index = new SharedIndex(words, parts, shape, {
      rows: this.#rows,
      data: this.#data,
      lock: this.#lock,
      thread,
    });
    this.#slabs = new SharedSlabs(words, parts, shape, {
      data: this.#data,
      threads: this.#threads,
      owner: {
        isAt: (row, place) => this.#index.placeOf(row) === place,
        moved: (row, place) => {
          if (this.#data.isPiece(place)) this.#rows.publish(row, PLACE, place + 1);
          else this.#index.relink(row, place);
        },
      },
    });
    this.#pieces = new Pieces({
      data: this.#data,
      rows: this.#rows,
      slabs: this.#slabs,
      threads: this.#threads,
      thread,
      locked: (action) => this.#locked(action),
      makeRoom: (bytes) => this.#makeRoom(bytes),
    });
    const history = new EvictionHistory(words.subarray(parts.history, parts.history + shape.history));
    this.#queues = makeQueues(this.#rows, history, words.subarray(parts.queues, parts.queues + QUEUE_WORDS));
    this.#changes = parts.changes;
    this.#claims = new FillClaims(words, parts.claims, shape.claims, this.#lock, thread);
    this.#source = {
      texts: new SharedTexts(memory, parts.texts, this.#threads, thread),
      outside: {
        put: (body) => (body as PiecedBody).reference,
        get: (next) => this.#pieces.read(next),
      },
    };
    this.#decoded = new DecodedCache(this.#shareForDecoded, (row) => this.#mark(row, 0));
    this.#serials = new Int32Array(thread === SUPERVISOR ? 0 : shape.rows);
    this.#marks = new Int32Array(thread === SUPERVISOR ? 0 : shape.rows);
  }

  /** Makes the memory of a new store, and the object of the thread that supervises. */
  static supervise(memory: SharedMemory, maxBytes: number): SharedStore {
    const store = new SharedStore(memory);
    store.#queues.clear();
    store.resize(maxBytes, memory.shape.threads);
    return store;
  }

  /** Threads that share the room for decoded copies. */
  get threadsInUse(): number {
    return Math.max(1, Atomics.load(this.#words, this.#header + SHARES));
  }

  /** Memory that counts for this thread's decoded copies. Those of all threads take a quarter of the whole at most. */
  get #shareForDecoded(): number {
    return this.maxBytes / Math.max(1, this.threadsInUse / THREADS_WITH_ALL);
  }

  get maxBytes(): number {
    return this.#doubles[(this.#header + MAX_BYTES) / 2] as number;
  }

  /**
   * @param maxBytes - At most four times what the memory was made for; what is more counts as that.
   * @param threads - Threads that share the room for decoded copies; by default as many as before.
   */
  resize(maxBytes: number, threads: number = this.threadsInUse): void {
    const { slabs, slabBytes } = this.#memory.shape;
    this.#doubles[(this.#header + MAX_BYTES) / 2] = Math.min(maxBytes, slabs * slabBytes);
    Atomics.store(this.#words, this.#header + SHARES, threads);
    this.#locked(() => this.#makeRoom(0));
  }

  get bytesInUse(): number {
    const own = this.#threads.bytesOf(IN_USE) + this.#threads.bytesOf(REMEMBERED);
    return this.#slabs.bytes + this.#index.size * INDEX_BYTES + own;
  }

  get size(): number {
    return this.#index.size;
  }

  get(key: string | KeyBytes): readonly StoredResponse[] {
    const bytes = typeof key === 'string' ? sought.set(key) : key;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const row = this.#index.find(bytes);
      if (row === NO_ROW) return NONE;
      const found = this.#decodedAt(row) ?? this.#decode(row, bytes);
      if (found !== undefined) {
        this.#queues.use(row);
        return found;
      }
      this.#index.backOff(attempt);
    }
    return NONE;
  }

  has(key: string): boolean {
    return this.#index.find(sought.set(key)) !== NO_ROW;
  }

  set(key: string, variants: readonly StoredResponse[]): void {
    const written: PiecedBody[] = [];
    const held: PiecedBody[] = [];
    let hasRoom = true;
    const rewritten = (body: StoredBody, segments: readonly Segment[]): StoredBody => {
      const value = this.#pieces.write(body.id, segments);
      hasRoom &&= value !== undefined;
      if (value === undefined) return body;
      written.push(value);
      return value;
    };
    try {
      let list: readonly StoredResponse[] = withAll(variants, (body) => {
        if (!(body instanceof PiecedBody)) return isPacked(body) ? body : rewritten(body, (body as MemoryBody).ranges);
        // One that was evicted since it was looked up takes its response with it.
        if (!body.retain()) return undefined;
        held.push(body);
        return body;
      });
      for (let left = MAX_PUTS; left > 0 && hasRoom && list.length > 0; left--) {
        const outcome = this.#put(key, list);
        if (outcome === 'stored') written.length = 0;
        if (outcome === 'stored') return;
        if (outcome === 'no room') break;
        // A body has been evicted meanwhile: its bytes are pinned, and are stored anew.
        list = withAll(list, (body) => {
          const isStored = !(body instanceof PiecedBody) || this.#locked(() => this.#pieces.isStored(body));
          return isStored ? body : rewritten(body, body.segments);
        });
      }
      this.delete(key);
    } finally {
      for (const { rows } of written) this.#pieces.discard(rows);
      for (const body of held) {
        body.letGo();
        body.release();
      }
    }
  }

  exclusively<T>(action: () => T): T {
    return this.#locked(action);
  }

  delete(key: string): void {
    this.#locked(() => {
      const row = this.#index.findLocked(sought.set(key));
      if (row === NO_ROW) return;
      this.#remove(row);
      this.#makeRoom(0); // moving what is left can take more than it gives, for a moment
    });
  }

  /** In no order. What is deleted meanwhile is left out. */
  *entries(): IterableIterator<readonly [key: string, variants: readonly StoredResponse[]]> {
    for (let row = 0; row < this.#rows.count; row++) {
      const entry = this.#locked(() => {
        const place = this.#index.placeOf(row);
        if (place === NO_PLACE || this.#data.isPiece(place)) return undefined;
        return [keyOf(this.#data, place * UNIT), this.#read(place) ?? NONE] as const;
      });
      if (entry !== undefined) yield entry;
    }
  }

  begin(expectedBytes: number): StoreWriter | undefined {
    if (this.#beyondEviction(expectedBytes) + expectedBytes > this.maxBytes) return undefined;
    const id = this.#nextId();
    const small = new MemoryWriter(
      (bytes) => this.#reserve(bytes),
      this.#account,
      () => id,
    );
    return this.#pieces.writer({ small, id, expectedBytes });
  }

  combine(first: StoredBody, second: StoredBody): StoredBody {
    return this.#withSegments(first, (some) =>
      this.#withSegments(second, (others) => combined(some, others, this.#account, this.#nextId())),
    );
  }

  /** Claims the fill of a place, or finds the claim of another thread. */
  claim(place: string): Claim {
    return this.#claims.claim(sought.set(place));
  }

  /** Threads of the process. */
  get threads(): Threads {
    return this.#threads;
  }

  /** @returns How often keys with the hash of this one were invalidated. */
  invalidations(key: string): number {
    return Atomics.load(this.#words, this.#changesAt(key));
  }

  /** Keeps responses that are on their way to the key, in any thread, from being stored. */
  invalidated(key: string): void {
    Atomics.add(this.#words, this.#changesAt(key), 1);
  }

  #changesAt(key: string): number {
    return this.#changes + (sought.set(key).hash & (CHANGES - 1));
  }

  /** @returns The token of a thread that is to be started. @throws {RangeError} */
  addThread(): number {
    return this.#threads.add();
  }

  /**
   * Cleans up after a thread that runs no more; on the thread that supervises. Idempotent.
   *
   * @returns False if another thread has the lock: `repair` has to be called later, unless that one ends as well.
   */
  ended(thread: number): boolean {
    if (this.#threads.hasEnded(thread)) return true; // its place may be another one's by now
    this.#threads.end(thread);
    this.#claims.end(thread);
    if (!this.#lock.takeOver(thread, SUPERVISOR)) return this.repair();
    this.#lock.release();
    return true;
  }

  /** Cleans up what threads that have ended were writing without the lock. @returns False if it is not to be had. */
  repair(): boolean {
    if (!this.#lock.acquire(SUPERVISOR)) return false;
    this.#repair();
    this.#lock.release();
    return true;
  }

  /** Thread that has the lock; 0: none. For tests. */
  get lockHolder(): number {
    return this.#lock.holder;
  }

  /** Takes the lock, as a thread that is ended at the wrong moment does; for tests. */
  lockForTest(): boolean {
    return this.#lock.tryAcquire(this.#thread);
  }

  /** @returns Errors in what follows from the rows; for tests, with no writer at work. */
  errors(): string[] {
    const { errors, rows } = this.#index.check();
    const references = new Map<number, number>();
    for (const row of rows) {
      const at = this.#index.placeOf(row) * UNIT;
      for (const piece of this.#pieces.piecesOf(outsideOf(this.#data, at))) {
        references.set(piece, (references.get(piece) ?? 0) + 1);
      }
    }
    for (let row = 0; row < this.#rows.count; row++) {
      const place = this.#index.placeOf(row);
      if (place === NO_PLACE) continue;
      if (!this.#slabs.isOf(place, row)) errors.push(`the record of row ${row} is another one's`);
      if (!this.#data.isPiece(place)) {
        if (!rows.has(row)) errors.push(`row ${row} is in no chain`);
      } else if (references.get(row) !== this.#rows.get(row, REFERENCES)) {
        errors.push(`piece ${row} has ${this.#rows.get(row, REFERENCES)} references, not ${references.get(row)}`);
      }
    }
    if (this.#lock.holder !== 0) errors.push(`thread ${this.#lock.holder} has the lock`);
    return errors;
  }

  /** @returns The variants that this thread has decoded of the record that the index has just found. */
  #decodedAt(row: number): readonly StoredResponse[] | undefined {
    if (this.#marks[row] !== DECODED || this.#serials[row] !== this.#data.serialOf(this.#index.place)) return undefined;
    const known = this.#decoded.get(row);
    return known !== undefined && this.#index.isUnchanged() ? known : undefined;
  }

  /** @returns The variants in the record that the index has just found; `undefined` if it has changed meanwhile. */
  #decode(row: number, key: KeyBytes): readonly StoredResponse[] | undefined {
    const { place } = this.#index;
    const slab = this.#slabs.slabOf(place);
    this.#threads.pin(this.#thread, slab);
    try {
      if (!this.#index.isUnchanged()) return undefined;
      const before = this.#marks[row] as number;
      if (before === DECODED) this.#decoded.delete(row); // of an older record
      const mark = this.#decoded.markOf(before);
      const variants = this.#read(place, mark === DECODED);
      if (variants === undefined) return undefined;
      this.#mark(row, mark);
      if (mark === DECODED) {
        this.#serials[row] = this.#data.serialOf(place);
        this.#decoded.maxBytes = this.#shareForDecoded;
        this.#decoded.add(row, variants);
        this.onReused?.(key.toString(), variants);
        this.#countDecoded();
        if (this.bytesInUse > this.maxBytes) this.#locked(() => this.#makeRoom(0));
      }
      return variants;
    } finally {
      this.#pieces.unpin(slab);
    }
  }

  /** @returns `undefined` if it lies in pieces that are not there any more. */
  #read(place: number, isKept = false): readonly StoredResponse[] | undefined {
    const at = place * UNIT;
    if (!isSplit(this.#data, at)) return readRecord(this.#data, at, this.#source, isKept);
    const integers = outsideOf(this.#data, at).values();
    const value = this.#pieces.read(() => integers.next().value as number);
    if (!value.retain()) return undefined;
    const buffer = Buffer.concat(value.segments.flatMap(({ chunks }) => chunks));
    value.release();
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
    return readRecord({ buffer, view }, 0, this.#source, isKept);
  }

  /** Stores a record in place of the one that the key has. */
  #put(key: string, variants: readonly StoredResponse[]): 'stored' | 'no room' | 'evicted' {
    const values = variants.flatMap(bodiesOf).filter((body) => body instanceof PiecedBody);
    let bytes = makeRecord(key, variants, this.#source);
    const parts: PiecedBody[] = [];
    if (bytes > this.#slabs.maxRecordBytes) {
      const buffer = Buffer.allocUnsafeSlow(bytes);
      writeRecord({ buffer, view: new DataView(buffer.buffer) }, 0, 0, bytes);
      const value = this.#pieces.write(this.#nextId(), [{ start: 0, end: bytes, chunks: [buffer] }]);
      if (value === undefined) return 'no room';
      parts.push(value);
      bytes = makeSplitRecord(
        key,
        [value, ...values].flatMap(({ reference }) => reference),
      );
    }
    const outcome =
      bytes > this.#slabs.maxRecordBytes
        ? 'no room'
        : this.#locked(() => this.#link(key, bytes, [...parts, ...values]));
    if (outcome !== 'stored') for (const { rows } of parts) this.#pieces.discard(rows);
    return outcome;
  }

  /** Puts the record that has been made in its place; with the lock. */
  #link(key: string, bytes: number, values: readonly PiecedBody[]): 'stored' | 'no room' | 'evicted' {
    if (!values.every((value) => this.#pieces.isStored(value))) return 'evicted';
    const cost = values.reduce((sum, { size }) => sum + size, bytes);
    if (cost > this.maxBytes) return 'no room';
    sought.set(key);
    const known = this.#index.findLocked(sought);
    const row = known === NO_ROW ? this.#rows.take() : known;
    const place = row === NO_ROW ? NO_PLACE : this.#slabs.allocate(bytes, row);
    if (place === NO_PLACE) {
      if (row !== NO_ROW && known === NO_ROW) this.#rows.release(row);
      return 'no room';
    }
    const serial = Atomics.add(this.#words, this.#header + SERIAL, 1);
    writeRecord(this.#data, place * UNIT, row, this.#slabs.bytesAt(place), serial);
    for (const value of values) this.#pieces.refer(value);
    if (known === NO_ROW) {
      this.#index.link(row, sought.hash, place);
      this.#queues.add(row, cost);
    } else {
      const before = this.#index.placeOf(row);
      this.#index.relink(row, place);
      this.#forget(row);
      this.#release(before);
      this.#queues.replace(row, cost);
    }
    this.#slabs.tidy();
    // What has just come is not what goes for it, unless it is too large by itself.
    if (!this.#makeRoom(0, row)) this.#makeRoom(0);
    return 'stored';
  }

  /** Takes a key out; with the lock. */
  #remove(row: number, isEvicted = false): void {
    const place = this.#index.placeOf(row);
    this.#queues.remove(row, isEvicted);
    this.#index.unlink(row);
    this.#forget(row);
    this.#release(place);
    this.#rows.release(row);
    this.#slabs.tidy();
  }

  /** Gives back what a record takes that no row leads to any more. */
  #release(place: number): void {
    this.#pieces.release(outsideOf(this.#data, place * UNIT));
    this.#slabs.release(place);
  }

  /**
   * Makes room, with the lock.
   *
   * @param except - A row that stays.
   * @returns Whether there is room for so many bytes more.
   */
  #makeRoom(bytes: number, except: number = NO_ROW): boolean {
    const { maxBytes } = this;
    if (bytes > 0 && this.#beyondEviction(bytes) + bytes > maxBytes) return false;
    while (this.bytesInUse + bytes > maxBytes) {
      const victim = this.#queues.victim(except);
      if (victim === NO_ROW) return false;
      this.#remove(victim, true);
    }
    return true;
  }

  /** Memory that eviction cannot free: of threads, and, where much is asked for, what is pinned. */
  #beyondEviction(bytes: number): number {
    return this.#threads.bytesOf(IN_USE) + (bytes > this.#slabs.slabBytes ? this.#slabs.pinnedBytes : 0);
  }

  /** @param bytes - Negative to give room back. */
  #reserve(bytes: number): boolean {
    if (bytes > 0 && this.bytesInUse + bytes > this.maxBytes && !this.#locked(() => this.#makeRoom(bytes)))
      return false;
    this.#account(bytes);
    return true;
  }

  readonly #account = (bytes: number): void => {
    this.#own += bytes;
    this.#threads.setBytes(this.#thread, IN_USE, this.#own);
  };

  #withSegments<T>(body: StoredBody, action: (segments: readonly Segment[]) => T): T {
    if (body instanceof MemoryBody) return action(body.ranges);
    if (!body.retain()) throw new EvictedError();
    try {
      return action((body as PiecedBody).segments);
    } finally {
      body.release();
    }
  }

  /** Forgets what this thread has decoded of a row. */
  #forget(row: number): void {
    if (this.#marks[row] !== DECODED) return;
    this.#decoded.delete(row);
    this.#mark(row, 0);
    this.#countDecoded();
  }

  #mark(row: number, mark: number): void {
    this.#marks[row] = mark;
  }

  /** Counts the memory of what this thread has decoded. Makes no room: it is called in the middle of making some. */
  #countDecoded(): void {
    this.#threads.setBytes(this.#thread, REMEMBERED, this.#decoded.bytes);
  }

  #nextId(): number {
    if (this.#id === this.#idsEnd) {
      this.#id = 1 + Atomics.add(this.#words, this.#header + IDS, 1) * IDS_AT_A_TIME;
      this.#idsEnd = this.#id + IDS_AT_A_TIME - 1;
    }
    return this.#id++;
  }

  /** @throws {Error} if the lock is not to be had: the thread that has it does not go on. */
  #locked<T>(action: () => T): T {
    if (this.#lock.holder === this.#thread) return action();
    if (!this.#lock.acquire(this.#thread)) throw new Error(LOCKED);
    try {
      return action();
    } finally {
      this.#lock.release();
    }
  }

  /**
   * Makes all that follows from the rows anew; with the lock. A thread that ends meanwhile leaves the task to the next.
   */
  #repair(): void {
    const keys: number[] = [];
    const pieces: number[] = [];
    for (let row = 0; row < this.#rows.count; row++) {
      const place = this.#index.placeOf(row);
      if (place !== NO_PLACE) (this.#data.isPiece(place) ? pieces : keys).push(row);
    }
    const integersOf = (row: number): readonly number[] => outsideOf(this.#data, this.#index.placeOf(row) * UNIT);
    this.#pieces.repair(pieces, keys.values().map(integersOf));
    this.#index.repair(keys);
    this.#rows.repair();
    this.#slabs.repair(
      [...keys, ...pieces].map((row) => this.#index.placeOf(row)).filter((place) => place !== NO_PLACE),
    );
    this.#queues.clear();
    for (const row of keys) this.#queues.restore(row);
  }
}

function withAll(
  variants: readonly StoredResponse[],
  change: (body: StoredBody) => StoredBody | undefined,
): readonly StoredResponse[] {
  return variants.flatMap((one) => withBodies(one, change) ?? []);
}

const LOCKED = 'the lock of the shared store is not to be had';

const makePlainQueues: MakeQueues = (...options) => new EvictionQueues(...options);

/** The key that is being looked up. */
const sought = new KeyBytes();

const NONE: readonly StoredResponse[] = [];
