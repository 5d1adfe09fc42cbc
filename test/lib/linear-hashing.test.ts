import fc from 'fast-check';
import { test } from 'tap';
import { LinearBuckets } from '../../lib/linear-hashing.ts';

const FIRST = 4;

test('each step moves entries of one bucket only, and to the new one only', async (t) => {
  const hashes = fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { minLength: 1, maxLength: 100 });
  fc.assert(
    fc.property(hashes, fc.nat(200), (all, steps) => {
      const buckets = new LinearBuckets(FIRST);
      for (let step = 0; step < steps; step += 1) {
        const before = all.map((hash) => buckets.bucketOf(hash));
        const { next, count } = buckets;
        const going = all.map((hash) => buckets.goes(hash));
        buckets.grow();
        if (buckets.count !== count + 1) return false;
        const isRight = all.every((hash, i) => {
          const expected = before[i] === next && going[i] ? count : before[i];
          return buckets.bucketOf(hash) === expected;
        });
        if (!isRight) return false;
      }
      return all.every((hash) => buckets.bucketOf(hash) >= 0 && buckets.bucketOf(hash) < buckets.count);
    }),
  );
  t.pass();
});

test('hashes spread over all buckets, of which none has more than twice its share', async (t) => {
  const buckets = new LinearBuckets(FIRST);
  for (let i = FIRST; i < 1_000; i += 1) buckets.grow();
  const sizes = new Array<number>(buckets.count).fill(0);
  for (let hash = 0; hash < 2 ** 16; hash += 1) {
    const bucket = buckets.bucketOf(hash);
    sizes[bucket] = (sizes[bucket] as number) + 1;
  }
  const share = 2 ** 16 / buckets.count;
  t.ok(Math.min(...sizes) >= share / 2);
  t.ok(Math.max(...sizes) <= share * 2);
});
