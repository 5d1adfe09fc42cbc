/**
 * `npm run storm`: promise P3 against real processes. Content changes and is
 * purged at once, hundreds of times a second, while nodes are killed and cut
 * off; and no visitor, of whichever node, gets what a receipt says is gone.
 * Exits 1 on a single stale answer.
 * @module
 */
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { readArguments } from '../test/support/arguments.ts';
import { processorPressureMicros } from '../test/support/node-processes.ts';
import { type Random, seededRandom } from '../test/support/random.ts';
import { exactly, number, print, type Row } from './report.ts';
import type { PurgeTime, SiteReport } from './storm/messages.ts';
import { type Member, type Network, SECRET, startNetwork, startSite } from './storm/network.ts';
import { histogram, quantile } from './storm/quantiles.ts';

const HELP = `Usage: npm run storm -- [options]

Four edges in two regions, two shields, a control node and a site (its origin
and its visitors), each in a process of its own. The origin changes content and
purges it at once through the API, by URL, tag or prefix, with wait: applied.
Meanwhile edges and shields are killed (SIGKILL) and started again, and their
connections to the control node are cut, or held so that nothing passes. The
visitors ask all six nodes, the shields the way an edge does.

Every answer is compared with what was known before its request began:

  1  a receipt said that every node had applied a purge: from then on not one
     node answers with anything older, also one that is killed and comes back,
     or is cut off
  2  a receipt is incomplete, as a node is down or cut off, but says that this
     node has applied the purge: this one answers with nothing older, whomever
     it asks (until it is killed itself: then from purges on that are made once
     it is back)
  3  the journal had taken a purge longer ago than a node that is cut off may go
     on: no node answers with anything older
  4  at the end, when nodes are back: every node has the newest of everything

Options:
  --seconds N   How long the storm lasts. By default 60.
  --changes N   Changes a second. By default 200.
  --seed N      Of what is random. By default another one each time.
  --help        Say this.
`;

/** Seconds at the beginning that are not measured, while processes get warm; answers count all the same. */
const WARM_UP_SECONDS = 8;

const LEASE_SECONDS = 2;
/**
 * Time that a node may serve purged responses while it is cut off: its lease, counted from the last message, which may
 * have been delayed by as long as a follower tolerates silence (3 s); plus the lease of a node from which it got a
 * response at the last moment, if it restarted meanwhile.
 */
const GRACE_MS = (2 * LEASE_SECONDS + 3 + 1) * 1_000;

const P99_LIMIT_MS = 50;
/** A node that is back has four hundred calls that waited for it, and visitors for all of them, and is not warm yet. */
const SETTLED_MS = 1_000;

/** Faults at a time. */
const MAX_FAULTS = 2;
const QUIET_MS = { least: 1_500, most: 4_500 };
const CUT_MS = { least: 50, most: 3_000 };
const DOWN_MS = { least: 0, most: 1_000 };

type Fault = 'kill' | 'cut' | 'hold';

interface Interval {
  readonly from: number;
  until: number;
}

/** Kills and cuts until the time is over, then until every node is back. */
class Chaos {
  readonly #network: Network;
  readonly #random: Random;
  readonly #tell: (kind: 'killed' | 'back', node: string) => void;
  readonly #faulty = new Set<Member>();
  /** Times at which a node was away, in milliseconds since the epoch. */
  readonly intervals: Interval[] = [];
  readonly counts = { edges: 0, shields: 0, cuts: 0, holds: 0 };

  constructor(network: Network, random: Random, tell: (kind: 'killed' | 'back', node: string) => void) {
    this.#network = network;
    this.#random = random;
    this.#tell = tell;
  }

  async run(ms: number): Promise<void> {
    const end = performance.now() + ms;
    const underWay = new Set<Promise<void>>();
    while (performance.now() < end) {
      await sleep(this.#between(QUIET_MS));
      if (this.#faulty.size >= MAX_FAULTS) continue;
      const fault = this.#disturb().finally(() => underWay.delete(fault));
      underWay.add(fault);
    }
    await Promise.all(underWay);
  }

  async #disturb(): Promise<void> {
    const well = this.#network.members.filter((member) => !this.#faulty.has(member));
    const member = well[Math.floor(this.#random() * well.length)] as Member;
    const fault = (['kill', 'cut', 'hold'] as const)[Math.floor(this.#random() * 3)] as Fault;
    const interval: Interval = { from: Date.now(), until: Number.POSITIVE_INFINITY };
    this.intervals.push(interval);
    this.#faulty.add(member);
    if (fault === 'kill') await this.#kill(member);
    else await this.#cut(member, fault);
    interval.until = Date.now();
    this.#faulty.delete(member);
  }

  async #kill(member: Member): Promise<void> {
    this.counts[member.role === 'edge' ? 'edges' : 'shields'] += 1;
    this.#tell('killed', member.name);
    await member.kill();
    await sleep(this.#between(DOWN_MS));
    const nextRecord = member.wire.nextRecord();
    await member.start();
    await nextRecord;
    this.#tell('back', member.name);
  }

  async #cut({ wire }: Member, fault: 'cut' | 'hold'): Promise<void> {
    this.counts[fault === 'cut' ? 'cuts' : 'holds'] += 1;
    wire.set(fault === 'cut' ? 'cut' : 'held');
    await sleep(this.#between(CUT_MS));
    const nextRecord = wire.nextRecord();
    wire.set('open');
    await nextRecord;
  }

  #between({ least, most }: { least: number; most: number }): number {
    return least + this.#random() * (most - least);
  }
}

/** @param settledMs - For how long every node had been up when a purge was called. */
function whileAllWereUp(
  purges: readonly PurgeTime[],
  intervals: readonly Interval[],
  settledMs: number,
): readonly PurgeTime[] {
  return purges.filter(
    ({ calledAt, ms }) => !intervals.some(({ from, until }) => calledAt <= until + settledMs && calledAt + ms >= from),
  );
}

function printTimes(title: string, durationsMs: readonly number[], limitMs?: number): void {
  const sorted = durationsMs.toSorted((a, b) => a - b);
  if (sorted.length === 0) {
    print(title, [{ what: 'none', value: '' }]);
    return;
  }
  const p99 = quantile(sorted, 0.99);
  print(title, [
    { what: 'p50, ms', value: quantile(sorted, 0.5).toFixed(1) },
    // A goal, not a bound: how fast a machine is that also runs six nodes and their visitors is no defect of a purge.
    { what: limitMs === undefined ? 'p99, ms' : `p99, ms (goal: < ${limitMs})`, value: p99.toFixed(1) },
    { what: 'p99.9, ms', value: quantile(sorted, 0.999).toFixed(1) },
    { what: 'max, ms', value: quantile(sorted, 1).toFixed(1) },
  ]);
  for (const line of histogram(sorted)) console.log(line);
}

function printReport(report: SiteReport, chaos: Chaos, measuredFrom: number): void {
  const measured = report.purges.filter(({ calledAt }) => calledAt >= measuredFrom);
  const undisturbed = whileAllWereUp(measured, chaos.intervals, 0);
  const settled = whileAllWereUp(measured, chaos.intervals, SETTLED_MS);
  const whole = (purges: readonly PurgeTime[]) => purges.filter(({ isComplete }) => isComplete);
  const applied = (purges: readonly PurgeTime[]) => whole(purges).map(({ appliedMs }) => appliedMs);
  const seen = (purges: readonly PurgeTime[]) => whole(purges).map(({ ms }) => ms);
  printTimes(
    `From the call to "applied everywhere", by the receipts: ${number(settled.length)} purges, every node up for a second or more`,
    applied(settled),
    P99_LIMIT_MS,
  );
  printTimes('The same as the callers saw it, who share the machine with the nodes and do the visiting', seen(settled));
  printTimes(
    `By the receipts: ${number(undisturbed.length)} purges, every node up, though perhaps just back, with the calls that waited for it`,
    applied(undisturbed),
  );
  printTimes('By the receipts: all that were complete in the end, with nodes away or not', applied(measured));
  const complete = report.purges.filter(({ isComplete }) => isComplete).length;
  const failed = Object.values(report.failedPurges).reduce((sum, count) => sum + count, 0);
  const stale = (broken: string): number => report.stale.filter((one) => one.broken === broken).length;
  print('What happened', [
    { what: 'changes of content', value: number(report.changes) },
    { what: '  left out, as too many calls were waiting', value: number(report.leftOut) },
    { what: 'purges that the API took', value: number(report.purges.length) },
    { what: '  receipts complete within the call (2 s)', value: number(complete) },
    {
      what: '  of purges while every node was up: incomplete',
      value: number(undisturbed.length - whole(undisturbed).length),
    },
    exactly('purges that the API refused or did not answer', failed, 0),
    { what: 'edges killed, and started again', value: number(chaos.counts.edges) },
    { what: 'shields killed, and started again', value: number(chaos.counts.shields) },
    { what: 'connections to the control node cut', value: number(chaos.counts.cuts) },
    { what: 'connections to the control node held', value: number(chaos.counts.holds) },
  ]);
  print('What the visitors of all six nodes got', [
    { what: 'answers checked', value: number(report.answers) },
    { what: '  of these, from the store of the node', value: number(report.hits) },
    { what: 'answers checked at the end: every item, every node', value: number(report.finalAnswers) },
    { what: 'requests without an answer: the node was down', value: number(report.unanswered) },
    { what: 'requests that the origin saw', value: number(report.originRequests) },
    { what: '  answered with 304', value: number(report.notModified) },
    exactly('stale answers', report.staleCount, 0),
    ...['receipt', 'node', 'lease', 'at the end'].flatMap((broken): Row[] =>
      stale(broken) === 0
        ? []
        : [{ what: `  of the first ${report.stale.length}: ${broken}`, value: number(stale(broken)) }],
    ),
    { what: 'answers purged a moment before, the receipt not yet complete', value: number(report.allowed) },
    {
      what: '  the oldest of them: s since the journal took its purge',
      value: (report.longestAllowedMs / 1_000).toFixed(1),
      promise: { text: `≤ ${GRACE_MS / 1_000}`, kept: report.longestAllowedMs <= GRACE_MS },
    },
  ]);
  for (const one of report.stale) console.log(`  ${JSON.stringify(one)}`);
  for (const [what, count] of Object.entries(report.failedPurges)) console.log(`  ${count} × purge: ${what}`);
  for (const [what, count] of Object.entries(report.errors)) console.log(`  ${count} × no answer: ${what}`);
}

const settings = readArguments('storm', HELP, {
  seconds: '60',
  changes: '200',
  seed: String(1 + Math.floor(Math.random() * 1e6)),
});
const seconds = settings.positive('seconds');
const changes = settings.positive('changes');
const seed = settings.positive('seed');
const timeLimitMs = (seconds + 60) * 1_000;
setTimeout(() => {
  console.error(`storm: not done after ${timeLimitMs / 1_000} s`);
  process.exit(1);
}, timeLimitMs).unref();

const random = seededRandom(seed);
const site = await startSite();
const network = await startNetwork({ originPort: site.port, lease: `${LEASE_SECONDS}s` });
const chaos = new Chaos(network, random, (kind, node) => site.tell({ kind, node }));
console.log(
  `Storm of ${seconds} s, ${changes} changes a second, seed ${seed}; processes wanting the machine before it: ${loadavg()[0]?.toFixed(1)}`,
);
site.tell({
  kind: 'begin',
  nodes: network.members.map(({ name, url, role }) => ({ name, url, role })),
  api: network.api,
  token: network.token,
  secret: SECRET,
  changesPerSecond: changes,
  graceMs: GRACE_MS,
  seed,
});
await sleep(WARM_UP_SECONDS * 1_000);
const measuredFrom = Date.now();
const pressureBefore = processorPressureMicros();
await chaos.run(seconds * 1_000);
const pressure = ((processorPressureMicros() ?? Number.NaN) - (pressureBefore ?? Number.NaN)) / 1_000;
console.log(
  `Part of that time in which some process of this machine waited for a processor: ${((100 * pressure) / (Date.now() - measuredFrom)).toFixed(0)} %`,
);
printReport(await site.finish(), chaos, measuredFrom);
process.exit();
