import fc from 'fast-check';
import { test } from 'tap';
import { KeyBytes } from '../../../cache/store/key-bytes.ts';
import { KeyIndex, NO_ROW } from '../../../cache/store/key-index.ts';

const sought = new KeyBytes();

/** An index with the keys beside it, and a Map that says what it must hold, in the order of use. */
function pair() {
  const keys: string[] = [];
  const index = new KeyIndex((row, key) => keys[row] === key.toString());
  const expected = new Map<string, number>();
  return {
    index,
    expected,
    add(key: string): void {
      const row = index.add(sought.set(key));
      index.place(row, row, 0);
      keys[row] = key;
      expected.set(key, row);
    },
    /** The least recently used first. */
    order(): string[] {
      const found: string[] = [];
      for (let row = index.newest; row !== NO_ROW; row = index.olderThan(row)) found.push(keys[row] as string);
      return found.reverse();
    },
  };
}

test('any adding, finding, using and removing is as with a Map', async (t) => {
  const step = fc.tuple(fc.constantFrom('add', 'use', 'remove'), fc.nat(300).map(String));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 1_500 }), (steps) => {
      const { index, expected, add, order } = pair();
      for (const [what, key] of steps) {
        const row = index.find(sought.set(key));
        if (row !== (expected.get(key) ?? NO_ROW)) throw new Error(`${key} is at ${row}`);
        if (what === 'add' && row === NO_ROW) add(key);
        else if (what === 'use' && row !== NO_ROW) {
          index.use(row);
          expected.delete(key);
          expected.set(key, row);
        } else if (what === 'remove' && row !== NO_ROW) {
          index.remove(row);
          expected.delete(key);
        }
      }
      const [oldest] = expected.values();
      return (
        index.size === expected.size &&
        index.oldest === (oldest ?? NO_ROW) &&
        order().join() === [...expected.keys()].join()
      );
    }),
    { numRuns: 60 },
  );
  t.pass();
});

test('many keys are found, over all that it grows by', async (t) => {
  const { index, expected, add } = pair();
  for (let i = 0; i < 60_000; i++) add(`http://site.test/${i}`);
  let found = 0;
  for (const [key, row] of expected) if (index.find(sought.set(key)) === row) found++;
  t.equal(found, 60_000);
  t.equal(index.find(sought.set('http://site.test/60000')), NO_ROW);
  for (const row of expected.values()) index.remove(row);
  t.same([index.size, index.oldest, index.newest], [0, NO_ROW, NO_ROW]);
});
