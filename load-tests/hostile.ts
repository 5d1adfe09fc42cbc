/**
 * `npm run bench:hostile`: what requests cost an edge that are made to cost
 * much, and how long a normal visitor waits meanwhile.
 * @module
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { readArguments } from '../test/support/arguments.ts';
import { freePorts } from '../test/support/ports.ts';
import { makeCertificate } from './bench/certificate.ts';
import { threadMicros } from './bench/proc.ts';
import { CORES, canPin, programOf, start, untilListening } from './bench/processes.ts';
import { Attack, type Ports } from './hostile/attack.ts';
import { startEdge } from './hostile/edge.ts';
import {
  BASELINES,
  beyondGoals,
  type Judging,
  judge,
  MAX_CPU_MICROS,
  MAX_TIMES_PLAIN,
  type Measured,
  table,
  WAIT_MS,
} from './hostile/report.ts';
import type { Shape } from './hostile/shape.ts';
import { SHAPES } from './hostile/shapes.ts';
import type { Waits } from './hostile/visitor.ts';

const HELP = `Usage: npm run bench:hostile -- [options]

One edge (one worker, every bound as it is by default) on processor 0, and for some
seconds each of ${SHAPES.length} shapes of hostile requests, over HTTP/1.1 and HTTP/2. Prints for
each the processor time of the edge for a request (user and system), its bytes on the wire,
the KB of its head as it is after decoding (at least those of a plain hit), the processor
time for such a KB, that beside a plain hit's ("x hit") and beside that of a plain request
that needs the same ("x kind": a hit, a request that is read anew, a miss, a POST); and the
longest wait of a normal visitor meanwhile, who has a process and a connection of its own:
by the clock ("wait ms"), and what the edge worked before it answered ("busy ms").
Everything stays on loopback, and ends with the command.

Goals, of which one that is missed makes the command exit with 1:
  a request takes at most ${MAX_CPU_MICROS} µs;
  a request that needs no origin takes, by the decoded KB, at most ${MAX_TIMES_PLAIN} times as much as a plain hit;
  one that does, at most ${MAX_TIMES_PLAIN} times as much as a plain one that does: no server fetches for the price of a hit;
  the normal visitor waits for at most ${WAIT_MS} ms.

A shape that is beyond a goal says so in its line.

Options:
  --only LIST      Shapes, such as 1-pipelined,2-fields. By default all. Plain ones are always run.
  --seconds N      Of each shape. By default 2.
  --margin N       The processor time may be so many times what the goals say, for a machine that others use. By default 1.
  --wait HOW       Wait that is judged: clock, or processor (of the edge), for such a machine. By default clock.
  --list           Print the shapes, and nothing else.
  --help           Say this.

Needs Linux and openssl.
`;

/** The edge with the normal visitor alone. */
const IDLE_MS = 1_500;

/** Before what is measured: code is compiled, objects are fetched. */
const WARM_UP_MS = 500;

const defaults = { only: '', seconds: '2', margin: '1', wait: 'clock' };
const options = readArguments('bench:hostile', HELP, defaults, { flags: ['list'] });
if (options.flags.has('list')) {
  for (const { name, title, protocol } of SHAPES) console.log(`${name.padEnd(22)} ${protocol.padEnd(9)} ${title}`);
  process.exit(0);
}
const chosen = options.names(
  'only',
  'shape',
  SHAPES.map(({ name }) => name),
);
const seconds = options.positive('seconds', 600);
const margin = options.positive('margin', 100);
const wait = isWait(options.values.wait) ? options.values.wait : options.refuse('--wait is clock or processor');
const judging: Judging = { margin, wait };

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

const idleMicros = await usedWhenIdle();
const measured: Measured[] = [];
for (const shape of SHAPES) {
  if (chosen.length === 0 || chosen.includes(shape.name) || BASELINES.has(shape.name)) {
    measured.push(await measure(shape));
    console.log(table(measured.slice(-1), measured, measured.length === 1));
  }
}
const beyond = beyondGoals(measured);
console.log(`\n${measured.length} shapes, ${beyond.length} of them beyond a goal${beyond.length > 0 ? ':' : ''}`);
for (const line of beyond) console.log(line);
const missed = judge(measured, judging);
const bounds = `at ${margin} times the processor time, wait by ${wait}`;
console.log(missed.length === 0 ? `\nEvery bound is kept (${bounds}).` : `\nMissed (${bounds}):`);
for (const line of missed) console.log(`  ${line}`);
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
  const before = { cpu: threadMicros(pid), ...summed(attacks), at: performance.now() };
  await waitsOf(visitor);
  await sleep(seconds * 1_000);
  const { longestMs, busyMs } = await waitsOf(visitor);
  const after = summed(attacks);
  const cpu = threadMicros(pid) - before.cpu;
  const tookSeconds = (performance.now() - before.at) / 1_000;
  for (const attack of attacks) attack.stop();
  return {
    shape,
    cpuMicros: Math.max(0, cpu - idleMicros * tookSeconds),
    requests: after.answers - before.answers,
    bytes: after.bytesSent - before.bytesSent,
    connections: after.connections - before.connections,
    waitMs: longestMs,
    busyMs,
  };
}

/** Processor time per second that the normal visitor alone costs. */
async function usedWhenIdle(): Promise<number> {
  const { pid } = edge.running;
  await sleep(IDLE_MS);
  const before = threadMicros(pid);
  await sleep(IDLE_MS);
  return ((threadMicros(pid) - before) * 1_000) / IDLE_MS;
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

function isWait(text: string): text is Judging['wait'] {
  return text === 'clock' || text === 'processor';
}

function fail(message: string): never {
  console.error(`bench:hostile: ${message}; the edge said: ${edge.running.outputTail()}`);
  process.exit(1);
}
