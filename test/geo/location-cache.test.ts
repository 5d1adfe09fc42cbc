/** Cache of recent lookups: an address gets its own value or none, never that of another address. */
import fc from 'fast-check';
import { test } from 'tap';
import { LocationCache } from '../../geo/location-cache.ts';

test('an address gets what was stored for it last, or nothing, whatever else has its slot', async (t) => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('', 'a', 'b'));
  const step = fc.record({ address, value: fc.option(fc.nat(), { nil: undefined }), clear: fc.nat({ max: 40 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const cache = new LocationCache<number>();
      const stored = new Map<string, number | undefined>();
      for (const { address: name, value, clear } of steps) {
        const slot = LocationCache.slotOf(name);
        if (cache.has(slot, name)) t.equal(cache.get(slot), stored.get(name));
        cache.set(slot, name, value);
        stored.set(name, value);
        t.ok(cache.has(slot, name), 'also one that is known to have no place');
        if (clear > 0) continue;
        cache.clear();
        t.notOk(cache.has(slot, name));
      }
    }),
    { numRuns: 200 },
  );
});

test('addresses that come one after the other spread over the slots', async (t) => {
  const slots = new Set<number>();
  for (let i = 0; i < 4_096; i += 1) slots.add(LocationCache.slotOf(`10.0.${i >> 8}.${i & 255}`));
  t.ok(slots.size > 2_500, `${slots.size} slots of 4096 addresses`);
  for (const slot of slots) t.ok(slot >= 0 && slot < 8_192 && Number.isInteger(slot));
});
