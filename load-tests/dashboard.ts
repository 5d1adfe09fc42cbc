/**
 * `npm run bench:dashboard`: processor time of a control node that shows a network of many nodes, which report traffic
 * each second, on pages that are open.
 * @module
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { regionSchema, siteSchema } from '../config/schema.ts';
import { openControlDatabase } from '../control/data-folder.ts';
import { startControl } from '../control/node.ts';
import { SqliteTokens } from '../control/store/sqlite-tokens.ts';
import { newToken } from '../control/tokens.ts';
import { journalClient } from '../journal/client.ts';
import { startTrafficReporter } from '../journal/traffic-reporter.ts';
import { monotonicNow, msSince, wallNow } from '../lib/clock.ts';
import type { Traffic } from '../lib/traffic.ts';
import { createLog } from '../telemetry/log.ts';
import { readArguments } from '../test/support/arguments.ts';

const HELP = `Usage: npm run bench:dashboard -- [options]

A control node in a process of its own, nodes that follow its journal and report
traffic each second by the client that nodes use, and two open pages. Prints the
processor time of the control node; exits with 1 above the limit.

Options:
  --nodes N    Nodes, in ten regions. Default: 200.
  --sites N    Sites with traffic at each node. Default: 5.
  --seconds N  Time to measure. Default: 20.
  --limit N    Most percent of a core. Default: 5.
  --help       Say this.
`;

const REGIONS = 10;
const SECRET = 'the-secret-of-this-benchmark';
const SETTLE_MS = 5_000;
const MAX_TRIES = 100;

interface Ready {
  readonly url: string;
  readonly token: string;
}

const isControl = process.send !== undefined && process.argv[2] === '--control';
if (isControl) await serve(Number(process.argv[3]), Number(process.argv[4]), String(process.argv[5]));
else process.exitCode = await run();

/** Runs the control node, and tells its processor time when it is asked. */
async function serve(nodes: number, sites: number, folder: string): Promise<void> {
  const regions = Array.from({ length: REGIONS }, (_, r) => regionOf(r, Math.ceil(nodes / REGIONS), sites, folder));
  const [region] = regions;
  if (region?.control === undefined) throw new Error('no control node');
  const log = createLog({ name: 'bench', level: 'error' });
  const control = await startControl({ region, control: region.control, regions, log });
  const kinds = { name: 'bench', sites: ['*'], kinds: [], read: true };
  const { stored, text: token } = newToken(kinds, wallNow());
  const db = openControlDatabase(join(folder, region.control.data, 'control.sqlite'));
  await new SqliteTokens(db).add(stored);
  db.close();
  process.on('message', () => process.send?.(process.cpuUsage()));
  process.on('disconnect', () => process.exit(0));
  process.send?.({ url: `http://${control.address}`, token } satisfies Ready);
}

function regionOf(r: number, edges: number, sites: number, folder: string) {
  const name = `region-${r}`;
  const parsed = regionSchema.parse({
    region: name,
    memory: '64MiB',
    tier_secret: SECRET,
    edges: Array.from({ length: edges }, (_, i) => ({
      name: `${name}-edge-${i}`,
      listen: '127.0.0.1:0',
      tier: `127.0.${r + 1}.${i + 1}:9`,
    })),
    control: { listen: '127.0.0.1:0' },
    sites: [{ include: 'unused.yaml' }],
  });
  const all = Array.from({ length: sites }, (_, i) =>
    siteSchema.parse({
      name: `site-${i}`,
      hosts: [`s${i}.example`],
      origin: { servers: [{ url: 'http://127.0.0.1:1' }] },
    }),
  );
  return { ...parsed, file: join(folder, `${name}.yaml`), sites: all, reachableShields: [], fingerprint: 'bench' };
}

/** A second of a busy node, and each tenth second its most frequent URLs. */
function trafficOf(sites: number, second: number): Traffic {
  const durations = [400, 300, 120, 60, 40, 20, 10, 5, 3, 1, 0, 0, 0, 0, 0, 0];
  const names = Array.from({ length: sites }, (_, i) => `site-${i}`);
  const rows = Array.from({ length: 20 }, (_, i) => `s${i % sites}.example/page/${i}/${second % 50}`);
  return {
    sites: names.map((site) => ({
      site,
      answers: [
        ['hit', 2, 800 + (second % 100), 9e6],
        ['hit', 3, 40, 0],
        ['peer-hit', 2, 60, 6e5],
        ['uri-miss', 2, 50, 5e5],
        ['expired', 2, 20, 2e5],
        ['origin_timeout', 5, 1, 900],
      ],
      durations,
      origin: 12,
    })),
    ...(second % 10 === 0 && {
      urls: rows.map((url, i) => [url, `site-${i % sites}`, 900 - i] as const),
      misses: rows.map((url, i) => [url, `site-${i % sites}`, 'uri-miss', 90 - i] as const),
    }),
  };
}

async function run(): Promise<number> {
  const given = readArguments('bench:dashboard', HELP, { nodes: '200', sites: '5', seconds: '20', limit: '5' });
  const [nodes, sites] = [given.positive('nodes', 1_000), given.positive('sites', 100)];
  const [seconds, limit] = [given.positive('seconds', 600), given.positive('limit', 100)];
  const folder = mkdtempSync(join(tmpdir(), 'seawall-dashboard-'));
  const child = fork(import.meta.filename, ['--control', String(nodes), String(sites), folder]);
  const stopping = new AbortController();
  try {
    const [{ url, token }] = (await once(child, 'message')) as [Ready];
    const each = Math.ceil(nodes / REGIONS);
    for (let i = 0; i < nodes; i++) {
      void startNode(url, `region-${Math.floor(i / each)}-edge-${i % each}`, sites, i, stopping.signal);
    }
    const cookie = await signIn(url, token);
    const pages = ['overview', 'network'].map((page) => openPage(url, cookie, page, stopping.signal));
    await allConnected(url, nodes);
    await wait(SETTLE_MS);
    const before = await cpuOf(child);
    const startedAt = monotonicNow();
    await wait(seconds * 1_000);
    const after = await cpuOf(child);
    const share = ((after - before) / 1_000 / msSince(startedAt)) * 100;
    stopping.abort();
    const sizes = await Promise.all(pages);
    const { events, last } = sizes[0] ?? { events: 0, last: '' };
    const model = JSON.parse(last) as { regions: { nodes: { state: string }[] }[]; numbers: { requests: number } };
    const up = model.regions.flatMap((region) => region.nodes).filter(({ state }) => state === 'up').length;
    process.stdout.write(`nodes shown as up            ${up} of ${nodes}\n`);
    process.stdout.write(`requests a second shown      ${Math.round(model.numbers.requests)}\n`);
    process.stdout.write(`events to the overview       ${events}, of ${Math.round(last.length / 1_000)} kB\n`);
    process.stdout.write(`processor of the control node ${share.toFixed(1)} % of a core (≤ ${limit} %)\n`);
    return share <= limit && up === nodes ? 0 : 1;
  } finally {
    stopping.abort();
    child.disconnect();
    await once(child, 'exit');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startNode(url: string, node: string, sites: number, at: number, signal: AbortSignal): Promise<void> {
  const client = journalClient({ url, secret: SECRET, node });
  const pause = (ms: number, until: AbortSignal): Promise<void> => wait(ms, undefined, { signal: until });
  await wait(at * 25, undefined, { signal }).catch(() => undefined); // nodes do not start at the same moment
  let second = at;
  const reporter = startTrafficReporter({ clients: [client], take: () => trafficOf(sites, second++), wait: pause });
  signal.addEventListener('abort', () => void reporter.close().then(() => client.close()), { once: true });
  while (!signal.aborted) {
    try {
      for await (const _ of client.messages({ identity: undefined, seq: 0 }, signal));
    } catch {
      await pause(1_000, signal).catch(() => undefined); // all begin at once: one that had to wait tries again
    }
  }
}

/** Resolves when all nodes follow the journal. */
async function allConnected(url: string, nodes: number): Promise<void> {
  for (let i = 0; i < MAX_TRIES; i++) {
    const { regions } = (await (await fetch(`${url}/v1/nodes`)).json()) as {
      regions: { nodes: { connected: boolean }[] }[];
    };
    const connected = regions.flatMap((region) => region.nodes).filter((node) => node.connected).length;
    if (connected === nodes) return;
    await wait(500);
  }
}

async function signIn(url: string, token: string): Promise<string> {
  const body = new URLSearchParams({ token });
  const { headers } = await fetch(`${url}/dashboard/sign-in`, { method: 'POST', body, redirect: 'manual' });
  return headers.get('set-cookie')?.split(';')[0] ?? '';
}

/** @returns Number of the events, and the last one. */
async function openPage(url: string, cookie: string, page: string, signal: AbortSignal) {
  let events = 0;
  let last = '';
  let text = '';
  try {
    const response = await fetch(`${url}/dashboard/live?page=${page}`, { headers: { cookie }, signal });
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk;
      for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
        if (text.startsWith('data: ')) {
          last = text.slice('data: '.length, end);
          events++;
        }
        text = text.slice(end + 2);
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return { events, last };
}

/** Microseconds. */
async function cpuOf(child: ReturnType<typeof fork>): Promise<number> {
  const answer = once(child, 'message') as Promise<[NodeJS.CpuUsage]>;
  child.send('cpu');
  const [{ user, system }] = await answer;
  return user + system;
}
