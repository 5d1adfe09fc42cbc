/**
 * `npm run bench:exhaustion`: thousands of connections from a few addresses
 * hold what belongs to all (readers that do not read, senders that do not
 * send), while a normal visitor asks for what is not stored. Prints how long
 * the visitor waits, before and meanwhile. Exits 1 when a number is out of its
 * bounds. Everything is on loopback.
 * @module
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { readArguments } from '../test/support/arguments.ts';
import { startNode, temporaryFolder, watch } from '../test/support/node-processes.ts';
import { freePorts } from '../test/support/ports.ts';
import { number, print } from './report.ts';

const HELP = `Usage: npm run bench:exhaustion -- [options]

One edge with one worker, an origin that takes 20 ms for an answer, hostile
connections from addresses of 127.0.1.0/24, and a visitor at 127.0.0.1 who asks
for pages that are not stored, four at a time. Half of the hostile connections ask
for 12 MB that may not be stored and read nothing; the others announce a body and
send nothing of it, or a part. Those that are closed come again after a second. Others
of the same kind come from one more address.

The visitor is answered each time, and the 99th percentile of its waits is at most
twice that of the quiet time before.

Options:
  --connections N  Hostile connections, 100 to 50000. By default 10000.
  --addresses N    Their addresses, 1 to 250. By default 50.
  --one N          Hostile connections from one more address, 0 to 2000. By default 2000.
  --seconds N      Of the quiet time and of the attack, each, 1 to 120. By default 20.
  --help           Say this.
`;

/** Connections that one process holds: fewer than most systems let it have files. */
const A_PROCESS = 2_500;

/** Files that a node needs besides those of its visitors: those to the origin above all. */
const SPARE_FILES = 1_000;

/** Requests of the visitor at a time. */
const AT_A_TIME = 4;

/** Requests of the visitor between the last hostile connection and the measurement. */
const SETTLED_VISITS = 100;

/** Time for all hostile connections to be there. */
const GATHER_MS = 60_000;

const args = readArguments('bench:exhaustion', HELP, {
  connections: '10000',
  addresses: '50',
  one: '2000',
  seconds: '20',
});
const connections = args.positive('connections', 50_000);
const addresses = args.positive('addresses', 250);
const fromOne = args.whole('one', 0, 2_000);
const milliseconds = args.positive('seconds', 120) * 1_000;

const [, , hardLimit] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
if (hardLimit !== 'unlimited' && Number(hardLimit) < connections + fromOne + SPARE_FILES) {
  args.refuse(
    `the edge needs ${connections + fromOne + SPARE_FILES} open files, and may have ${hardLimit}: raise ulimit -Hn`,
  );
}

function start(file: string): ChildProcess {
  const child = fork(join(import.meta.dirname, 'exhaustion', file), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  watch(child, file);
  return child;
}

const origin = start('origin.ts');
const [{ port: originPort }] = (await once(origin, 'message')) as [{ port: number }];
const [listen, tier] = (await freePorts(2)) as [number, number];
const file = join(temporaryFolder(), 'exhaustion.yaml');
writeFileSync(
  file,
  `region: exhaustion
tier_secret: only-for-this-measurement-on-this-machine
memory: 256MiB
edges: [{ name: edge, listen: '127.0.0.1:${listen}', tier: '127.0.0.1:${tier}', workers: 1 }]
sites:
  - name: exhaustion
    hosts: ['*']
    origin: { servers: [{ url: 'http://127.0.0.1:${originPort}' }] }
`,
);
const node = await startNode('edge', [file]);

let pages = 0;

/** @returns Milliseconds until the whole answer was there; undefined if it was another one, or none. */
async function visit(agent: Agent): Promise<number | undefined> {
  const started = performance.now();
  const sent = request({ port: listen, host: '127.0.0.1', path: `/page?${pages++}`, agent, timeout: 30_000 });
  sent.once('timeout', () => sent.destroy());
  try {
    const answered = once(sent, 'response');
    sent.end();
    const [response] = (await answered) as [import('node:http').IncomingMessage];
    let text = '';
    for await (const piece of response) text += piece;
    return response.statusCode === 200 && text === 'small' ? performance.now() - started : undefined;
  } catch {
    return undefined;
  }
}

interface Waits {
  readonly answered: number;
  readonly failed: number;
  readonly median: number;
  readonly p99: number;
  readonly longest: number;
}

async function measure(): Promise<Waits> {
  const waits: number[] = [];
  let failed = 0;
  const agent = new Agent({ keepAlive: true, maxSockets: AT_A_TIME });
  const until = performance.now() + milliseconds;
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      while (performance.now() < until) {
        const wait = await visit(agent);
        if (wait === undefined) failed++;
        else waits.push(wait);
      }
    }),
  );
  agent.destroy();
  waits.sort((a, b) => a - b);
  const at = (part: number): number => waits[Math.min(waits.length - 1, Math.floor(waits.length * part))] ?? Number.NaN;
  return { answered: waits.length, failed, median: at(0.5), p99: at(0.99), longest: at(1) };
}

function residentBytes(): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${node.pid}/status`, 'utf8'))?.[1]) * 1_024;
}

function millis(value: number): string {
  return `${value.toFixed(1)} ms`;
}

await measureBriefly();
const quiet = await measure();

const sources = Array.from({ length: addresses }, (_, i) => `127.0.1.${i + 1}`);
const hostile: { child: ChildProcess; connected: number; closed: number }[] = [];
function attack(count: number, addresses: readonly string[], first: number): void {
  const child = start('hostile.ts');
  const entry = { child, connected: 0, closed: 0 };
  child.on('message', (counted: { connected: number; closed: number }) => Object.assign(entry, counted));
  child.send({ port: listen, connections: count, addresses, first });
  hostile.push(entry);
}
for (let first = 0; first < connections; first += A_PROCESS) {
  attack(Math.min(A_PROCESS, connections - first), sources, first);
}
if (fromOne > 0) attack(fromOne, ['127.0.2.1'], connections);
const connected = (): number => hostile.reduce((sum, entry) => sum + entry.connected, 0);
const wanted = Math.floor((connections + fromOne) * 0.9);
const gatherUntil = performance.now() + GATHER_MS;
const arriving = new Agent({ keepAlive: true });
let most = 0;
let longestMeanwhile = 0;
// Until they are there, and what they asked for has filled what the system keeps for them.
for (let settled = 0; settled < SETTLED_VISITS && performance.now() < gatherUntil; ) {
  longestMeanwhile = Math.max(longestMeanwhile, (await visit(arriving)) ?? Number.POSITIVE_INFINITY);
  await sleep(20);
  most = Math.max(most, connected());
  if (most >= wanted) settled++;
}
arriving.destroy();
const attacked = await measure();

print(`${number(connections)} hostile connections from ${addresses} addresses, ${number(fromOne)} from one`, [
  {
    what: 'hostile connections at a time, at the most',
    value: number(Math.max(most, connected())),
    promise: { text: `≥ ${number(wanted)}`, kept: most >= wanted },
  },
  { what: 'longest wait of the visitor while they came', value: millis(longestMeanwhile) },
  { what: 'closed by the edge, and come again', value: number(hostile.reduce((sum, { closed }) => sum + closed, 0)) },
  { what: 'misses of the visitor, quiet', value: number(quiet.answered) },
  { what: '  median', value: millis(quiet.median) },
  { what: '  99th percentile', value: millis(quiet.p99) },
  { what: 'misses of the visitor meanwhile', value: number(attacked.answered) },
  {
    what: '  not answered',
    value: number(attacked.failed + quiet.failed),
    promise: { text: '= 0', kept: attacked.failed + quiet.failed === 0 },
  },
  { what: '  median', value: millis(attacked.median) },
  {
    what: '  99th percentile',
    value: millis(attacked.p99),
    promise: { text: `≤ ${millis(quiet.p99 * 2)}`, kept: attacked.p99 <= quiet.p99 * 2 },
  },
  { what: '  longest', value: millis(attacked.longest) },
  { what: 'memory of the edge, at the most', value: `${Math.round(residentBytes() / 1_048_576)} MiB` },
]);
process.exit();

/** Runs each once briefly, so that compilation and connecting are not measured. */
async function measureBriefly(): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  for (let i = 0; i < 100; i++) await visit(agent);
  agent.destroy();
}
