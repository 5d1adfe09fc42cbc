/**
 * Counting that costs a hit next to nothing: numbers in plain objects, which
 * prom-client reads when it is scraped.
 * @module
 */
import type { Metric, Registry } from 'prom-client';
import { type LabelOf, METRICS, type MetricsOfType } from './metric-table.ts';

/** A number under some labels. */
export interface CounterCell {
  value: number;
}

/** Counters that differ only in the class of the status, `2xx` and so on; each is made on first use. */
export class StatusCounters {
  readonly #make: (status: string) => CounterCell;
  readonly #byClass: (CounterCell | undefined)[] = [undefined, undefined, undefined, undefined, undefined, undefined];

  constructor(make: (status: string) => CounterCell) {
    this.#make = make;
  }

  of(status: number): CounterCell {
    const first = Math.trunc(status / 100);
    return this.#byClass[first] ?? this.#begin(first);
  }

  /** Counts so far, by class. */
  get counts(): number[] {
    return this.#byClass.map((cell) => cell?.value ?? 0);
  }

  #begin(first: number): CounterCell {
    const cell = this.#make(`${first}xx`);
    this.#byClass[first] = cell;
    return cell;
  }
}

type Labels<Name extends MetricsOfType<'counter'>> = Readonly<Record<LabelOf<Name>, string>>;

/** A counter whose label values are looked up once and kept by the caller. */
export class FastCounter<const Name extends MetricsOfType<'counter'>> {
  readonly #cells = new Map<string, { readonly labels: Labels<Name>; readonly cell: CounterCell }>();

  constructor(registry: Registry, name: Name) {
    const values = () => [...this.#cells.values()].map(({ labels, cell }) => ({ labels, value: cell.value }));
    const { help, type } = METRICS[name];
    register(registry, { name, help, type, values, reset: () => this.#cells.clear() });
  }

  /** @returns What counts for these labels: the same object each time. */
  of(labels: Labels<Name>): CounterCell {
    const key = Object.values<string>(labels).join('\n');
    const known = this.#cells.get(key);
    if (known !== undefined) return known.cell;
    const cell = { value: 0 };
    this.#cells.set(key, { labels, cell });
    return cell;
  }
}

/** A histogram of one label's values, for the same keeping. */
export class Histogram {
  readonly #bounds: readonly number[];
  /** Counts per bucket: values at most the bound and above the previous bound; the last holds the rest. */
  readonly #counts: number[];
  #sum = 0;
  readonly labels: Readonly<Record<string, string>>;

  constructor(labels: Readonly<Record<string, string>>, bounds: readonly number[]) {
    this.labels = labels;
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  /** @returns The place of its bucket. */
  observe(value: number): number {
    let at = 0;
    while (at < this.#bounds.length && value > (this.#bounds[at] as number)) at++;
    this.#counts[at] = (this.#counts[at] as number) + 1;
    this.#sum += value;
    return at;
  }

  values(name: string): Value[] {
    let count = 0;
    const buckets = this.#counts.map((here, at): Value => {
      count += here;
      return { metricName: `${name}_bucket`, labels: { le: this.#bounds[at] ?? '+Inf', ...this.labels }, value: count };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels: this.labels, value: this.#sum },
      { metricName: `${name}_count`, labels: this.labels, value: count },
    ];
  }
}

export function registerHistograms(
  registry: Registry,
  name: MetricsOfType<'histogram'>,
  all: readonly Histogram[],
): void {
  const { help, type } = METRICS[name];
  const values = () => all.flatMap((histogram) => histogram.values(name));
  register(registry, { name, help, type, values, reset: () => undefined });
}

interface Value {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

interface Registered {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'histogram';
  readonly values: () => Value[];
  readonly reset: () => void;
}

/** Registers a metric. A registry only uses `name` and `get`, but its type demands the library's own classes. */
function register(registry: Registry, { name, help, type, values, reset }: Registered): void {
  const get = async () => ({ name, help, type, aggregator: 'sum', values: values() });
  registry.registerMetric({ name, get, reset } as unknown as Metric);
}
