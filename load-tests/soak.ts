/**
 * `npm run soak`: a network under mixed load for long, with reloads and purges. Memory and descriptors of each node
 * must not grow, event loops must not stand still, and no process may end. Exits 1 otherwise.
 * @module
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { readArguments } from '../test/support/arguments.ts';
import { makeCertificate } from '../test/support/certificate.ts';
import { makeToken, type NodeProcess, startNode, temporaryFolder, watch } from '../test/support/node-processes.ts';
import { freePorts } from '../test/support/ports.ts';
import { exactly, number, print, type Row } from './report.ts';
import { HOST, PAGES, pathOf } from './soak/content.ts';
import { median, type Sample, slopeOf } from './soak/slope.ts';
import type { Seen } from './soak/visitors.ts';

const HELP = `Usage: npm run soak -- [options]

Two edges (one with a disk), a shield and a control node, each a process of its own,
under a mixed load of visitors: HTTP/1.1 and HTTP/2 over TLS, connections that stay
and that go, ranges, conditions, uploads, readers that are slow, visitors that leave.
Every second pages are purged, by URL and tag; every five seconds a node reloads a
changed config. Every body is compared with what it has to be.

Prints memory, descriptors and event-loop delay of each node, and how they grow
(the median of all slopes, after a third of the time). Exits 1 when memory grows by
more than a tenth (a quarter in less than ten minutes, in which memory still fills), descriptors by more than 10, an event loop's delay has a 99th
percentile above 50 ms, a body is wrong, or a process ends.

Options:
  --minutes N   How long: 20 or 0.5, for example. By default 20.
  --rate N      Actions of visitors a second. By default 200.
  --workers N   Threads of each edge. By default 1.
  --help        Say this.
`;

const args = readArguments('soak', HELP, { minutes: '20', rate: '200', workers: '1' });
const minutes = Number(args.values.minutes);
if (!(minutes > 0)) args.refuse('--minutes takes a number above 0, such as 20 or 0.5');
const rate = args.positive('rate');
const workers = args.positive('workers', 64);

const MIB = 2 ** 20;
const SAMPLE_MS = 2_000;
const RELOAD_TURNS = 5;
/** Part of the time that is not looked at, while memory fills. */
const WARM_UP = 1 / 3;
const MOST_GROWTH = minutes < 10 ? 0.25 : 0.1;
const MOST_DESCRIPTORS = 10;
const MOST_DELAY_MS = 50;

interface Watched {
  readonly name: string;
  readonly process: NodeProcess;
  /** HOST:PORT of its metrics. */
  readonly metrics: string;
  readonly file: string;
  readonly memory: Sample[];
  readonly descriptors: Sample[];
  readonly delays: number[];
}

const origin = fork(join(import.meta.dirname, 'soak/origin.ts'));
watch(origin, 'the origin');
const [originPort] = (await once(origin, 'message')) as [number];
const folder = temporaryFolder();
const ports = await freePorts(12);
const at = (index: number): string => `127.0.0.1:${ports[index]}`;
const EDGES = ['edge-1', 'edge-2'] as const;
const api = at(0);
const certificate = makeCertificate(folder, 'soak', [HOST]);

function config(browserTtl: number, home: string): string {
  return JSON.stringify({
    region: 'soak',
    tier_secret: 'only-for-the-soak-on-this-machine',
    memory: '64MiB',
    limits: { connections_per_address: 0, drain_timeout: '1s' },
    purges: { journal: [`http://${api}`] },
    control: { listen: api, data: join(folder, 'control', 'seawall-data') },
    edges: EDGES.map((name, i) => ({
      name,
      listen: at(1 + i),
      listen_tls: at(3 + i),
      tier: at(5 + i),
      control: at(7 + i),
      workers,
      ...(i === 0 && { disk: { path: join(home, 'disk'), size: '256MiB' } }),
    })),
    shields: [{ name: 'shield', tier: at(9), control: at(10) }],
    sites: [
      {
        name: 'soak',
        hosts: [HOST],
        tls: { cert_file: certificate.cert_file, key_file: certificate.key_file },
        origin: { servers: [{ url: `http://127.0.0.1:${originPort}` }] },
        rules: [{ path: '/page/*', browser_ttl: `${browserTtl}s` }],
      },
    ],
  });
}

async function startWatched(name: string, metrics: string): Promise<Watched> {
  const home = join(folder, name);
  mkdirSync(home, { recursive: true });
  const file = join(home, 'soak.yaml');
  writeFileSync(file, config(1, home));
  const process = await startNode(name, [file]);
  return { name, process, metrics, file, memory: [], descriptors: [], delays: [] };
}

mkdirSync(join(folder, 'control'));
const token = makeToken(join(folder, 'control'));
const control = await startWatched('control', api);
const nodes = [control, await startWatched('shield', at(10))];
for (const [i, name] of EDGES.entries()) nodes.push(await startWatched(name, at(7 + i)));

const visitors = fork(join(import.meta.dirname, 'soak/visitors.ts'), [
  String(rate),
  ...EDGES.map((_, i) => at(1 + i)),
  ...EDGES.map((_, i) => at(3 + i)),
]);
watch(visitors, 'the visitors');

const reports: Seen[] = [];
let purges = 0;
let refusedPurges = 0;
let reloads = 0;

async function purge(turn: number): Promise<void> {
  const files = [0, 1, 2].map((i) => `http://${HOST}${pathOf((turn * 37 + i * 101) % PAGES)}`);
  const body = turn % 2 === 0 ? { files } : { site: 'soak', tags: [`tag-${turn % 50}`] };
  const response = await fetch(`http://${api}/v1/purges`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  purges++;
  if (!response.ok && refusedPurges++ === 0) console.error(`purge refused: ${await response.text()}`);
  else await response.arrayBuffer();
}

function reload(turn: number): void {
  const node = nodes[(turn / RELOAD_TURNS) % nodes.length] as Watched;
  writeFileSync(node.file, config(1 + (turn % 100), join(folder, node.name)));
  node.process.signal('SIGHUP');
  reloads++;
}

async function sample(node: Watched, seconds: number): Promise<void> {
  const status = readFileSync(`/proc/${node.process.pid}/status`, 'utf8');
  node.memory.push({ seconds, value: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1_024 });
  node.descriptors.push({ seconds, value: readdirSync(`/proc/${node.process.pid}/fd`).length });
  const text = await (await fetch(`http://${node.metrics}/metrics`)).text();
  const delays = [...text.matchAll(/^nodejs_eventloop_lag_p99_seconds(?:\{[^}]*\})? (\S+)$/gm)];
  node.delays.push(Math.max(...delays.map(([, value]) => Number(value) * 1_000)));
}

async function report(seconds: number): Promise<void> {
  visitors.send('report');
  const [seen] = (await once(visitors, 'message')) as [Seen];
  reports.push(seen);
  const rss = nodes.map(({ name, memory }) => `${name} ${mib(memory.at(-1)?.value ?? 0)}`).join(', ');
  console.log(`${Math.round(seconds)} s: ${number(seen.actions)} actions, p99 ${Math.round(seen.p99Ms)} ms; ${rss}`);
}

const mib = (bytes: number): string => `${Math.round(bytes / MIB)} MiB`;

const began = performance.now();
const endAt = began + minutes * 60_000;
const secondsNow = (): number => (performance.now() - began) / 1_000;
let nextSample = began;
for (let turn = 0; performance.now() < endAt; turn++) {
  await purge(turn);
  if (turn % RELOAD_TURNS === 0) reload(turn);
  if (performance.now() >= nextSample) {
    nextSample += SAMPLE_MS;
    await Promise.all(nodes.map((node) => sample(node, secondsNow())));
  }
  if (turn % 15 === 14) await report(secondsNow());
  await wait(1_000);
}
await report(secondsNow());

const from = secondsNow() * WARM_UP;
const lasted = secondsNow() - from;
for (const node of nodes) {
  const later = (samples: readonly Sample[]): readonly Sample[] => samples.filter(({ seconds }) => seconds >= from);
  const memory = later(node.memory);
  const level = median(memory.map(({ value }) => value));
  const growth = slopeOf(memory) * lasted;
  const descriptors = slopeOf(later(node.descriptors)) * lasted;
  const delay = median(node.delays.slice(Math.floor(node.delays.length * WARM_UP)));
  print(node.name, [
    { what: 'memory, median', value: mib(level) },
    bounded('growth of memory', growth / level, MOST_GROWTH, (value) => `${(value * 100).toFixed(1)} %`),
    { what: 'the same, MiB an hour', value: ((growth / lasted / MIB) * 3_600).toFixed(1) },
    { what: 'descriptors, median', value: number(median(later(node.descriptors).map(({ value }) => value))) },
    bounded('growth of descriptors', descriptors, MOST_DESCRIPTORS, (value) => value.toFixed(1)),
    bounded('event-loop delay, p99, median of samples', delay, MOST_DELAY_MS, (value) => `${value.toFixed(1)} ms`),
    { what: 'the same, longest', value: `${Math.max(...node.delays).toFixed(1)} ms` },
  ]);
}

const sum = (of: (seen: Seen) => number): number => reports.reduce((total, seen) => total + of(seen), 0);
const errors = new Map<string, number>();
for (const seen of reports) {
  for (const [kind, count] of Object.entries(seen.errors)) errors.set(kind, (errors.get(kind) ?? 0) + count);
}
print('visitors', [
  { what: 'actions', value: number(sum((seen) => seen.actions)) },
  { what: 'left out, since too many were under way', value: number(sum((seen) => seen.left)) },
  exactly(
    'wrong bodies',
    sum((seen) => seen.wrongBodies),
    0,
  ),
  exactly(
    'failed actions',
    [...errors.values()].reduce((total, count) => total + count, 0),
    0,
  ),
  ...[...errors].map(([what, count]): Row => ({ what: `  ${what}`, value: number(count) })),
  { what: 'purges', value: number(purges) },
  exactly('purges that were refused', refusedPurges, 0),
  { what: 'reloads', value: number(reloads) },
]);
process.exit();

function bounded(what: string, value: number, most: number, text: (value: number) => string): Row {
  return { what, value: text(value), promise: { text: `≤ ${text(most)}`, kept: value <= most } };
}
