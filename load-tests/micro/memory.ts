/**
 * Memory held per stored response besides body and headers, per prepared response, and per idle connection.
 * @module
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { MemoryStore } from '../../cache/store/memory-store.ts';
import { compileRules } from '../../config/match.ts';
import { siteSchema } from '../../config/schema.ts';
import { PreparedResponses } from '../../edge/prepared-responses.ts';
import { epochMs } from '../../lib/clock.ts';
import { startNetwork } from '../../test/support/network.ts';
import { startOrigin, text } from '../../test/support/origin.ts';
import { storedResponse } from '../../test/support/stored-response.ts';
import { median } from '../bench/statistics.ts';
import type { Row } from '../report.ts';
import { heldBytes } from './measure.ts';

/** Promised in CHANGELOG and docs/adr/0006-fast-path.md: for a stored response, and for a connection. */
const MAX_ENTRY_BYTES = 700;
const MAX_CONNECTION_BYTES = 12 * 1024;

const ENTRIES = 100_000;
const BODY_BYTES = 1_024;

const CONNECTIONS = 4_000;

/** So few that what they leave is not collected before it is counted. */
const HITS = 1_000;
const WARM_UP_HITS = 50_000;
const ROUNDS = 15;

export async function memory(): Promise<Row[]> {
  const { connection, garbage } = await visited(); // first: later, it would find memory that others have given back
  const { stored, counted, lookedUp, prepared } = entries();
  return [
    {
      what: `a stored response of ${BODY_BYTES} bytes, above body, headers and key`,
      value: `${stored.toFixed(0)} B`,
      promise: { text: `≤ ${MAX_ENTRY_BYTES}`, kept: stored <= MAX_ENTRY_BYTES },
    },
    {
      what: 'the same as it is counted against `memory`',
      value: `${counted.toFixed(0)} B`,
      promise: { text: 'no less', kept: counted >= stored },
    },
    {
      what: 'what is held besides of one that was looked up, with a copy of its body',
      value: `${lookedUp.toFixed(0)} B`,
    },
    { what: 'and of one that is asked for, without the answer itself', value: `${prepared.toFixed(0)} B` },
    {
      what: `one of ${CONNECTIONS} connections that wait for a request`,
      value: `${connection.toFixed(0)} B`,
      promise: { text: `≤ ${MAX_CONNECTION_BYTES}`, kept: connection <= MAX_CONNECTION_BYTES },
    },
    { what: 'what a hit on one of them leaves to the garbage collector', value: `${garbage.toFixed(0)} B` },
  ];
}

interface Entries {
  readonly stored: number;
  readonly counted: number;
  readonly lookedUp: number;
  readonly prepared: number;
}

function entries(): Entries {
  const now = Date.now();
  const store = new MemoryStore(ENTRIES * 4_096);
  const before = heldBytes();
  let known = 0;
  for (let i = 0; i < ENTRIES; i++) {
    const key = keyOf(i);
    const stored = storedResponse(store, i, BODY_BYTES, now);
    known += key.length + BODY_BYTES + stored.headers.reduce((sum, { length }) => sum + length, 0);
    store.set(key, [stored]);
  }
  const inUse = store.bytesInUse;
  const full = heldBytes();
  const site = siteSchema.parse({ name: 'www', hosts: ['*'], origin: { servers: [{ url: 'http://127.0.0.1' }] } });
  const served = { site, rules: compileRules(site) };
  const responses = new PreparedResponses('eu-1', { request_id: 'off', limits: { keep_alive_timeout: 65_000 } });
  const some = Array.from({ length: 10_000 }, (_, i) => [keyOf(i), store.get(keyOf(i))] as const);
  const lookedUp = heldBytes();
  for (const [key, [stored]] of some) {
    if (stored !== undefined) responses.of(stored, served, { path: key.slice(22) }).head('whole', false, epochMs(now));
  }
  const prepared = heldBytes();
  if (store.size !== ENTRIES) throw new Error('they are to be there until here');
  responses.close();
  return {
    stored: (full - before - known) / ENTRIES,
    counted: (inUse - known) / ENTRIES,
    lookedUp: (lookedUp - full) / some.length,
    prepared: (prepared - lookedUp) / some.length,
  };
}

function keyOf(id: number): string {
  return `http://www.example.com/articles/${id}`;
}

async function visited(): Promise<{ readonly connection: number; readonly garbage: number }> {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=3600' }));
  const network = await startNetwork({
    origin: origin.url,
    regions: { eu: 1 },
    shields: 0,
  });
  const visitors = fork(new URL('./visitors.ts', import.meta.url), [network.at('eu-1'), String(CONNECTIONS)]);
  await once(visitors, 'message'); // some have come and gone: what is there once is there
  const before = residentBytes();
  visitors.send('all');
  await once(visitors, 'message');
  const connection = (residentBytes() - before) / CONNECTIONS;

  const hits = async (times: number): Promise<number> => {
    heldBytes(); // collects
    const { heapUsed } = process.memoryUsage();
    visitors.send(times);
    await once(visitors, 'message');
    return process.memoryUsage().heapUsed - heapUsed;
  };
  await hits(WARM_UP_HITS);
  const garbage: number[] = [];
  // What telling the visitor leaves is in both.
  for (let i = 0; i < ROUNDS; i++) garbage.push(((await hits(HITS + 1)) - (await hits(1))) / HITS);
  visitors.kill();
  await network.close();
  await origin.close();
  return { connection, garbage: median(garbage) };
}

/** Resident memory as the system counts it, socket buffers outside the heap included. */
function residentBytes(): number {
  heldBytes(); // collects
  return process.memoryUsage.rss();
}
