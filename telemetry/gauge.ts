/**
 * A gauge that is read when it is scraped.
 * @module
 */
import { Gauge, type Registry } from 'prom-client';

/** @param aggregator - What the workers of one edge amount to together. */
export function gauge(
  registry: Registry,
  name: string,
  help: string,
  read: () => number,
  aggregator: 'sum' | 'min' | 'max' = 'sum',
): void {
  new Gauge({
    name,
    help,
    aggregator,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}
