/**
 * Two clocks, whose moments have types that do not mix.
 *
 * - The **monotonic clock** is never set back. Every pause, interval and time
 *   limit is measured on it. Its moments mean something in one process only.
 * - The **wall clock** is the time of day and may be set back or forward, by
 *   an hour as well. Only what is written down, or compared with what others
 *   wrote down, is of it: `Date`, `Expires`, certificates, logs, the journal.
 *
 * A moment of the monotonic clock is no number: comparing it with a moment of
 * the wall clock, or calculating with it, does not compile. Moments of it are
 * compared with `<` and `>` and subtracted by `msBetween`. A moment of the
 * wall clock is a number, because HTTP's rules calculate with dates; a number
 * that is something else (a duration, say) is not a moment.
 * @module
 */
import { performance } from 'node:perf_hooks';

declare const CLOCK: unique symbol;

/** Moment of the clock that never goes back. At run time a number: milliseconds since the process started. */
export interface MonotonicMs {
  readonly [CLOCK]: 'monotonic';
}

/** Moment of the wall clock: milliseconds since the epoch. */
export type EpochMs = number & { readonly [CLOCK]: 'wall' };

/** A moment on both clocks, for what has to hold whatever happens to one of them (`mostBetween`). */
export interface Instant {
  readonly monotonic: MonotonicMs;
  readonly wall: EpochMs;
}

/** A moment before all others. */
export const LONG_AGO: MonotonicMs = monotonicMs(Number.NEGATIVE_INFINITY);

/** A moment after all others. */
export const NEVER: MonotonicMs = monotonicMs(Number.POSITIVE_INFINITY);

export function monotonicNow(): MonotonicMs {
  return performance.now() as unknown as MonotonicMs;
}

export function wallNow(): EpochMs {
  return Date.now() as EpochMs;
}

/** Milliseconds for which a reading of the wall clock is used again: as long as it stands still itself. */
const RESOLUTION_MS = 1;

/**
 * Returns a reader of the wall clock for callers that know the current moment on the monotonic clock: the wall clock is
 * read once for all that come within a millisecond.
 */
export function wallClock(read: () => EpochMs = wallNow): (at: MonotonicMs) => EpochMs {
  let reading = epochMs(0);
  let readAt = LONG_AGO;
  return (at) => {
    const passed = msBetween(readAt, at);
    if (passed >= 0 && passed < RESOLUTION_MS) return reading;
    readAt = at;
    reading = read();
    return reading;
  };
}

/** Returns the moment `ms` later; earlier if `ms` is negative. */
export function later(moment: MonotonicMs, ms: number): MonotonicMs {
  return ((moment as unknown as number) + ms) as unknown as MonotonicMs;
}

/** Returns milliseconds from `since` to `until`; negative if `until` is the earlier one. */
export function msBetween(since: MonotonicMs, until: MonotonicMs): number {
  return (until as unknown as number) - (since as unknown as number);
}

/** Returns milliseconds from `moment` to now. */
export function msSince(moment: MonotonicMs): number {
  return performance.now() - (moment as unknown as number);
}

/**
 * Milliseconds from the clock of the process to that of this thread: a thread's monotonic clock begins with the thread.
 */
const THREAD_OFFSET = performance.now() - Number(process.hrtime.bigint()) / 1e6;

/** Returns a moment for other threads of the process, which have it from `ofThisThread`. */
export function forOtherThreads(moment: MonotonicMs): number {
  return (moment as unknown as number) - THREAD_OFFSET;
}

/** Returns the moment of this thread's monotonic clock that another thread has told of. */
export function ofThisThread(processMs: number): MonotonicMs {
  return monotonicMs(processMs + THREAD_OFFSET);
}

export function instantNow(): Instant {
  return { monotonic: monotonicNow(), wall: wallNow() };
}

/**
 * Returns milliseconds from `since` to `until` by the clock that has gone on for longer: the monotonic one stands still
 * while the machine sleeps, the wall clock can be set back.
 */
export function mostBetween(since: Instant, until: Instant): number {
  return Math.max(msBetween(since.monotonic, until.monotonic), until.wall - since.wall);
}

export function earlierOf(a: MonotonicMs, b: MonotonicMs): MonotonicMs {
  return a < b ? a : b;
}

export function laterOf(a: MonotonicMs, b: MonotonicMs): MonotonicMs {
  return a < b ? b : a;
}

/** Returns the moment that a number of milliseconds stands for: of an array of numbers, or of the clock of a test. */
export function monotonicMs(ms: number): MonotonicMs {
  return ms as unknown as MonotonicMs;
}

/** Returns the number that a moment is, for an array of numbers. */
export function millisecondsOf(moment: MonotonicMs): number {
  return moment as unknown as number;
}

/**
 * Returns the moment that a number of milliseconds since the epoch stands for: from a date, a database or a message.
 */
export function epochMs(ms: number): EpochMs {
  return ms as EpochMs;
}
