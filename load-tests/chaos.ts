/**
 * `npm run chaos`: promises P4, P5 and P6 against real processes at hosts of their own. Everything that a node or a
 * server can come to happens to it, under load, and every answer is checked. Exits 1 when a bound is not kept.
 * @module
 */
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { readArguments } from '../test/support/arguments.ts';
import { processorPressureMicros } from '../test/support/node-processes.ts';
import { seededRandom } from '../test/support/random.ts';
import { describeKinds, drawFaults, drawPairs, FAULT_NAMES, type Fault, KIND_NAMES } from './chaos/faults.ts';
import { isInside, runInside, whyNoHosts } from './chaos/hosts.ts';
import { type Member, startNetwork } from './chaos/network.ts';
import { additional, complaints, since } from './chaos/state.ts';
import { type Bounds, ONE_FAULT, rollingRows, rowsOf, slowRequests, TWO_FAULTS } from './chaos/verdict.ts';
import { Visitors } from './chaos/visitors.ts';
import { number, print } from './report.ts';

const HELP = `Usage: npm run chaos -- [options]

Two regions of two edges, two shields, a control node and two origin servers, each
a process at a host of its own (a network namespace), with certificates and disks.
Visitors ask all edges, so many times a second, for what is stored and what is not,
and check every byte; content is changed and purged meanwhile. Then one thing after
the other fails, in random order:

${describeKinds()}

For each fault: requests, errors by their cause, wrong bodies, what was older than
allowed, how long visitors waited, and the time after which everything was as before.
A visitor whose edge refuses it asks the other edge of its region; requests to an
edge that is hit itself are counted apart.

Needs Linux, root, and the programs ip, tc, unshare and nsenter. All packets stay
inside of its namespaces.

Options:
  --only LIST    Faults, such as stopped,killed:shield. By default all.
  --two          Two at a time, the second a second after the first.
  --rolling      No fault: every node is stopped (SIGTERM) and started again, one
                 after the other, and then replaced by a new process (SIGUSR2).
                 No request may fail.
  --fault N      Seconds that a fault lasts. By default 4.
  --times N      Each fault so many times. By default 1.
  --slice I/N    The faults are those of a seed in its order; of N parts of them only
                 part I, such as 2/10 with a seed: all of them, in many short runs.
  --seconds N    Begin no fault after so many seconds. By default 600.
  --rate N       Requests a second. By default 100, with --rolling 500.
  --purges N     Changes of content a second. By default 2.
  --seed N       Of what is random. By default another one each time.
  --log LEVEL    Log of the nodes. By default fatal.
  --help         Say this.
`;

const settings = readArguments(
  'chaos',
  HELP,
  {
    only: '',
    fault: '4',
    times: '1',
    slice: '1/1',
    seconds: '600',
    rate: '',
    purges: '2',
    seed: String(1 + Math.floor(Math.random() * 1e6)),
    log: 'fatal',
  },
  { flags: ['two', 'rolling'] },
);
const only = settings.names('only', 'fault', [...FAULT_NAMES, ...KIND_NAMES]);
const faultMs = settings.positive('fault', 600) * 1_000;
const times = settings.positive('times', 1_000);
const slice = sliceOf(settings.values.slice);
const endsAt = performance.now() + settings.positive('seconds', 36_000) * 1_000;
const purgesPerSecond = settings.positive('purges', 1_000);
const seed = settings.positive('seed');
const areTwo = settings.flags.has('two');
const isRolling = settings.flags.has('rolling');
const requestsPerSecond =
  settings.optional('rate') === undefined ? (isRolling ? 500 : 100) : settings.positive('rate', 10_000);
if (!isInside) {
  const missing = whyNoHosts();
  if (missing !== undefined) settings.refuse(missing);
  await runInside();
}

/** Time in which processes get warm, nodes find each other, and content is stored. */
const WARM_UP_MS = 8_000;
/** Time without a fault that is measured, and that lies between two faults. */
const QUIET_MS = 1_000;
/** Longer than recovery may take. */
const RECOVERY_LIMIT_MS = 20_000;
const LOOK_EVERY_MS = 300;
const SECOND_AFTER_MS = 1_000;

const random = seededRandom(seed);
/** Random numbers of the faults: which ones come must not depend on how many requests there were before. */
const faultRandom = seededRandom(seed + 1);
const network = await startNetwork(settings.values.log);
const { members } = network;
const visitors = new Visitors({ network, requestsPerSecond, purgesPerSecond, random });
console.log(
  `Chaos with seed ${seed}: ${requestsPerSecond} requests and ${purgesPerSecond} purges a second; processes wanting the machine before it: ${loadavg()[0]?.toFixed(1)}`,
);
visitors.start();
await sleep(WARM_UP_MS);
const pressureBefore = processorPressureMicros();
const startedAt = performance.now();
let victimsBefore: readonly string[] = [];
const total = { hedges: 0, upstream: 0 };
await measure('Nothing fails', [], ONE_FAULT);
if (isRolling) {
  await roll('Every node stopped, and started again', async (node) => {
    visitors.lost(node.name);
    await node.stop();
    await node.start();
    visitors.back(node.name);
  });
  await roll('Every node replaced by a new process', async (node) => {
    visitors.lost(node.name);
    await node.replace();
    visitors.back(node.name);
  });
} else {
  const singles = drawFaults({ wanted: only, times, network, random: faultRandom });
  const drawn = areTwo ? drawPairs(singles, faultRandom) : singles.map((fault) => [fault]);
  for (const hit of drawn.filter((_, index) => index % slice.count === slice.part - 1)) {
    if (performance.now() > endsAt) break;
    await measure(titleOf(hit), hit, areTwo ? TWO_FAULTS : ONE_FAULT);
  }
}
await visitors.stop();
summary();
process.exit();

function sliceOf(text: string): { readonly part: number; readonly count: number } {
  const [, part, count] = /^([1-9]\d{0,2})\/([1-9]\d{0,2})$/.exec(text) ?? [];
  if (part !== undefined && Number(part) <= Number(count)) return { part: Number(part), count: Number(count) };
  return settings.refuse(`--slice needs a part and their number, such as 2/10, not ${JSON.stringify(text)}`);
}

function titleOf(hit: readonly Fault[]): string {
  return hit.map(({ name, victim, says }) => `${name} ${victim.name} (${says})`).join('\n  with ');
}

async function measure(title: string, hit: readonly Fault[], bounds: Bounds): Promise<void> {
  await sleep(QUIET_MS);
  const start = await additional(members);
  const began = performance.now();
  for (const [index, fault] of hit.entries()) {
    if (index > 0) await sleep(SECOND_AFTER_MS);
    if (losesItsMemory(fault)) visitors.lost(fault.victim.name);
    await fault.begin();
  }
  await sleep(faultMs);
  for (const fault of hit) await fault.end();
  const healed = performance.now();
  const { recovered, left } = await recovery(healed);
  await sleep(QUIET_MS);
  for (const fault of hit) if (losesItsMemory(fault)) visitors.back(fault.victim.name);
  const added = since(start, await additional(members));
  total.hedges += added.hedges;
  total.upstream += added.upstream;
  const result = {
    began,
    healed,
    recovered,
    victims: hit.map(({ victim }) => victim.name),
    victimsBefore,
    visits: visitors.between(began, performance.now()),
    hedges: added.hedges,
    retries: added.retries,
  };
  victimsBefore = result.victims;
  print(title, rowsOf(result, bounds));
  for (const one of slowRequests(result, bounds)) console.log(`  slow: ${one}`);
  for (const one of left) console.log(`  not as before: ${one}`);
}

/** Does this to all nodes, one after the other. */
async function roll(title: string, restart: (node: Member) => Promise<void>): Promise<void> {
  const began = performance.now();
  const { repeated } = visitors;
  for (const node of members.filter(({ role }) => role !== 'origin')) {
    await restart(node);
    const { left } = await recovery(performance.now());
    for (const one of left) console.log(`  not as before, after ${node.name}: ${one}`);
  }
  await sleep(QUIET_MS);
  print(title, rollingRows(visitors.between(began, performance.now()), visitors.repeated - repeated));
}

/** A server of the origin makes no promise about purges. */
function losesItsMemory({ name, victim }: Fault): boolean {
  return victim.role !== 'origin' && victim.role !== 'control' && /^(?:killed|garbage)/.test(name);
}

/** Waits until nothing is left of a fault. */
async function recovery(healed: number): Promise<{ recovered: number | undefined; left: readonly string[] }> {
  for (;;) {
    const left = await complaints(members);
    const now = performance.now();
    if (left.length === 0) return { recovered: now, left };
    if (now > healed + RECOVERY_LIMIT_MS) return { recovered: undefined, left };
    await sleep(LOOK_EVERY_MS);
  }
}

function summary(): void {
  const pressure = ((processorPressureMicros() ?? Number.NaN) - (pressureBefore ?? Number.NaN)) / 1_000;
  const visits = visitors.between(startedAt, performance.now());
  print('All together', [
    { what: 'requests of visitors', value: number(visits.length) },
    { what: '  made again at another edge', value: number(visitors.repeated) },
    { what: 'purges', value: number(visitors.purges) },
    { what: '  that the control node did not take', value: number(visitors.failedPurges) },
    {
      what: 'hedges among requests to nodes and origin, %',
      value: ((100 * total.hedges) / Math.max(1, total.upstream)).toFixed(2),
    },
    {
      what: 'time in which some process waited for a processor, %',
      value: ((100 * pressure) / (performance.now() - startedAt)).toFixed(0),
    },
  ]);
  if (process.exitCode === 1) console.log('\nNOT MET: bounds that were not kept are marked above.');
  else console.log('\nmet');
}
