/**
 * Clocks. A pause or an interval is measured on the monotonic one: the wall
 * clock can be set back, and a pause of a second would last for an hour. Only
 * what is written down, or compared with what others wrote down, is of the
 * wall clock.
 * @module
 */
import { performance } from 'node:perf_hooks';

declare const CLOCK: unique symbol;

/** Milliseconds of a clock that never goes back; since the process started, so not comparable with another process's. */
export type MonotonicMs = number & { readonly [CLOCK]: 'monotonic' };

export function monotonicNow(): MonotonicMs {
  return performance.now() as MonotonicMs;
}

/** Returns the moment `ms` later. */
export function later(moment: MonotonicMs, ms: number): MonotonicMs {
  return (moment + ms) as MonotonicMs;
}
