/**
 * `npm run bench:against COMMIT`: what requests cost this version and another
 * one, both on processor 0 in turn, round after round.
 * @module
 */
import { execFileSync } from 'node:child_process';
import { existsSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { readArguments } from './arguments.ts';
import { BenchError } from './bench/errors.ts';
import { removeFolder, temporaryFolder } from './bench/processes.ts';
import { type ScenarioResult, SEAWALL } from './bench/results.ts';
import { runAll } from './bench/runner.ts';
import { SCENARIOS } from './bench/scenarios/all.ts';
import { seawall } from './bench/seawall.ts';
import { openStage } from './bench/stage.ts';
import { ratioOf } from './bench/statistics.ts';
import { scenarioLines } from './bench/table.ts';

const COMPARED = ['hit-bare', 'hit-browser', 'not-modified', 'hit-tls', 'hit-http2', 'miss'];

/** A hit may cost as much more than it did, by the median of the rounds. */
const MAX_RATIO = 1.02;

const HELP = `Usage: npm run bench:against COMMIT -- [options]

This version and that of a commit (its files in a git worktree, with the packages
of this one), in turn on processor 0, round after round, so that what disturbs the
machine disturbs both. Prints processor time for a request, and the ratio: median
(least–most) over the rounds. A hit that costs more than ${MAX_RATIO} times as much as it did
makes the command exit with 1.

Options:
  --only LIST      Of ${COMPARED.join(', ')}. By default all.
  --rounds N       By default 15.
  --seconds N      Of each version in each round. By default 1.
  --help           Say this.

Needs Linux, git and wrk; for HTTP/2 h2load, for TLS openssl.
`;

const [commit = '--help', ...rest] = process.argv.slice(2);
const isCommit = !commit.startsWith('-');
const defaults = { only: COMPARED.join(','), rounds: '15', seconds: '1' };
const options = readArguments('bench:against', HELP, defaults, isCommit ? rest : [commit, ...rest]);
if (!isCommit) options.refuse('it needs a commit to compare with');
const names = options.values.only.split(',');
const unknown = names.find((name) => !COMPARED.includes(name));
if (unknown !== undefined)
  options.refuse(`there is no scenario ${JSON.stringify(unknown)}: they are ${COMPARED.join(', ')}`);

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
const kinds = [
  seawall({ name: SEAWALL, title: 'this version' }),
  seawall({ name: 'against', title: `commit ${hash}`, root }),
];
const scenarios = SCENARIOS.filter(({ name }) => names.includes(name)).map((scenario) => ({
  ...scenario,
  kinds: () => kinds,
}));
const rounds = options.positive('rounds', 100);
const seconds = options.positive('seconds', 60);
const results = await runAll(
  scenarios,
  kinds,
  { stage, options: { rounds, seconds, objects: 1_000, connections: 10 } },
  {
    scenario: () => undefined,
    step: () => undefined,
    done: (result) => console.log(`\n${scenarioLines(result).join('\n')}\n  ${ratioLine(result)}`),
  },
);
await stage.close();
const failed = results.flatMap(({ name, servers }) =>
  servers.flatMap(({ title, problem }) => (problem === undefined ? [] : [`${name}, ${title}: ${problem}`])),
);
const dearer = results.filter((result) => result.name !== 'miss' && ratioIn(result).median > MAX_RATIO);
for (const line of failed) console.log(line);
for (const { name } of dearer) console.log(`${name}: more than ${MAX_RATIO} times as much`);
git('worktree', 'remove', '--force', root);
removeFolder(folder);
process.exit(failed.length + dearer.length === 0 ? 0 : 1);

function ratioIn({ servers, primary }: ScenarioResult): ReturnType<typeof ratioOf> {
  const [ours = [], theirs = []] = kinds.map((kind) =>
    (servers.find(({ name }) => name === kind.name)?.rounds ?? []).map((round) => round[primary] ?? Number.NaN),
  );
  return ratioOf(ours, theirs);
}

function ratioLine(result: ScenarioResult): string {
  const { median, least, most } = ratioIn(result);
  return `this version / commit ${hash}: ${median.toFixed(3)} (${least.toFixed(3)}–${most.toFixed(3)})`;
}

function git(...args: readonly string[]): string {
  try {
    return execFileSync('git', ['-C', ROOT, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  } catch (error) {
    throw new BenchError(error instanceof Error ? error.message : String(error));
  }
}
