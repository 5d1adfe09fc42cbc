/**
 * `npm run model`: random histories of a network against its rules for purges.
 * @module
 */
import './fixed-secret.ts';
import fc from 'fast-check';
import { readArguments } from '../support/arguments.ts';
import { type History as EtcdHistory, histories as etcdHistories } from './etcd/history.ts';
import { ETCD_BREAKAGES, type EtcdBreakage } from './etcd/store.ts';
import { runEtcdHistory } from './etcd/world.ts';
import { type History, histories, historiesWithDisks } from './history.ts';
import { BREAKAGES, type Breakage, DISK_BREAKAGES } from './rules.ts';
import { describeAction, runHistory } from './world.ts';

const HELP = `Usage: npm run model -- [options]

Random histories of two edges, two shields, an origin and a control node: visits,
changes, purges, restarts, cuts, messages that are late or lost. Each is run against
the program's own engine, store, ledger and follower in simulated time, and every
answer to a visitor is judged. Exits 1 when one of them breaks a rule.

With --etcd: three control nodes on a stand-in for etcd that has its guarantees and no
more. Its calls get lost, have their effect without an answer or late, it is restored
from snapshots, and control nodes are killed and stand still. The program's own journal,
streams and followers run on it, and receipts are compared with what the store has.

With --disk: the nodes have disks, and the edges two threads that share a store. Machines
lose their power, bits change, old copies of the folder are put back, disks fail, threads
end in the middle of what they do. None of that brings back what was purged, or a byte
that the origin has not sent, or what memory had before what it had last.

Options:
  --etcd          Several control nodes on etcd.
  --disk          Nodes with disks.
  --histories N   How many. By default 100000; with --disk 10000, with --etcd 5000.
  --seed S        Which ones; by default others each time.
  --path P        Only this one of them, as a failure tells.
  --trace         Print what happens in the one of --path.
  --without RULE  Leave a rule out of the program: one of the lists below.
  --help          Say this.

Rules:
${Object.entries(BREAKAGES)
  .map(([name, what]) => `  ${name.padEnd(17)} without it, ${what}`)
  .join('\n')}

With --disk also:
${Object.entries(DISK_BREAKAGES)
  .map(([name, what]) => `  ${name.padEnd(17)} without it, ${what}`)
  .join('\n')}

With --etcd, guarantees of etcd:
${Object.entries(ETCD_BREAKAGES)
  .map(([name, what]) => `  ${name.padEnd(17)} without it, ${what}`)
  .join('\n')}
`;

/** Interval of progress lines. */
const PROGRESS_MS = 10_000;

interface Settings {
  readonly hasEtcd: boolean;
  readonly hasDisks: boolean;
  readonly histories: number;
  readonly seed: number;
  readonly path: string | undefined;
  readonly trace: boolean;
  readonly breakage: Breakage | EtcdBreakage | undefined;
}

const DEFAULT_HISTORIES = { memory: 100_000, disk: 10_000, etcd: 5_000 } as const;

function readSettings(): Settings {
  const given = readArguments(
    'model',
    HELP,
    { histories: '', seed: '', path: '', without: '' },
    { flags: ['trace', 'etcd', 'disk'] },
  );
  const path = given.optional('path');
  const without = given.optional('without');
  const hasEtcd = given.flags.has('etcd');
  const hasDisks = given.flags.has('disk');
  if (hasDisks && hasEtcd) given.refuse('--disk and --etcd do not go together');
  const ofNetwork = hasDisks ? { ...BREAKAGES, ...DISK_BREAKAGES } : BREAKAGES;
  const breakages: object = hasEtcd ? ETCD_BREAKAGES : ofNetwork;
  if (without !== undefined && !Object.hasOwn(breakages, without)) given.refuse(`--without: no rule "${without}"`);
  if (path !== undefined && given.optional('seed') === undefined) given.refuse('--path needs --seed');
  return {
    hasEtcd,
    hasDisks,
    histories:
      given.optional('histories') === undefined
        ? DEFAULT_HISTORIES[hasEtcd ? 'etcd' : hasDisks ? 'disk' : 'memory']
        : given.positive('histories'),
    seed: given.optional('seed') === undefined ? Date.now() % 2 ** 31 : given.whole('seed', -(2 ** 31), 2 ** 31 - 1),
    path,
    trace: given.flags.has('trace'),
    breakage: without as Breakage | EtcdBreakage | undefined,
  };
}

/** One of the two models. */
interface Model<H> {
  readonly histories: fc.Arbitrary<H>;
  /** @returns Numbers to add up. @throws {Violation} (rejects) when something happens that must not. */
  run(history: H, trace?: (line: string) => void): Promise<Readonly<Record<string, number>>>;
  describe(history: H): readonly string[];
}

function ofNetwork(breakage: Breakage | undefined, hasDisks: boolean): Model<History> {
  return {
    histories: hasDisks ? historiesWithDisks : histories,
    run: async (history, trace) => {
      const { steps, purges, answers, excused, fromDisk, messages } = await runHistory(history, { breakage, trace });
      return { steps, purges, answers, excused, ...(hasDisks && { 'from disk': fromDisk }), messages };
    },
    describe: ({ steps, noise }) => [
      ...steps.map(({ afterMs, action }) => `+${afterMs} ms  ${describeAction(action)}`),
      `noise of the network: ${JSON.stringify(noise)}`,
    ],
  };
}

function ofEtcd(breakage: EtcdBreakage | undefined): Model<EtcdHistory> {
  return {
    histories: etcdHistories,
    run: async (history, trace) => ({ ...(await runEtcdHistory(history, { breakage, trace })) }),
    describe: ({ steps, noise }) => [
      ...steps.map(({ afterMs, action }) => `+${afterMs} ms  ${JSON.stringify(action)}`),
      `noise of the network: ${JSON.stringify(noise)}`,
    ],
  };
}

function main(settings: Settings): Promise<number> {
  const { hasEtcd, hasDisks, breakage } = settings;
  return hasEtcd
    ? runAll(ofEtcd(breakage as EtcdBreakage | undefined), settings)
    : runAll(ofNetwork(breakage as Breakage | undefined, hasDisks), settings);
}

async function runAll<H>(model: Model<H>, settings: Settings): Promise<number> {
  const { breakage, seed, path, hasEtcd, hasDisks } = settings;
  const kind = hasEtcd ? '--etcd' : hasDisks ? '--disk' : undefined;
  const startedAt = performance.now();
  const before = process.cpuUsage();
  const sum: Record<string, number> & { histories: number } = { histories: 0 };
  let progressAt = startedAt + PROGRESS_MS;
  const add = (outcome: Readonly<Record<string, number>>): void => {
    sum.histories++;
    for (const [name, number] of Object.entries(outcome)) sum[name] = (sum[name] ?? 0) + number;
    if (performance.now() < progressAt) return;
    progressAt += PROGRESS_MS;
    console.error(`${sum.histories} histories …`);
  };
  console.log(`seed         ${seed}`);
  let underWay: H | undefined;
  const onExit = (): void => reportHang(model, underWay, [kind, `--seed ${seed}`].filter(Boolean).join(' '));
  process.once('exit', onExit);
  const property = fc.asyncProperty(model.histories, async (history) => {
    underWay = history;
    add(await model.run(history));
  });
  const result = await fc.check(property, {
    seed,
    numRuns: settings.histories,
    ...(path !== undefined && { path, endOnFailure: true }),
  });
  const seconds = (performance.now() - startedAt) / 1_000;
  for (const [name, number] of Object.entries(sum)) console.log(`${name.padEnd(12)} ${number}`);
  const { user, system } = process.cpuUsage(before);
  const each = (total: number): string => `${(total / Math.max(1, sum.histories)).toFixed(2)} ms a history`;
  console.log(`time         ${seconds.toFixed(1)} s, ${each(seconds * 1_000)}`);
  console.log(`processor    ${((user + system) / 1e6).toFixed(1)} s, ${each((user + system) / 1_000)}`);
  if (result.failed) {
    const [history] = result.counterexample ?? [];
    if (history !== undefined) await explain(model, history, settings);
  }
  process.off('exit', onExit);
  if (!result.failed) return 0;
  const options = [kind, `--seed ${seed}`, `--path ${result.counterexamplePath}`, breakage && `--without ${breakage}`];
  console.log(`\nAgain, with all that happens:\n  npm run model -- ${options.filter(Boolean).join(' ')} --trace`);
  return 1;
}

/** Prints the history in which nothing is left to happen although it has not ended, and fails the command. */
function reportHang<H>(model: Model<H>, history: H | undefined, options: string): void {
  if (history === undefined) return;
  console.log('\nThis history came to no end: nothing is left to happen in it.');
  for (const line of model.describe(history)) console.log(`  ${line}`);
  console.log(`  as JSON: ${JSON.stringify(history)}`);
  console.log(`\nIt is among those of:\n  npm run model -- ${options}`);
  process.exitCode = 1;
}

/** Prints a history that breaks a rule, and how. */
async function explain<H>(model: Model<H>, history: H, { trace }: Settings): Promise<void> {
  console.log('\nThe shortest history found that breaks a rule:');
  if (!trace) for (const line of model.describe(history)) console.log(`  ${line}`);
  try {
    await model.run(history, trace ? (line) => console.log(line) : undefined);
    console.log('It did not happen again: the model is not deterministic.');
  } catch (error) {
    console.log(`\n${error instanceof Error && error.name === 'Violation' ? error.message : (error as Error).stack}`);
  }
}

process.exitCode = await main(readSettings());
