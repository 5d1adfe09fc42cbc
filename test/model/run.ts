/**
 * `npm run model`: random histories of a network against its rules for purges.
 * @module
 */
import fc from 'fast-check';
import { readArguments } from '../support/arguments.ts';
import { type History, histories } from './history.ts';
import { BREAKAGES, type Breakage } from './rules.ts';
import { describeAction, type Outcome, runHistory } from './world.ts';

const HELP = `Usage: npm run model -- [options]

Random histories of two edges, two shields, an origin and a control node: visits,
changes, purges, restarts, cuts, messages that are late or lost. Each is run against
the program's own engine, store, ledger and follower in simulated time, and every
answer to a visitor is judged. Exits 1 when one of them breaks a rule.

Options:
  --histories N   How many. By default 100000.
  --seed S        Which ones; by default others each time.
  --path P        Only this one of them, as a failure tells.
  --trace         Print what happens in the one of --path.
  --without RULE  Leave a rule out of the program: one of the list below.
  --help          Say this.

Rules:
${Object.entries(BREAKAGES)
  .map(([name, what]) => `  ${name.padEnd(17)} without it, ${what}`)
  .join('\n')}
`;

/** Interval of progress lines. */
const PROGRESS_MS = 10_000;

interface Settings {
  readonly histories: number;
  readonly seed: number;
  readonly path: string | undefined;
  readonly trace: boolean;
  readonly breakage: Breakage | undefined;
}

function readSettings(): Settings {
  const given = readArguments(
    'model',
    HELP,
    { histories: '100000', seed: '', path: '', without: '' },
    { flags: ['trace'] },
  );
  const path = given.optional('path');
  const without = given.optional('without');
  if (without !== undefined && !Object.hasOwn(BREAKAGES, without)) given.refuse(`--without: no rule "${without}"`);
  if (path !== undefined && given.optional('seed') === undefined) given.refuse('--path needs --seed');
  return {
    histories: given.positive('histories'),
    seed: given.optional('seed') === undefined ? Date.now() % 2 ** 31 : given.whole('seed', -(2 ** 31), 2 ** 31 - 1),
    path,
    trace: given.flags.has('trace'),
    breakage: without as Breakage | undefined,
  };
}

async function main(settings: Settings): Promise<number> {
  const { breakage, seed, path } = settings;
  const startedAt = performance.now();
  const before = process.cpuUsage();
  const sum = { histories: 0, steps: 0, purges: 0, answers: 0, excused: 0, messages: 0 };
  let progressAt = startedAt + PROGRESS_MS;
  const add = (outcome: Outcome): void => {
    sum.histories++;
    sum.steps += outcome.steps;
    sum.purges += outcome.purges;
    sum.answers += outcome.answers;
    sum.excused += outcome.excused;
    sum.messages += outcome.messages;
    if (performance.now() < progressAt) return;
    progressAt += PROGRESS_MS;
    console.error(`${sum.histories} histories …`);
  };
  const property = fc.asyncProperty(histories, async (history) => add(await runHistory(history, { breakage })));
  const result = await fc.check(property, {
    seed,
    numRuns: settings.histories,
    ...(path !== undefined && { path, endOnFailure: true }),
  });
  const seconds = (performance.now() - startedAt) / 1_000;
  console.log(`seed       ${seed}`);
  for (const [name, number] of Object.entries(sum)) console.log(`${name.padEnd(10)} ${number}`);
  const { user, system } = process.cpuUsage(before);
  const each = (total: number): string => `${(total / Math.max(1, sum.histories)).toFixed(2)} ms a history`;
  console.log(`time       ${seconds.toFixed(1)} s, ${each(seconds * 1_000)}`);
  console.log(`processor  ${((user + system) / 1e6).toFixed(1)} s, ${each((user + system) / 1_000)}`);
  if (!result.failed) return 0;
  const [history] = result.counterexample ?? [];
  if (history !== undefined) await explain(history, settings);
  const options = [`--seed ${seed}`, `--path ${result.counterexamplePath}`, breakage && `--without ${breakage}`];
  console.log(`\nAgain, with all that happens:\n  npm run model -- ${options.filter(Boolean).join(' ')} --trace`);
  return 1;
}

/** Prints a history that breaks a rule, and how. */
async function explain(history: History, { breakage, trace }: Settings): Promise<void> {
  console.log('\nThe shortest history found that breaks a rule:');
  if (!trace) {
    for (const { afterMs, action } of history.steps) console.log(`  +${afterMs} ms  ${describeAction(action)}`);
  }
  console.log(`  noise of the network: ${JSON.stringify(history.noise)}`);
  try {
    await runHistory(history, { breakage, trace: trace ? (line) => console.log(line) : undefined });
    console.log('It did not happen again: the model is not deterministic.');
  } catch (error) {
    console.log(`\n${error instanceof Error && error.name === 'Violation' ? error.message : (error as Error).stack}`);
  }
}

process.exitCode = await main(readSettings());
