/**
 * `npm run bench:against COMMIT`: what requests cost this version and another
 * one, both on processor 0 at the same time, both started anew again and again.
 * @module
 */
import { execFileSync } from 'node:child_process';
import { existsSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from '../test/support/arguments.ts';
import { type Comparison, comparisonOf, type Observation, observe, type Versions } from './against/compare.ts';
import { BenchError } from './bench/errors.ts';
import { removeFolder, temporaryFolder } from './bench/processes.ts';
import { SEAWALL } from './bench/results.ts';
import type { Scenario } from './bench/scenario.ts';
import { SCENARIOS } from './bench/scenarios/all.ts';
import { seawall } from './bench/seawall.ts';
import { openStage } from './bench/stage.ts';

const COMPARED = ['hit-browser', 'hit-bare', 'not-modified', 'hit-tls', 'hit-http2', 'miss', 'hit-at-owner'];

/** A hit may cost as much more than it did, and a miss. */
const MAX_RATIO = 1.02;
const MAX_MISS_RATIO = 1.03;

const DEFAULTS = { only: COMPARED.join(','), starts: '5', rounds: '5', seconds: '1' };

const HELP = `Usage: npm run bench:against COMMIT -- [options]

This version and that of a commit (its files in a git worktree, with the packages
of this one). For each scenario both are started, warmed up, measured at the same
time on processor 0, and ended; again and again, as each start of a process has luck
of its own. A start has several rounds, after those in which V8 still compiles, and
its ratio is their median. Prints processor time for a request, and the ratio of the
two: the median of the starts, and the middle half of them (first to third quartile);
then that of all rounds together, with what collecting garbage took now and then.
A difference that is smaller than that half may be luck: take more starts. A commit
against itself shows what the machine allows. Exits with 1 if a hit costs more than ${MAX_RATIO} times
as much as it did by the median, or a miss more than ${MAX_MISS_RATIO} times.

Options:
  --only LIST      Of ${COMPARED.join(', ')}. By default all.
  --starts N       Of each version in each scenario. By default ${DEFAULTS.starts}: ten minutes for all scenarios.
  --rounds N       Of both together after each start. By default ${DEFAULTS.rounds}.
  --seconds N      Of a round. By default ${DEFAULTS.seconds}.
  --help           Say this.

Needs Linux, git and wrk; for HTTP/2 h2load, for TLS openssl.
`;

const options = readArguments('bench:against', HELP, DEFAULTS, { takesOperand: true });
const commit = options.operand ?? options.refuse('it needs a commit to compare with');
const names = options.names('only', 'scenario', COMPARED);

const ROOT = join(import.meta.dirname, '..');
const folder = temporaryFolder('against');
const root = join(folder, 'seawall');
process.on('exit', () => {
  if (existsSync(root)) git('worktree', 'remove', '--force', root);
});
let hash = '';
try {
  hash = git('rev-parse', '--short', '--verify', `${commit}^{commit}`);
  git('worktree', 'add', '--detach', root, commit);
} catch {
  options.refuse(`git knows no commit ${JSON.stringify(commit)}`);
}
symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));

const stage = await openStage();
/** The two versions as a scenario starts them. */
function versionsOf({ ours = seawall }: Scenario): Versions {
  return [ours({ name: SEAWALL, title: 'this version' }), ours({ name: 'against', title: `commit ${hash}`, root })];
}

const scenarios = SCENARIOS.filter(({ name }) => names.includes(name));
const starts = options.positive('starts', 100);
const seconds = options.positive('seconds', 60);
const rounds = options.positive('rounds', 100);
const context = { stage, options: { rounds, seconds, objects: 1_000, connections: 10 } };
const failed: string[] = [];
for (const scenario of scenarios) {
  const { name, title } = scenario;
  const unavailable = scenario.unavailable();
  if (unavailable !== undefined) {
    console.log(`${title} (${name})\n  not available: ${unavailable}`);
    continue;
  }
  try {
    const versions = versionsOf(scenario);
    const observations: Observation[] = [];
    for (let start = 0; start < starts; start += 1) {
      observations.push(await observe(scenario, versions, context, start));
    }
    const comparison = comparisonOf(observations);
    console.log(`${title} (${name})\n  ${lineOf(comparison)}`);
    const most = name === 'miss' ? MAX_MISS_RATIO : MAX_RATIO;
    if (!(comparison.ratio.median <= most)) failed.push(`${name}: more than ${most} times as much`);
  } catch (error) {
    failed.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
await stage.close();
for (const line of failed) console.log(line);
git('worktree', 'remove', '--force', root);
removeFolder(folder);
process.exit(failed.length === 0 ? 0 : 1);

function lineOf({ ratio: { first, median, third }, together, ours, theirs, starts: count }: Comparison): string {
  const micros = `${ours.toFixed(2)} µs / ${theirs.toFixed(2)} µs`;
  const half = `middle half ${first.toFixed(3)}–${third.toFixed(3)}`;
  const all = `all rounds together ${together.toFixed(3)}`;
  return `this version / commit ${hash}: ${median.toFixed(3)} (${half}, ${count} starts each; ${all}; ${micros})`;
}

function git(...args: readonly string[]): string {
  try {
    return execFileSync('git', ['-C', ROOT, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  } catch (error) {
    throw new BenchError(error instanceof Error ? error.message : String(error));
  }
}
