/**
 * Token buckets: a bound on events in time that allows bursts. A bucket fills
 * at a steady rate up to a number of tokens; an event takes one or more.
 * @module
 */
import { type MonotonicMs, msBetween } from './clock.ts';

export interface Pace {
  /** Tokens of a full bucket: how much may be taken at once. */
  readonly burst: number;
  readonly perSecond: number;
}

/**
 * Returns the tokens of a bucket after a time in which none were taken. Tables of numbers, whose buckets are no
 * objects, calculate by it as well.
 *
 * @param left - Tokens before; negative where more was taken than there was.
 */
export function refilled(left: number, passedMs: number, perSecond: number, burst: number): number {
  return Math.min(burst, left + (passedMs / 1_000) * perSecond);
}

export class TokenBucket {
  pace: Pace;
  #left: number;
  #at: MonotonicMs;

  /** Begins with a full bucket. */
  constructor(pace: Pace, now: MonotonicMs) {
    this.pace = pace;
    this.#left = pace.burst;
    this.#at = now;
  }

  /** Takes tokens if there are as many; if not, takes none. */
  tryTake(count: number, now: MonotonicMs): boolean {
    this.#refill(now);
    if (this.#left < count) return false;
    this.#left -= count;
    return true;
  }

  /** Takes tokens that may not be there: later ones pay for it. @returns Whether they were. */
  spend(count: number, now: MonotonicMs): boolean {
    this.#refill(now);
    this.#left -= count;
    return this.#left >= 0;
  }

  /** Returns milliseconds until `count` tokens are there, 0 if they are. @param count - Not above `burst`. */
  waitMs(count: number, now: MonotonicMs): number {
    if (this.#left >= count) return 0;
    this.#refill(now);
    return this.#left >= count ? 0 : ((count - this.#left) / this.pace.perSecond) * 1_000;
  }

  #refill(now: MonotonicMs): void {
    const { burst, perSecond } = this.pace;
    this.#left = refilled(this.#left, msBetween(this.#at, now), perSecond, burst);
    this.#at = now;
  }
}
