import { test } from 'tap';
import type { Fill } from '../../cache/fill.ts';
import { FillRegistry } from '../../cache/fill-registry.ts';

/** Makes distinct fills; only their identity matters. */
function some(): Fill {
  return {} as Fill;
}

test('a fill is found by its request, and among all fills of its key', async (t) => {
  const fills = new FillRegistry();
  const [joinable, alone, other] = [some(), some(), some()];
  fills.add(joinable, 'a', 'a');
  fills.add(alone, 'a', undefined);
  fills.add(other, 'b', 'b\npeer');
  t.equal(fills.at('a'), joinable);
  t.equal(fills.at('b\npeer'), other);
  t.equal(fills.at('b'), undefined);
  t.same([...fills.of('a')], [joinable, alone]);
  t.same([fills.size, [...fills.keys()].sort()], [2, ['a', 'b']]);
});

test('a superseded fill belongs to its key until it is done, and does not remove its successor', async (t) => {
  const fills = new FillRegistry();
  const [overtaken, newer] = [some(), some()];
  fills.add(overtaken, 'a', 'a');
  fills.add(newer, 'a', 'a');
  t.equal(fills.at('a'), newer);
  t.equal(fills.count('a'), 2);
  fills.delete(overtaken, 'a', 'a');
  t.equal(fills.at('a'), newer);
  fills.delete(overtaken, 'a', 'a');
  fills.delete(newer, 'a', 'a');
  t.equal(fills.at('a'), undefined);
  t.same(fills.of('a'), []);
  t.equal(fills.size, 0);
  fills.delete(newer, 'a', 'a'); // what has never been there is left alone
});
