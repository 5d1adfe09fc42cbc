import fc from 'fast-check';
import { test } from 'tap';
import { RecentQuantile } from '../../lib/recent-quantile.ts';

test('nothing is known of a few durations', async (t) => {
  const p99 = new RecentQuantile(0.99);
  for (let i = 0; i < 99; i++) p99.observe(10);
  t.equal(p99.value, undefined);
  p99.observe(10);
  t.ok((p99.value as number) >= 10);
});

test('property: the value is no less than the quantile, and no more than a bucket above it', async () => {
  const durations = fc.array(fc.double({ min: 1, max: 100_000, noNaN: true }), { minLength: 100, maxLength: 400 });
  fc.assert(
    fc.property(durations, (list) => {
      const p99 = new RecentQuantile(0.99);
      for (const ms of list) p99.observe(ms);
      const sorted = list.toSorted((a, b) => a - b);
      const exact = sorted[Math.ceil(list.length * 0.99) - 1] as number;
      const value = p99.value as number;
      return value >= exact - 1e-9 && value <= exact * 2 ** 0.25 + 1e-9;
    }),
    { numRuns: 200 },
  );
});

test('a server that becomes slower has another value after some thousand requests', async (t) => {
  const p99 = new RecentQuantile(0.99);
  for (let i = 0; i < 5_000; i++) p99.observe(10);
  t.ok((p99.value as number) < 15);
  for (let i = 0; i < 5_000; i++) p99.observe(1_000);
  t.ok((p99.value as number) >= 1_000);
  for (let i = 0; i < 20_000; i++) p99.observe(10);
  t.ok((p99.value as number) < 15);
});
