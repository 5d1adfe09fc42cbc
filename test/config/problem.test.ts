/** Problems as a reader sees them: one line each, in the order of the file, with keys as they are written. */
import { join } from 'node:path';
import fc from 'fast-check';
import { test } from 'tap';
import { parseDocument } from 'yaml';
import { loadRegion } from '../../config/load.ts';
import { type ConfigProblem, formatProblem, inOrder, keyOf, quote } from '../../config/problem.ts';
import { regionSchema } from '../../config/schema.ts';
import { HEAD, SITES } from './refusal.ts';

const REGION_KEYS = Object.keys(regionSchema.shape).sort();

test('the message of the error has a line for each problem', async (t) => {
  const directory = t.testdir({ 'region.yaml': `${HEAD}memory: 64MB\nzzzzzz: 1\n${SITES}` });
  const file = join(directory, 'region.yaml');
  t.throws(() => loadRegion(file, {}), {
    name: 'ConfigError',
    code: 'config_refused',
    message: [
      `${file}:3:9 memory: expected a size above 0B such as 256MiB, 1GiB or 64KiB, found "64MB". Fix: Write \`memory: 64MiB\` (did you mean this?).`,
      `${file}:4:1 zzzzzz: unknown key. Fix: Remove it; the keys here are ${REGION_KEYS.slice(0, -1).join(', ')} and ${REGION_KEYS.at(-1)}.`,
    ].join('\n'),
  });
});

for (const { path, key } of [
  { path: [], key: '' },
  { path: ['sites', 0, 'rules', 2, 'ttl'], key: 'sites[0].rules[2].ttl' },
  { path: [0], key: '[0]' },
  { path: ['a.b'], key: '["a.b"]' },
  { path: ['geo', 'redirect', 'eu-1'], key: 'geo.redirect.eu-1' },
  { path: ['a', '', 'b'], key: 'a[""].b' },
  { path: ['1'], key: '["1"]' },
  { path: ['a\nb'], key: '["a\\nb"]' },
  { path: ['x'.repeat(100)], key: 'x'.repeat(100) },
  { path: [`${'x'.repeat(100)}!`], key: `["${'x'.repeat(60)}…"]` },
]) {
  test(`the path ${JSON.stringify(path).slice(0, 40)} is written ${key.slice(0, 40)}`, async (t) => {
    t.equal(keyOf(path), key);
  });
}

test('two places have two keys, as long as their names are short', async (t) => {
  const step = fc.oneof(fc.nat({ max: 3 }), fc.string({ unit: fc.constantFrom(...'ab.["]0'), maxLength: 4 }));
  const path = fc.array(step, { maxLength: 4 });
  fc.assert(
    fc.property(path, path, (a, b) => {
      t.equal(keyOf(a) === keyOf(b), JSON.stringify(a) === JSON.stringify(b), `${keyOf(a)} ${keyOf(b)}`);
    }),
    { numRuns: 2_000 },
  );
});

test('what is quoted stays on one line and is bounded', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      const quoted = quote(text);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      t.notMatch(quoted, /[\x00-\x1f]/);
      t.ok(quoted.length <= 2 + 6 * 61);
      t.same(parseDocument(quoted).errors, [], 'it is a string of YAML');
    }),
  );
});

test('problems stand in the order of the files and their places, each once', async (t) => {
  const problem = fc.record({
    file: fc.constantFrom('a', 'b'),
    line: fc.nat({ max: 3 }),
    column: fc.nat({ max: 2 }),
    key: fc.constantFrom('', 'k'),
    message: fc.constantFrom('m', 'n'),
    fix: fc.constant('f'),
  });
  fc.assert(
    fc.property(fc.array(problem, { maxLength: 12 }), (problems: ConfigProblem[]) => {
      const sorted = inOrder(problems);
      const files = [...new Set(problems.map(({ file }) => file))];
      const place = ({ file, line, column }: ConfigProblem): number => files.indexOf(file) * 100 + line * 10 + column;
      for (const [index, one] of sorted.slice(1).entries()) t.ok(place(sorted[index] as ConfigProblem) <= place(one));
      t.same(new Set(sorted.map(formatProblem)), new Set(problems.map(formatProblem)), 'none is lost');
      t.equal(new Set(sorted.map(formatProblem)).size, sorted.length, 'each once');
    }),
  );
});
