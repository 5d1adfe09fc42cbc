/**
 * `npm run bench:overload`: a flood of misses at several times what the origin can take. Prints what it does to hits,
 * and how many of the misses are answered. Exits 1 when a number is out of its bounds. Everything is on loopback.
 * @module
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readArguments } from '../test/support/arguments.ts';
import { startNode, temporaryFolder, watch } from '../test/support/node-processes.ts';
import { freePorts } from '../test/support/ports.ts';
import type { Capacity } from './overload/origin.ts';
import type { Outcome, Visits } from './overload/visitors.ts';
import { number, print } from './report.ts';

const HELP = `Usage: npm run bench:overload -- [options]

One edge with one thread and its defaults, an application that answers 200 requests a
second with 16 of them at a time, and fewer with more (50 with 256), visitors of a page
that is stored, 100 a second, and visitors of pages that are not, from 100 addresses.
These come at half of what the application can take, and then at 5 times as much as it
can, and leave after three seconds.

Meanwhile hits take no longer than half as long again (99th percentile), and misses are
answered in time at four fifths of what the application can take.

Options:
  --seconds N   Of each measurement, 2 to 120. By default 20.
  --settle N    Seconds between the beginning of the flood and its measurement. By default 15.
  --times N     Requests that come, in times of what the application can take. By default 5.
  --margin N    Factor of the bound on hits, on a machine that others use. By default 1.
  --fixed       With \`concurrency: fixed\`: what the limit is for. Nothing is promised.
  --help        Say this.
`;

const CAPACITY: Capacity = { perSecond: 200, best: 16, cost: 0.2 };
const HITS_PER_SECOND = 100;
const PATIENCE_MS = 3_000;

/** Hits that take less than this are not told apart on a machine with few processors. */
const LEAST_MS = 5;

const args = readArguments(
  'bench:overload',
  HELP,
  { seconds: '20', settle: '15', times: '5', margin: '1' },
  { flags: ['fixed'] },
);
const seconds = args.whole('seconds', 2, 120);
const settle = args.whole('settle', 0, 120);
const times = args.positive('times', 50);
const margin = args.positive('margin', 10);
const isFixed = args.flags.has('fixed');

const ends = new Map<ChildProcess, () => void>();

function start<Message extends object>(file: string, message: Message): ChildProcess {
  const child = fork(join(import.meta.dirname, 'overload', file), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  ends.set(child, watch(child, file));
  child.send(message);
  return child;
}

function end(child: ChildProcess): void {
  ends.get(child)?.();
  child.disconnect();
}

async function ask<Answer>(child: ChildProcess): Promise<Answer> {
  const answered = once(child, 'message');
  child.send({});
  return ((await answered) as [Answer])[0];
}

const origin = start('origin.ts', CAPACITY);
const [{ port: originPort }] = (await once(origin, 'message')) as [{ port: number }];
const [listen, tier, control] = (await freePorts(3)) as [number, number, number];
const file = join(temporaryFolder(), 'overload.yaml');
writeFileSync(
  file,
  `region: overload
tier_secret: only-for-this-measurement-on-this-machine
memory: 128MiB
edges: [{ name: edge, listen: '127.0.0.1:${listen}', tier: '127.0.0.1:${tier}', control: '127.0.0.1:${control}', workers: 1 }]
sites:
  - name: overload
    hosts: ['*']
    origin: { servers: [{ url: 'http://127.0.0.1:${originPort}' }]${isFixed ? ', concurrency: fixed' : ''} }
`,
);
await startNode('edge', [file]);

function visitors(given: Omit<Visits, 'port' | 'patienceMs'>): ChildProcess {
  return start('visitors.ts', { port: listen, patienceMs: PATIENCE_MS, ...given } satisfies Visits);
}

interface Measured {
  readonly hits: Outcome;
  readonly misses: Outcome;
  readonly answered: number;
}

/** Counts what happens in the next seconds. */
async function measure(misses: ChildProcess): Promise<Measured> {
  await Promise.all([ask(hits), ask(misses)]);
  const { answered: before } = await ask<{ answered: number }>(origin);
  await sleep(seconds * 1_000);
  const [{ answered }, hit, miss] = await Promise.all([
    ask<{ answered: number }>(origin),
    ask<Outcome>(hits),
    ask<Outcome>(misses),
  ]);
  return { hits: hit, misses: miss, answered: answered - before };
}

function quantile({ waitsMs }: Outcome, part: number): number {
  const sorted = [...waitsMs].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

function milliseconds(value: number): string {
  return `${value.toFixed(1)} ms`;
}

function perSecond(count: number): string {
  return `${(count / seconds).toFixed(0)}/s`;
}

async function limit(): Promise<string> {
  const text = await (await fetch(`http://127.0.0.1:${control}/metrics`)).text();
  return /^seawall_target_concurrency_limit\{.*\} (\d+)/m.exec(text)?.[1] ?? '';
}

const ADDRESSES = Array.from({ length: 100 }, (_, i) => `127.0.1.${i + 1}`);

const hits = visitors({ rate: HITS_PER_SECOND, addresses: ['127.0.0.1'], page: '/hit', pages: '' });
const few = visitors({ rate: CAPACITY.perSecond / 2, addresses: ADDRESSES, pages: 'few' });
await sleep(2_000);
const quiet = await measure(few);
end(few);
const flood = visitors({ rate: CAPACITY.perSecond * times, addresses: ADDRESSES, pages: 'flood' });
await sleep(settle * 1_000);
const flooded = await measure(flood);

const bound = Math.max(quantile(quiet.hits, 0.99) * 1.5, LEAST_MS) * margin;
const goodput = flooded.misses.waitsMs.length / seconds;
const wanted = CAPACITY.perSecond * 0.8;
const lost = quiet.hits.failed + quiet.hits.left + flooded.hits.failed + flooded.hits.left + flooded.hits.refused;
print(`${times} times the misses that the origin can take, of ${CAPACITY.perSecond} a second`, [
  { what: 'hits, quiet: median', value: milliseconds(quantile(quiet.hits, 0.5)) },
  { what: '  99th percentile', value: milliseconds(quantile(quiet.hits, 0.99)) },
  { what: 'hits, under the flood: median', value: milliseconds(quantile(flooded.hits, 0.5)) },
  {
    what: '  99th percentile',
    value: milliseconds(quantile(flooded.hits, 0.99)),
    promise: { text: `≤ ${milliseconds(bound)}`, kept: quantile(flooded.hits, 0.99) <= bound },
  },
  { what: '  not answered', value: number(lost), promise: { text: '= 0', kept: lost === 0 } },
  { what: 'misses, quiet: 99th percentile', value: milliseconds(quantile(quiet.misses, 0.99)) },
  {
    what: 'misses, under the flood: answered in time',
    value: `${goodput.toFixed(0)}/s`,
    ...(!isFixed && { promise: { text: `≥ ${wanted.toFixed(0)}/s`, kept: goodput >= wanted } }),
  },
  { what: '  median', value: milliseconds(quantile(flooded.misses, 0.5)) },
  { what: '  99th percentile', value: milliseconds(quantile(flooded.misses, 0.99)) },
  { what: '  refused with 503', value: perSecond(flooded.misses.refused) },
  { what: '  left before an answer came', value: perSecond(flooded.misses.left) },
  { what: '  failed otherwise', value: perSecond(flooded.misses.failed) },
  { what: 'answers of the origin', value: perSecond(flooded.answered) },
  { what: 'limit of concurrency', value: await limit() },
]);
process.exit();
