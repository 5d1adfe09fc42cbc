/** Things that must not occur twice. */
import fc from 'fast-check';
import { test } from 'tap';
import { repeated } from '../../config/duplicates.ts';

test('each item whose key came before is reported with the first one, in the order of the list', async (t) => {
  const item = fc.record({ key: fc.constantFrom('', 'a', 'b', '__proto__'), id: fc.nat() });
  fc.assert(
    fc.property(fc.array(item, { maxLength: 12 }), (items) => {
      const expected = items.flatMap((one, index) => {
        const first = items.findIndex(({ key }) => key === one.key);
        return first === index ? [] : [[one, items[first]]];
      });
      t.strictSame(
        repeated(items, ({ key }) => key),
        expected,
      );
    }),
  );
});
