/**
 * The most frequent keys of the last five minutes and of the last day, in bounded memory: a sketch for each minute, and
 * one for each hour.
 * @module
 */
import { SpaceSaving } from '../../lib/space-saving.ts';
import type { Window } from './series.ts';

const PERIODS: Readonly<Record<Window, { readonly stepMs: number; readonly count: number }>> = {
  live: { stepMs: 60_000, count: 5 },
  day: { stepMs: 3_600_000, count: 24 },
};

export class WindowedTop {
  readonly #places: number;
  readonly #periods: Readonly<Record<Window, Map<number, SpaceSaving>>> = { live: new Map(), day: new Map() };

  /** @param places - Keys that are counted in each period. */
  constructor(places: number) {
    this.#places = places;
  }

  add(key: string, count: number, nowMs: number): void {
    for (const window of ['live', 'day'] as const) {
      const { stepMs, count: kept } = PERIODS[window];
      const periods = this.#periods[window];
      const step = Math.floor(nowMs / stepMs);
      let sketch = periods.get(step);
      if (sketch === undefined) {
        sketch = new SpaceSaving(this.#places);
        periods.set(step, sketch);
        for (const old of periods.keys()) if (old <= step - kept || old > step) periods.delete(old);
      }
      sketch.add(key, count);
    }
  }

  /** @returns All keys of the window that are counted, the most frequent ones first. */
  top(window: Window, nowMs: number): [key: string, count: number][] {
    const { stepMs, count } = PERIODS[window];
    const step = Math.floor(nowMs / stepMs);
    const sums = new Map<string, number>();
    for (const [at, sketch] of this.#periods[window]) {
      if (at <= step - count || at > step) continue;
      for (const [key, amount] of sketch.top(this.#places)) sums.set(key, (sums.get(key) ?? 0) + amount);
    }
    return [...sums].sort((one, other) => other[1] - one[1]);
  }
}
