/**
 * Rate limiter: one token bucket per name.
 * @module
 */
import { type MonotonicMs, msBetween } from '../lib/clock.ts';

export interface RateLimitOptions {
  readonly perSecond: number;
  /** Most that can be taken at once, after a pause. */
  readonly burst: number;
  readonly now: () => MonotonicMs;
}

interface Bucket {
  left: number;
  at: MonotonicMs;
}

/** Buckets that are kept; one that has filled up again says no more than none. */
const MAX_BUCKETS = 10_000;

export class RateLimit {
  #options: RateLimitOptions;
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** Goes by another rate from now on. */
  update(rate: Pick<RateLimitOptions, 'perSecond' | 'burst'>): void {
    this.#options = { ...this.#options, ...rate };
  }

  /**
   * Takes `amount`, or nothing.
   *
   * @param amount - Not above `burst`.
   * @returns 0 when it was taken, else after how many milliseconds it can be had.
   */
  take(name: string, amount: number): number {
    const { perSecond, burst, now } = this.#options;
    const bucket = this.#bucket(name);
    bucket.left = Math.min(burst, bucket.left + (msBetween(bucket.at, now()) / 1_000) * perSecond);
    bucket.at = now();
    if (bucket.left < amount) return ((amount - bucket.left) / perSecond) * 1_000;
    bucket.left -= amount;
    return 0;
  }

  #bucket(name: string): Bucket {
    const { burst, now } = this.#options;
    const bucket = this.#buckets.get(name) ?? { left: burst, at: now() };
    // The one that was not used for longest goes first: most likely it is full again.
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    if (this.#buckets.size > MAX_BUCKETS) this.#buckets.delete(this.#buckets.keys().next().value as string);
    return bucket;
  }
}
