/**
 * Token buckets by key, in bounded memory: the generic cell rate algorithm (ITU-T I.371), which needs one number for
 * each key, the time at which its bucket is full again.
 *
 * Keys are in two generations. When the newer one is full, it becomes the older one, and what that had is forgotten,
 * but for keys that have used up what they may have: a flood of other keys does not free them.
 * @module
 */
import { type MonotonicMs, millisecondsOf } from './clock.ts';

export interface RateCountsOptions {
  /** Requests that may come at once. */
  readonly requests: number;
  /** Time in which as many become free again. */
  readonly perMs: number;
  /** Keys in a generation. */
  readonly maxKeys?: number;
}

const MAX_KEYS = 65_536;

/** Largest number of requests that a key can have used up, in times of those that it may have. */
const MAX_DEBT = 2;

export class RateCounts {
  readonly #perMs: number;
  /** Time after which one more request is free. */
  readonly #eachMs: number;
  readonly #maxKeys: number;
  /** By key, the time at which all requests are free again. */
  #newer = new Map<string, number>();
  #older = new Map<string, number>();

  constructor({ requests, perMs, maxKeys = MAX_KEYS }: RateCountsOptions) {
    this.#perMs = perMs;
    this.#eachMs = perMs / requests;
    this.#maxKeys = maxKeys;
  }

  /** Number of keys that are remembered. */
  get size(): number {
    return this.#newer.size + this.#older.size;
  }

  /**
   * Counts a request, unless the key has used up what it may have.
   *
   * @returns Milliseconds until one is free: 0 if this one was.
   */
  take(key: string, at: MonotonicMs): number {
    const now = millisecondsOf(at);
    const full = Math.max(this.#fullAt(key), now) + this.#eachMs;
    const waitMs = full - now - this.#perMs;
    if (waitMs > ROUNDING_MS) return waitMs;
    this.#set(key, full, now);
    return 0;
  }

  /**
   * Counts requests that came elsewhere, and were let through there: what a key got too many of is missing afterwards,
   * up to once what it may have.
   */
  add(key: string, count: number, at: MonotonicMs): void {
    this.raise(key, this.fullIn(key, at) + this.#eachMs * count, at);
  }

  /** Returns the milliseconds until all requests of the key are free again. */
  fullIn(key: string, at: MonotonicMs): number {
    return Math.max(0, this.#fullAt(key) - millisecondsOf(at));
  }

  /** All requests of the key are free again after this time, and not before. */
  raise(key: string, fullInMs: number, at: MonotonicMs): void {
    const now = millisecondsOf(at);
    const full = now + Math.min(fullInMs, this.#perMs * MAX_DEBT);
    if (full > this.#fullAt(key)) this.#set(key, full, now);
  }

  #fullAt(key: string): number {
    return this.#newer.get(key) ?? this.#older.get(key) ?? Number.NEGATIVE_INFINITY;
  }

  #set(key: string, full: number, now: number): void {
    if (this.#newer.size >= this.#maxKeys && !this.#newer.has(key)) this.#turn(now);
    this.#newer.set(key, full);
  }

  #turn(now: number): void {
    const forgotten = this.#older;
    this.#older = this.#newer;
    this.#newer = new Map();
    for (const [key, full] of forgotten) {
      if (this.#newer.size >= this.#maxKeys / 2) return;
      if (full - now > this.#perMs - this.#eachMs && !this.#older.has(key)) this.#newer.set(key, full);
    }
  }
}

/** Sums of thirds and sevenths are a little off. */
const ROUNDING_MS = 1e-6;
