/**
 * `npm run bench:shared`: processor time of a hit with a store of each thread and with one that all threads share, in
 * 1, 2 and 4 threads. docs/adr/0019-shared-memory.md says what follows from it.
 * @module
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { makeSharedMemory, RESERVE } from '../cache/shared/layout.ts';
import { SharedStore } from '../cache/shared/shared-store.ts';
import { KeyBytes } from '../cache/store/key-bytes.ts';
import { readArguments } from '../test/support/arguments.ts';
import { freePorts } from '../test/support/ports.ts';
import { seededRandom, zipf } from '../test/support/random.ts';
import { wrk } from './bench/loads.ts';
import { checkSeen } from './bench/measure.ts';
import { nginx } from './bench/peers/nginx.ts';
import { threadMicros } from './bench/proc.ts';
import { start, temporaryFolder, untilListening } from './bench/processes.ts';
import { BROWSER, headOf } from './bench/requests.ts';
import { ratioOf, spreadOf } from './bench/statistics.ts';
import { nanosecondsPer } from './micro/measure.ts';
import { print, type Row } from './report.ts';
import { fill, type Pauses, ORIGIN as PREFIX, type ServerOptions, TARGET, WAYS, type Way } from './shared/objects.ts';

const HELP = `Usage: npm run bench:shared [-- OPTIONS]

Processor time of a hit of 1 KB, asked for by Zipf's law (exponent 1), in threads of one process: with a store of each
thread (private), and with one store of all (shared), of which each thread remembers what it has looked up lately.
Beside them nginx with as many workers, where it is installed. All have the whole machine. Needs wrk.

Options:
  --rounds N   Rounds; medians are printed. Default: 3.
  --seconds N  Seconds of each measurement. Default: 2.
  --objects N  Default: 20000.
  --ways W,W   Some of private, shared, nginx. Default: all.
  --help       Say this.
`;

const THREADS = [1, 2, 4];
const CONNECTIONS = 64;
const DRAWS = 500_000;
const MEMORY_MEBIBYTES = 128;
const ORIGIN = join(import.meta.dirname, 'bench/origin.ts');

const args = readArguments('bench:shared', HELP, {
  rounds: '3',
  seconds: '2',
  objects: '20000',
  ways: [...WAYS, 'nginx'].join(','),
});
const [rounds, seconds, objects] = [
  args.positive('rounds', 99),
  args.positive('seconds', 99),
  args.positive('objects'),
];
const contenders = args.values.ways.split(',').map(contenderOf);

function contenderOf(name: string): Way | 'nginx' {
  const known = ([...WAYS, 'nginx'] as const).find((one) => one === name);
  return known ?? args.refuse(`--ways needs some of ${[...WAYS, 'nginx'].join(', ')}, not ${JSON.stringify(name)}`);
}

const draws = join(temporaryFolder('draws'), 'draws');
writeFileSync(draws, Uint32Array.from({ length: DRAWS }, zipf(objects, 1, seededRandom(1))));

interface Measured {
  readonly micros: number;
  readonly pauses: readonly Pauses[];
}

/** Hits of one server. */
async function measure(way: Way, threads: number): Promise<Measured> {
  const [port = 0] = await freePorts(1);
  const options: ServerOptions = { way, threads, port, objects };
  const server = spawn(process.execPath, [join(import.meta.dirname, 'shared/server.ts'), JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    const lines = createInterface(server.stdout);
    await once(lines, 'line');
    const micros = await microsOf(server.pid ?? 0, port);
    server.stdin.write('pauses\n');
    const [text] = (await once(lines, 'line')) as [string];
    return { micros, pauses: JSON.parse(text) as Pauses[] };
  } finally {
    server.kill('SIGKILL');
  }
}

/** Hits of nginx, which has asked an origin for all objects before. */
async function measureNginx(workers: number): Promise<Measured> {
  const [originPort = 0] = await freePorts(1);
  const origin = start('origin', [process.execPath, ORIGIN, String(originPort)], {});
  try {
    await untilListening(origin, originPort);
    const stage = { originPort, certificates: undefined };
    const server = await nginx('off').start(stage, {
      name: 'shared',
      memoryMebibytes: MEMORY_MEBIBYTES,
      threads: workers,
    });
    try {
      const head = headOf(server.port, '@', BROWSER);
      const each = { kind: 'each', head, prefix: TARGET, most: objects } as const;
      await wrk({ port: server.port, connections: CONNECTIONS, seconds: 60, requests: each });
      return { micros: await microsOf(server.running.pid, server.port), pauses: [] };
    } finally {
      await server.stop();
    }
  } finally {
    await origin.stop();
  }
}

/** @returns Microseconds of processor time of a request. */
async function microsOf(pid: number, port: number): Promise<number> {
  const requests = { kind: 'ranks', head: headOf(port, `${TARGET}@`, BROWSER), file: draws, offset: 0 } as const;
  const load = { port, connections: CONNECTIONS, requests };
  checkSeen(await wrk({ ...load, seconds: 1 }));
  const before = threadMicros(pid);
  const seen = await wrk({ ...load, seconds });
  const used = threadMicros(pid) - before;
  checkSeen(seen);
  return used / seen.requests;
}

/** Parts of a lookup, in this thread. */
function parts(): Row[] {
  const memory = makeSharedMemory({ maxBytes: 128 * 1024 * 1024, threads: 2 });
  const store = new SharedStore(memory, SharedStore.supervise(memory, memory.data.byteLength / RESERVE).addThread());
  const key = new KeyBytes();
  const prefix = Buffer.from(PREFIX);
  const targets = Array.from({ length: objects }, (_, i) => Buffer.from(TARGET + i));
  for (const i of targets.keys()) fill(store, i);
  const draw = zipf(objects, 1, seededRandom(2));
  const drawn = Array.from({ length: 65_536 }, () => targets[draw()] as Buffer);
  const target = Buffer.allocUnsafeSlow(16 * 1024);
  let at = 0;
  const next = (): KeyBytes => {
    const bytes = drawn[at++ & 65_535] as Buffer;
    return key.join(prefix, bytes, 0, bytes.length, NONE);
  };
  const fence = new Int32Array(1);
  const version = new Int32Array(new SharedArrayBuffer(4));
  const shared = Buffer.from(new SharedArrayBuffer(2_048));
  const own = Buffer.alloc(2_048);
  const calls: Readonly<Record<string, () => unknown>> = {
    'the key and its hash': next,
    '… looked up in shared memory': () => store.get(next()),
    'one check of a version': () => {
      Atomics.store(fence, 0, 0);
      return Atomics.load(version, 0);
    },
    'copy of 1.3 KB out of shared memory': () => shared.copy(target, 0, 0, 1_300),
    'copy of 1.3 KB out of private memory': () => own.copy(target, 0, 0, 1_300),
  };
  return Object.entries(calls).map(([what, call]) => ({ what, value: `${nanosecondsPer(call).toFixed(0)} ns` }));
}

const NONE = Buffer.alloc(0);

print('Nanoseconds per operation, the median', parts());
/** Microseconds and pauses by contender and threads, each in every round. */
const measured = new Map<string, Measured[]>();
for (let round = 0; round < rounds; round++) {
  for (const threads of THREADS) {
    for (const contender of contenders) {
      const one = await (contender === 'nginx' ? measureNginx(threads) : measure(contender, threads));
      const name = nameOf(contender, threads);
      measured.set(name, [...(measured.get(name) ?? []), one]);
    }
  }
}

function nameOf(contender: string, threads: number): string {
  const units = contender === 'nginx' ? 'worker' : 'thread';
  return `${contender}, ${threads} ${units}${threads === 1 ? '' : 's'}`;
}

const microsIn = (name: string): number[] => (measured.get(name) ?? []).map(({ micros }) => micros);
/** Median of the ratios of each round, and their least and greatest. */
const ratio = (name: string, other: string): string => {
  const { median: middle, least, most } = ratioOf(microsIn(name), microsIn(other));
  return `${middle.toFixed(2)} (${least.toFixed(2)} to ${most.toFixed(2)})`;
};
const rows = contenders.flatMap((contender) =>
  THREADS.map((threads): Row => {
    const name = nameOf(contender, threads);
    const { median: middle, least, most } = spreadOf(microsIn(name));
    const longest = Math.max(0, ...(measured.get(name) ?? []).flatMap(({ pauses }) => pauses.map((p) => p.longestMs)));
    const parts = [
      `${least.toFixed(1)} to ${most.toFixed(1)}`,
      ...(threads === 1 ? [] : [`${ratio(name, nameOf(contender, 1))} × one`]),
      ...(contender === 'nginx' || !contenders.includes('nginx')
        ? []
        : [`${ratio(name, nameOf('nginx', threads))} × nginx`]),
      ...(longest === 0 ? [] : [`longest pause ${longest.toFixed(0)} ms`]),
    ];
    return { what: `${name}: ${parts.join('; ')}`.padEnd(112), value: `${middle.toFixed(2)} µs` };
  }),
);
print('Processor time of a hit, the median of the rounds (least to most)', rows);
process.exit();
