/** Scenarios of misses, and of a mix of hits and misses. @module */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom, zipf } from '../../../test/support/random.ts';
import { BenchError } from '../errors.ts';
import { missing, type Seen, wrk } from '../loads.ts';
import { checkSeen, measuresOf, whileUsed } from '../measure.ts';
import { temporaryFolder } from '../processes.ts';
import { BROWSER, headOf, KILOBYTE, objectPath } from '../requests.ts';
import type { Context, Scenario } from '../scenario.ts';
import type { Server } from '../server.ts';
import { fill } from '../stage.ts';

const CONNECTIONS = 64;
const WARM_UP_SECONDS = 2;

/** Share of requests of the miss scenario that must have reached the origin. */
const ARE_MISSES = 0.99;

const MIX = { exponent: 1, draws: 2_000_000, seed: 20_260_101 };

/**
 * Requests before it is measured, the same ones for every server: the share of hits grows with the requests that a
 * cache has seen, so after the same time the faster server would have had more of them. So many fill 256 MiB with
 * whatever each server keeps of an object of 1 KB: from there on objects are evicted everywhere.
 */
const MIX_WARM_UP = { requests: 700_000, seconds: 600 };

let prefixes = 0;

/** The same for every server, so that all of them get the same mix. */
let draws: { readonly file: string; readonly objects: number } | undefined;

/** Position of each server in the random sequence. */
const offsets = new WeakMap<Server, number>();

export const miss: Scenario = {
  name: 'miss',
  title: 'Miss through to the origin, 1 KB',
  about: 'Each request asks for a cacheable object of 1 KB of its own: it is fetched, stored and answered.',
  primary: 'cpuMicros',
  metrics: ['requestsPerSecond', 'p50Millis', 'p99Millis', 'othersPercent'],
  // Not shared with the hits: what a server keeps of a million misses would change them.
  setup: { memoryMebibytes: 256, name: 'miss' },
  needs: ['cache', 'relay'],
  unavailable: missing.wrk,
  async prepare(server, { stage }) {
    await fill(server, stage, objectPath(KILOBYTE), KILOBYTE);
    checkSeen(await misses(server, WARM_UP_SECONDS));
  },
  async measure(server, { stage, options }) {
    const before = await stage.counted();
    const { result, used } = await whileUsed([server.running.pid], () => misses(server, options.seconds));
    const asked = (await stage.counted()) - before;
    if (asked < result.requests * ARE_MISSES) {
      throw new BenchError(`the origin was asked ${asked} times for ${result.requests} requests: these were no misses`);
    }
    return measuresOf(result, used);
  },
};

function misses(server: Server, seconds: number): Promise<Seen> {
  const head = headOf(server.port, objectPath(KILOBYTE, 'miss-@'), BROWSER);
  const prefix = `${prefixes++}-`;
  return wrk({ port: server.port, seconds, connections: CONNECTIONS, requests: { kind: 'each', head, prefix } });
}

export const mix: Scenario = {
  name: 'zipf',
  title: 'Zipf mix',
  about:
    'Objects of 1 KB, one million unless `--objects` says otherwise, asked for by Zipf’s law (exponent 1), with 256 MiB of memory that are full, as every server is sent the same 700,000 requests before: hits, misses and evictions. The memory is counted as each server counts it, so the share of hits differs.',
  primary: 'cpuMicros',
  metrics: ['hitPercent', 'requestsPerSecond', 'p50Millis', 'p99Millis', 'othersPercent'],
  setup: { memoryMebibytes: 256, name: 'zipf' },
  needs: ['cache'],
  unavailable: missing.wrk,
  async prepare(server, context) {
    const { requests, seconds } = MIX_WARM_UP;
    checkSeen(await drawn(server, context, seconds, requests));
  },
  async measure(server, context) {
    const before = await context.stage.counted();
    const work = () => drawn(server, context, context.options.seconds);
    const { result, used } = await whileUsed([server.running.pid], work);
    const asked = (await context.stage.counted()) - before;
    return { ...measuresOf(result, used), hitPercent: (1 - asked / result.requests) * 100 };
  },
};

async function drawn(server: Server, { options }: Context, seconds: number, most?: number): Promise<Seen> {
  const offset = offsets.get(server) ?? 0;
  const head = headOf(server.port, objectPath(KILOBYTE, 'zipf-@'), BROWSER);
  const file = drawsOf(options.objects);
  const requests = { kind: 'ranks', head, file, offset, ...(most === undefined ? {} : { most }) } as const;
  const seen = await wrk({ port: server.port, seconds, connections: CONNECTIONS, requests });
  offsets.set(server, offset + seen.requests);
  return seen;
}

function drawsOf(objects: number): string {
  if (draws?.objects !== objects) {
    const draw = zipf(objects, MIX.exponent, seededRandom(MIX.seed));
    const numbers = Uint32Array.from({ length: MIX.draws }, draw);
    const file = join(temporaryFolder('draws'), 'draws');
    writeFileSync(file, numbers);
    draws = { file, objects };
  }
  return draws.file;
}
