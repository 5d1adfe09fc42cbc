/**
 * The targets of a node: their health, the receiver of its changes, the budgets for retries and hedges, and the review
 * of requests that wait.
 * @module
 */
import { Budget } from '../lib/budget.ts';
import { LONG_AGO, monotonicNow, msBetween } from '../lib/clock.ts';
import { type HealthEvents, TargetHealth, type TargetHealthOptions } from './target-health.ts';

/** Retries: a fifth of the requests, and so many at once when a server dies under them. */
const RETRIES = { share: 0.2, burst: 1_000 };

/** Hedges: one request in fifty, and a few at once, as the first requests that meet a hung server need them. */
const HEDGES = { share: 0.02, burst: 10 };

/**
 * Requests that go to a second node as the first one is late, which may only have much to do: one in fifty, and at once
 * as many as wait for a node in a tenth of a second at some hundreds of misses a second.
 */
export const MOVES = { share: 0.02, burst: 50 };

/** Interval at which requests that wait are looked at. */
const REVIEW_MS = 25;

/** A review that comes this late shows that this process has too much to do: it may be what is slow. */
const LATE_MS = 15;

/** Reviews in time, one after another, before a server is called slow. */
const IN_TIME = 2;

export class Targets {
  readonly #all = new Set<TargetHealth>();
  readonly #events = (): HealthEvents | undefined => this.events;
  /** Receiver of changes; set before the first request. */
  events: HealthEvents | undefined;
  readonly retries: Budget = new Budget(RETRIES);
  readonly hedges: Budget = new Budget(HEDGES);
  /** For requests that wait for a node which is late. */
  readonly moves: Budget = new Budget(MOVES);
  #reviews: NodeJS.Timeout | undefined;
  #reviewedAt = LONG_AGO;
  #inTime = 0;

  add(options: TargetHealthOptions): TargetHealth {
    const health = new TargetHealth(options, this.#events, this.#onWaiting);
    this.#all.add(health);
    return health;
  }

  remove(health: TargetHealth): void {
    health.close();
    this.#all.delete(health);
  }

  [Symbol.iterator](): Iterator<TargetHealth> {
    return this.#all[Symbol.iterator]();
  }

  readonly #onWaiting = (): void => {
    if (this.#reviews !== undefined) return;
    this.#reviewedAt = monotonicNow();
    // What has arrived is read first: this process may be the one that stood still.
    this.#reviews = setInterval(() => setImmediate(this.#review), REVIEW_MS).unref();
  };

  readonly #review = (): void => {
    const now = monotonicNow();
    const isLate = msBetween(this.#reviewedAt, now) > REVIEW_MS + LATE_MS;
    this.#reviewedAt = now;
    this.#inTime = isLate ? 0 : this.#inTime + 1;
    let waits = false;
    for (const health of this.#all) {
      if (!health.hasWaiting) continue;
      waits = true;
      health.reviewNode(now);
      if (this.#inTime >= IN_TIME) health.review(now);
    }
    if (waits) return;
    clearInterval(this.#reviews);
    this.#reviews = undefined;
  };
}
