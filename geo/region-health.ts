/**
 * Health of a region, by the number of its edges that are up. A region becomes unhealthy at once and healthy again
 * after a delay, which grows each time it fails again soon: a flapping region must not swing the world's visitors. A
 * region that was never up has not failed: it is healthy as soon as it is up.
 *
 * Pure: health and time are passed in.
 * @module
 */

import { backoffMs } from '../lib/backoff.ts';
import { LONG_AGO, later, type MonotonicMs, msBetween } from '../lib/clock.ts';

export interface HealthRules {
  /** Share of edges that has to be up. */
  readonly minHealth: number;
  readonly recoveryMs: number;
}

export type Health = 'healthy' | 'down' | 'recovering';

/** A region that was healthy for less than this many recoveries has failed soon. */
const SOON = 10;
/** A recovery is doubled so often at most. */
const MAX_DOUBLINGS = 4;

export class RegionHealth {
  rules: HealthRules;
  #isUp = true;
  #wasUp = false;
  /** Since it is as it is; a region that was never seen to fail is not delayed. */
  #since = LONG_AGO;
  #doublings = 0;

  constructor(rules: HealthRules) {
    this.rules = rules;
  }

  /** @param edges - Whether each of them is up; a region without any is down. */
  update(edges: readonly boolean[], now: MonotonicMs): void {
    const up = edges.filter(Boolean).length;
    const isUp = up > 0 && up / edges.length >= this.rules.minHealth;
    if (isUp !== this.#isUp && this.#wasUp) {
      if (!isUp) {
        const healthyFor = msBetween(this.healthyAt, now);
        this.#doublings = healthyFor < SOON * this.rules.recoveryMs ? Math.min(MAX_DOUBLINGS, this.#doublings + 1) : 0;
      }
      this.#since = now;
    }
    this.#isUp = isUp;
    this.#wasUp ||= isUp;
  }

  state(now: MonotonicMs): Health {
    if (!this.#isUp) return 'down';
    return now < this.healthyAt ? 'recovering' : 'healthy';
  }

  /** Time at which the region becomes healthy, if it stays up. */
  get healthyAt(): MonotonicMs {
    return later(
      this.#since,
      backoffMs({ firstMs: this.rules.recoveryMs, maxMs: Number.POSITIVE_INFINITY }, this.#doublings),
    );
  }
}
