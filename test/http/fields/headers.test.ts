import fc from 'fast-check';
import { test } from 'tap';
import {
  fieldLines,
  fieldValue,
  firstLine,
  hasField,
  interned,
  isFieldLine,
  isFieldName,
  isLatin1,
  listMembers,
  lowerCase,
  type RawHeaders,
  trimOws,
  withField,
  withoutFields,
} from '../../../http/fields/headers.ts';

const SECTION: RawHeaders = ['Accept', 'a', 'HOST', 'b', 'accept', 'c', 'Accepts', 'd'];

test('RFC 9110 5.1: names are found without case, and nothing else is', async (t) => {
  t.strictSame(fieldLines(SECTION, 'accept'), ['a', 'c']);
  t.equal(firstLine(SECTION, 'host'), 'b');
  t.equal(fieldValue(SECTION, 'accept'), 'a, c', 'section 5.3: the lines of a field are one value');
  t.ok(hasField(SECTION, 'accepts'));
  t.notOk(hasField(SECTION, 'accep'));
  t.equal(firstLine(SECTION, 'cookie'), undefined);
  t.equal(fieldValue(SECTION, 'cookie'), undefined);
});

test('a section without the fields that go is the same array: nothing is copied', async (t) => {
  t.equal(withoutFields(SECTION, new Set(['cookie'])), SECTION);
  t.strictSame(withoutFields(SECTION, new Set(['accept'])), ['HOST', 'b', 'Accepts', 'd']);
  t.strictSame(withoutFields(SECTION, new Set(['accept', 'accepts', 'host'])), []);
});

test('a field that is set takes the place of all its lines, at the end', async (t) => {
  t.strictSame(withField(SECTION, 'ACCEPT', 'x'), ['HOST', 'b', 'Accepts', 'd', 'ACCEPT', 'x']);
});

for (const { value, members } of [
  { value: 'a, b ,\tc', members: ['a', 'b', 'c'] },
  { value: ',, a,,', members: ['a'] },
  { value: '"a, b", c', members: ['"a, b"', 'c'] },
  { value: '"a\\", b", c', members: ['"a\\", b"', 'c'] },
  { value: '"a, b', members: ['"a, b'] },
  { value: '', members: [] },
]) {
  test(`RFC 9110 5.6.1: ${JSON.stringify(value)} has ${members.length} members`, async (t) => {
    t.strictSame(listMembers(value), members);
  });
}

test('RFC 9110 5.6.3: whitespace is spaces and tabs', async (t) => {
  t.equal(trimOws(' \ta b\t '), 'a b');
  t.equal(trimOws('\xa0a\n'), '\xa0a\n');
  t.equal(trimOws(' '), '');
});

for (const { name, value, isLine } of [
  { name: 'X-A', value: 'a\tb \xff', isLine: true },
  { name: 'X-A', value: '', isLine: true },
  { name: 'X-A', value: 'a\r\nX-B: c', isLine: false },
  { name: 'X-A', value: 'a\0', isLine: false },
  { name: 'X-A', value: '€', isLine: false },
  { name: 'X A', value: 'a', isLine: false },
  { name: 'X:', value: 'a', isLine: false },
  { name: '', value: 'a', isLine: false },
]) {
  test(`RFC 9110 5: ${JSON.stringify(name)} and ${JSON.stringify(value)} ${isLine ? 'are' : 'are not'} one line`, async (t) => {
    t.equal(isFieldLine(name, value), isLine);
  });
}

test('property: what is remembered of names is what would be worked out', async (t) => {
  const name = fc.oneof(fc.string({ maxLength: 100 }), fc.constantFrom('Accept', 'accept', 'x'.repeat(65)));
  fc.assert(
    fc.property(fc.array(name, { maxLength: 50 }), (names) => {
      for (const one of names) {
        t.equal(lowerCase(one), one.toLowerCase());
        t.equal(interned(one), one);
        t.equal(isFieldName(one), /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(one));
      }
    }),
    { numRuns: 50 },
  );
});

test('a character beyond one byte is told', async (t) => {
  t.ok(isLatin1('a\xff'));
  t.notOk(isLatin1('a€'));
});
