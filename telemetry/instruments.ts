/**
 * Metrics, made from their entries in the table (telemetry/metric-table.ts): name, help, labels and buckets stand
 * there, and nowhere else.
 * @module
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { type LabelOf, METRICS, type MetricEntry, type MetricName, type MetricsOfType } from './metric-table.ts';

type Labels<Name extends MetricName> = Readonly<Record<LabelOf<Name>, string>>;

/** Values of one metric when it is scraped, each with its labels. */
export type Readings<Name extends MetricName> = Iterable<readonly [labels: Labels<Name>, value: number]>;

function configOf(registry: Registry, name: MetricName) {
  const { help, labels, ofWorkers = 'sum' }: MetricEntry = METRICS[name];
  return { name, help, labelNames: Object.keys(labels), aggregator: ofWorkers, registers: [registry] };
}

/** Returns a counter that code increments. */
export function counter<const Name extends MetricsOfType<'counter'>>(
  registry: Registry,
  name: Name,
): Counter<LabelOf<Name>> {
  return new Counter<string>(configOf(registry, name)) as Counter<LabelOf<Name>>;
}

/** Returns a histogram that code observes. */
export function histogram<const Name extends MetricsOfType<'histogram'>>(
  registry: Registry,
  name: Name,
): Histogram<LabelOf<Name>> {
  const { buckets } = METRICS[name];
  return new Histogram<string>({ ...configOf(registry, name), buckets: [...buckets] }) as Histogram<LabelOf<Name>>;
}

/** Adds a gauge without labels that is read when it is scraped. */
export function gauge(registry: Registry, name: MetricsOfType<'gauge'>, read: () => number): void {
  new Gauge({
    ...configOf(registry, name),
    collect() {
      this.set(read());
    },
  });
}

/** Adds a gauge with labels that is read when it is scraped; label sets that are no longer read disappear. */
export function gauges<const Name extends MetricsOfType<'gauge'>>(
  registry: Registry,
  name: Name,
  read: () => Readings<Name>,
): void {
  new Gauge<string>({
    ...configOf(registry, name),
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.set(labels, value);
    },
  });
}

/** Adds a counter that is read when it is scraped, for what is counted elsewhere. */
export function counters<const Name extends MetricsOfType<'counter'>>(
  registry: Registry,
  name: Name,
  read: () => Readings<Name>,
): void {
  new Counter<string>({
    ...configOf(registry, name),
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.inc(labels, value);
    },
  });
}
