/**
 * Store of payloads by key in memory that all threads of a process share. Each thread has an object of its own for it.
 *
 * One thread supervises: it makes the memory, starts the others, and calls `ended` for each that has ended, however it
 * did. What such a thread was writing is then repaired (shard.ts), its pins are gone, and its fills are free to claim.
 * @module
 */
import type { KeyBytes } from '../store/key-bytes.ts';
import { type MakeEviction, ReinsertionQueue } from './eviction.ts';
import { type Claim, FillClaims } from './fill-claims.ts';
import { type SharedMemory, shardsAt, shardWords } from './layout.ts';
import { type AsOf, viewsOf } from './record.ts';
import { MISS, partsOf, Shard } from './shard.ts';
import { SUPERVISOR } from './shard-lock.ts';
import { Threads } from './threads.ts';

export class SharedStore {
  readonly #shards: readonly Shard[];
  readonly #claims: readonly FillClaims[];
  readonly #threads: Threads;
  readonly #thread: number;
  /** Bits of a hash that are not its shard's. */
  readonly #shift: number;
  /** Shard of the record that was found last. */
  #found: Shard;

  /** @param thread - From `addThread`; absent: the thread that supervises, which stores nothing. */
  constructor(memory: SharedMemory, thread: number = SUPERVISOR, makeEviction: MakeEviction = reinsertion) {
    const { shape } = memory;
    const control = new Int32Array(memory.control);
    const data = viewsOf(memory.data);
    const threads = new Threads(memory);
    const parts = Array.from({ length: shape.shards }, (_, i) =>
      partsOf(shardsAt(shape) + i * shardWords(shape), shape),
    );
    this.#threads = threads;
    this.#thread = thread;
    this.#shift = 32 - Math.log2(shape.shards);
    this.#shards = parts.map((part, number) => {
      const eviction = makeEviction(control, part.header, part.rows);
      return new Shard({ control, data, shape, parts: part, number, threads, thread, eviction });
    });
    this.#claims = parts.map(
      ({ claims }, i) => new FillClaims(control, claims, shape.claims, (this.#shards[i] as Shard).lock, thread),
    );
    this.#found = this.#shards[0] as Shard;
  }

  /** Copies a payload. @returns Its bytes, or -1; if it is larger than `target` nothing is copied. */
  read(key: KeyBytes, target: Buffer): number {
    return key.wide === undefined ? this.#of(key).read(key, target) : MISS;
  }

  /** Looks a key up without its payload. @returns Bytes of the payload, or -1. */
  peek(key: KeyBytes): number {
    return key.wide === undefined ? this.#of(key).peek(key) : MISS;
  }

  /** @returns The payload where it lies, which is not written over until it is given to `unpin`. */
  pin(key: KeyBytes): Buffer | undefined {
    return key.wide === undefined ? this.#of(key).pin(key) : undefined;
  }

  /** @param payload - As `pin` returned it; once. */
  unpin(payload: Buffer): void {
    (this.#shards[0] as Shard).unpin(payload);
  }

  /** Number of the record that was found last: two of the same number, for one key, are the same record. */
  get serial(): number {
    return this.#found.serial;
  }

  /** Journal position of the record that was found last. */
  get stamp(): AsOf {
    return this.#found;
  }

  /**
   * Returns whether some thread has found that no purge up to this number concerns the record that was found last. The
   * numbers are compared modulo 2³²: a journal never keeps half as many records, and what is older than those it keeps
   * is known by `asOf` (rule 10 of docs/purging.md).
   */
  isChecked(seq: number): boolean {
    return this.#found.checked !== 0 && ((this.#found.checked - seq) | 0) >= 0;
  }

  /** Notes it for all threads. */
  check(seq: number): void {
    this.#found.check(seq);
  }

  /** @returns Whether it is stored. If there is no room for it, or its key has characters beyond Latin-1, the key goes. */
  set(key: KeyBytes, payload: Buffer, asOf: AsOf): boolean {
    return key.wide === undefined && this.#of(key).set(key, payload, asOf);
  }

  /** @returns False if the shard could not be locked. */
  delete(key: KeyBytes): boolean {
    return key.wide !== undefined || this.#of(key).delete(key);
  }

  /** Claims the fill of a key, or finds the claim of another thread. */
  claim(key: KeyBytes): Claim {
    return (this.#claims[key.hash >>> this.#shift] as FillClaims).claim(key);
  }

  get size(): number {
    return this.#shards.reduce((sum, { size }) => sum + size, 0);
  }

  /** Bytes of slabs in use. */
  get bytes(): number {
    return this.#shards.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Largest payload, less the key. */
  get maxPayload(): number {
    return (this.#shards[0] as Shard).maxPayload;
  }

  /** @returns The token of a thread that is to be started. @throws {RangeError} */
  addThread(): number {
    return this.#threads.add();
  }

  /** Cleans up after a thread that runs no more; on the thread that supervises. */
  ended(thread: number): void {
    this.#threads.end(thread);
    for (const { lock } of this.#shards) if (lock.takeOver(thread, SUPERVISOR)) lock.release();
    for (const claims of this.#claims) claims.end(thread);
  }

  /** Returns how many locks a thread has that does not run any more. */
  locksOf(thread: number): number {
    return this.#shards.filter(({ lock }) => lock.holder === thread).length;
  }

  /** Takes every lock, as a thread that is ended at the wrong moment does; for tests. @returns How many. */
  lockAll(): number {
    return this.#shards.filter(({ lock }) => lock.tryAcquire(this.#thread)).length;
  }

  /** @returns Errors in the index; for tests, with no writer at work. */
  errors(): string[] {
    return this.#shards.flatMap((shard, i) => shard.errors().map((error) => `shard ${i}: ${error}`));
  }

  #of({ hash }: KeyBytes): Shard {
    this.#found = this.#shards[hash >>> this.#shift] as Shard;
    return this.#found;
  }
}

const reinsertion: MakeEviction = (words, at, rowsAt) => new ReinsertionQueue(words, at, rowsAt);
