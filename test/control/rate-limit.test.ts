/** Rates of calls: a bucket for each name. */
import { test } from 'tap';
import { RateLimit } from '../../control/rate-limit.ts';
import { monotonicMs } from '../../lib/clock.ts';

test('a token bucket refills with time', async (t) => {
  let now = 0;
  const limit = new RateLimit({ perSecond: 10, burst: 20, now: () => monotonicMs(now) });
  t.equal(limit.take('a', 20), 0);
  t.equal(limit.take('a', 5), 500);
  t.equal(limit.take('b', 20), 0);
  now = 500;
  t.equal(limit.take('a', 5), 0);
  t.equal(limit.take('a', 1), 100);
  now = 60_000;
  t.equal(limit.take('a', 20), 0);
  t.ok(limit.take('a', 1) > 0, 'no more than the burst is saved');
});
