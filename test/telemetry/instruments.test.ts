/** Metrics made from their table: what a scrape shows of what code counts, observes or is read. */
import { AggregatorRegistry, Registry } from 'prom-client';
import { test } from 'tap';
import { counter, counters, gauge, gauges, histogram, type Readings } from '../../telemetry/instruments.ts';
import { METRICS } from '../../telemetry/metric-table.ts';

test('a metric has the help, the labels and the type of its entry', async (t) => {
  const registry = new Registry();
  counter(registry, 'seawall_store_refusals_total').inc({ reason: 'no-store' });
  const text = await registry.metrics();
  t.match(text, `# HELP seawall_store_refusals_total ${METRICS.seawall_store_refusals_total.help}`);
  t.match(text, '# TYPE seawall_store_refusals_total counter');
  t.match(text, 'seawall_store_refusals_total{reason="no-store"} 1');
  t.throws(() => counter(registry, 'seawall_store_refusals_total'), /already been registered/);
  const wrong = counter(new Registry(), 'seawall_store_refusals_total') as { inc(labels: object): void };
  t.throws(() => wrong.inc({ url: '/a' }), /not included in initial labelset/, 'a label that the table does not have');
});

test('a histogram has the buckets of its entry', async (t) => {
  const registry = new Registry();
  const name = 'seawall_request_duration_seconds';
  histogram(registry, name).observe({ listener: 'public' }, 1e9);
  const { values } = (await registry.getSingleMetric(name)?.get()) as { values: { labels: { le?: unknown } }[] };
  t.same(
    values.flatMap(({ labels: { le } }) => (le === undefined ? [] : [le])),
    [...METRICS[name].buckets, '+Inf'],
  );
});

test('a gauge is read at each scrape; label sets that are no longer read disappear', async (t) => {
  const registry = new Registry();
  let bytes = 5;
  let up: Readings<'seawall_target_up'> = [
    [{ target: 'a' }, 1],
    [{ target: 'b' }, 0],
  ];
  gauge(registry, 'seawall_ledger_bytes', () => bytes);
  gauges(registry, 'seawall_target_up', () => up);
  t.match(await registry.metrics(), /seawall_ledger_bytes 5\n[\s\S]*seawall_target_up\{target="b"\} 0\n/);
  bytes = 0;
  up = [[{ target: 'a' }, 0]];
  const text = await registry.metrics();
  t.match(text, /seawall_ledger_bytes 0\n/);
  t.match(text, 'seawall_target_up{target="a"} 0');
  t.notMatch(text, 'target="b"');
});

test('a counter that is read shows what was counted elsewhere, and does not add it up at each scrape', async (t) => {
  const registry = new Registry();
  counters(registry, 'seawall_store_refusals_total', () => [[{ reason: 'private' }, 7]]);
  await registry.metrics();
  t.match(await registry.metrics(), 'seawall_store_refusals_total{reason="private"} 7');
});

test('of several workers values are added up, or the least or the greatest counts, as the table says', async (t) => {
  const entries = Object.entries(METRICS) as [
    keyof typeof METRICS,
    { type: string; ofWorkers?: string; labels: object },
  ][];
  const found = entries.filter(
    ([, { type, ofWorkers, labels }]) =>
      type === 'gauge' && ofWorkers !== undefined && Object.keys(labels).length === 0,
  );
  t.ok(found.length > 0, 'the table has some');
  const values = [3, 8];
  const expected = { sum: 11, min: 3, max: 8 } as const;
  for (const [name, { ofWorkers }] of found) {
    const workers = await Promise.all(
      values.map((value) => {
        const registry = new Registry();
        gauge(registry, name as 'seawall_ledger_bytes', () => value);
        return registry.getMetricsAsJSON();
      }),
    );
    const text = await AggregatorRegistry.aggregate(workers as never).metrics();
    t.match(text, `${name} ${expected[ofWorkers as 'sum']}\n`, `${name}: ${ofWorkers}`);
  }
});
