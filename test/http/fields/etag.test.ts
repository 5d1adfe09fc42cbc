import fc from 'fast-check';
import { test } from 'tap';
import { parseEntityTag, parseEntityTagList, strongMatch, weakMatch } from '../../../http/fields/etag.ts';
import { fuzzer, outcome } from '../../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

for (const { rule, text, tag } of [
  { rule: 'a strong tag', text: '"xyzzy"', tag: { weak: false, opaque: 'xyzzy' } },
  { rule: 'a weak tag', text: 'W/"xyzzy"', tag: { weak: true, opaque: 'xyzzy' } },
  { rule: 'nothing between the quotes', text: '""', tag: { weak: false, opaque: '' } },
  { rule: 'a backslash escapes nothing', text: '"a\\"', tag: { weak: false, opaque: 'a\\' } },
  { rule: 'a comma inside', text: '"a,b"', tag: { weak: false, opaque: 'a,b' } },
  { rule: 'obs-text', text: '"\x80\xff"', tag: { weak: false, opaque: '\x80\xff' } },
  { rule: 'lower-case w', text: 'w/"xyzzy"', tag: undefined },
  { rule: 'no quotes', text: 'xyzzy', tag: undefined },
  { rule: 'backslash for slash', text: 'W\\"xyzzy"', tag: undefined },
  { rule: 'no slash', text: 'W"xyzzy"', tag: undefined },
  { rule: 'space after W/', text: 'W/ "xyzzy"', tag: undefined },
  { rule: 'a space inside', text: '"a b"', tag: undefined },
  { rule: 'a quote inside', text: '"a"b"', tag: undefined },
  { rule: 'a control character inside', text: '"a\x7f"', tag: undefined },
  { rule: 'a character that is no byte', text: '"\u0100"', tag: undefined },
  { rule: 'open at the end', text: '"xyzzy', tag: undefined },
  { rule: 'one quote', text: '"', tag: undefined },
  { rule: 'space around', text: ' "xyzzy" ', tag: undefined },
  { rule: 'a line feed after', text: '"xyzzy"\n', tag: undefined },
  { rule: 'two tags', text: '"a", "b"', tag: undefined },
  { rule: 'empty', text: '', tag: undefined },
]) {
  test(`RFC 9110 8.8.3: ${rule}`, async (t) => {
    t.strictSame(parseEntityTag(text), tag);
  });
}

// The table of section 8.8.3.2, and tags that are none.
for (const { a, b, strong, weak } of [
  { a: 'W/"1"', b: 'W/"1"', strong: false, weak: true },
  { a: 'W/"1"', b: 'W/"2"', strong: false, weak: false },
  { a: 'W/"1"', b: '"1"', strong: false, weak: true },
  { a: '"1"', b: '"1"', strong: true, weak: true },
  { a: '"1"', b: '"2"', strong: false, weak: false },
  { a: '"a"', b: '"A"', strong: false, weak: false },
  { a: '1', b: '1', strong: false, weak: false },
  { a: '1', b: '"1"', strong: false, weak: false },
  { a: 'w/"1"', b: 'w/"1"', strong: false, weak: false },
]) {
  test(`RFC 9110 8.8.3.2: ${a} and ${b}`, async (t) => {
    t.equal(strongMatch(a, b), strong);
    t.equal(strongMatch(b, a), strong);
    t.equal(weakMatch(a, b), weak);
    t.equal(weakMatch(b, a), weak);
  });
}

for (const { rule, value, list } of [
  { rule: 'any', value: '*', list: '*' as const },
  { rule: 'one tag', value: '"xyzzy"', list: ['"xyzzy"'] },
  { rule: 'several', value: '"a", W/"b",\t"c"', list: ['"a"', 'W/"b"', '"c"'] },
  { rule: 'a comma inside a tag', value: '"a,b", "c"', list: ['"a,b"', '"c"'] },
  { rule: 'a backslash at the end of a tag', value: '"a\\", "b"', list: ['"a\\"', '"b"'] },
  { rule: 'empty members (5.6.1.2)', value: ', "a",, "b" ,', list: ['"a"', '"b"'] },
  { rule: 'an unquoted token', value: 'abcdef', list: undefined },
  { rule: 'an unquoted token among tags', value: '"a", b', list: undefined },
  { rule: 'two tags without a comma', value: '"a" "b"', list: undefined },
  { rule: 'any among tags', value: '*, "a"', list: undefined },
  { rule: 'an open quote', value: '"a", "b', list: undefined },
  { rule: 'lower-case w', value: 'w/"a"', list: undefined },
  { rule: 'nothing', value: '', list: undefined },
  { rule: 'only commas', value: ' , ,', list: undefined },
]) {
  test(`RFC 9110 13.1.2: list: ${rule}`, async (t) => {
    t.strictSame(parseEntityTagList(value), list);
  });
}

const etagc = fc
  .integer({ min: 0x21, max: 0xff })
  .filter((byte) => byte !== 0x22 && byte !== 0x7f)
  .map((byte) => String.fromCharCode(byte));
const entityTag = fc
  .tuple(
    fc.boolean(),
    fc.array(etagc).map((chars) => chars.join('')),
  )
  .map(([weak, opaque]) => ({ weak, opaque, text: `${weak ? 'W/' : ''}"${opaque}"` }));

test('property: every entity tag of the grammar is read, alone and in a list', async () => {
  const separator = fc.constantFrom(',', ', ', ' ,\t', ',,', ', , ');
  fuzz(
    'property: every entity tag of the grammar is read, alone and in a list',
    fc.property(fc.array(entityTag, { minLength: 1 }), separator, (tags, comma) => {
      const texts = tags.map(({ text }) => text);
      const list = parseEntityTagList(texts.join(comma));
      return (
        tags.every(({ weak, opaque, text }) => {
          const parsed = parseEntityTag(text);
          return parsed?.weak === weak && parsed.opaque === opaque;
        }) &&
        Array.isArray(list) &&
        list.length === texts.length &&
        list.every((text, i) => text === texts[i])
      );
    }),
  );
});

test('property: a parsed list contains entity tags only', async () => {
  const hostile = fc.string({ unit: fc.constantFrom('"', 'W', '/', ',', ' ', '\t', 'a', '\\', '*', 'é') });
  fuzz(
    'property: a parsed list contains entity tags only',
    fc.property(hostile, (value) => {
      const list = parseEntityTagList(value);
      outcome(list === undefined ? 'refused' : list === '*' ? 'any' : list.length === 1 ? 'one' : 'several');
      if (list === undefined) return true;
      if (list === '*') return value === '*';
      return list.length > 0 && list.every((text) => parseEntityTag(text) !== undefined);
    }),
    { numRuns: 1000 },
  );
});

test('long hostile lists take linear time', async (t) => {
  for (const value of [
    ' '.repeat(1 << 20),
    `"${'a'.repeat(1 << 20)}`,
    `${'"",'.repeat(1 << 18)}x`,
    `"" ${' '.repeat(1 << 20)}x`,
  ]) {
    t.equal(parseEntityTagList(value), undefined);
  }
});
