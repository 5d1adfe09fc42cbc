/**
 * `npm run bench:hostile`: what requests cost an edge that are made to cost
 * much, and how long a normal visitor waits meanwhile.
 * @module
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { readArguments } from './arguments.ts';
import { makeCertificate } from './bench/certificate.ts';
import { CORES, canPin, programOf, start, untilListening } from './bench/processes.ts';
import { median } from './bench/statistics.ts';
import { Attack, type Ports } from './hostile/attack.ts';
import { threadMicros, userMicros } from './hostile/cpu.ts';
import { startEdge } from './hostile/edge.ts';
import {
  BASELINES,
  judge,
  MAX_CPU_MICROS,
  MAX_TIMES_PLAIN,
  type Measured,
  table,
  USUAL_HIT_MICROS,
  WAIT_MS,
} from './hostile/report.ts';
import type { Shape } from './hostile/shape.ts';
import { SHAPES } from './hostile/shapes.ts';
import type { Waits } from './hostile/visitor.ts';
import { freePorts } from './nodes.ts';

const HELP = `Usage: npm run bench:hostile -- [options]

One edge (one worker, every bound as it is by default) on processor 0, and for some
seconds each of ${SHAPES.length} shapes of hostile requests, over HTTP/1.1 and HTTP/2. Prints the
processor time for a request, for a byte on the wire and for a KB of the request
head as it is after decoding, beside that of a plain request; and the longest wait
of a normal visitor meanwhile, who has a process and a connection of its own.
Everything stays on loopback, and ends with the command.

Goals, of which one that is missed makes the command exit with 1:
  a request that is answered from memory or refused takes at most ${MAX_CPU_MICROS / 1_000} ms of the edge's own time;
  a request, by the KB of its decoded head (at least 1), takes at most ${MAX_TIMES_PLAIN} times as much
  as a plain one: a hit, a request that is read anew, or a miss, as the shape says;
  the edge works for at most ${WAIT_MS} ms on others before it answers the normal visitor.

All of these are processor time of the edge's threads, so that a busy machine changes
them little. Own time is that outside the kernel: what the kernel copies was sent by somebody,
and on loopback it is charged for the work of both ends. What fetches from the origin is held
against a plain request that does. Where a plain hit takes more than ${USUAL_HIT_MICROS} µs, the machine
is slower than those that the bound of a request is made for, which is raised accordingly. How long the visitor waited by the clock is printed as well; it is a
goal only where --max-wait says so, as on a machine that others use it has other causes, too.

Options:
  --only LIST      Shapes, such as 1-pipelined,2-fields. By default all. Plain ones are always run.
  --seconds N      Of each shape. By default 2.
  --max-wait MS    Bound of the wait by the clock. By default none.
  --list           Print the shapes, and nothing else.
  --help           Say this.

Needs Linux and openssl.
`;

/** Of each shape's time: what a visitor waits for in most of them is not by chance. */
const PARTS = 4;

/** The edge with the normal visitor alone. */
const IDLE_MS = 1_500;

/** Before what is measured: code is compiled, objects are fetched. */
const WARM_UP_MS = 500;

const options = readArguments('bench:hostile', HELP, { only: '', seconds: '2', 'max-wait': '' }, listed());
const chosen = options.values.only.split(',').filter(Boolean);
const unknown = chosen.find((name) => !SHAPES.some((shape) => shape.name === name));
if (unknown !== undefined) options.refuse(`there is no shape ${JSON.stringify(unknown)}: --list prints them`);
const seconds = options.positive('seconds', 600);
const maxWaitMs = options.values['max-wait'] === '' ? Number.POSITIVE_INFINITY : options.positive('max-wait', 60_000);

if (canPin()) execFileSync(programOf('taskset') as string, ['-cp', String(CORES.load), String(process.pid)]);
const [originPort = 0] = await freePorts(1);
const file = new URL('./hostile/origin.ts', import.meta.url).pathname;
const origin = start('origin', [process.execPath, file, String(originPort)], { core: CORES.load });
await untilListening(origin, originPort);
const certificates = await makeCertificate();
const edge = await startEdge(originPort, certificates ?? options.refuse('there is no openssl to make a certificate'));
const ports: Ports = edge;
const visitor = fork(new URL('./hostile/visitor.ts', import.meta.url), [String(edge.port), String(edge.running.pid)]);
visitor.once('exit', (code) => fail(`the normal visitor was not answered any more (${code})`));

const idle = await usedWhenIdle();
const measured: Measured[] = [];
for (const shape of SHAPES) {
  if (chosen.length === 0 || chosen.includes(shape.name) || BASELINES.has(shape.name)) {
    measured.push(await measure(shape));
    console.log(table(measured.slice(-1), measured, measured.length === 1, maxWaitMs));
  }
}
const missed = judge(measured, maxWaitMs);
for (const line of missed) console.log(line);
if (missed.length === 0) console.log(`\n${measured.length} shapes: every goal is kept`);
visitor.removeAllListeners('exit');
visitor.kill();
await edge.stop();
await origin.stop();
process.exit(missed.length === 0 ? 0 : 1);

async function measure(shape: Shape): Promise<Measured> {
  const attacks = Array.from({ length: shape.connections }, () => new Attack(shape, ports));
  for (const attack of attacks) attack.start();
  await sleep(WARM_UP_MS);
  const { pid } = edge.running;
  const before = { cpu: threadMicros(pid), user: userMicros(pid), ...summed(attacks), at: performance.now() };
  await waitsOf(visitor);
  const waits: Waits[] = [];
  for (let part = 0; part < PARTS; part++) {
    await sleep((seconds * 1_000) / PARTS);
    waits.push(await waitsOf(visitor));
  }
  const after = summed(attacks);
  const [cpu, user] = [threadMicros(pid) - before.cpu, userMicros(pid) - before.user];
  const tookSeconds = (performance.now() - before.at) / 1_000;
  for (const attack of attacks) attack.stop();
  return {
    shape,
    cpuMicros: Math.max(0, cpu - idle.cpuMicros * tookSeconds),
    userMicros: Math.max(0, user - idle.userMicros * tookSeconds),
    requests: after.answers - before.answers,
    bytes: after.bytesSent - before.bytesSent,
    connections: after.connections - before.connections,
    waitMs: median(waits.map(({ longestMs }) => longestMs)),
    busyMs: median(waits.map(({ busyMs }) => busyMs)),
  };
}

/** What the normal visitor costs in a second, which is not the hostile ones' doing. */
async function usedWhenIdle(): Promise<{ cpuMicros: number; userMicros: number }> {
  const { pid } = edge.running;
  await sleep(IDLE_MS);
  const [cpu, user] = [threadMicros(pid), userMicros(pid)];
  await sleep(IDLE_MS);
  const perSecond = 1_000 / IDLE_MS;
  return { cpuMicros: (threadMicros(pid) - cpu) * perSecond, userMicros: (userMicros(pid) - user) * perSecond };
}

function summed(attacks: readonly Attack[]): { answers: number; bytesSent: number; connections: number } {
  let [answers, bytesSent, connections] = [0, 0, 0];
  for (const { counted } of attacks) {
    answers += counted.answers;
    bytesSent += counted.bytesSent;
    connections += counted.connections;
  }
  return { answers, bytesSent, connections };
}

async function waitsOf(child: ChildProcess): Promise<Waits> {
  child.send('tell');
  const [waits] = (await once(child, 'message')) as [Waits];
  return waits;
}

function listed(): readonly string[] {
  const args = process.argv.slice(2);
  if (!args.includes('--list')) return args;
  for (const { name, title, protocol } of SHAPES) console.log(`${name.padEnd(22)} ${protocol.padEnd(9)} ${title}`);
  process.exit(0);
}

function fail(message: string): never {
  console.error(`bench:hostile: ${message}; the edge said: ${edge.running.said()}`);
  process.exit(1);
}
