import fc from 'fast-check';
import { test } from 'tap';
import {
  formatName,
  isWildcard,
  isWithin,
  keyOfBytes,
  labelsOf,
  parentOf,
  parseName,
  ROOT,
  wildcardBelow,
} from '../../../lib/dns/name.ts';

const ORIGIN = parseName('example.org.') as string;

for (const { text, name } of [
  { text: 'www', name: 'www.example.org.' },
  { text: '@', name: 'example.org.' },
  { text: 'www.other.test.', name: 'www.other.test.' },
  { text: 'WWW', name: 'www.example.org.' },
  { text: '.', name: '.' },
  { text: '*', name: '*.example.org.' },
  { text: '_acme-challenge', name: '_acme-challenge.example.org.' },
  { text: 'a..b', name: undefined },
  { text: '-a', name: undefined },
  { text: 'a'.repeat(64), name: undefined },
  { text: 'a b', name: undefined },
  { text: '', name: undefined },
  { text: 'a\\.b', name: undefined },
  { text: 'ä', name: undefined },
  { text: '_sip._udp', name: '_sip._udp.example.org.' },
  { text: 'x'.repeat(63), name: `${'x'.repeat(63)}.example.org.` },
  { text: `${'a.'.repeat(127)}`, name: `${'a.'.repeat(127)}` },
  { text: `${'a.'.repeat(128)}`, name: undefined },
]) {
  test(`the name ${text.length > 40 ? `of ${text.length} characters` : JSON.stringify(text)} ${name === undefined ? 'is refused' : 'is read'}`, async (t) => {
    const key = parseName(text, ORIGIN);
    t.equal(key && formatName(key), name);
  });
}

test('RFC 4343: names that differ in case are one name', async (t) => {
  const bytes = Buffer.from('\x03WwW\x07Example\x03org\0', 'latin1');
  t.equal(keyOfBytes(bytes, 0, bytes.length), parseName('www', ORIGIN));
});

const labels = fc.array(fc.stringMatching(/^[a-z0-9]{1,8}$/), { minLength: 1, maxLength: 6 });

test('property: a name is within its parents, and within nothing else', async (t) => {
  fc.assert(
    fc.property(labels, labels, (one, other) => {
      const [a, b] = [parseName(`${one.join('.')}.`) as string, parseName(`${other.join('.')}.`) as string];
      t.equal(labelsOf(a), one.length);
      t.ok(isWithin(a, a) && isWithin(a, parentOf(a)) && isWithin(a, ROOT));
      t.equal(isWithin(a, b), `.${one.join('.')}`.endsWith(`.${other.join('.')}`));
      t.ok(isWildcard(wildcardBelow(a)) && isWithin(wildcardBelow(a), a));
      t.equal(parentOf(wildcardBelow(a)), a);
    }),
    { numRuns: 200 },
  );
});
