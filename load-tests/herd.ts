/**
 * `npm run herd`: thousands of visitors ask for one thing that no node has, at
 * the same moment, on all edges of two regions (promises P2 and P5). Prints
 * what the origin counted, what the visitors got and what it cost each node.
 * Exits 1 when a number is out of its bounds.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { readArguments } from '../test/support/arguments.ts';
import { processBound, storeBytes } from '../tier/process-memory.ts';
import { MOVES } from '../tier/targets.ts';
import { PUBLIC_BYTES } from './herd/origin.ts';
import { isPattern } from './herd/pattern.ts';
import {
  type Network,
  type Node,
  type Origin,
  openFileLimit,
  peakMemory,
  startNetwork,
  startOrigin,
} from './herd/processes.ts';
import { type Habit, Visitor } from './herd/visitor.ts';
import { exactly, number, print, type Row } from './report.ts';

const HELP = `Usage: npm run herd -- [options]

Four edges in two regions, a shield and an origin, each in a process of its own;
this one plays the visitors. No answer of the origin begins before every visitor
has asked.

  1  one cold key: the origin is asked once
  2  an answer that turns out private: the first one's body stays open at the
     origin until every other visitor has been answered
  3  one large body: the origin is asked once, and each node's peak memory stays
     within its configured memory plus 256 MiB; the goal is a quarter of it and 64 MiB
  4  the same where the body is larger than the memory for it: it streams through,
     readers that fall behind ask for the rest themselves (max_connections: 4096)

Options:
  --visitors N    Visitors at a time. By default 5000.
  --megabytes N   The large body, in 1,000,000 bytes. By default 200.
  --memory SIZE   Memory of each node for 1 to 3. By default 320MiB.
  --little SIZE   Memory of each node for 4. By default 64MiB.
  --only LIST     Which of the four to run, such as 1,3.
  --help          Say this.
`;

/**
 * Limit of a node's memory, beyond what is configured: the program takes some 135 MiB. For a body that is not stored,
 * each reader that fell behind has a stream of its own through up to three nodes, with two or three chunks in each.
 */
const ALLOWANCE_BYTES = 256 * 1024 * 1024;

/** Nodes of the herd. */
const SHAPE = { workers: 1, isSupervised: false, hasDisk: false };

/** Connections that are opened at a time: less than a listener's backlog. */
const CONNECT_AT_A_TIME = 500;

/** Files besides the visitors' connections. */
const SPARE_FILES = 200;

/** The command gives up when it takes longer. */
const TIME_LIMIT_MS = 300_000;

const MARKS = 3;

interface Settings {
  readonly visitors: number;
  readonly largeBytes: number;
}

interface Stage {
  readonly origin: Origin;
  readonly network: Network;
  readonly settings: Settings;
}

interface HerdOptions {
  readonly path: string;
  readonly habitOf: (index: number) => Habit;
  readonly checkOf: (index: number) => (bytes: Buffer, offset: number) => boolean;
}

/** Connects the visitors, spread over all edges, lets all of them ask, and then lets the origin answer. */
async function gather({ origin, network, settings }: Stage, options: HerdOptions): Promise<Visitor[]> {
  const edges = network.nodes.filter(({ port }) => port !== undefined);
  const { visitors: count, largeBytes } = settings;
  origin.reset(count, largeBytes);
  const visitors: Visitor[] = [];
  while (visitors.length < count) {
    const batch = Array.from({ length: Math.min(CONNECT_AT_A_TIME, count - visitors.length) }, (_, i) => {
      const index = visitors.length + i;
      const { port } = edges[index % edges.length] as Node;
      const { path, habitOf, checkOf } = options;
      return new Visitor({ port: port as number, path, habit: habitOf(index), check: checkOf(index) });
    });
    visitors.push(...batch);
    await Promise.all(batch.map(({ connected }) => connected));
  }
  for (const visitor of visitors) visitor.ask();
  // An edge that answers a later question has read the earlier ones.
  for (let mark = 0; mark < MARKS; mark++) {
    await Promise.all(edges.map(({ port }) => fetch(`http://127.0.0.1:${port}/mark/${mark}`)));
  }
  origin.release();
  return visitors;
}

async function coldKey(stage: Stage): Promise<void> {
  const startedAt = performance.now();
  const visitors = await gather(stage, {
    path: '/public/page',
    habitOf: () => ({ kind: 'whole' }),
    checkOf: () => isPattern,
  });
  await Promise.all(visitors.map(({ done }) => done));
  const counted = await stage.origin.report();
  const whole = visitors.filter(({ state, received }) => state === 'whole' && received === PUBLIC_BYTES).length;
  print(`1. ${number(visitors.length)} visitors, one cold key of ${PUBLIC_BYTES / 1024} KiB`, [
    exactly('requests that the origin counted', counted.whole + counted.ranges, 1),
    exactly('visitors that got every byte right', whole, visitors.length),
    ...howAnswered(visitors),
    took(startedAt),
  ]);
  complain(visitors);
}

const EDGES = 4;

/**
 * A node that waits for a processor is late (docs/health.md): of the requests that wait for it each edge sends 2 % to
 * another node as well, of each of two hops, and fifty at once.
 */
function withMoves(what: string, value: number, least: number): Row {
  const most = Math.floor(least * (1 + 2 * MOVES.share)) + EDGES * MOVES.burst;
  return {
    what,
    value: number(value),
    promise: { text: `${number(least)} to ${number(most)}`, kept: value >= least && value <= most },
  };
}

async function privateAnswers(stage: Stage): Promise<void> {
  const startedAt = performance.now();
  const bodies: string[] = [];
  const visitors = await gather(stage, {
    path: '/private/page',
    habitOf: () => ({ kind: 'whole' }),
    checkOf: (index) => (bytes) => {
      bodies[index] = (bodies[index] ?? '') + bytes.toString('latin1');
      return true;
    },
  });
  await Promise.all(visitors.map(({ done }) => done));
  const counted = await stage.origin.report();
  const whole = visitors.filter(({ state }) => state === 'whole').length;
  print(`2. ${number(visitors.length)} visitors, an answer that turns out private`, [
    withMoves('requests that the origin counted', counted.whole, visitors.length),
    exactly('visitors that got an answer', whole, visitors.length),
    exactly('different answers', new Set(bodies).size, visitors.length),
    {
      what: 'first body still open when all others had been sent',
      value: counted.firstHeldToTheEnd ? 'yes' : 'no',
      promise: { text: 'yes', kept: counted.firstHeldToTheEnd },
    },
    ...howAnswered(visitors),
    took(startedAt),
    {
      what: 'highest peak memory of a node, MiB',
      value: mebibytes(Math.max(...stage.network.nodes.map(({ pid }) => peakMemory(pid)))),
    },
  ]);
  complain(visitors);
}

/** At each edge: how many read to the end, and how many slowly, when there are as many visitors as by default. */
const WHOLE_PER_EDGE = { kept: 6, notKept: 2 };
const SLOW_PER_EDGE = 60;
const SLOW: Habit = { kind: 'slow', bytes: 64 * 1024, everyMs: 200 };

/**
 * Minimum time that readers of a part keep their idle connection after the release; then they close one after the
 * other.
 */
const REST_MS = 8_000;
const LEAVING_MS = 8_000;

const PART_STEPS = 32;
const PART_STEP_BYTES = 64 * 1024;

function largeHabit(index: number, wholePerEdge: number): Habit {
  const place = Math.floor(index / EDGES);
  if (place % 17 === 3 && place < 17 * wholePerEdge) return { kind: 'whole' };
  if (place % 17 === 7 && place < 17 * SLOW_PER_EDGE) return SLOW;
  return { kind: 'part', bytes: (1 + (place % PART_STEPS)) * PART_STEP_BYTES };
}

async function largeBody(stage: Stage, title: string, memoryBytes: number): Promise<void> {
  const { settings, origin, network } = stage;
  const isKept = storeBytes(memoryBytes, SHAPE) > settings.largeBytes;
  const startedAt = performance.now();
  const visitors = await gather(stage, {
    path: '/large/film',
    habitOf: (index) => largeHabit(index, isKept ? WHOLE_PER_EDGE.kept : WHOLE_PER_EDGE.notKept),
    checkOf: () => isPattern,
  });
  const of = (kind: Habit['kind']): Visitor[] => visitors.filter(({ habit }) => habit.kind === kind);
  const leaving = of('part').map(async (visitor, index, { length }) => {
    await sleep(REST_MS + (LEAVING_MS * index) / length);
    await visitor.done; // one who has not read its part yet stays until it has
    visitor.leave();
  });
  await Promise.all([...of('whole').map(({ done }) => done), ...leaving]);
  const slow = of('slow');
  for (const visitor of slow) visitor.leave();
  const counted = await origin.report();
  const asked = counted.whole + counted.ranges;
  const problems = visitors.filter(({ problem }) => problem !== undefined).length;
  const bytes = visitors.reduce((sum, { received }) => sum + received, 0);
  const whole = of('whole');
  print(title, [
    isKept
      ? exactly('requests that the origin counted', asked, 1)
      : { what: 'requests that the origin counted: for the whole body', value: number(counted.whole) },
    ...(isKept
      ? []
      : [
          { what: '  for the rest of it, by readers that fell behind', value: number(counted.ranges) },
          {
            what: '  bytes that the origin sent, over the length of the body',
            value: (counted.bytes / settings.largeBytes).toFixed(1),
          },
        ]),
    exactly('visitors with wrong, missing or broken off bytes', problems, 0),
    exactly(
      `visitors that read the whole body (of ${whole.length})`,
      whole.filter(({ state, received }) => state === 'whole' && received === settings.largeBytes).length,
      whole.length,
    ),
    {
      what: `visitors that read ${PART_STEP_BYTES / 1024} KiB to ${(PART_STEPS * PART_STEP_BYTES) / 1024 ** 2} MiB, rested, and left`,
      value: number(of('part').filter(({ state }) => state === 'left').length),
    },
    {
      what: `visitors that read 64 KiB every ${SLOW.kind === 'slow' ? SLOW.everyMs : 0} ms, to the end of the test`,
      value: number(slow.length),
    },
    {
      what: '  what the slowest of these had read by then, MB',
      value: (Math.min(...slow.map(({ received }) => received)) / 1e6).toFixed(1),
    },
    { what: 'all that visitors read and checked, GB', value: (bytes / 1e9).toFixed(1) },
    took(startedAt),
    ...network.nodes.map(({ name, pid }) => {
      const peak = peakMemory(pid);
      const limit = memoryBytes + ALLOWANCE_BYTES;
      const goal = mebibytes(processBound(memoryBytes));
      return {
        what: `peak memory of ${name}, MiB (goal: ${goal})`,
        value: mebibytes(peak),
        promise: { text: `≤ ${mebibytes(limit)}`, kept: peak <= limit },
      };
    }),
  ]);
  complain(visitors);
}

/** Results in the edges' Cache-Status, the most frequent first. */
function howAnswered(visitors: readonly Visitor[]): Row[] {
  const counts = new Map<string, number>();
  for (const { cacheStatus } of visitors) {
    const own = cacheStatus.split(', ').at(-1) ?? '';
    const [, ...parameters] = own.split(/; */);
    const kind = parameters.filter((parameter) => /^(hit|collapsed|fwd)/.test(parameter)).join('; ') || 'no answer';
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([kind, count]) => ({ what: `  of these: ${kind}`, value: number(count) }));
}

function complain(visitors: readonly Visitor[]): void {
  const problems = new Map<string, number>();
  for (const { problem } of visitors)
    if (problem !== undefined) problems.set(problem, (problems.get(problem) ?? 0) + 1);
  for (const [problem, count] of problems) console.log(`  ${count} × ${problem}`);
}

function took(startedAt: number): Row {
  return { what: 'seconds', value: ((performance.now() - startedAt) / 1_000).toFixed(1) };
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 ** 2).toFixed(0);
}

const given = readArguments('herd', HELP, {
  visitors: '5000',
  megabytes: '200',
  memory: '320MiB',
  little: '64MiB',
  only: '1,2,3,4',
});
const settings: Settings = {
  visitors: given.positive('visitors', 1_000_000),
  largeBytes: given.positive('megabytes', 100_000) * 1_000_000,
};
const only = given.chosen('only', 1, 4);
const { memory, little } = given.values;
const memoryBytes = given.bytes('memory');
const littleBytes = given.bytes('little');
if (openFileLimit() < settings.visitors + SPARE_FILES) {
  given.refuse(
    `this machine lets a process open ${openFileLimit()} files, and ${settings.visitors} visitors need ` +
      `${settings.visitors + SPARE_FILES}: raise it (ulimit -Hn), or ask for fewer visitors (--visitors)`,
  );
}
setTimeout(() => {
  console.error(`herd: not done after ${TIME_LIMIT_MS / 1_000} s`);
  process.exit(1);
}, TIME_LIMIT_MS).unref();

const origin = await startOrigin();
const megabytes = number(settings.largeBytes / 1e6);
const herd = `${number(settings.visitors)} visitors, one body of ${megabytes} MB`;
/** Runs part of the herd on a network of its own: what one part leaves behind is no other part's memory. */
async function on(memory: string, ids: readonly string[], run: (stage: Stage) => Promise<void>): Promise<void> {
  if (!ids.some((id) => only.has(id))) return;
  const network = await startNetwork(memory, origin.port);
  await run({ origin, network, settings });
  await network.stop();
}

await on(memory, ['1', '2'], async (stage) => {
  if (only.has('1')) await coldKey(stage);
  if (only.has('2')) await privateAnswers(stage);
});
await on(memory, ['3'], (stage) => largeBody(stage, `3. ${herd}, nodes with ${memory}`, memoryBytes));
await on(little, ['4'], (stage) => largeBody(stage, `4. ${herd}, nodes with ${little}`, littleBytes));
process.exit();
