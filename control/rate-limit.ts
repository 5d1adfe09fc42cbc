/**
 * Rate limiter: one token bucket per name.
 * @module
 */
import type { MonotonicMs } from '../lib/clock.ts';
import { type Pace, TokenBucket } from '../lib/token-bucket.ts';

export interface RateLimitOptions extends Pace {
  readonly now: () => MonotonicMs;
}

/** Buckets that are kept; one that has filled up again says no more than none. */
const MAX_BUCKETS = 10_000;

export class RateLimit {
  readonly #now: () => MonotonicMs;
  readonly #buckets = new Map<string, TokenBucket>();
  #pace: Pace;

  constructor({ now, ...pace }: RateLimitOptions) {
    this.#now = now;
    this.#pace = pace;
  }

  /** Goes by another rate from now on. */
  update(pace: Pace): void {
    this.#pace = pace;
  }

  /**
   * Takes `amount`, or nothing.
   *
   * @param amount - Not above `burst`.
   * @returns 0 when it was taken, else after how many milliseconds it can be had.
   */
  take(name: string, amount: number): number {
    const now = this.#now();
    const bucket = this.#bucket(name, now);
    return bucket.tryTake(amount, now) ? 0 : bucket.waitMs(amount, now);
  }

  #bucket(name: string, now: MonotonicMs): TokenBucket {
    const bucket = this.#buckets.get(name) ?? new TokenBucket(this.#pace, now);
    bucket.pace = this.#pace;
    // The least recently used one goes first: most likely it is full again.
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    if (this.#buckets.size > MAX_BUCKETS) this.#buckets.delete(this.#buckets.keys().next().value as string);
    return bucket;
  }
}
