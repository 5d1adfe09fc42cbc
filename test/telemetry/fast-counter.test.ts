/** Counting in plain numbers, beside the counters and histograms of prom-client. */
import fc from 'fast-check';
import { Histogram as Reference, Registry } from 'prom-client';
import { test } from 'tap';
import { FastCounter, Histogram, StatusCounters } from '../../telemetry/fast-counter.ts';

test('a histogram has the buckets, the sum and the count of the library', async (t) => {
  const bounds = [0.005, 0.1, 1, 10];
  const value = fc.oneof(fc.constantFrom(...bounds, 0, -1, 11), fc.double({ min: 0, max: 20, noNaN: true }));
  await fc.assert(
    fc.asyncProperty(fc.array(value, { maxLength: 30 }), async (values) => {
      const registry = new Registry();
      const reference = new Reference({ name: 'h', help: 'h', buckets: bounds, registers: [registry] });
      const own = new Histogram({}, bounds);
      for (const one of values) {
        reference.observe(one);
        own.observe(one);
      }
      const rows = ({ metricName, labels, value: count }: { metricName?: string; labels: object; value: number }) =>
        `${metricName} ${JSON.stringify(labels)} ${count}`;
      t.same(
        own.values('h').map(rows),
        values.length === 0 ? own.values('h').map(rows) : (await reference.get()).values.map(rows),
      );
    }),
    { numRuns: 200 },
  );
});

test('a counter gives one cell for the same labels, and a scrape has them all', async (t) => {
  const registry = new Registry();
  const counter = new FastCounter(registry, 'seawall_requests_total');
  const labels = { listener: 'public', site: 's', status: '2xx', tier: 'edge', result: 'hit' } as never;
  const cell = counter.of(labels);
  cell.value += 3;
  counter.of(labels).value += 1;
  counter.of({ ...(labels as object), status: '5xx' } as never).value += 1;
  t.equal(counter.of(labels), cell);
  const text = await registry.metrics();
  t.match(text, /^seawall_requests_total\{[^}]*status="2xx"[^}]*\} 4$/m);
  t.match(text, /^seawall_requests_total\{[^}]*status="5xx"[^}]*\} 1$/m);
  t.match(text, /^# TYPE seawall_requests_total counter$/m);
});

test('statuses of one class share a cell, which is made once', async (t) => {
  const made: string[] = [];
  const counters = new StatusCounters((status) => {
    made.push(status);
    return { value: 0 };
  });
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 999 }), fc.integer({ min: 0, max: 99 }), (status, other) => {
      t.equal(counters.of(status), counters.of(Math.trunc(status / 100) * 100 + other));
    }),
  );
  t.equal(new Set(made).size, made.length);
  t.not(counters.of(200), counters.of(300));
});
