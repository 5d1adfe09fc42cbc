/**
 * A node whose store holds many objects that all carry one tag: how long a
 * purge of that tag takes, and what a hit costs afterwards.
 * @module
 */
import type { Answer } from '../../cache/answer.ts';
import type { CacheEngine, CacheRequest } from '../../cache/engine.ts';
import { cacheKey } from '../../cache/key.ts';
import { NOTHING_KNOWN, type PurgeRecord } from '../../cache/ledger.ts';
import { compileRules } from '../../config/match.ts';
import type { Fetch } from '../../http/message.ts';
import { parseRequestTarget } from '../../http/request-target.ts';
import { createLog } from '../../telemetry/log.ts';
import { NodeCore } from '../../tier/node-core.ts';
import { followPurges, type Purging } from '../../tier/purges.ts';
import { seededRandom } from '../random.ts';
import { print, type Row } from '../report.ts';
import { quantile } from '../storm/quantiles.ts';
import { type Control, HOST, SITE, startControl } from './control.ts';

const NAME = 'full';
const ROUNDS = 150;
const MAX_RATIO = 1.5;

const HIT_KEYS = 20_000;
const HIT_ROUNDS = 41;
const MAX_HIT_DIFFERENCE = 0.05;

/** More than an object of this size is counted as. */
const BYTES_AN_OBJECT = 2_000;

const BODY = Buffer.from('tiny');

interface Held {
  readonly core: NodeCore;
  /** A request for the object of this number, answered from the store or by the origin at once. */
  request(object: number): CacheRequest;
}

/** @returns A node that has asked its origin for every object. Those of them that are `lonely` carry another tag besides. */
async function fill(control: Control, objects: number, lonely: number): Promise<Held> {
  const { region } = control;
  const [site] = region.sites;
  if (site === undefined) throw new Error('the region has no site');
  const core = new NodeCore({
    name: NAME,
    role: 'edge',
    memoryBytes: objects * BYTES_AN_OBJECT,
    limits: region.limits,
    sites: region.sites,
    log: createLog({ name: NAME, level: 'error' }),
  });
  const rules = compileRules(site);
  const fetch: Fetch = ({ target }, sink) => {
    const tags = Number(target.slice('/object/'.length)) === lonely ? 'all, lonely' : 'all';
    sink.onHead({
      status: 200,
      statusText: 'OK',
      headers: ['Cache-Control', 'max-age=86400', 'Cache-Tag', tags, 'Content-Length', String(BODY.length)],
    });
    sink.onData(Buffer.from(BODY));
    sink.onEnd([]);
    return { pause: () => undefined, resume: () => undefined, abort: () => undefined };
  };
  const gone = new AbortController().signal;
  const headers = ['Host', HOST];
  const request = (object: number): CacheRequest => {
    const target = parseRequestTarget('GET', `/object/${object}`, headers);
    return {
      method: 'GET',
      keyed: cacheKey(site, 'http', target, headers),
      rawTarget: target.raw,
      path: target.path,
      headers,
      body: undefined,
      site,
      rules,
      // A microtask later, as the engine has to know of the fill before its answer comes.
      fetch: (upstream, sink) => {
        queueMicrotask(() => fetch(upstream, sink));
        return { pause: () => undefined, resume: () => undefined, abort: () => undefined };
      },
      keeps: () => true,
      onInterim: () => undefined,
      gone,
      needs: NOTHING_KNOWN,
    };
  };
  for (let object = 0; object < objects; object += 1) await read(await core.engine.handle(request(object)));
  if (core.store.size !== objects) throw new Error(`${core.store.size} of ${objects} objects are stored`);
  return { core, request };
}

async function read({ body }: Answer): Promise<void> {
  if (body === undefined) return;
  for (let piece = await body.next(); piece !== null; piece = await body.next());
  body.close();
}

/** @returns CPU of one hit, in microseconds, and how many of the answers were hits. */
async function hit(engine: CacheEngine, requests: readonly CacheRequest[]): Promise<{ micros: number; hits: number }> {
  let hits = 0;
  const before = process.cpuUsage();
  for (const request of requests) {
    const answer = await engine.handle(request);
    if (answer.status.hit) hits += 1;
    answer.body?.next();
    answer.body?.close();
  }
  const { user, system } = process.cpuUsage(before);
  return { micros: (user + system) / requests.length, hits };
}

/** Times each call of the ledger's `apply` that the follower makes. */
function timeApply({ ledger }: NodeCore): { lastMicros: number } {
  const times = { lastMicros: Number.NaN };
  const apply = ledger.apply.bind(ledger);
  ledger.apply = (records: readonly PurgeRecord[]): void => {
    const start = performance.now();
    apply(records);
    times.lastMicros = (performance.now() - start) * 1_000;
  };
  return times;
}

export async function measureObjects(objects: number): Promise<void> {
  const control = await startControl([NAME]);
  const startedAt = performance.now();
  const lonely = Math.floor(objects / 2);
  const held = await fill(control, objects, lonely);
  const twin = await fill(control, objects, lonely); // it will never hear of a purge
  const filled = (performance.now() - startedAt) / 1_000;
  const purging = followPurges(held.core, control.region);
  await control.purge({ site: SITE, tags: ['of-nothing'], wait: 'applied', timeout_seconds: 60 });
  // Whoever begins with a journal verifies what it has: not what is measured here.
  const sample = sampleOf(objects, held);
  const rows: Row[] = [
    { what: 'objects that the store holds, all with one tag', value: number(held.core.store.size) },
    { what: 'seconds to fill it, and another one like it', value: filled.toFixed(0) },
    { what: 'heap of the process, MB', value: (process.memoryUsage().heapUsed / 1e6).toFixed(0) },
    ...(await purgeTimes(control, held)),
  ];
  print(`3. One tag on ${number(objects)} objects, and one tag on a single object`, rows);
  await hitCost(held, twin, sample, sampleOf(objects, twin));
  await end(purging, control);
}

async function purgeTimes(control: Control, { core }: Held): Promise<Row[]> {
  const applied = timeApply(core);
  const tags = { all: 'all', lonely: 'lonely' } as const;
  const callMs = { all: [] as number[], lonely: [] as number[] };
  const applyMicros = { all: [] as number[], lonely: [] as number[] };
  for (let round = 0; round < ROUNDS * 2; round += 1) {
    const which = (['all', 'lonely'] as const)[round % 2] as 'all' | 'lonely';
    const start = performance.now();
    const { status } = await control.purge({ site: SITE, tags: [tags[which]], wait: 'applied' });
    if (status !== 'applied') throw new Error('the node has not applied a purge');
    if (round < ROUNDS / 5) continue; // not warm yet
    callMs[which].push(performance.now() - start);
    applyMicros[which].push(applied.lastMicros);
  }
  const [all, one] = [median(callMs.all), median(callMs.lonely)];
  const [allApply, oneApply] = [median(applyMicros.all), median(applyMicros.lonely)];
  return [
    { what: 'call to "applied", tag of all objects: median, ms', value: all.toFixed(2) },
    { what: 'call to "applied", tag of one object: median, ms', value: one.toFixed(2) },
    below('  ratio', all / one, MAX_RATIO),
    { what: 'in the ledger, tag of all objects: median, µs', value: allApply.toFixed(1) },
    { what: 'in the ledger, tag of one object: median, µs', value: oneApply.toFixed(1) },
    below('  ratio', allApply / oneApply, MAX_RATIO),
  ];
}

function sampleOf(objects: number, { request }: Held): CacheRequest[] {
  const random = seededRandom(1);
  return Array.from({ length: Math.min(HIT_KEYS, objects) }, () => request(Math.floor(random() * objects)));
}

async function hitCost(
  held: Held,
  twin: Held,
  sample: readonly CacheRequest[],
  twinSample: readonly CacheRequest[],
): Promise<void> {
  const first = await hit(held.core.engine, sample);
  // What was purged has been fetched anew by now, and looked at once more.
  await hit(held.core.engine, sample);
  const purged: number[] = [];
  const never: number[] = [];
  for (let round = 0; round < HIT_ROUNDS; round += 1) {
    const after = await hit(held.core.engine, sample);
    const before = await hit(twin.core.engine, twinSample);
    if (after.hits !== sample.length || before.hits !== sample.length) throw new Error('not every answer was a hit');
    if (round === 0) continue;
    purged.push(after.micros);
    never.push(before.micros);
  }
  const difference = median(purged.map((micros, round) => micros / (never[round] as number))) - 1;
  print(`   A hit, of ${number(sample.length)} objects from all over the store, ${HIT_ROUNDS} rounds in turn`, [
    { what: 'hits among the first requests after the purge', value: number(first.hits) },
    { what: 'CPU of a hit in a store that no purge has come to: median, µs', value: median(never).toFixed(2) },
    { what: 'CPU of a hit once it has been checked again: median, µs', value: median(purged).toFixed(2) },
    {
      what: '  difference (median of the rounds)',
      value: `${(100 * difference).toFixed(1)} %`,
      promise: { text: `< ${100 * MAX_HIT_DIFFERENCE} %`, kept: difference < MAX_HIT_DIFFERENCE },
    },
  ]);
}

async function end(purging: Purging, control: Control): Promise<void> {
  await purging.close();
  await control.close();
}

function below(what: string, value: number, limit: number): Row {
  return { what, value: value.toFixed(2), promise: { text: `< ${limit}`, kept: value < limit } };
}

function median(values: readonly number[]): number {
  return quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  );
}

function number(value: number): string {
  return value.toLocaleString('en-US');
}
