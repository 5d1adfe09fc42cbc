/** Keys that were stored in memory before: known until a newer key takes the place. */
import fc from 'fast-check';
import { test } from 'tap';
import { SeenKeys } from '../../../cache/disk/seen-keys.ts';

test('a key is new once, until another one has its place', async (t) => {
  const word = fc.record({
    low: fc.oneof(fc.integer(), fc.constantFrom(0, 1, 2)),
    high: fc.nat({ max: 3 }).map((n) => n | (n << 20)),
  });
  fc.assert(
    fc.property(fc.array(word, { maxLength: 40 }), (words) => {
      const keys = new SeenKeys();
      const places = new Map<number, number>();
      for (const { low, high } of words) {
        const place = high & ((1 << 18) - 1);
        const mark = low === 0 ? 1 : low; // zeros are an empty place
        t.equal(keys.add({ low, high }), places.get(place) === mark);
        places.set(place, mark);
        t.ok(keys.add({ low, high }));
      }
    }),
    { numRuns: 50 },
  );
});
