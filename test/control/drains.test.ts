/** Drains as a store has them, whatever another program has made of them. */
import fc from 'fast-check';
import { test } from 'tap';
import { drainOf } from '../../control/drains.ts';

test('a drain has three texts, and a reason that is missing is empty', async (t) => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('by', 'since', 'reason', 'more'), fc.jsonValue()), (stored) => {
      const drain = drainOf(stored);
      t.same(Object.keys(drain).sort(), ['by', 'reason', 'since']);
      for (const value of Object.values(drain)) t.type(value, 'string');
    }),
    { numRuns: 500 },
  );
  t.equal(drainOf({ by: 'a', since: 'b' }).reason, '');
});
