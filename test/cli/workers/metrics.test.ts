/** Counts of workers that end stay in the sum, however many end at once. */
import { Counter, Gauge, Registry } from 'prom-client';
import { test } from 'tap';
import type { Metrics } from '../../../cli/workers/messages.ts';
import { WorkerMetrics } from '../../../cli/workers/metrics.ts';

async function counted(value: number): Promise<Metrics> {
  const registry = new Registry();
  new Counter({ name: 'requests', help: 'Requests.', registers: [registry] }).inc(value);
  new Gauge({ name: 'keys', help: 'Keys.', registers: [registry], aggregator: 'sum' }).set(value);
  return (await registry.getMetricsAsJSON()) as Metrics;
}

async function sampleOf(metrics: WorkerMetrics, name: string): Promise<number> {
  return Number(new RegExp(`^${name} (\\d+)`, 'm').exec(await metrics.text())?.[1] ?? 0);
}

test('no count falls when workers end at once, and at any moment', async (t) => {
  const metrics = new WorkerMetrics();
  const workers = Array.from({ length: 60 }, () => ({}));
  for (const worker of workers) metrics.onReply(worker, await counted(1));
  t.equal(await sampleOf(metrics, 'requests'), 60);
  for (const [index, worker] of workers.entries()) {
    metrics.ended(worker);
    if (index % 7 === 0) t.equal(await sampleOf(metrics, 'requests'), 60, `after ${index + 1}`);
  }
  t.equal(await sampleOf(metrics, 'requests'), 60);
  t.equal(await sampleOf(metrics, 'keys'), 0, 'a gauge is of those that run');
});
