/**
 * The metrics of an edge of several threads: counters add up, and gauges as
 * each of them says (sum, least, most).
 * @module
 */
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue, type Registry } from 'prom-client';
import type { Metrics } from './messages.ts';

type Metric = MetricObjectWithValues<MetricValue<string>>;

/** Metric types whose values outlive the thread that counted them; prom-client's names. */
const COUNTING: ReadonlySet<string> = new Set(['counter', 'histogram']);

/** Counts of threads that have ended, one by one, before they are added up. */
const MAX_ENDED = 16;

export class WorkerMetrics {
  /** By worker: what it last said. */
  readonly #last = new Map<object, Metrics>();
  /** Final values of threads that have exited: sums must not decrease. */
  #ended: readonly Metrics[] = [];
  #isAdding = false;

  /** @param metrics - `undefined` when it did not answer: what it said last counts. */
  onReply(worker: object, metrics: Metrics | undefined): void {
    if (metrics !== undefined) this.#last.set(worker, metrics);
  }

  /** Its thread has ended; the next one counts from 0. */
  ended(worker: object): void {
    const last = this.#last.get(worker);
    if (last === undefined) return;
    this.#last.delete(worker);
    this.#ended = [...this.#ended, (last as Metric[]).filter(({ type }) => COUNTING.has(String(type)))];
    if (this.#ended.length > MAX_ENDED && !this.#isAdding) void this.#addUp();
  }

  /** @returns All of it in the Prometheus text format. */
  text(): Promise<string> {
    return add([...this.#last.values(), ...this.#ended]).metrics();
  }

  async #addUp(): Promise<void> {
    this.#isAdding = true;
    const { length } = this.#ended;
    const sum = await add(this.#ended).getMetricsAsJSON();
    this.#ended = [sum, ...this.#ended.slice(length)];
    this.#isAdding = false;
  }
}

function add(parts: readonly Metrics[]): Registry {
  return AggregatorRegistry.aggregate(parts as Metric[][]);
}
