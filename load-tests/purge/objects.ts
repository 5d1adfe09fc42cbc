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
import { seededRandom } from '../../test/support/random.ts';
import { NodeCore } from '../../tier/node-core.ts';
import { number, print, type Row } from '../report.ts';
import { quantile } from '../storm/quantiles.ts';
import { type Control, HOST, SITE, startControl } from './control.ts';

const NAME = 'full';
const ROUNDS = 150;
const MAX_RATIO = 1.5;

/** Objects whose hits are measured: of those with the tag, and of as many others that the same store holds. */
const HIT_KEYS = 20_000;
const HIT_ROUNDS = 31;
/** Passes until what fetching left behind is collected. */
const SETTLING_PASSES = 3;
const MAX_HIT_DIFFERENCE = 0.05;

/** More than an object of this size is counted as. */
const BYTES_AN_OBJECT = 2_000;

const BODY = Buffer.from('tiny');

interface Held {
  readonly core: NodeCore;
  /** A request for the object of this number, answered from the store or by the origin at once. */
  request(object: number): CacheRequest;
}

/** @returns A node that has asked its origin for every object: for `objects` with the tag `all`, and others without. */
async function fill(control: Control, objects: number, others: number): Promise<Held> {
  const { region } = control;
  const [site] = region.sites;
  if (site === undefined) throw new Error('the region has no site');
  const core = new NodeCore({
    name: NAME,
    role: 'edge',
    memoryBytes: (objects + others) * BYTES_AN_OBJECT,
    region,
    log: createLog({ name: NAME, level: 'error' }),
  });
  // What is stored before a node has heard of the journal has to be verified: that is not what is measured here.
  await control.purge({ site: SITE, tags: ['of-nothing'], wait: 'applied', timeout_seconds: 60 });
  const rules = compileRules(site);
  const fetch: Fetch = ({ target }, sink) => {
    const object = Number(target.slice('/object/'.length));
    const tags = object >= objects ? 'other' : object === 0 ? 'all, lonely' : 'all';
    sink.onHead({
      status: 200,
      statusText: 'OK',
      headers: ['Cache-Control', 'max-age=86400', 'Cache-Tag', tags, 'Content-Length', String(BODY.length)],
    });
    sink.onData(Buffer.from(BODY));
    sink.onEnd([]);
    return { pause: () => undefined, resume: () => undefined, abort: () => undefined };
  };
  const clientAbort = new AbortController().signal;
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
      asksPeer: false,
      forPeer: false,
      shouldStore: () => true,
      onInterim: () => undefined,
      clientAbort,
      minPosition: NOTHING_KNOWN,
    };
  };
  const every = objects / others;
  for (let object = 0; object < objects; object += 1) {
    await read(await core.engine.handle(request(object)));
    const other = Math.floor(object / every);
    if (other !== Math.floor((object - 1) / every)) await read(await core.engine.handle(request(objects + other)));
  }
  const wanted = objects + others;
  if (core.store.size !== wanted) throw new Error(`${core.store.size} of ${wanted} objects are stored`);
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
  const others = Math.min(HIT_KEYS, objects);
  const held = await fill(control, objects, others);
  const filledMs = performance.now() - startedAt;
  const rows: Row[] = [
    { what: 'objects that the store holds', value: number(held.core.store.size) },
    { what: 'seconds to fill it', value: (filledMs / 1_000).toFixed(0) },
    { what: 'heap of the process, MB', value: (process.memoryUsage().heapUsed / 1e6).toFixed(0) },
    ...(await purgeTimes(control, held)),
  ];
  print(`3. One tag on ${number(objects)} objects, and one tag on a single object`, rows);
  await hitCost(control, held, objects, others);
  await end(held.core, control);
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

async function hitCost(control: Control, { core, request }: Held, objects: number, others: number): Promise<void> {
  const random = seededRandom(1);
  const carrying = Array.from({ length: others }, () => request(Math.floor(random() * objects)));
  const kept = Array.from({ length: others }, (_, index) => request(objects + index));
  const purgeAll = async (): Promise<void> => {
    await control.purge({ site: SITE, tags: ['all'], wait: 'applied' });
  };
  print(`   CPU of a hit, before and after a purge of that tag: ${HIT_ROUNDS} rounds, medians`, [
    ...(await compare(core.engine, `${number(others)} objects without it, checked again`, kept, purgeAll)),
    ...(await compare(core.engine, `${number(others)} with it, fetched anew`, carrying, purgeAll)),
  ]);
}

/**
 * Measures the same objects right before and right after, again and again, as the machine is not always equally fast.
 */
async function compare(
  engine: CacheEngine,
  what: string,
  requests: readonly CacheRequest[],
  purge: () => Promise<void>,
): Promise<Row[]> {
  const before: number[] = [];
  const first: number[] = [];
  const after: number[] = [];
  await hit(engine, requests);
  for (let round = 0; round <= HIT_ROUNDS; round += 1) {
    for (let pass = 0; pass < SETTLING_PASSES; pass += 1) await hit(engine, requests);
    const settled = await hit(engine, requests);
    await purge();
    const touched = await hit(engine, requests);
    for (let pass = 0; pass < SETTLING_PASSES; pass += 1) await hit(engine, requests);
    const again = await hit(engine, requests);
    if (settled.hits + again.hits !== 2 * requests.length) throw new Error('not every answer was a hit');
    if (round === 0) continue; // not warm yet
    before.push(settled.micros);
    first.push(touched.micros);
    after.push(again.micros);
  }
  const difference = median(after.map((micros, round) => micros / (before[round] as number))) - 1;
  return [
    { what: `${what}: before, µs`, value: median(before).toFixed(2) },
    { what: '  the first request for each after the purge, µs', value: median(first).toFixed(2) },
    { what: '  every further one, µs', value: median(after).toFixed(2) },
    {
      what: '  difference (median of the rounds)',
      value: `${(100 * difference).toFixed(1)} %`,
      promise: { text: `± ${100 * MAX_HIT_DIFFERENCE} %`, kept: Math.abs(difference) < MAX_HIT_DIFFERENCE },
    },
  ];
}

async function end(core: NodeCore, control: Control): Promise<void> {
  await core.close();
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
