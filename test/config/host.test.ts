import { test } from 'tap';
import { hostTable } from '../../config/host.ts';

const find = hostTable([
  ['shop.test', 'exact'],
  ['*.shop.test', 'below'],
  ['*.eu.shop.test', 'deeper'],
  ['*.shop.test', 'later'],
  ['*', 'any'],
]);

for (const { host, value } of [
  { host: 'shop.test', value: 'exact' },
  { host: 'a.shop.test', value: 'below' },
  { host: 'a.b.shop.test', value: 'below' },
  { host: 'a.eu.shop.test', value: 'deeper' },
  { host: 'eu.shop.test', value: 'below' },
  { host: 'other.test', value: 'any' },
  { host: '.shop.test', value: 'any' },
  { host: `${'a.'.repeat(150)}shop.test`, value: 'any' },
]) {
  test(`the host ${host.slice(0, 30)} is matched by ${value}`, async (t) => {
    t.equal(find(host), value);
  });
}

test('without a star nothing else is found', async (t) => {
  const exact = hostTable([['shop.test', 1]]);
  t.equal(exact('a.shop.test'), undefined);
});
