/**
 * Traffic of one region and site over time: each second of the last five minutes, and each five minutes of a day.
 * @module
 */
import { DURATION_SECONDS } from '../../lib/traffic.ts';

export const LIVE = { stepMs: 1_000, slots: 300 } as const;
export const DAY = { stepMs: 300_000, slots: 288 } as const;

export type Window = 'live' | 'day';
export const WINDOWS: Readonly<Record<Window, { readonly stepMs: number; readonly slots: number }>> = {
  live: LIVE,
  day: DAY,
};

/** Sums of a slot, by their places. */
export const FIELDS = ['requests', 'hits', 'bytes', 'hitBytes', 'errors', 'origin'] as const;
export type Field = (typeof FIELDS)[number];
export type Sums = Readonly<Record<Field, number>>;

/** Places of a slot: the sums, then the durations. */
export const SLOT = FIELDS.length + DURATION_SECONDS.length + 1;

/** A ring of slots; a slot of a round before counts as empty. */
class Ring {
  readonly #stepMs: number;
  readonly #slots: number;
  readonly #values: Float64Array;
  /** Number of the step that each slot is of. */
  readonly #steps: Float64Array;

  constructor({ stepMs, slots }: { readonly stepMs: number; readonly slots: number }) {
    this.#stepMs = stepMs;
    this.#slots = slots;
    this.#values = new Float64Array(slots * SLOT);
    this.#steps = new Float64Array(slots).fill(-1);
  }

  add(values: ArrayLike<number>, nowMs: number): void {
    const step = Math.floor(nowMs / this.#stepMs);
    const slot = step % this.#slots;
    const from = slot * SLOT;
    if (this.#steps[slot] !== step) {
      this.#values.fill(0, from, from + SLOT);
      this.#steps[slot] = step;
    }
    for (let at = 0; at < SLOT; at++) this.#values[from + at] = (this.#values[from + at] ?? 0) + (values[at] ?? 0);
  }

  /** Adds the slots before `nowMs` to `sums`, the oldest first; `step` is the last one's number. */
  addTo(sums: Float64Array, step: number): void {
    for (let slot = 0; slot < this.#slots; slot++) {
      const back = step - (this.#steps[slot] ?? -1);
      if (this.#steps[slot] === -1 || back < 0 || back >= this.#slots) continue;
      const to = (this.#slots - 1 - back) * SLOT;
      for (let at = 0; at < SLOT; at++) sums[to + at] = (sums[to + at] ?? 0) + (this.#values[slot * SLOT + at] ?? 0);
    }
  }
}

export class Series {
  readonly #rings: Readonly<Record<Window, Ring>> = { live: new Ring(LIVE), day: new Ring(DAY) };

  /** @param values - Of a slot. */
  add(values: ArrayLike<number>, nowMs: number): void {
    this.#rings.live.add(values, nowMs);
    this.#rings.day.add(values, nowMs);
  }

  addTo(sums: Float64Array, window: Window, step: number): void {
    this.#rings[window].addTo(sums, step);
  }
}

/** Traffic of a window, or of a slot of it. */
export class TrafficSums {
  readonly values: Float64Array;

  constructor(values: Float64Array) {
    this.values = values;
  }

  get(field: Field): number {
    return this.values[FIELDS.indexOf(field)] ?? 0;
  }

  /** @returns Upper bound of the time in which that part of the answers was complete; in seconds. */
  quantile(part: number): number | undefined {
    const counts = this.values.subarray(FIELDS.length, SLOT);
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (total === 0) return undefined;
    let seen = 0;
    for (const [at, count] of counts.entries()) {
      seen += count;
      if (seen >= part * total) return DURATION_SECONDS[at] ?? Number.POSITIVE_INFINITY;
    }
    return Number.POSITIVE_INFINITY;
  }
}

/** @returns The sum of the slots from one on. */
export function sumOf(slots: Float64Array, from = 0): TrafficSums {
  const sums = new Float64Array(SLOT);
  for (let at = from * SLOT; at < slots.length; at++) sums[at % SLOT] = (sums[at % SLOT] ?? 0) + (slots[at] ?? 0);
  return new TrafficSums(sums);
}
