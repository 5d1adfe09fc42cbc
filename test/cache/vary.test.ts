import fc from 'fast-check';
import { test } from 'tap';
import { matchesVary, normalisedField, varyMembers } from '../../cache/vary.ts';
import { fuzzer } from '../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

for (const { what, lines, request, members } of [
  { what: 'none', lines: [], request: ['X-A', '1'], members: [] },
  { what: 'names in lower case', lines: ['X-A'], request: ['x-a', '1'], members: [{ name: 'x-a', value: '1' }] },
  {
    what: 'several lines, each name once',
    lines: ['X-A, X-B', 'x-a,, '],
    request: ['X-A', '1'],
    members: [
      { name: 'x-a', value: '1' },
      { name: 'x-b', value: undefined },
    ],
  },
]) {
  test(`RFC 9111 4.1: members: ${what}`, async (t) => {
    const response = lines.flatMap((line) => ['Vary', line]);
    t.same(varyMembers(response, request), members);
  });
}

for (const { rule, name, a, b, same } of [
  { rule: 'absent from both', name: 'x-a', a: [], b: [], same: true },
  { rule: 'absent is not empty', name: 'x-a', a: [], b: [''], same: false },
  { rule: 'case counts', name: 'x-a', a: ['a'], b: ['A'], same: false },
  { rule: 'whitespace around does not', name: 'x-a', a: ['a'], b: [' a\t'], same: true },
  { rule: 'whitespace in a list does not', name: 'x-a', a: ['a,b'], b: ['a , b'], same: true },
  { rule: 'a comma at the end counts', name: 'origin', a: ['https://a.test'], b: ['https://a.test,'], same: false },
  {
    rule: 'a comma at the beginning counts',
    name: 'origin',
    a: ['https://a.test'],
    b: [' ,https://a.test'],
    same: false,
  },
  { rule: 'a comma more counts', name: 'x-a', a: ['1,2'], b: ['1, ,2'], same: false },
  { rule: 'an empty line counts', name: 'x-a', a: ['1'], b: ['', '1'], same: false },
  { rule: 'lines of a list are combined', name: 'x-a', a: ['a, b'], b: ['a', 'b'], same: true },
  { rule: 'the order of a list counts', name: 'x-a', a: ['a, b'], b: ['b, a'], same: false },
  { rule: 'whitespace in quotes counts', name: 'x-a', a: ['"a, b", c'], b: ['"a,b", c'], same: false },
  { rule: 'languages in any order of equal weight', name: 'accept-language', a: ['de, en'], b: ['en,de'], same: true },
  { rule: 'languages have no case', name: 'accept-language', a: ['DE'], b: ['de'], same: true },
  { rule: 'weights count', name: 'accept-language', a: ['de, en;q=0.5'], b: ['de;q=0.5, en'], same: false },
  { rule: 'a weight of one is none', name: 'accept-encoding', a: ['gzip;q=1.0'], b: ['gzip'], same: true },
  { rule: 'weights are numbers', name: 'accept-encoding', a: ['gzip;q=0.50'], b: ['gzip; q=0.5'], same: true },
  { rule: 'a weight of zero is a refusal', name: 'accept-encoding', a: ['gzip;q=0'], b: ['gzip'], same: false },
  { rule: 'x-gzip is gzip', name: 'accept-encoding', a: ['x-gzip'], b: ['gzip'], same: true },
  {
    rule: 'a weight that is none is no refusal',
    name: 'accept-encoding',
    a: ['gzip;q=2'],
    b: ['gzip;q=0'],
    same: false,
  },
  { rule: 'a weight that is none is not the best', name: 'accept-encoding', a: ['gzip;q=x'], b: ['gzip'], same: false },
  { rule: 'a negative weight is none', name: 'accept-encoding', a: ['gzip;q=-0'], b: ['gzip;q=0'], same: false },
  { rule: 'a parameter counts', name: 'accept-language', a: ['de;x=<b>'], b: ['de'], same: false },
  { rule: 'a parameter before a weight counts', name: 'accept-language', a: ['de;x;q=1'], b: ['de'], same: false },
  {
    rule: 'a parameter behind a weight counts',
    name: 'accept-encoding',
    a: ['gzip;q=1;x=1'],
    b: ['gzip'],
    same: false,
  },
  { rule: 'a second weight counts', name: 'accept-encoding', a: ['gzip;q=1;q=0.5'], b: ['gzip'], same: false },
  { rule: 'an empty parameter counts', name: 'accept-language', a: ['de;'], b: ['de'], same: false },
  { rule: 'an empty weight is none', name: 'accept-encoding', a: ['gzip;q='], b: ['gzip;q=0'], same: false },
]) {
  test(`RFC 9111 4.1: ${rule}`, async (t) => {
    const request = (values: readonly string[]) => values.flatMap((value) => [name, value]);
    const vary = varyMembers(['Vary', name], request(a));
    t.equal(matchesVary(vary, request(b)), same);
    t.ok(matchesVary(vary, request(a)), 'it matches itself');
  });
}

const anyText = fc.oneof(fc.string(), fc.stringMatching(/^(?:[a-c]|,|;|q=|0\.5|"|\\| ){0,20}$/));

test('a request matches the response that it got, whatever its fields', async (t) => {
  fuzz(
    'a request matches the response that it got, whatever its fields',
    fc.property(
      fc.array(anyText, { maxLength: 3 }),
      fc.constantFrom('accept-encoding', 'accept-language', 'x'),
      (lines, name) => {
        const request = lines.flatMap((line) => [name, line]);
        return matchesVary(varyMembers(['Vary', `${name}, y`], request), request);
      },
    ),
  );
  t.pass();
});

test('normalising is idempotent', async (t) => {
  const anyLanguages = fc
    .array(fc.tuple(fc.constantFrom('de', 'EN', '*', 'fr-CH'), fc.constantFrom('', ';q=0.5', '; q=1', ';q=0')))
    .map((members) => members.map((member) => member.join('')).join(', '));
  fuzz(
    'normalising is idempotent',
    fc.property(anyLanguages, fc.constantFrom('accept-language', 'x'), (text, name) => {
      const once = normalisedField([name, text], name) as string;
      return normalisedField([name, once], name) === once;
    }),
  );
  t.pass();
});

test('normalising a long field takes linear time', async (t) => {
  const request = ['Accept-Encoding', 'a;q=0.5,'.repeat(20_000)];
  t.ok(normalisedField(request, 'accept-encoding'));
});
