import fc from 'fast-check';
import { test } from 'tap';
import { monotonicMs } from '../../lib/clock.ts';
import { RateCounts } from '../../lib/rate-counts.ts';

test('as many requests as may come at once, then one whenever one is free again', async (t) => {
  const counts = new RateCounts({ requests: 3, perMs: 3_000 });
  const take = (ms: number): number => counts.take('a', monotonicMs(ms));
  t.strictSame([take(0), take(0), take(0), take(0)], [0, 0, 0, 1_000]);
  t.equal(take(400), 600, 'a refused request costs nothing');
  t.strictSame([take(1_000), take(1_000)], [0, 1_000]);
  t.strictSame([take(9_000), take(9_000), take(9_000), take(9_000)], [0, 0, 0, 1_000]);
});

test('each key has a count of its own', async (t) => {
  const counts = new RateCounts({ requests: 1, perMs: 1_000 });
  t.equal(counts.take('a', monotonicMs(0)), 0);
  t.equal(counts.take('b', monotonicMs(0)), 0);
  t.ok(counts.take('a', monotonicMs(0)) > 0);
});

test('what came elsewhere counts, and never for longer than two times of the limit', async (t) => {
  const counts = new RateCounts({ requests: 10, perMs: 1_000 });
  counts.add('a', 9, monotonicMs(0));
  t.equal(counts.take('a', monotonicMs(0)), 0);
  t.ok(counts.take('a', monotonicMs(0)) > 0);
  counts.add('a', 1_000_000, monotonicMs(0));
  t.equal(counts.take('a', monotonicMs(1_000)), 100);
  t.equal(counts.take('a', monotonicMs(1_100)), 0);
});

test('what is known of a key elsewhere is never less than what is known here', async (t) => {
  const counts = new RateCounts({ requests: 10, perMs: 1_000 });
  counts.raise('a', 950, monotonicMs(0));
  t.equal(counts.fullIn('a', monotonicMs(0)), 950);
  counts.raise('a', 200, monotonicMs(0));
  t.equal(counts.fullIn('a', monotonicMs(0)), 950);
  t.equal(counts.fullIn('a', monotonicMs(2_000)), 0);
  t.equal(counts.fullIn('b', monotonicMs(0)), 0);
});

test('a flood of other keys is forgotten, and frees no key that has used up what it may have', async (t) => {
  const counts = new RateCounts({ requests: 2, perMs: 60_000, maxKeys: 100 });
  const now = monotonicMs(0);
  while (counts.take('limited', now) === 0) {
    // until it is
  }
  for (let i = 0; i < 10_000; i++) counts.take(`other ${i}`, now);
  t.ok(counts.take('limited', now) > 0);
  t.ok(counts.size <= 200, `${counts.size} keys are remembered`);
});

test('property: in no stretch of time come more requests than the limit allows, and none waits without need', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1_000, max: 10_000 }),
      fc.array(fc.nat(2_000), { minLength: 1, maxLength: 100 }),
      (requests, perMs, pauses) => {
        const counts = new RateCounts({ requests, perMs });
        const taken: number[] = [];
        let now = 0;
        for (const pause of pauses) {
          now += pause;
          const waitMs = counts.take('a', monotonicMs(now));
          if (waitMs === 0) taken.push(now);
          else if (counts.take('a', monotonicMs(now + waitMs + 0.001)) !== 0) return false;
          else {
            taken.push(now + waitMs + 0.001);
            now += waitMs + 0.001;
          }
        }
        return taken.every((from, i) =>
          taken.slice(i).every((to, j) => j + 1 <= requests + ((to - from) * requests) / perMs + 1e-3),
        );
      },
    ),
  );
  t.pass('for each limit and each order of requests');
});
