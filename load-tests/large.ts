/**
 * `npm run bench:large`: an object of 4 GB through one edge with 256 MiB of memory (docs/adr/0022-large-objects.md).
 * Prints how long seeks to places take that are not stored, what visitors at random places cost the origin, and the
 * memory of the edge. Exits 1 when a number is out of its bounds.
 * @module
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { CHUNK_BYTES, chunkAt } from '../cache/large/chunk.ts';
import { readArguments } from '../test/support/arguments.ts';
import { startNode, temporaryFolder, watch } from '../test/support/node-processes.ts';
import { freePorts } from '../test/support/ports.ts';
import { seededRandom } from '../test/support/random.ts';
import { isPiece } from './large/object.ts';
import type { Counted } from './large/origin.ts';
import { number, print } from './report.ts';

const HELP = `Usage: npm run bench:large -- [options]

An object of 4 GB at an origin that makes its bytes, and one edge with 256 MiB of memory, in processes of their own.

  1  seeks to places that are not stored, one after the other: time to the first byte of the body
  2  32 visitors, each reads a range at a random place, all at once: bytes from the origin beside those of the chunks
  3  one visitor reads all of it: requests to the origin, and its bytes
  and the peak of the edge's memory (promise P5)

Options:
  --size SIZE      The object. By default 4GiB.
  --memory SIZE    Memory of the edge. By default 256MiB.
  --visitors N     Visitors at random places. By default 32.
  --read SIZE      Bytes that each of them reads. By default 16MiB.
  --seeks N        By default 40.
  --round-trip N   Milliseconds that the origin takes before it answers. By default 30.
  --help           Say this.
`;

/** Time that a seek may take beyond the origin's round trip. */
const SEEK_MS = 50;

/** Bytes from the origin beside those of the chunks that were read. */
const MOST_RATIO = 1.1;

const MIB = 2 ** 20;

/** Limit of the edge's memory beyond its budget for responses, as in `npm run herd`. */
const ALLOWANCE_BYTES = 256 * MIB;

const args = readArguments('bench:large', HELP, {
  size: '4GiB',
  memory: '256MiB',
  visitors: '32',
  read: '16MiB',
  seeks: '40',
  'round-trip': '30',
});
const [size, memory, readBytes] = [args.bytes('size'), args.bytes('memory'), args.bytes('read')];
const [visitors, seeks, roundTripMs] = [
  args.positive('visitors', 10_000),
  args.positive('seeks', 10_000),
  args.positive('round-trip', 10_000),
];

const script = join(import.meta.dirname, 'large', 'origin.ts');
const origin: ChildProcess = fork(script, [String(size), String(roundTripMs)]);
watch(origin, 'origin');

/** @returns Counts since the last call. */
async function counted(isFirst = false): Promise<Counted> {
  const message = once(origin, 'message');
  if (!isFirst) origin.send('count');
  return ((await message) as [Counted])[0];
}

const { port } = await counted(true);
const [listen, tier] = (await freePorts(2)) as [number, number];
const file = join(temporaryFolder(), 'large.yaml');
writeFileSync(
  file,
  `region: large
tier_secret: only-for-this-measurement-on-this-machine
memory: ${args.values.memory}
edges: [{ name: edge, listen: '127.0.0.1:${listen}', tier: '127.0.0.1:${tier}', workers: 1 }]
sites:
  - name: large
    hosts: ['*']
    origin: { servers: [{ url: 'http://127.0.0.1:${port}' }] }
`,
);
const node = await startNode('edge', [file]);
const idle = residentBytes('VmRSS');
const random = seededRandom(7);
const agent = new Agent({ keepAlive: true });

interface Taken {
  /** Milliseconds until the first byte of the body. */
  readonly firstByteMs: number;
  readonly bytes: number;
}

/** Asks for a range and reads it; ends the command where a byte is wrong or missing. */
async function take(path: string, start: number, end: number): Promise<Taken> {
  const asked = performance.now();
  const headers = end - start === size ? {} : { Range: `bytes=${start}-${end - 1}` };
  const sent = request({ port: listen, host: '127.0.0.1', path, headers, agent });
  const answered = once(sent, 'response');
  sent.end();
  const [response] = (await answered) as [IncomingMessage];
  let at = start;
  let firstByteMs = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    if (at === start) firstByteMs = performance.now() - asked;
    if (!isPiece(piece, at)) throw new Error(`wrong bytes at ${at}`);
    at += piece.length;
  }
  if (at !== end) throw new Error(`an answer ended at ${at}, not at ${end}`);
  return { firstByteMs, bytes: at - start };
}

function residentBytes(field: 'VmHWM' | 'VmRSS'): number {
  const status = readFileSync(`/proc/${node.pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1]) * 1_024;
}

const mib = (bytes: number): string => `${number(Math.round(bytes / MIB))} MiB`;
const place = (): number => Math.floor(random() * (size - readBytes));

await take('/seeks', 0, 100);
await counted();
const times: number[] = [];
for (let i = 0; i < seeks; i++) {
  const start = Math.floor(((i + random() / 2) / seeks) * (size - MIB));
  times.push((await take('/seeks', start, start + 1_000)).firstByteMs);
}
times.sort((a, b) => a - b);
const at = (part: number): number => times[Math.min(times.length - 1, Math.floor(times.length * part))] as number;
const atSeeks = await counted();
const limitMs = roundTripMs + SEEK_MS;
print(`${number(seeks)} seeks to places that are not stored; the origin takes ${roundTripMs} ms`, [
  {
    what: 'first byte, median, ms',
    value: at(0.5).toFixed(1),
    promise: { text: `≤ ${limitMs}`, kept: at(0.5) <= limitMs },
  },
  {
    what: 'first byte, 90 %, ms',
    value: at(0.9).toFixed(1),
    promise: { text: `≤ ${limitMs}`, kept: at(0.9) <= limitMs },
  },
  { what: 'first byte, longest, ms', value: at(1).toFixed(1) },
  { what: 'requests to the origin a seek', value: (atSeeks.requests / seeks).toFixed(2) },
]);

await take('/many', 0, 100);
await counted();
const places = Array.from({ length: visitors }, place);
const began = performance.now();
await Promise.all(places.map((start) => take('/many', start, start + readBytes)));
const seconds = (performance.now() - began) / 1_000;
const chunks = new Set<number>();
for (const start of places) {
  for (let index = chunkAt(start); index <= chunkAt(start + readBytes - 1); index++) chunks.add(index);
}
const distinct = [...chunks].reduce((sum, index) => sum + Math.min(CHUNK_BYTES, size - index * CHUNK_BYTES), 0);
const atMany = await counted();
const ratio = atMany.bytes / distinct;
print(`${number(visitors)} visitors read ${args.values.read} each, at random places, at once`, [
  { what: 'distinct chunks', value: number(chunks.size) },
  { what: 'bytes from the origin', value: mib(atMany.bytes) },
  {
    what: 'bytes from the origin / of distinct chunks',
    value: ratio.toFixed(3),
    promise: { text: `≤ ${MOST_RATIO}`, kept: ratio <= MOST_RATIO },
  },
  { what: 'requests to the origin', value: number(atMany.requests) },
  { what: 'to visitors, MB/s', value: number(Math.round((visitors * readBytes) / 1e6 / seconds)) },
]);

await counted();
const wholeBegan = performance.now();
await take('/whole', 0, size);
const wholeSeconds = (performance.now() - wholeBegan) / 1_000;
const atWhole = await counted();
const wholeRatio = atWhole.bytes / size;
print(`one visitor reads all of ${args.values.size}`, [
  { what: 'MB/s', value: number(Math.round(size / 1e6 / wholeSeconds)) },
  { what: 'requests to the origin', value: number(atWhole.requests) },
  {
    what: 'bytes from the origin / of the object',
    value: wholeRatio.toFixed(3),
    promise: { text: `≤ ${MOST_RATIO}`, kept: wholeRatio <= MOST_RATIO },
  },
]);

const peak = residentBytes('VmHWM');
print(`memory of the edge, with \`memory: ${args.values.memory}\` (promise P5)`, [
  { what: 'before the first request', value: mib(idle) },
  {
    what: 'peak',
    value: mib(peak),
    promise: { text: `≤ ${mib(memory + ALLOWANCE_BYTES)}`, kept: peak <= memory + ALLOWANCE_BYTES },
  },
  { what: 'goal for the peak', value: mib(memory * 1.25 + 64 * MIB) },
  { what: 'at the end', value: mib(residentBytes('VmRSS')) },
]);
agent.destroy();
await node.kill();
process.exit();
