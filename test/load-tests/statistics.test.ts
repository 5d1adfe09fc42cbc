import fc from 'fast-check';
import { test } from 'tap';
import { median, quartilesOf, ratioOf, spreadOf } from '../../load-tests/bench/statistics.ts';

for (const { of, is } of [
  { of: [3], is: 3 },
  { of: [4, 1], is: 2.5 },
  { of: [9, 1, 5], is: 5 },
  { of: [10, 9, 2, 1], is: 5.5 },
  { of: [100, 20, 3], is: 20 },
]) {
  test(`the median of ${of} is ${is}`, async (t) => {
    t.equal(median(of), is);
  });
}

test('the median of nothing is undefined', async (t) => {
  t.ok(Number.isNaN(median([])));
});

test('the median lies between the least and the most, whatever the order', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true, min: -1e9, max: 1e9 }), { minLength: 1 }), (values) => {
      const { median: middle, least, most } = spreadOf(values);
      return least <= middle && middle <= most && middle === median([...values].reverse());
    }),
  );
  t.pass();
});

test('ratios are computed round by round', async (t) => {
  // The machine was half as fast in the second round, for both.
  t.same(ratioOf([10, 20, 10], [20, 40, 20]), { median: 0.5, least: 0.5, most: 0.5 });
});

test('a round that one side lacks counts for nothing', async (t) => {
  t.same(ratioOf([10, 30], [10]), { median: 1, least: 1, most: 1 });
  t.same(ratioOf([10, 10], [0, 5]), { median: 2, least: 2, most: 2 });
});

for (const { of, are } of [
  { of: [3], are: { first: 3, median: 3, third: 3 } },
  { of: [4, 2], are: { first: 2.5, median: 3, third: 3.5 } },
  { of: [5, 1, 4, 2, 3], are: { first: 2, median: 3, third: 4 } },
  { of: [1, 2, 3, 4], are: { first: 1.75, median: 2.5, third: 3.25 } },
]) {
  test(`the quartiles of ${of} are ${Object.values(are).join(', ')}`, async (t) => {
    t.same(quartilesOf(of), are);
  });
}

test('there are no quartiles of nothing', async (t) => {
  t.ok(Object.values(quartilesOf([])).every(Number.isNaN));
});

test('a quarter of the numbers, and one more, is below the first quartile at most, and above the third', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -1e6, max: 1e6 }), { minLength: 1 }), (values) => {
      const { first, median: middle, third } = quartilesOf(values.toReversed());
      const most = (values.length - 1) / 4 + 1;
      const below = values.filter((value) => value < first).length;
      const above = values.filter((value) => value > third).length;
      return first <= middle && middle <= third && below <= most && above <= most && middle === median(values);
    }),
  );
  t.pass();
});
