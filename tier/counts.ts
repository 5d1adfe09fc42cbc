/**
 * Counters per kind of answer, found without building their labels again.
 * @module
 */
import type { ListenerName, NodeMetrics } from '../telemetry/metrics.ts';
import type { Result } from '../telemetry/results.ts';
import type { StatusTallies, Tally } from '../telemetry/tally.ts';

/** Counters of the answers of one listener and site with the same result. */
export class Count {
  readonly #requests: StatusTallies;
  readonly #bytes: Tally;
  readonly #durations: { observe(seconds: number): void };

  constructor(metrics: NodeMetrics, listener: ListenerName, site: string, result: Result) {
    this.#requests = metrics.requests(listener, site, result);
    this.#bytes = metrics.bytes(listener, site);
    this.#durations = metrics.durations[listener];
  }

  add(status: number, bytes: number, seconds: number): void {
    this.#requests.of(status).value++;
    this.#bytes.value += bytes;
    this.#durations.observe(seconds);
  }
}

/** Sites and results are names from the config and from lists of this program, so there are few. */
export class Counts {
  readonly #metrics: NodeMetrics;
  readonly #bySite: Record<ListenerName, Map<string, Map<Result, Count>>> = { public: new Map(), tier: new Map() };

  constructor(metrics: NodeMetrics) {
    this.#metrics = metrics;
  }

  of(listener: ListenerName, site: string, result: Result): Count {
    const sites = this.#bySite[listener];
    let results = sites.get(site);
    if (results === undefined) {
      results = new Map();
      sites.set(site, results);
    }
    let count = results.get(result);
    if (count === undefined) {
      count = new Count(this.#metrics, listener, site, result);
      results.set(result, count);
    }
    return count;
  }
}
