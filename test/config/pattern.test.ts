import fc from 'fast-check';
import { test } from 'tap';
import { compilePattern, coversPattern, matchesPattern, overlapsPattern } from '../../config/pattern.ts';
import { fuzzer } from '../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

for (const [pattern, text, expected] of [
  ['/a', '/a', true],
  ['/a', '/ab', false],
  ['/*', '/', true],
  ['/*', '', false],
  ['/a/*', '/a', false],
  ['/a/*', '/a/b/c', true],
  ['/*.css', '/x/y.css', true],
  ['/*.css', '/x/y.css.map', false],
  ['/*a', '/a', true],
  ['/a*a', '/a', false],
  ['/*/b/*', '/a/b/c', true],
  ['/*ab*ab', '/ab', false],
  ['/*ab*ab', '/abab', true],
  ['/*aab', '/aaab', true],
  ['/**x', '/x', true],
  ['/a.c', '/abc', false],
  ['/[a]', '/a', false],
] as const) {
  test(`${pattern} ${expected ? 'takes' : 'does not take'} ${text}`, async (t) => {
    t.equal(matchesPattern(pattern, text), expected);
    t.equal(compilePattern(pattern)(text), expected);
  });
}

/** By definition: a star takes nothing, or one character and then what it takes. */
function naive(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  if (pattern.startsWith('*')) return naive(pattern.slice(1), text) || (text !== '' && naive(pattern, text.slice(1)));
  return text !== '' && pattern.charAt(0) === text.charAt(0) && naive(pattern.slice(1), text.slice(1));
}

/** Few letters, so that much of it matches. */
const patterns = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 7 });
const texts = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 9 });

test('a pattern matches exactly as defined', async (t) => {
  fuzz(
    'a pattern matches exactly as defined',
    fc.property(
      patterns,
      texts,
      (pattern, text) =>
        matchesPattern(pattern, text) === naive(pattern, text) &&
        compilePattern(pattern)(text) === naive(pattern, text),
    ),
    { numRuns: 20_000 },
  );
  t.pass('held');
});

/** Every text of up to six letters, of which `c` is in no pattern. */
const EVERY_TEXT = ['', ...Array.from({ length: 6 }, (_, index) => words(index + 1)).flat()];

function words(length: number): string[] {
  return length === 0 ? [''] : words(length - 1).flatMap((word) => ['a', 'b', 'c'].map((letter) => word + letter));
}

const shortPatterns = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 4 });

test('one pattern covers another exactly when it matches all of its texts', async (t) => {
  fuzz(
    'one pattern covers another exactly when it matches all of its texts',
    fc.property(shortPatterns, shortPatterns, (general, specific) => {
      const isCovered = EVERY_TEXT.every((text) => !naive(specific, text) || naive(general, text));
      return coversPattern(general, specific) === isCovered;
    }),
    { numRuns: 1_000 },
  );
  t.pass('held');
});

test('a pattern that several cover together is covered by one of them', async (t) => {
  fuzz(
    'a pattern that several cover together is covered by one of them',
    fc.property(fc.array(shortPatterns, { minLength: 1, maxLength: 4 }), shortPatterns, (generals, specific) => {
      const isCovered = EVERY_TEXT.every((text) => !naive(specific, text) || generals.some((one) => naive(one, text)));
      return generals.some((one) => coversPattern(one, specific)) === isCovered;
    }),
    { numRuns: 1_000 },
  );
  t.pass('held');
});

test('two patterns overlap exactly when a text matches both', async (t) => {
  // Two patterns of three characters have a text of at most six in common, if any.
  const tiny = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 3 });
  fuzz(
    'two patterns overlap exactly when a text matches both',
    fc.property(
      tiny,
      tiny,
      (a, b) => overlapsPattern(a, b) === EVERY_TEXT.some((text) => naive(a, text) && naive(b, text)),
    ),
    { numRuns: 1_000 },
  );
  t.pass('held');
});

test('a path built to be expensive takes linear time', async (t) => {
  const pattern = `/${'*a'.repeat(500)}*b`;
  const path = `/${'a'.repeat(32_000)}`;
  const matches = compilePattern(pattern);
  const before = process.cpuUsage();
  for (let round = 0; round < 100; round += 1) t.notOk(matches(path));
  const { user, system } = process.cpuUsage(before);
  // Backtracking would take longer than there is time; this takes a few milliseconds.
  t.ok(user + system < 2_000_000, `${user + system} µs`);
});
