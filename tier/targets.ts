/**
 * The targets of a node: their health, whoever is told of its changes, the budgets for retries and hedges, and the review
 * of requests that wait.
 * @module
 */
import { Budget } from '../lib/budget.ts';
import { monotonicNow } from '../lib/clock.ts';
import { type HealthEvents, TargetHealth, type TargetHealthOptions } from './target-health.ts';

/** Retries: a fifth of the requests, and so many at once when a server dies under them. */
const RETRIES = { share: 0.2, burst: 1_000 };

/** Hedges: one request in fifty, and a few at once, as the first requests that meet a hung server need them. */
const HEDGES = { share: 0.02, burst: 10 };

/** Interval at which requests that wait are looked at. */
const REVIEW_MS = 25;

export class Targets {
  readonly #all = new Set<TargetHealth>();
  readonly #events = (): HealthEvents | undefined => this.events;
  /** Receiver of changes; set before the first request. */
  events: HealthEvents | undefined;
  readonly retries: Budget = new Budget(RETRIES);
  readonly hedges: Budget = new Budget(HEDGES);
  #reviews: NodeJS.Timeout | undefined;

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
    // What has arrived is read first: this process may be the one that stood still.
    this.#reviews ??= setInterval(() => setImmediate(this.#review), REVIEW_MS).unref();
  };

  readonly #review = (): void => {
    const now = monotonicNow();
    let waits = false;
    for (const health of this.#all) {
      if (!health.hasWaiting) continue;
      waits = true;
      health.review(now);
    }
    if (waits) return;
    clearInterval(this.#reviews);
    this.#reviews = undefined;
  };
}
