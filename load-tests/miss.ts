/**
 * `npm run bench:miss`: what a miss is made of, beside HAProxy and a relay of bytes that knows nothing of HTTP.
 * @module
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { readArguments } from '../test/support/arguments.ts';
import { wrk } from './bench/loads.ts';
import { checkSeen } from './bench/measure.ts';
import { haproxy } from './bench/peers/haproxy.ts';
import { relay } from './bench/peers/relay.ts';
import { familyPids, mainThreadMicros, threadMicros, usageOf } from './bench/proc.ts';
import { programOf, start } from './bench/processes.ts';
import { BROWSER, headOf, KILOBYTE, objectPath } from './bench/requests.ts';
import { seawall } from './bench/seawall.ts';
import type { Server } from './bench/server.ts';
import { openStage } from './bench/stage.ts';
import { callsOf, type SystemCalls } from './bench/strace-output.ts';

const DEFAULTS = { seconds: '3', 'warm-up': '200000' };

const HELP = `Usage: npm run bench:miss [-- OPTIONS]

What a miss of 1 KB through to the origin is made of: processor time in the program and
in the system, of the main thread and of others (in Seawall those of V8, which compile
and collect garbage), and system calls, if strace is installed. Beside Seawall HAProxy,
if it is installed, and the floor: a relay of bytes on node:net. One server at a time, on
processor 0; load and origin on processor 1.

Options:
  --seconds N   Measured of each server. By default ${DEFAULTS.seconds}.
  --warm-up N   Requests before that. By default ${DEFAULTS['warm-up']}: V8 has compiled the way of a miss by then.
  --help        Say this.
`;

const CONNECTIONS = 64;

/** Time for which system calls are counted; each takes several times as long meanwhile. */
const TRACED_SECONDS = 2;
const ATTACHED_MS = 500;

/** Calls that are rarer are not printed. */
const LEAST_A_MISS = 0.01;

const options = readArguments('bench:miss', HELP, DEFAULTS);
const seconds = options.positive('seconds', 60);
const warmUp = options.positive('warm-up', 10_000_000);

let prefixes = 0;
const stage = await openStage();
for (const kind of [seawall(), haproxy(), relay()]) {
  if (kind.version === undefined) {
    console.log(`${kind.title}: not installed`);
    continue;
  }
  const server = await kind.start(stage, { name: 'miss', memoryMebibytes: 256 });
  for (let sent = 0; sent < warmUp; ) sent += await misses(server, 2);
  const { pid } = server.running;
  const [before, threadsBefore, mainBefore] = [usageOf(pid), threadMicros(pid), mainThreadMicros(pid)];
  const requests = await misses(server, seconds);
  const after = usageOf(pid);
  const all = threadMicros(pid) - threadsBefore;
  const main = mainThreadMicros(pid) - mainBefore;
  const ticks = after.cpuMicros - before.cpuMicros;
  const system = (all * (after.systemMicros - before.systemMicros)) / ticks;
  const micros = (total: number): string => `${(total / requests).toFixed(1)} µs`;
  console.log(`${kind.title}: ${micros(all)} a miss, ${Math.round(requests / seconds).toLocaleString('en')} a second`);
  console.log(`  in the program ${micros(all - system)}, in the system ${micros(system)}`);
  if (all - main > requests * LEAST_A_MISS) console.log(`  of it other threads ${micros(all - main)}`);
  for (const line of await callLines(server)) console.log(`  ${line}`);
  await server.stop();
}
await stage.close();
process.exit(0);

async function misses(server: Server, duration: number): Promise<number> {
  const head = headOf(server.port, objectPath(KILOBYTE, 'miss-@'), BROWSER);
  const prefix = `${prefixes++}-`;
  const load = { port: server.port, seconds: duration, connections: CONNECTIONS };
  const seen = await wrk({ ...load, requests: { kind: 'each', head, prefix } });
  checkSeen(seen);
  return seen.requests;
}

/** Returns the system calls of a miss: of the process that has most of them. */
async function callLines(server: Server): Promise<string[]> {
  if (programOf('strace') === undefined) return ['system calls: strace is not installed'];
  let most: { readonly requests: number; readonly calls: SystemCalls } | undefined;
  for (const pid of familyPids(server.running.pid)) {
    const tracer = start('strace', ['strace', '-c', '-f', '-p', String(pid)], { core: undefined });
    const ended = once(tracer.child, 'exit');
    await sleep(ATTACHED_MS);
    const requests = await misses(server, TRACED_SECONDS);
    process.kill(tracer.pid, 'SIGINT');
    await ended;
    const calls = callsOf(tracer.outputTail());
    if (calls.total > (most?.calls.total ?? 0)) most = { requests, calls };
  }
  if (most === undefined) return ['system calls: none were seen'];
  const { requests, calls } = most;
  const shares = [...calls.byName].map(([name, count]) => [name, count / requests] as const);
  const shown = shares
    .filter(([, share]) => share >= LEAST_A_MISS)
    .map(([name, share]) => `${name} ${share.toFixed(2)}`);
  return [`system calls ${(calls.total / requests).toFixed(2)}: ${shown.join(', ')}`];
}
