/** Rows of integers: each belongs to its owner until it is given back, and its fields to no other row. */
import fc from 'fast-check';
import { test } from 'tap';
import { CHAIN, NO_ROW, Rows } from '../../../cache/store/rows.ts';

test('a row that is in use is given to no other owner, and keeps its fields', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 9 }), { maxLength: 200 }), (steps) => {
      const rows = new Rows();
      const used = new Map<number, number[]>();
      for (const [index, step] of steps.entries()) {
        const [row] = [...used.keys()].slice(step % Math.max(1, used.size));
        if (step < 4 && row !== undefined) {
          rows.release(row);
          used.delete(row);
          continue;
        }
        const taken = rows.take();
        t.notOk(used.has(taken));
        t.ok(taken !== NO_ROW && taken < rows.count);
        const fields = Array.from({ length: 8 }, (_, at) => (index * 8 + at) | (at % 2 === 0 ? 0 : 1 << 31));
        fields.forEach((value, at) => {
          rows.set(taken, at, value);
        });
        used.set(taken, fields);
      }
      for (const [row, fields] of used) {
        t.same(
          fields.map((_, at) => rows.get(row, at)),
          fields,
        );
      }
      t.ok(rows.count <= steps.length);
    }),
    { numRuns: 200 },
  );
});

test('rows of another array are reached as well, and are used again in the reverse order of their release', async (t) => {
  const rows = new Rows();
  for (let i = 0; i < 5_000; i += 1) rows.set(rows.take(), CHAIN, i);
  for (const row of [0, 2_047, 2_048, 4_999]) t.equal(rows.get(row, CHAIN), row);
  rows.release(17);
  rows.release(4_000);
  t.same([rows.take(), rows.take(), rows.take()], [4_000, 17, 5_000]);
});
