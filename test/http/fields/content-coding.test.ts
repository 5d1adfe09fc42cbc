import fc from 'fast-check';
import { test } from 'tap';
import { acceptedCodings, CODINGS } from '../../../http/fields/content-coding.ts';

for (const [value, order, identity] of [
  [undefined, '', true],
  ['', '', true],
  ['gzip', 'gzip', true],
  ['gzip, br, zstd', 'br,zstd,gzip', true],
  ['gzip;q=1, br;q=0.9', 'gzip,br', true],
  ['*', 'br,zstd,gzip', true],
  ['*;q=0', '', false],
  ['*;q=0, identity', '', true],
  ['gzip, *;q=0', 'gzip', false],
  ['gzip, identity;q=0', 'gzip', false],
  ['identity, gzip;q=0.5', '', true],
  ['gzip, gzip;q=0', 'gzip', true],
  ['constructor, __proto__', '', true],
] as const) {
  test(`RFC 9110 12.5.3: ${value === undefined ? 'no field' : `"${value}"`}`, async (t) => {
    const accepted = acceptedCodings(value);
    t.equal(accepted.order.join(), order);
    t.equal(accepted.identity, identity);
  });
}

test('the order of the server counts between codings of one weight', async (t) => {
  t.same(acceptedCodings('br, gzip', ['gzip', 'br']).order, ['gzip', 'br']);
  t.same(acceptedCodings('br, gzip', ['gzip']).order, ['gzip'], 'what is not offered is left out');
});

test('equal outcomes are one object', async (t) => {
  t.equal(acceptedCodings('gzip, br'), acceptedCodings('br;q=1.0, gzip, deflate'));
});

test('whatever is sent, a coding of weight 0 is never chosen', async () => {
  const weight = fc.constantFrom('', ';q=0', ';q=0.000', ';q=0.5', ';q=1', ';q=x', ';a=b');
  const member = fc.tuple(fc.constantFrom(...CODINGS, '*', 'identity', 'x'), weight);
  fc.assert(
    fc.property(fc.array(member, { maxLength: 6 }), (members) => {
      const { order } = acceptedCodings(members.map((parts) => parts.join('')).join(', '));
      const named = (coding: string): boolean =>
        members.some(([name, q]) => (name === coding || name === '*') && /^(?:|;q=0\.5|;q=1)$/.test(q));
      return order.every(named) && new Set(order).size === order.length;
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => acceptedCodings(text).order.every((coding) => CODINGS.includes(coding))),
  );
});
