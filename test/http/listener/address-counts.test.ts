import { test } from 'tap';
import { AddressCounts } from '../../../http/listener/address-counts.ts';

test('a block has no more than the most, and has room again when one ends', async (t) => {
  const counts = new AddressCounts();
  t.ok(counts.begin('a', 2));
  t.ok(counts.begin('a', 2));
  t.notOk(counts.begin('a', 2));
  t.ok(counts.begin('b', 2), 'others have their own');
  counts.end('a');
  t.ok(counts.begin('a', 2));
  t.equal(counts.of('a'), 2);
});

test('with a most of 0 any number is counted', async (t) => {
  const counts = new AddressCounts();
  for (let i = 0; i < 100; i++) t.ok(counts.begin('a', 0));
  t.equal(counts.of('a'), 100);
});

test('a block that has none is forgotten', async (t) => {
  const counts = new AddressCounts();
  counts.begin('a', 1);
  counts.end('a');
  t.equal(counts.size, 0);
  t.equal(counts.of('a'), 0);
});
