/**
 * An edge with a disk beside nginx's disk cache: the same objects, each killed with SIGKILL and started again, every
 * byte looked at, and processor time of a hit from disk.
 * @module
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { monotonicNow, msSince } from '../../lib/clock.ts';
import { watch } from '../../test/support/node-processes.ts';
import { seededRandom } from '../../test/support/random.ts';
import { threadMicros } from '../bench/proc.ts';
import { number, print } from '../report.ts';
import { Objects } from './objects.ts';
import { type AnswerCounts, readAll } from './reader.ts';
import { type DiskServer, nginx, seawall } from './servers.ts';

const CONNECTIONS = 32;
const ROUNDS = 3;

/** Attempts to store what a disk that was busy has refused. */
const MAX_PASSES = 4;

/** A disk cache may write the last ones so late. */
const WRITTEN_MS = 1_500;

const PATIENCE_MS = 60_000;

const GOALS = { firstAnswerMs: 2_000, ofNginx: 1 };

export interface NodesOptions {
  readonly folder: string;
  readonly count: number;
  readonly bytes: number;
  /** Time of the reads whose processor time is measured, for each server. */
  readonly seconds: number;
}

class Origin {
  readonly #child: ReturnType<typeof fork>;
  readonly port: number;

  private constructor(child: ReturnType<typeof fork>, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(bytes: number): Promise<Origin> {
    const child = fork(join(import.meta.dirname, 'origin.ts'), [String(bytes)]);
    watch(child, 'the origin');
    const [port] = (await once(child, 'message')) as [number];
    return new Origin(child, port);
  }

  async requests(): Promise<number> {
    const answer = once(this.#child, 'message');
    this.#child.send('count');
    const [count] = (await answer) as [number];
    return count;
  }
}

/** Returns what gives one after another, and `undefined` at the end. */
function each(indexes: Iterable<number>): () => number | undefined {
  const iterator = indexes[Symbol.iterator]();
  return () => iterator.next().value;
}

/** Starts a server. @returns Its process id, and the time until it has answered from disk. */
async function startAndAsk(
  server: DiskServer,
  objects: Objects,
  index: number,
): Promise<{ readonly pid: number; readonly firstMs: number }> {
  const began = monotonicNow();
  const pid = await server.start();
  for (;;) {
    try {
      const counts = await readAll({ ...server, objects, connections: 1, next: each([index]) });
      if (counts.disk !== 1) throw new TypeError(`${server.name}: the first answer is not from disk`);
      return { pid, firstMs: msSince(began) };
    } catch (error) {
      if (error instanceof TypeError || msSince(began) > PATIENCE_MS) throw error;
      await wait(5); // nothing says that nginx listens
    }
  }
}

/** Stores all objects on the server's disk. @throws {Error} if it does not take them. */
async function fill(server: DiskServer, objects: Objects, count: number): Promise<void> {
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const times = server.requestsToStore;
    await readAll({ ...server, objects, connections: CONNECTIONS, next: each(objects.keys(count)), times });
    await wait(WRITTEN_MS);
    const stored = await server.stored();
    if (stored === undefined || stored >= count) return;
  }
  throw new Error(`${server.name} has ${await server.stored()} of ${count} objects on disk`);
}

interface Measured {
  readonly fillSeconds: number;
  readonly firstMs: number;
  readonly counts: AnswerCounts;
  readonly originRequests: number;
  pid: number;
}

async function measure(server: DiskServer, origin: Origin, objects: Objects, count: number): Promise<Measured> {
  await server.start();
  await answers(server);
  const began = monotonicNow();
  await fill(server, objects, count);
  const fillSeconds = msSince(began) / 1_000;
  await server.kill();
  const before = await origin.requests();
  const { pid, firstMs } = await startAndAsk(server, objects, Math.floor(count / 2));
  const counts = await readAll({ ...server, objects, connections: CONNECTIONS, next: each(objects.keys(count)) });
  return { fillSeconds, firstMs, counts, originRequests: (await origin.requests()) - before, pid };
}

/** Resolves when it listens. */
async function answers(server: DiskServer): Promise<void> {
  const objects = new Objects(1);
  const none = (): undefined => undefined;
  for (const began = monotonicNow(); msSince(began) < PATIENCE_MS; ) {
    const isUp = await readAll({ ...server, objects, connections: 1, next: none }).then(
      () => true,
      () => false,
    );
    if (isUp) return;
    await wait(5);
  }
  throw new Error(`${server.name} does not start`);
}

/** Processor time of a hit from disk, in microseconds. */
async function cpuOfHit(server: DiskServer, pid: number, objects: Objects, count: number, seconds: number) {
  const random = seededRandom(count);
  const began = monotonicNow();
  const next = (): number | undefined => (msSince(began) < seconds * 1_000 ? Math.floor(random() * count) : undefined);
  const before = threadMicros(pid);
  const counts = await readAll({ ...server, objects, connections: CONNECTIONS, next });
  const micros = threadMicros(pid) - before;
  const answers = counts.disk + counts.memory;
  return { micros: micros / answers, perSecond: answers / (msSince(began) / 1_000), ofDisk: counts.disk / answers };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

export async function measureNodes({ folder, count, bytes, seconds }: NodesOptions): Promise<void> {
  const objects = new Objects(bytes);
  const origin = await Origin.start(bytes);
  const diskBytes = Math.max(2 ** 28, Math.ceil(count * (bytes + 1_000) * 1.4));
  const setup = { folder, originPort: origin.port, diskBytes };
  const servers = [await seawall(setup), await nginx(setup)];
  const measured: Measured[] = [];
  try {
    for (const server of servers) {
      const one = await measure(server, origin, objects, count);
      measured.push(one);
      printRestart(server, one, count, bytes); // at once: a run that is ended early has said so much
    }
    const rounds: Awaited<ReturnType<typeof cpuOfHit>>[][] = servers.map(() => []);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [i, server] of servers.entries())
        rounds[i]?.push(await cpuOfHit(server, (measured[i] as Measured).pid, objects, count, seconds / ROUNDS));
    }
    for (const [i, { name }] of servers.entries()) {
      const cpu = rounds[i] as (typeof rounds)[0];
      print(`${name}: random objects, ${CONNECTIONS} requests at a time`, [
        { what: 'hits a second', value: number(Math.round(median(cpu.map((one) => one.perSecond)))) },
        { what: 'of them from disk', value: `${(median(cpu.map((one) => one.ofDisk)) * 100).toFixed(1)} %` },
        { what: 'processor time of a hit, µs', value: median(cpu.map((one) => one.micros)).toFixed(1) },
      ]);
    }
    const [own, others] = rounds as [(typeof rounds)[0], (typeof rounds)[0]];
    const ratio = median(own.map(({ micros }, round) => micros / (others[round]?.micros as number)));
    print('Seawall beside nginx', [
      {
        what: 'processor time of a hit from disk (median of ratios)',
        value: ratio.toFixed(2),
        promise: { text: `≤ ${GOALS.ofNginx.toFixed(2)}`, kept: ratio <= GOALS.ofNginx },
      },
    ]);
  } finally {
    for (const server of servers) await server.kill();
  }
}

function printRestart({ name }: DiskServer, measured: Measured, count: number, bytes: number): void {
  const { fillSeconds, firstMs, counts, originRequests } = measured;
  const own = name === 'Seawall';
  print(`${name}: ${number(count)} objects of ${number(bytes)} bytes on disk, killed and started again`, [
    { what: 'seconds until all were on disk', value: fillSeconds.toFixed(1) },
    {
      what: 'start until the first answer from disk, ms',
      value: firstMs.toFixed(0),
      ...(own && { promise: { text: `≤ ${number(GOALS.firstAnswerMs)}`, kept: firstMs <= GOALS.firstAnswerMs } }),
    },
    {
      what: 'wrong bodies',
      value: number(counts.wrong),
      ...(own && { promise: { text: '= 0', kept: counts.wrong === 0 } }),
    },
    {
      what: 'requests at the origin',
      value: number(originRequests),
      ...(own && { promise: { text: '= 0', kept: originRequests === 0 } }),
    },
  ]);
}
