/**
 * `npm run bench:disk`: the disk cache by itself, beside `dd`: how fast it writes, how many objects a second it reads
 * while it writes and how long the event loop stands still meanwhile, and how long a restart takes. Then an edge with a
 * disk beside nginx's disk cache.
 * docs/adr/0020-disk.md says what follows from it.
 * @module
 */
import { spawnSync } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { openFolder } from '../cache/disk/folder.ts';
import { type Content, MAX_SEGMENT_BYTES } from '../cache/disk/format.ts';
import { SegmentStore } from '../cache/disk/segment-store.ts';
import { DiskBusyError, Space } from '../cache/disk/space.ts';
import { monotonicNow, msSince } from '../lib/clock.ts';
import { readArguments } from '../test/support/arguments.ts';
import { seededRandom } from '../test/support/random.ts';
import { Objects } from './disk/objects.ts';
import { number, print, type Row } from './report.ts';

const HELP = `Usage: npm run bench:disk [-- OPTIONS]

The disk cache by itself: writes beside dd, reads while it writes, the stalls of the event loop, and a restart. Then an
edge and nginx, each with a cache on disk, one thread and the same objects: killed and started again, every byte looked
at, and the processor time of a hit from disk. Exits 1 when a goal is missed.

Options:
  --only LIST   Parts: store, nodes. By default both.
  --objects N   Objects that are written. Default: 100000.
  --bytes N     Bytes of each body. Default: 60000.
  --seconds N   Seconds of reads, of each server. Default: 10.
  --folder DIR  Where to write; it has to be on the disk that is meant. Default: the current folder.
  --help        Say this.
`;

const MIB = 1024 * 1024;
const READERS = 32;
/** Written while it reads. */
const WRITES_PER_SECOND = 64 * MIB;
const RAW_WRITES = 256;

const GOALS = { writeMbPerSecond: 400, shareOfDd: 0.8, readP99Ms: 5, stallMs: 20, restartMs: 2_000 };

const args = readArguments('bench:disk', HELP, {
  only: 'store,nodes',
  objects: '100000',
  bytes: '60000',
  seconds: '10',
  folder: '.',
});
const parts = args.names('only', 'part', ['store', 'nodes']);
const [objects, bytes, seconds] = [
  args.positive('objects'),
  args.positive('bytes', 8 * MIB),
  args.positive('seconds', 60),
];
const folder = join(args.values.folder, `seawall-bench-disk-${process.pid}`);
const segments = Math.ceil((objects * (bytes + 1_000) * 1.3) / MAX_SEGMENT_BYTES) + 8;

const contents = new Objects(bytes);
const random = seededRandom(1);

function contentOf(index: number): Content {
  const meta = Buffer.alloc(600, `{"status":200,"headers":["ETag","${index}"]}`);
  return { key: `http://bench.test/${index}`, term: '', asOf: 0, meta, body: [contents.body(index)] };
}

/** Longest time that the event loop stood still. */
class Stalls {
  longestMs = 0;
  readonly #timer: NodeJS.Timeout;
  #at = monotonicNow();

  constructor() {
    this.#timer = setInterval(() => {
      this.longestMs = Math.max(this.longestMs, msSince(this.#at) - 1);
      this.#at = monotonicNow();
    }, 1);
  }

  stop(): number {
    clearInterval(this.#timer);
    return this.longestMs;
  }
}

async function openStore(): Promise<{ store: SegmentStore; close: () => Promise<void>; loadMs: number }> {
  const began = monotonicNow();
  const opened = await openFolder(folder, MAX_SEGMENT_BYTES);
  const { identity, segmentsFile } = opened;
  const space = await Space.open(segmentsFile, segments * MAX_SEGMENT_BYTES, (error) => {
    throw error;
  });
  const store = new SegmentStore({ space, identity, segments, maxIndexBytes: 1024 * MIB });
  await store.load();
  const loadMs = msSince(began);
  const close = async (): Promise<void> => {
    store.close();
    await space.closed;
    opened.release();
  };
  return { store, close, loadMs };
}

function sync(file: string): void {
  const fd = openSync(file, 'r+');
  fdatasyncSync(fd);
  closeSync(fd);
}

function dd(): number {
  const file = join(folder, 'dd');
  const count = Math.min(1_024, Math.ceil((objects * bytes) / (4 * MIB)));
  const began = monotonicNow();
  const { status, stderr } = spawnSync('dd', [
    'if=/dev/zero',
    `of=${file}`,
    'bs=4M',
    `count=${count}`,
    'conv=fdatasync',
  ]);
  if (status !== 0) throw new Error(String(stderr));
  const rate = (count * 4 * MIB) / 1e6 / (msSince(began) / 1_000);
  rmSync(file);
  return rate;
}

async function write(store: SegmentStore): Promise<{ rate: number; stallMs: number; cpuMicros: number }> {
  const stalls = new Stalls();
  const [began, cpu] = [monotonicNow(), process.cpuUsage()];
  for (let i = 0; i < objects; i++) {
    const content = contentOf(i);
    while (store.append(content) === 'busy') await nextTurn();
    if (i % 16 === 0) await nextTurn();
  }
  await store.flush();
  sync(join(folder, 'segments'));
  const used = process.cpuUsage(cpu);
  const rate = store.counts.appendedBytes / 1e6 / (msSince(began) / 1_000);
  return { rate, stallMs: stalls.stop(), cpuMicros: (used.user + used.system) / objects };
}

async function read(
  store: SegmentStore,
): Promise<{ perSecond: number; p99Ms: number; stallMs: number; micros: number }> {
  const times: number[] = [];
  let isOver = false;
  const writer = (async () => {
    for (let i = 0; !isOver; i++) {
      store.append(contentOf(objects + i));
      await wait((bytes / WRITES_PER_SECOND) * 1_000);
    }
  })();
  const stalls = new Stalls();
  const [began, cpu] = [monotonicNow(), process.cpuUsage()];
  const reader = async (): Promise<void> => {
    while (msSince(began) < seconds * 1_000) {
      const at = monotonicNow();
      try {
        const key = `http://bench.test/${Math.floor(random() * objects)}`;
        const found = await store.read(key);
        if (found === undefined) throw new Error(`${key} is lost`);
        times.push(msSince(at));
      } catch (error) {
        if (!(error instanceof DiskBusyError)) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: READERS }, reader));
  const used = process.cpuUsage(cpu);
  const took = msSince(began) / 1_000;
  const stallMs = stalls.stop();
  isOver = true;
  await writer;
  times.sort((a, b) => a - b);
  const micros = (used.user + used.system) / times.length;
  return { perSecond: times.length / took, p99Ms: times[Math.floor(times.length * 0.99)] as number, stallMs, micros };
}

/** Writes of 4 MiB by Node's threads, or by one of our own that waits for each. */
async function rawWrites(way: 'threads of Node' | 'thread of its own'): Promise<Row[]> {
  const file = join(folder, 'raw');
  const buffer = Buffer.from(new SharedArrayBuffer(4 * MIB)).fill(1);
  const stalls = new Stalls();
  const began = monotonicNow();
  if (way === 'threads of Node') {
    const handle = await open(file, 'w');
    for (let i = 0; i < RAW_WRITES; i++) await handle.write(buffer, 0, buffer.length, i * buffer.length);
    await handle.close();
  } else {
    const program = `
      const { parentPort, workerData } = require('node:worker_threads');
      const fs = require('node:fs');
      const fd = fs.openSync(workerData.file, 'w');
      parentPort.on('message', (at) => {
        if (at < 0) process.exit(0);
        fs.writeSync(fd, Buffer.from(workerData.memory), 0, workerData.memory.byteLength, at);
        parentPort.postMessage(at);
      });`;
    const worker = new Worker(program, { eval: true, workerData: { file, memory: buffer.buffer } });
    for (let i = 0; i < RAW_WRITES; i++) {
      const written = new Promise((resolve) => worker.once('message', resolve));
      worker.postMessage(i * buffer.length);
      await written;
    }
    worker.postMessage(-1);
  }
  const rate = (RAW_WRITES * buffer.length) / 1e6 / (msSince(began) / 1_000);
  const stallMs = stalls.stop();
  rmSync(file);
  return [
    { what: `${way}: MB/s, to the system`, value: number(Math.round(rate)) },
    { what: `${way}: longest stall, ms`, value: stallMs.toFixed(1) },
  ];
}

async function measureStore(): Promise<void> {
  let first = await openStore();
  try {
    const ddRate = dd();
    print('Writes of 4 MiB, without a cache', [
      ...(await rawWrites('threads of Node')),
      ...(await rawWrites('thread of its own')),
    ]);
    const written = await write(first.store);
    const least = Math.min(GOALS.writeMbPerSecond, GOALS.shareOfDd * ddRate);
    print(`${number(objects)} objects of ${number(bytes)} bytes`, [
      { what: 'dd, synced: MB/s', value: number(Math.round(ddRate)) },
      {
        what: 'written, synced: MB/s',
        value: number(Math.round(written.rate)),
        promise: { text: `≥ ${Math.round(least)}`, kept: written.rate >= least },
      },
      { what: 'longest stall while writing at full speed, ms', value: written.stallMs.toFixed(1) },
      { what: 'processor time of an object written, µs', value: written.cpuMicros.toFixed(1) },
      { what: 'memory of the index, bytes an object', value: (first.store.indexBytes / first.store.size).toFixed(1) },
    ]);
    const reads = await read(first.store);
    print(`Reads by ${READERS} at a time, while ${WRITES_PER_SECOND / MIB} MiB/s are written`, [
      { what: 'objects a second', value: number(Math.round(reads.perSecond)) },
      {
        what: 'p99, ms',
        value: reads.p99Ms.toFixed(1),
        promise: { text: `≤ ${GOALS.readP99Ms}`, kept: reads.p99Ms <= GOALS.readP99Ms },
      },
      {
        what: 'longest stall, ms',
        value: reads.stallMs.toFixed(1),
        promise: { text: `≤ ${GOALS.stallMs}`, kept: reads.stallMs <= GOALS.stallMs },
      },
      { what: 'processor time of a read, µs', value: reads.micros.toFixed(1) },
    ]);
    await first.close(); // without a word: as after kill -9
    first = await openStore();
    let wrong = 0;
    for (let i = 0; i < objects; i += Math.max(1, Math.floor(objects / 2_000))) {
      const found = await first.store.read(`http://bench.test/${i}`);
      if (found?.body[0]?.equals(contentOf(i).body[0] as Buffer) !== true) wrong++;
    }
    print('A restart', [
      { what: 'objects found', value: number(first.store.size) },
      { what: 'lost or wrong, of 2,000', value: String(wrong), promise: { text: '= 0', kept: wrong === 0 } },
      {
        what: 'until all can be served, ms',
        value: first.loadMs.toFixed(0),
        promise: { text: `≤ ${number(GOALS.restartMs)}`, kept: first.loadMs <= GOALS.restartMs },
      },
    ]);
  } finally {
    await first.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (parts.includes('store')) await measureStore();
if (parts.includes('nodes')) {
  mkdirSync(folder, { recursive: true });
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  // Not before: with a larger heap, each collection for the buffers of what is read above takes longer.
  const { measureNodes } = await import('./disk/nodes.ts');
  await measureNodes({ folder: resolve(folder), count: objects, bytes, seconds });
  process.exit();
}
