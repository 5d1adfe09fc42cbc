/**
 * `npm run fuzz -- --minutes 5 [--only NAME]`, `npm run fuzz -- --inputs 1000000`: goes on with the properties of
 * parsers, with new random inputs, saves those that fail in test/corpora/, and prints how many inputs each has had.
 * Exits with 1 if one has failed.
 * @module
 */
import { spawn } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { readArguments } from './support/arguments.ts';
import { FUZZ_INPUTS, FUZZ_MS, FUZZED } from './support/fuzz.ts';

/** Time for each property before the next one's turn. */
const SLICE_MS = 2_000;

const HELP = `Usage: npm run fuzz -- [options]

Goes on with the properties of parsers, with new random inputs, and saves those that
fail in test/corpora/. Prints how many inputs each property has had. Exits 1 when one
has failed.

Options:
  --minutes N  How long: 5 or 0.5, for example. By default 5.
  --inputs N   So many inputs for each property instead, however long it takes:
               1000000 each night. One that takes longer than a
               millisecond for each ends after N milliseconds.
  --only NAME  Test files with this in their path.
  --help       Say this.
`;

interface Target {
  readonly file: string;
  readonly properties: number;
}

const given = readArguments('fuzz', HELP, { minutes: '5', only: '', inputs: '' });
const { only } = given.values;
const budgetMs = Number(given.values.minutes) * 60_000;
if (!(budgetMs > 0)) given.refuse('--minutes takes a number above 0, such as 5 or 0.5');
const inputs = given.optional('inputs') === undefined ? 0 : given.positive('inputs');

const files: readonly Target[] = globSync('test/**/*.test.ts', { cwd: join(import.meta.dirname, '..') })
  .filter((file) => file !== 'test/support/fuzz.test.ts')
  .map((file) => ({ file, source: readFileSync(file, 'utf8') }))
  .map(({ file, source }) => ({
    file,
    properties: source.split(/\bfuzz\(\s*['`]/).length - 1,
  }))
  .filter(({ file, properties }) => properties > 0 && file.includes(only))
  .sort((a, b) => a.file.localeCompare(b.file));
if (files.length === 0) given.refuse(`--only: no test file with properties has ${JSON.stringify(only)} in its path`);
const properties = files.reduce((sum, one) => sum + one.properties, 0);

/** Inputs so far, by file and title. */
const counts = new Map<string, number>();
const failed = new Set<string>();

if (inputs > 0) await all();
else await inTurns();

for (const [name, count] of counts) console.log(`${String(count).padStart(12)}  ${name}`);
const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
console.log(`${files.length} files, ${properties} properties, ${total} inputs`);
console.log(failed.size === 0 ? 'nothing failed' : `failed: ${[...failed].join(', ')}`);
process.exitCode = failed.size === 0 ? 0 : 1;

/** Each file once, as many at a time as there are processors. */
async function all(): Promise<void> {
  const waiting = [...files];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      console.log(`${next.file}: ${inputs} inputs for each of ${next.properties} properties`);
      await run(next.file, { [FUZZ_INPUTS]: String(inputs), TAP_TIMEOUT: '0' });
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
}

/** One file after the other, until the time is over. */
async function inTurns(): Promise<void> {
  const sliceMs = Math.max(50, Math.min(SLICE_MS, budgetMs / properties));
  const endAt = performance.now() + budgetMs;
  for (let at = 0; at === 0 || performance.now() < endAt; at++) {
    const { file } = files[at % files.length] as Target;
    await run(file, { [FUZZ_MS]: String(Math.round(sliceMs)) });
  }
}

async function run(file: string, env: Readonly<Record<string, string>>): Promise<void> {
  const child = spawn(process.execPath, [file], {
    env: { ...process.env, ...env, TAP_BAIL: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output, code] = await Promise.all([
    text(child.stdout),
    new Promise<number | null>((resolve) => child.once('exit', resolve)),
  ]);
  for (const line of output.split('\n')) {
    if (!line.startsWith(FUZZED)) continue;
    const [title, count] = JSON.parse(line.slice(FUZZED.length)) as [string, number];
    const name = `${file}: ${title}`;
    counts.set(name, (counts.get(name) ?? 0) + count);
  }
  // Other tests of the file may fail on a busy machine; a process that ends without a result is a failure.
  const isFailure = /seed: -?\d+/.test(output) || !/^1\.\.\d+/m.test(output);
  if (code === 0 || !isFailure || failed.has(file)) return;
  failed.add(file);
  console.log(`${file} failed:\n${output.split('\n').filter(isTelling).join('\n')}`);
}

function isTelling(line: string): boolean {
  return /not ok|seed:|path:|Counterexample:|Got |Saved in|keep the seed/.test(line);
}
