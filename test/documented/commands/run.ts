/**
 * `npm run docs:test`: the commands of the documentation, run as they stand there.
 * @module
 */
import { readArguments } from '../../support/arguments.ts';
import type { Block } from '../blocks.ts';
import { placeOf, planned, play } from './check.ts';
import type { StageName } from './plan.ts';
import { CommandError } from './shell.ts';
import { openStage } from './stages.ts';

const HELP = `Usage: npm run docs:test -- [options]

Runs every block of commands in README.md, CONTRIBUTING.md and docs/ in a folder that
looks like the repository, with real nodes on loopback, and compares what it prints with
what the page shows or says. Ports are moved, so that none is taken; what else differs
from the page is in test/documented/commands/plan.ts, as is why some blocks are not run.
Exits with 1 if a block fails, prints something else, or is not in that plan.

Options:
  --only PLACES Blocks of files that begin so: README.md,docs/purging.md.
  --list        Print the blocks that are not run, and why, and nothing else.
  --help        Say this.

Needs bash, curl, jq, openssl, wrk and promtool (Debian's prometheus).
`;

/** Longest text that is printed of a failure. */
const MOST_CHARS = 2_000;

const { values, flags } = readArguments('docs:test', HELP, { only: '' }, { flags: ['list'] });

const { pairs, problems } = planned();
const failures = [...problems];
const notRun = pairs.flatMap(({ block, row }) => ('why' in row ? [`${placeOf(block)}: ${row.why}`] : []));
if (flags.has('list')) {
  for (const line of notRun) console.log(line);
  process.exit(0);
}

let count = 0;
const stages = new Set(pairs.flatMap(({ row }) => ('stage' in row ? [row.stage] : [])));
await Promise.all([...stages].map(runStage));
console.log(`\n${count} blocks run, ${notRun.length} not run, for reasons that --list prints`);
for (const line of failures) console.log(`\n${line.length > MOST_CHARS ? `${line.slice(0, MOST_CHARS)} …` : line}`);
process.exit(failures.length === 0 ? 0 : 1);

/** Runs the blocks of a stage, one after the other. */
async function runStage(name: StageName): Promise<void> {
  const own = pairs.flatMap(({ row, ...pair }) =>
    'stage' in row && row.stage === name && isChosen(pair.block) ? [{ ...pair, row }] : [],
  );
  if (own.length === 0) return;
  const stage = await openStage(name);
  try {
    for (const pair of own) {
      const began = performance.now();
      const problem = await play(pair, pair.row, stage).catch((error: unknown) => {
        if (error instanceof CommandError) return error.message;
        throw error;
      });
      count++;
      const seconds = ((performance.now() - began) / 1_000).toFixed(1);
      console.log(`${problem === undefined ? 'ok' : 'FAILED'} ${placeOf(pair.block)} (${seconds} s)`);
      if (problem !== undefined) failures.push(`${placeOf(pair.block)}: ${problem}`);
    }
  } finally {
    await stage.close();
  }
}

function isChosen({ file }: Block): boolean {
  return values.only.split(',').some((place) => file.startsWith(place));
}
