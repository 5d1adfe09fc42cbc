/**
 * `npm run fuzz -- --minutes 5 [--only NAME]`: goes on with the properties of
 * parsers, with new random inputs, and saves those that fail in test/corpora/.
 * Exits with 1 if one has failed.
 * @module
 */
import { spawn } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { readArguments } from './support/arguments.ts';
import { FUZZ_MS } from './support/fuzz.ts';

/** Time for each property before the next one's turn. */
const SLICE_MS = 2_000;

const HELP = `Usage: npm run fuzz -- [options]

Goes on with the properties of parsers, with new random inputs, and saves those that
fail in test/corpora/. Exits 1 when one has failed.

Options:
  --minutes N  How long: 5 or 0.5, for example. By default 5.
  --only NAME  Test files with this in their path.
  --help       Say this.
`;

const given = readArguments('fuzz', HELP, { minutes: '5', only: '' });
const { only } = given.values;
const budgetMs = Number(given.values.minutes) * 60_000;
if (!(budgetMs > 0)) given.refuse('--minutes takes a number above 0, such as 5 or 0.5');

/** Test files with properties, and how many each has. */
const files = globSync('test/**/*.test.ts', { cwd: join(import.meta.dirname, '..') })
  .map((file) => ({ file, properties: readFileSync(file, 'utf8').split(/\bfuzz\(\s*['`]/).length - 1 }))
  .filter(({ file, properties }) => properties > 0 && file.includes(only))
  .sort((a, b) => a.file.localeCompare(b.file));
if (files.length === 0) given.refuse(`--only: no test file with properties has ${JSON.stringify(only)} in its path`);
const properties = files.reduce((sum, one) => sum + one.properties, 0);
const sliceMs = Math.max(50, Math.min(SLICE_MS, budgetMs / properties));

const endAt = performance.now() + budgetMs;
const failed = new Set<string>();
let turns = 0;
for (let at = 0; turns === 0 || performance.now() < endAt; at = (at + 1) % files.length, turns++) {
  const { file } = files[at] as (typeof files)[number];
  const child = spawn(process.execPath, [file], {
    env: { ...process.env, [FUZZ_MS]: String(Math.round(sliceMs)), TAP_BAIL: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output, code] = await Promise.all([
    text(child.stdout),
    new Promise<number | null>((resolve) => child.once('exit', resolve)),
  ]);
  // Other tests of the file may fail on a busy machine; a process that ends without a result is a failure.
  const isFailure = /seed: -?\d+/.test(output) || !/^1\.\.\d+/m.test(output);
  if (code === 0 || !isFailure || failed.has(file)) continue;
  failed.add(file);
  console.log(`${file} failed:\n${output.split('\n').filter(isTelling).join('\n')}`);
}
console.log(
  `${files.length} files, ${properties} properties, ${turns} turns of ${Math.round(sliceMs)} ms each property`,
);
console.log(failed.size === 0 ? 'nothing failed' : `failed: ${[...failed].join(', ')}`);
process.exitCode = failed.size === 0 ? 0 : 1;

function isTelling(line: string): boolean {
  return /not ok|seed:|path:|Counterexample:|Got |Saved in|keep the seed/.test(line);
}
