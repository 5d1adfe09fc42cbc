/**
 * The targets of a node, or of one site: their health, whoever is told of its changes, and the budget for retries.
 * @module
 */
import { Budget } from '../lib/budget.ts';
import { type HealthEvents, TargetHealth, type TargetHealthOptions } from './target-health.ts';

/** Retries: a fifth of the requests, and so many at once when a server dies under them. */
const RETRIES = { share: 0.2, burst: 1_000 };

export class Targets {
  readonly #all = new Set<TargetHealth>();
  readonly #events = (): HealthEvents | undefined => this.events;
  /** Receiver of changes; set before the first request. */
  events: HealthEvents | undefined;
  readonly retries: Budget = new Budget(RETRIES);

  add(options: TargetHealthOptions): TargetHealth {
    const health = new TargetHealth(options, this.#events);
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
}
