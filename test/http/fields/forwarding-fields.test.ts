import { test } from 'tap';
import { fieldFacts, HOP_BY_HOP, isEndToEnd } from '../../../http/fields/forwarding-fields.ts';

for (const { name, is } of [
  { name: 'Connection', is: ['isHopByHop'] },
  { name: 'TE', is: ['isHopByHop'] },
  { name: 'X-Forwarded-For', is: ['isUntrusted', 'isForwarded'] },
  { name: 'x_forwarded_for', is: ['isUntrusted', 'isForwarded'] },
  { name: 'X-HTTP-Method-Override', is: ['isUntrusted', 'isMethodOverride'] },
  { name: 'X-Original-URL', is: ['isUntrusted'] },
  { name: 'Accept', is: [] },
] as const) {
  test(`${name} is ${is.join(' and ') || 'an ordinary field'}`, async (t) => {
    const facts = fieldFacts(name);
    const found = (['isHopByHop', 'isUntrusted', 'isMethodOverride', 'isForwarded'] as const).filter(
      (fact) => facts[fact],
    );
    t.strictSame(found, is);
    t.equal(facts.lower, name.toLowerCase());
  });
}

test('RFC 9110 7.6.1: Connection removes no field that all recipients need', async (t) => {
  for (const name of [
    'host',
    'content-length',
    'cache-control',
    'authorization',
    'cookie',
    'x-forwarded-host',
    'seawall-tier',
  ]) {
    t.ok(isEndToEnd(name), name);
    t.notOk(HOP_BY_HOP.has(name), name);
  }
  t.notOk(isEndToEnd('x-custom'));
});
