import fc from 'fast-check';
import { test } from 'tap';
import { KeyBytes } from '../../../cache/store/key-bytes.ts';
import { KeyIndex } from '../../../cache/store/key-index.ts';
import { NO_ROW, Rows } from '../../../cache/store/rows.ts';

const sought = new KeyBytes();

/** An index with the keys beside it, and a Map that says what it must hold. */
function pair() {
  const keys: string[] = [];
  const index = new KeyIndex(new Rows(), (row, key) => keys[row] === key.toString());
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
  };
}

test('any adding, finding and removing agrees with a Map', async (t) => {
  const step = fc.tuple(fc.constantFrom('add', 'remove'), fc.nat(300).map(String));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 1_500 }), (steps) => {
      const { index, expected, add } = pair();
      for (const [what, key] of steps) {
        const row = index.find(sought.set(key));
        if (row !== (expected.get(key) ?? NO_ROW)) throw new Error(`${key} is at ${row}`);
        if (what === 'add' && row === NO_ROW) add(key);
        else if (what === 'remove' && row !== NO_ROW) {
          index.remove(row);
          expected.delete(key);
        }
      }
      const rows = [...expected.values()].sort((a, b) => a - b);
      return index.size === expected.size && [...index.rows()].join() === rows.join();
    }),
    { numRuns: 60 },
  );
  t.pass();
});

test('many keys are found while the index grows', async (t) => {
  const { index, expected, add } = pair();
  for (let i = 0; i < 60_000; i++) add(`http://site.test/${i}`);
  let found = 0;
  for (const [key, row] of expected) if (index.find(sought.set(key)) === row) found++;
  t.equal(found, 60_000);
  t.equal(index.find(sought.set('http://site.test/60000')), NO_ROW);
  for (const row of expected.values()) index.remove(row);
  t.same([index.size, [...index.rows()]], [0, []]);
});

test('marking a row changes nothing else of it', async (t) => {
  const { index, add } = pair();
  add('a');
  const row = index.find(sought.set('a'));
  for (const mark of [0xfffff, 0, 1, 0x80000]) {
    index.mark(row, mark);
    t.equal(index.markOf(row), mark);
  }
  t.ok(index.isAt(row, row, 0));
});
