import fc from 'fast-check';
import { test } from 'tap';
import { monotonicMs } from '../../lib/clock.ts';
import { TokenBucket } from '../../lib/token-bucket.ts';

test('a full bucket can be emptied at once, and fills again with time', async (t) => {
  const bucket = new TokenBucket({ burst: 100, perSecond: 10 }, monotonicMs(0));
  for (let i = 0; i < 100; i++) t.ok(bucket.tryTake(1, monotonicMs(0)));
  t.notOk(bucket.tryTake(1, monotonicMs(0)));
  t.ok(bucket.tryTake(1, monotonicMs(1_000)));
});

test('tokens spent beyond the balance take as long as they take to refill', async (t) => {
  const bucket = new TokenBucket({ burst: 1_000, perSecond: 100 }, monotonicMs(0));
  t.equal(bucket.waitMs(0, monotonicMs(0)), 0);
  t.notOk(bucket.spend(1_500, monotonicMs(0)));
  t.equal(bucket.waitMs(0, monotonicMs(0)), 5_000);
  t.equal(bucket.waitMs(0, monotonicMs(4_000)), 1_000);
  t.equal(bucket.waitMs(0, monotonicMs(5_000)), 0);
});

test('a changed rate counts from now on', async (t) => {
  const bucket = new TokenBucket({ burst: 10, perSecond: 1 }, monotonicMs(0));
  bucket.pace = { burst: 4, perSecond: 1 };
  t.notOk(bucket.tryTake(5, monotonicMs(0)), 'no more than the new burst is there');
  t.ok(bucket.tryTake(4, monotonicMs(0)));
});

test('in any stretch of time no more is taken than the burst plus the rate, and waited-for tokens are there', async (t) => {
  const take = fc.record({ afterMs: fc.nat(3_000), count: fc.integer({ min: 1, max: 20 }) });
  fc.assert(
    fc.property(fc.array(take, { maxLength: 60 }), fc.integer({ min: 1, max: 50 }), (takes, perSecond) => {
      const burst = 20;
      const bucket = new TokenBucket({ burst, perSecond }, monotonicMs(0));
      const taken: { readonly at: number; readonly count: number }[] = [];
      let now = 0;
      for (const { afterMs, count } of takes) {
        now += afterMs;
        if (!bucket.tryTake(count, monotonicMs(now))) {
          const waitMs = bucket.waitMs(count, monotonicMs(now));
          if (waitMs <= 0) return false;
          now += waitMs + 1e-6; // fractions of a token are not exact
          if (!bucket.tryTake(count, monotonicMs(now))) return false;
        }
        taken.push({ at: now, count });
      }
      return taken.every(({ at: from }, first) => {
        let sum = 0;
        return taken.slice(first).every(({ at, count }) => {
          sum += count;
          return sum <= burst + ((at - from) / 1_000) * perSecond + 1e-6;
        });
      });
    }),
  );
  t.pass();
});
