import fc from 'fast-check';
import { test } from 'tap';
import { Backoff, backoffMs } from '../../lib/backoff.ts';

test('pauses double up to the maximum, and reset after a success', async (t) => {
  const backoff = new Backoff({ firstMs: 100, maxMs: 1_000 });
  t.strictSame(
    Array.from({ length: 6 }, () => backoff.next()),
    [100, 200, 400, 800, 1_000, 1_000],
  );
  backoff.reset();
  t.equal(backoff.next(), 100);
  t.equal(backoffMs({ firstMs: 9_000, maxMs: 5_000 }, 0), 5_000, 'the first one as well');
});

test('a pause is at most the maximum, and at least half of its value without jitter', async (t) => {
  const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1e6 }),
      fc.integer({ min: 1, max: 1e6 }),
      fc.nat(5_000),
      chance,
      (...given) => {
        const [firstMs, maxMs, before, drawn] = given;
        const plain = backoffMs({ firstMs, maxMs }, before);
        const random = backoffMs({ firstMs, maxMs, random: () => drawn }, before);
        return plain <= maxMs && random >= plain / 2 && random <= plain;
      },
    ),
  );
  t.pass();
});
