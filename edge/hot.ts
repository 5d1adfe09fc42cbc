/**
 * Counts requests per key, to find keys that are hot enough for a copy at an edge that does not own them.
 *
 * Each key has exact counters of its own, so a key is never taken for another
 * (a count-min sketch would do that, and would have to be larger to do it
 * rarely). Their number is fixed: a key that is new takes the place of the one
 * asked for least recently, which at worst delays that one.
 *
 * A window is counted in slices, because keeping the time of each request
 * would take memory in proportion to `after`. Only slices that lie within the
 * window as a whole are counted: a key may be found hot a slice late, but
 * never without reason.
 * @module
 */
import { LRUCache } from 'lru-cache';
import { type MonotonicMs, millisecondsOf } from '../lib/clock.ts';

export interface HotKeysOptions {
  /** Requests within the window from which on a key is hot, that request included. */
  readonly after: number;
  readonly windowMs: number;
  /** Keys that are counted at the same time. */
  readonly maxKeys: number;
}

/** Number of slices of a window; requests older than 7/8 of the window may be dropped. */
const SLICES = 8;

interface Counter {
  /** Number of the slice that the last request fell into. */
  slice: number;
  /** Requests of each slice, at slice number modulo `SLICES`. */
  readonly requests: number[];
  /** Sum of `requests`. */
  total: number;
}

export class HotKeys {
  readonly #after: number;
  readonly #sliceMs: number;
  // Not a Map: finding its oldest key walks over the holes that deleted keys leave.
  readonly #counters: LRUCache<string, Counter>;

  constructor({ after, windowMs, maxKeys }: HotKeysOptions) {
    this.#after = after;
    this.#sliceMs = windowMs / SLICES;
    this.#counters = new LRUCache({ max: maxKeys });
  }

  /**
   * Notes one request for the key.
   *
   * @returns Whether the key is hot: true only when it was asked for at least
   *   `after` times within the last `windowMs`, and always when it was within
   *   the last 7/8 of that (unless its counter had to make room meanwhile).
   */
  note(key: string, now: MonotonicMs): boolean {
    const slice = Math.floor(millisecondsOf(now) / this.#sliceMs);
    let counter = this.#counters.get(key);
    if (counter === undefined) {
      counter = { slice, requests: new Array<number>(SLICES).fill(0), total: 0 };
      this.#counters.set(key, counter);
    }
    forgetBefore(counter, slice);

    const at = slice % SLICES;
    counter.requests[at] = (counter.requests[at] as number) + 1;
    counter.total += 1;
    return counter.total >= this.#after;
  }

  /** Returns whether the key is hot, without counting a request. */
  isHot(key: string, now: MonotonicMs): boolean {
    const counter = this.#counters.get(key);
    if (counter === undefined) return false;
    forgetBefore(counter, Math.floor(millisecondsOf(now) / this.#sliceMs));
    return counter.total >= this.#after;
  }
}

/** Moves the window on, so that it ends with the given slice. */
function forgetBefore(counter: Counter, slice: number): void {
  const steps = Math.min(slice - counter.slice, SLICES);
  for (let step = 1; step <= steps; step += 1) {
    const at = (counter.slice + step) % SLICES;
    counter.total -= counter.requests[at] as number;
    counter.requests[at] = 0;
  }
  counter.slice = slice;
}
