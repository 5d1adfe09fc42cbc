/**
 * Episodes of refused requests: one event when the first is refused, and one with their number when none has been for a
 * while, however many there were.
 * @module
 */
import { LONG_AGO, type MonotonicMs, msBetween } from '../../lib/clock.ts';
import type { Priority } from '../fields/priority.ts';

/** Reasons for which a request does not get a connection. */
export const SHED_REASONS = {
  full: 'as many wait already as may',
  share: 'as many of its visitor wait already as may',
  waited: 'no connection was free in time',
} as const;

export type ShedReason = keyof typeof SHED_REASONS;

/** Receiver of what happens to requests that wait for a connection. */
export interface SheddingEvents {
  shed(reason: ShedReason, priority: Priority): void;
  began(): void;
  ended(count: number, ms: number): void;
}

/** An episode is over when no request has been refused for this time. */
const QUIET_MS = 5_000;

export class Shedding {
  readonly #events: SheddingEvents | undefined;
  readonly #now: () => MonotonicMs;
  #count = 0;
  #beganAt = LONG_AGO;
  #lastAt = LONG_AGO;
  #timer: NodeJS.Timeout | undefined;

  constructor(events: SheddingEvents | undefined, now: () => MonotonicMs) {
    this.#events = events;
    this.#now = now;
  }

  note(reason: ShedReason, priority: Priority): void {
    const events = this.#events;
    if (events === undefined) return;
    events.shed(reason, priority);
    this.#lastAt = this.#now();
    if (this.#count++ > 0) return;
    this.#beganAt = this.#lastAt;
    events.began();
    this.#timer = setInterval(() => this.#look(), QUIET_MS).unref();
  }

  #look(): void {
    if (msBetween(this.#lastAt, this.#now()) < QUIET_MS) return;
    clearInterval(this.#timer);
    const count = this.#count;
    this.#count = 0;
    this.#events?.ended(count, msBetween(this.#beganAt, this.#lastAt));
  }
}
