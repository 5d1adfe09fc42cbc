/**
 * Responses in memory, bounded in bytes; eviction.ts chooses what goes.
 *
 * What is kept under a key, all variants together, is one record in a slab
 * (record.ts, slabs.ts), and an index of numbers says where (key-index.ts). Only
 * what was looked up lately (decoded-cache.ts), and large bodies, are objects.
 *
 * Writes under way count against the same bound, and make room by evicting; so
 * a node's memory for responses never passes `maxBytes`. What is evicted while
 * it is read counts until the last reader is done: slow readers make the
 * room smaller, not the memory larger.
 * @module
 */
import { type StoredResponse, withBodies } from '../stored-response.ts';
import { combined, type MemoryBody, MemoryWriter } from './body.ts';
import { DECODED, DecodedCache } from './decoded-cache.ts';
import { EvictionQueues } from './eviction.ts';
import { EvictionHistory, historyPlaces } from './eviction-history.ts';
import { KeyBytes } from './key-bytes.ts';
import { INDEX_BYTES, KeyIndex } from './key-index.ts';
import {
  isKeyOf,
  keyOf,
  makeRecord,
  type Outside,
  outsideOf,
  type RecordSource,
  readRecord,
  recordBytes,
  writeRecord,
} from './record.ts';
import { NO_ROW, Rows } from './rows.ts';
import { type Slab, Slabs } from './slabs.ts';
import type { Store, StoredBody, StoreWriter } from './store.ts';
import { OWN_TEXTS } from './texts.ts';

export class MemoryStore implements Store {
  #maxBytes: number;
  readonly #index: KeyIndex;
  readonly #queues: EvictionQueues;
  #history: EvictionHistory;
  readonly #slabs: Slabs;
  readonly #decoded: DecodedCache;
  readonly #bodies = new LargeBodies();
  onReused: Store['onReused'];
  readonly #source: RecordSource = { outside: this.#bodies, texts: OWN_TEXTS };
  #writing = 0;
  /** Bytes of large bodies that are stored or read. */
  #held = 0;

  /** @param maxBytes - At least 1. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    const rows = new Rows();
    this.#history = historyOf(maxBytes);
    this.#queues = new EvictionQueues(rows, this.#history);
    this.#index = new KeyIndex(rows, (row, key) => isKeyOf(this.#slabOf(row), this.#index.offsetOf(row), key));
    this.#slabs = new Slabs(
      {
        isAt: (row, slab, offset) => this.#index.isAt(row, slab, offset),
        moved: (row, slab, offset) => this.#index.place(row, slab, offset),
      },
      maxBytes,
    );
    this.#decoded = new DecodedCache(maxBytes, (row) => this.#index.mark(row, 0));
  }

  get maxBytes(): number {
    return this.#maxBytes;
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#slabs.maxBytes = maxBytes;
    this.#decoded.maxBytes = maxBytes;
    if (historyPlaces(maxBytes) !== this.#history.size) this.#queues.history = this.#history = historyOf(maxBytes);
    this.#makeRoom(0);
  }

  get bytesInUse(): number {
    return this.#slabs.bytes + this.#index.size * INDEX_BYTES + this.#held + this.#decoded.bytes + this.#writing;
  }

  get size(): number {
    return this.#index.size;
  }

  get(key: string | KeyBytes): readonly StoredResponse[] {
    const row = this.#index.find(typeof key === 'string' ? sought.set(key) : key);
    if (row === NO_ROW) return NONE;
    this.#queues.use(row);
    const before = this.#index.markOf(row);
    const decoded = before === DECODED ? this.#decoded.get(row) : undefined;
    if (decoded !== undefined) return decoded;
    const mark = this.#decoded.markOf(before);
    this.#index.mark(row, mark);
    const variants = this.#read(row, mark === DECODED);
    if (mark === DECODED) {
      this.#decoded.add(row, variants);
      this.onReused?.(typeof key === 'string' ? key : key.toString(), variants);
      this.#makeRoom(0);
    }
    return variants;
  }

  has(key: string): boolean {
    return this.#index.find(sought.set(key)) !== NO_ROW;
  }

  set(key: string, all: readonly StoredResponse[]): void {
    // One that was evicted since it was looked up takes its response with it.
    const variants = all.flatMap((one) => withBodies(one, thatIsThere) ?? []);
    if (variants.length === 0) {
      this.delete(key);
      return;
    }
    sought.set(key);
    const known = this.#index.find(sought);
    // What goes is read by what comes: its bodies are copied first.
    const bytes = makeRecord(key, variants, this.#source);
    const slab = this.#slabs.allocate(bytes);
    const { offset } = this.#slabs;
    const row = known === NO_ROW ? this.#index.add(sought) : known;
    writeRecord(this.#slabs.at(slab), offset, row, bytes);
    if (known !== NO_ROW) this.#release(known);
    this.#index.place(row, slab, offset);
    this.#slabs.tidy();
    const cost = this.#costOf(row);
    if (known === NO_ROW) this.#queues.add(row, cost);
    else this.#queues.replace(row, cost);
    if (cost > this.#maxBytes) this.#remove(row);
    // What has just come is not what goes for it, unless it is too large by itself.
    if (!this.#makeRoom(0, row)) this.#makeRoom(0);
  }

  exclusively<T>(action: () => T): T {
    return action();
  }

  delete(key: string): void {
    const row = this.#index.find(sought.set(key));
    if (row === NO_ROW) return;
    this.#remove(row);
    this.#makeRoom(0); // moving what is left can take more than it gives, for a moment
  }

  /** In no order. What is deleted meanwhile is left out. */
  *entries(): IterableIterator<readonly [key: string, variants: readonly StoredResponse[]]> {
    for (const row of this.#index.rows()) {
      yield [keyOf(this.#slabOf(row), this.#index.offsetOf(row)), this.#read(row)];
    }
  }

  begin(expectedBytes: number): StoreWriter | undefined {
    if (this.#beyondEviction + expectedBytes > this.#maxBytes) return undefined;
    return new MemoryWriter((bytes) => this.#reserve(bytes), this.#account);
  }

  combine(first: StoredBody, second: StoredBody): StoredBody {
    return combined((first as MemoryBody).ranges, (second as MemoryBody).ranges, this.#account);
  }

  /** @param bytes - Negative to give room back. */
  #reserve(bytes: number): boolean {
    if (bytes > 0 && !this.#makeRoom(bytes)) return false;
    this.#writing += bytes;
    return true;
  }

  readonly #account = (bytes: number): void => {
    this.#held += bytes;
  };

  /** Memory that eviction cannot free: bodies being written, and bodies being read that are no longer stored. */
  get #beyondEviction(): number {
    return this.#writing + this.#held - this.#bodies.bytes;
  }

  /** @param except - A row that stays. @returns Whether there is room for so many bytes more. */
  #makeRoom(bytes: number, except: number = NO_ROW): boolean {
    if (bytes > 0 && this.#beyondEviction + bytes > this.#maxBytes) return false;
    while (this.bytesInUse + bytes > this.#maxBytes) {
      const victim = this.#queues.victim(except);
      if (victim === NO_ROW) return false;
      this.#remove(victim, true);
    }
    return true;
  }

  #slabOf(row: number): Slab {
    return this.#slabs.at(this.#index.slabOf(row));
  }

  #read(row: number, isKept = false): readonly StoredResponse[] {
    return readRecord(this.#slabOf(row), this.#index.offsetOf(row), this.#source, isKept);
  }

  #costOf(row: number): number {
    const [slab, at] = [this.#slabOf(row), this.#index.offsetOf(row)];
    return outsideOf(slab, at).reduce((sum, body) => sum + this.#bodies.at(body).size, recordBytes(slab, at));
  }

  #remove(row: number, isEvicted = false): void {
    this.#release(row);
    this.#queues.remove(row, isEvicted);
    this.#index.remove(row);
    this.#slabs.tidy();
  }

  /** Gives back what the row's record takes. */
  #release(row: number): void {
    const number = this.#index.slabOf(row);
    const at = this.#index.offsetOf(row);
    const slab = this.#slabs.at(number);
    if (this.#index.markOf(row) === DECODED) {
      this.#decoded.delete(row);
      this.#index.mark(row, 0);
    }
    for (const body of outsideOf(slab, at)) this.#bodies.delete(body);
    this.#slabs.release(number, recordBytes(slab, at));
  }
}

function thatIsThere(body: StoredBody): StoredBody | undefined {
  return (body as MemoryBody).isReleased ? undefined : body;
}

function historyOf(maxBytes: number): EvictionHistory {
  return new EvictionHistory(new Int32Array(historyPlaces(maxBytes)));
}

/** The key that is being looked up. */
const sought = new KeyBytes();

const NONE: readonly StoredResponse[] = [];

/** Bodies that are not part of a record. */
class LargeBodies implements Outside {
  readonly #bodies: (MemoryBody | undefined)[] = [];
  readonly #free: number[] = [];
  #bytes = 0;

  /** Size of the stored responses. */
  get bytes(): number {
    return this.#bytes;
  }

  put(body: StoredBody): readonly number[] {
    const number = this.#free.pop() ?? this.#bodies.length;
    this.#bodies[number] = body as MemoryBody;
    this.#bytes += body.size;
    body.retain();
    return [number];
  }

  get(next: () => number): MemoryBody {
    return this.at(next());
  }

  at(number: number): MemoryBody {
    return this.#bodies[number] as MemoryBody;
  }

  delete(number: number): void {
    const body = this.at(number);
    this.#bytes -= body.size;
    body.release();
    this.#bodies[number] = undefined;
    this.#free.push(number);
  }
}
