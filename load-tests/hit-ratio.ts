/**
 * Hit ratio of the store on request traces, beside LRU: no network, the store
 * that nodes use, with real records and bodies.
 *
 *     npm run bench:hit-ratio
 *
 * The goals: on the sample trace 17 / 15, 26 / 24 and 35.5 / 32 % (requests /
 * bytes) with memory for 0.1, 1 and 10 % of it; on no trace more than half a point
 * below LRU.
 * @module
 */
import { readArguments } from '../test/support/arguments.ts';
import { type HitRatio, lru, replay, STORES, seawallStore } from './hit-ratio/replay.ts';
import { madeTraces, readTrace, type Trace, TraceError } from './hit-ratio/traces.ts';
import { print, type Row } from './report.ts';

const HELP = `Usage: npm run bench:hit-ratio -- [options]

Replays request traces against the store in memory, beside LRU, and prints the
shares of requests and bytes that would have been hits.

Options:
  --trace FILE   Lines time,key,size, plain or compressed by gzip. By default the
                 sample of load-tests/traces and traces that are made from a seed.
  --memory LIST  Memory, in per cent of the bytes of all objects. By default 0.1,1,10.
  --store NAME   memory, the store that nodes use (the default), or shared, the one that threads share (ADR 19).
  --help         Say this.
`;

const SAMPLE = new URL('traces/cdn-sample.csv.gz', import.meta.url).pathname;

/** Per cent of the footprint → per cent of requests and of bytes, on the sample. */
const GOALS: ReadonlyMap<number, readonly [objects: number, bytes: number]> = new Map([
  [0.1, [17, 15]],
  [1, [26, 24]],
  [10, [35.5, 32]],
]);

/** Points that the store may be below LRU. */
const MAX_BELOW_LRU = 0.5;

const { values, refuse } = readArguments('hit-ratio', HELP, {
  trace: '',
  memory: '0.1,1,10',
  store: 'memory',
});
const kind = STORES.find((one) => one === values.store) ?? refuse(`--store needs one of ${STORES.join(', ')}`);
const percents = values.memory.split(',').map(Number);
if (!percents.every((percent) => percent > 0 && percent <= 1_000)) refuse('--memory needs per cent, such as 0.1,1,10');

try {
  const isDefault = values.trace === '';
  const sample = readTrace(isDefault ? SAMPLE : values.trace);
  report(sample, isDefault ? GOALS : new Map());
  if (isDefault) for (const trace of madeTraces()) report(trace, new Map());
} catch (error) {
  if (!(error instanceof TraceError || (error as NodeJS.ErrnoException).code === 'ENOENT')) throw error;
  refuse((error as Error).message);
}

function report(trace: Trace, goals: typeof GOALS): void {
  const title = `${trace.name}: ${trace.objects.length} requests, ${(trace.footprint / 1e6).toFixed(1)} MB of objects`;
  print(
    `${title} (per cent of requests / of bytes)`,
    percents.flatMap((percent) => rows(trace, percent, goals)),
  );
}

function rows(trace: Trace, percent: number, goals: typeof GOALS): Row[] {
  const memory = Math.round((trace.footprint * percent) / 100);
  const began = process.cpuUsage();
  const ours = replay(trace, seawallStore(kind, memory));
  const { user, system } = process.cpuUsage(began);
  const its = replay(trace, lru(memory));
  const goal = goals.get(percent);
  const [objects, bytes] = goal ?? [0, 0];
  const reached = ours.objects * 100 >= objects && ours.bytes * 100 >= bytes;
  const below = Math.max(its.objects - ours.objects, its.bytes - ours.bytes) * 100;
  const label = `memory for ${percent} %:`;
  return [
    {
      what: `${label} Seawall (${((user + system) / trace.objects.length).toFixed(1)} µs of CPU a request)`,
      value: shown(ours),
      ...(goal && { promise: { text: `≥ ${objects} / ${bytes}`, kept: reached } }),
    },
    {
      what: `${label} LRU, of which only bodies count`,
      value: shown(its),
      promise: { text: `- ours ≤ ${MAX_BELOW_LRU}`, kept: below <= MAX_BELOW_LRU },
    },
  ];
}

function shown({ objects, bytes }: HitRatio): string {
  return `${(objects * 100).toFixed(1)} / ${(bytes * 100).toFixed(1)}`;
}
