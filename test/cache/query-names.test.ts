/** Names of query parameters: patterns, escapes, and names that nearly are. @module */
import { performance } from 'node:perf_hooks';
import fc from 'fast-check';
import { test } from 'tap';
import { parameterName, QueryNames } from '../../cache/query-names.ts';
import { fuzzer } from '../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

/** The same in as few words as it can be said. */
function expectedName(parameter: string): string {
  const name = /^[^=]*/.exec(parameter)?.[0].replaceAll('+', ' ') ?? '';
  return name.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function expectedMatch(patterns: readonly string[], parameter: string): boolean {
  const name = expectedName(parameter);
  return patterns
    .map((pattern) => Buffer.from(pattern).toString('latin1'))
    .some((pattern) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern));
}

const pieces = [
  'a',
  'b',
  'c',
  '*',
  '+',
  '=',
  '%',
  '%6',
  '%61',
  '%62',
  '%2A',
  '%2a',
  '%20',
  '%C3%A9',
  '%ff',
  '%zz',
  '%26',
];
const anyParameter = fc.array(fc.constantFrom(...pieces), { maxLength: 6 }).map((chosen) => chosen.join(''));
const anyPattern = fc
  .array(fc.constantFrom('a', 'b', 'ab', ' ', 'é', '%', '=', '&', '*'), { minLength: 1, maxLength: 4 })
  .map((chosen) => chosen.join(''));

test('a parameter has a name of the set as its decoded bytes have', (t) => {
  fuzz(
    'a parameter has a name of the set as its decoded bytes have',
    fc.property(
      fc.array(anyPattern, { minLength: 1, maxLength: 5 }),
      fc.array(anyParameter, { minLength: 1, maxLength: 5 }),
      (patterns, parameters) => {
        const names = new QueryNames(patterns);
        const query = parameters.join('&');
        let at = 0;
        for (const parameter of parameters) {
          if (names.hasNameAt(query, at) !== expectedMatch(patterns, parameter)) return false;
          if (parameterName(parameter) !== expectedName(parameter)) return false;
          at += parameter.length + 1;
        }
        return true;
      },
    ),
    { numRuns: 5_000 },
  );
  t.end();
});

test('names of the set that begin alike are told apart in one go', (t) => {
  const names = new QueryNames(Array.from({ length: 100 }, (_, i) => `${'x'.repeat(60)}${i}`));
  t.equal(names.hasNameAt(`${'x'.repeat(60)}99=1`, 0), true);
  t.equal(names.hasNameAt(`${'x'.repeat(60)}100=1`, 0), false);
  const cost = (query: string): number => {
    const began = performance.now();
    for (let i = 0; i < 20_000; i++) names.hasNameAt(query, 0);
    return performance.now() - began;
  };
  const [one, escaped] = ['x'.repeat(60), '%78'.repeat(60)];
  for (const query of [one, escaped]) cost(query); // compiles it
  const least = (query: string): number => Math.min(...Array.from({ length: 5 }, () => cost(query)));
  // Three times the characters, and some for their digits.
  t.ok(least(escaped) <= 12 * least(one));
  t.end();
});
