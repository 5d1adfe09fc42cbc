/**
 * The ways from the suite's client to its origin: through one Seawall node, through one that answers from its disk and
 * is killed and started again between the requests of each test, or through an edge that does not own the key, its
 * owner and a shield.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { freePorts } from '../support/ports.ts';
import { Child } from './child.ts';
import type { SeenResponse } from './client.ts';

export type WayName = 'quick' | 'disk' | 'tiers' | 'proxy';

export interface Way {
  readonly name: WayName;
  /** Base URL for the suite's client. */
  readonly base: string;
  /** Done between the requests of each test. */
  readonly between?: (() => Promise<void>) | undefined;
  /** Resolves with a sentence if Seawall ends by itself. */
  readonly died: Promise<string>;
  /** Says which way the requests went; `problems` when it was not the way that was meant. */
  account(seen: readonly SeenResponse[]): { readonly lines: readonly string[]; readonly problems: readonly string[] };
  /** Stops what was started; what went wrong beside the tests, a sentence each. */
  stop(): Promise<readonly string[]>;
}

const ROOT = join(import.meta.dirname, '../..');
export const SITE_FILE = join(import.meta.dirname, 'site.yaml');
const CLI = join(ROOT, 'cli/seawall.ts');
const EVICTING = join(import.meta.dirname, 'evicting.ts');
const READY_WITHIN_MS = 20_000;
const STOP_WITHIN_MS = 15_000;
const MEMORY = '256MiB';

/** A visitor's edge that owns about one key in a hundred, and the one that owns the others. */
const ENTRY = { name: 'entry', weight: 1 };
const OWNER = { name: 'owner', weight: 100 };
const SHIELD = 'shield';
/** Below this share of requests through the owner, the run did not test what it says. */
const OWNER_SHARE = 0.95;

const NEVER = new Promise<string>(() => undefined);
const NO_ACCOUNT = { lines: [], problems: [] };

/** `seawall serve`: one process, one node. */
export async function startQuick(originUrl: string, workers: string): Promise<Way> {
  const child = new Child('seawall serve', [CLI, ...serve(originUrl, '127.0.0.1:0', workers)]);
  const base = await baseOf(child);
  return { name: 'quick', base, died: deathOf(child), account: () => NO_ACCOUNT, stop: () => stopSeawall(child) };
}

/**
 * `seawall serve --disk`, with memory that keeps nothing (evicting.ts). Between the requests of each test that does not
 * measure time, the process writes what it has, is killed, and starts again.
 */
export async function startOnDisk(originUrl: string, workDir: string): Promise<Way> {
  const [port] = await freePorts(1);
  const args = [
    ...serve(originUrl, `127.0.0.1:${port}`, '1'),
    '--disk',
    join(workDir, 'disk'),
    '--disk-size',
    '256MiB',
  ];
  const died = Promise.withResolvers<string>();
  const problems: string[] = [];
  let starts = 0;
  const start = async (): Promise<Child> => {
    starts++;
    const next = new Child('seawall serve', ['--import', EVICTING, CLI, ...args], { ipc: true });
    void deathOf(next).then(died.resolve);
    await baseOf(next);
    return next;
  };
  let child = await start();
  return {
    name: 'disk',
    base: `http://127.0.0.1:${port}`,
    died: died.promise,
    async between() {
      const written = new Promise((resolve) => child.onMessage(resolve));
      child.send({ end: true });
      await written;
      await child.kill();
      problems.push(...brokenLines(child));
      child = await start();
    },
    account: (seen) => accountOfDisk(seen, starts),
    stop: async () => [...problems, ...(await stopSeawall(child))],
  };
}

function serve(originUrl: string, listen: string, workers: string): readonly string[] {
  const site = ['--memory', MEMORY, '--workers', workers, '--site', SITE_FILE];
  return ['serve', '--origin', originUrl, '--listen', listen, ...site, '--json'];
}

/** @returns Base URL of a node that starts. */
async function baseOf(child: Child): Promise<string> {
  const nodes = await whenReady(child);
  const base = nodes[0] && urlOf(nodes[0]);
  if (base === undefined) throw new Error('seawall serve did not say where it listens');
  return base;
}

/** Below this share of fresh hits from disk, the run did not test what it says. */
const DISK_SHARE = 0.95;

/** @returns How many fresh responses came from disk, by their `Cache-Status` (RFC 9211). */
export function accountOfDisk(seen: readonly SeenResponse[], starts: number): ReturnType<Way['account']> {
  const hits = seen.flatMap(({ cacheStatus }) => (cacheStatus?.includes(';hit') ? [cacheStatus] : []));
  const others = hits.filter((status) => status.includes(';detail=') && !status.includes(';detail=disk'));
  const fromDisk = hits.filter((status) => status.includes(';detail=disk')).length;
  const fresh = hits.length - others.length;
  const lines = [`${fromDisk} of ${fresh} fresh responses came from disk; the node was started ${starts} times.`];
  const isTheWay = fresh > 0 && fromDisk / fresh >= DISK_SHARE;
  return { lines, problems: isTheWay ? [] : ['hits did not come from disk: this run did not test the disk'] };
}

/**
 * `seawall start` on a region of two edges and a shield. Requests go to the edge
 * with weight 1 of 101, so all but about one key in a hundred belong to the other;
 * which way each request went is read from `Cache-Status` afterwards.
 */
export async function startTiers(originUrl: string, workDir: string): Promise<Way> {
  const file = await writeRegion(originUrl, workDir);
  const child = new Child('seawall start', [CLI, 'start', file, '--json']);
  const nodes = await whenReady(child);
  const entry = nodes.find(({ name }) => name === ENTRY.name);
  const base = entry && urlOf(entry);
  if (base === undefined) throw new Error(`seawall start did not say where ${ENTRY.name} listens`);
  return { name: 'tiers', base, died: deathOf(child), account: accountOfTiers, stop: () => stopSeawall(child) };
}

/** Any caching proxy that runs already and has the suite's origin behind it. */
export function otherProxy(base: string): Way {
  return { name: 'proxy', base, died: NEVER, account: () => NO_ACCOUNT, stop: async () => [] };
}

/** @returns How many responses came through the owner and the shield, by their `Cache-Status` (RFC 9211). */
export function accountOfTiers(seen: readonly SeenResponse[]): {
  readonly lines: readonly string[];
  readonly problems: readonly string[];
} {
  const through = (node: string): number => seen.filter((response) => passedThrough(response, node)).length;
  const owner = through(OWNER.name);
  const share = seen.length === 0 ? 0 : owner / seen.length;
  const percent = (100 * share).toFixed(1);
  const lines = [
    `${owner} of ${seen.length} responses to GET and HEAD (${percent} %) came to the entry edge from the owner of their key; ` +
      `${through(SHIELD)} name the shield.`,
  ];
  const problems =
    share < OWNER_SHARE
      ? [`only ${percent} % of the responses came through the owner: this run did not test the whole path`]
      : [];
  return { lines, problems };
}

function passedThrough({ cacheStatus }: SeenResponse, node: string): boolean {
  if (cacheStatus === null) return false;
  // Each member begins with the name of its cache, a token or a string; the node is all or a part of it.
  return cacheStatus.split(',').some((member) =>
    /^\s*"?([^\s";]+)/
      .exec(member)?.[1]
      ?.split(/[./:@]/)
      .includes(node),
  );
}

async function writeRegion(originUrl: string, workDir: string): Promise<string> {
  const [entryPort, ownerPort, shieldPort] = await freePorts(3);
  const site = parse(readFileSync(SITE_FILE, 'utf8')) as Record<string, unknown>;
  writeFileSync(
    join(workDir, 'site.yaml'),
    stringify({ ...site, origin: { ...(site['origin'] as object), servers: [{ url: originUrl }] } }),
  );
  const edge = ({ name, weight }: typeof ENTRY, port: number | undefined): object => ({
    name,
    weight,
    listen: '127.0.0.1:0',
    tier: `127.0.0.1:${port}`,
  });
  const file = join(workDir, 'region.yaml');
  const region = {
    region: 'conformance',
    tier_secret: randomBytes(24).toString('hex'),
    memory: MEMORY,
    edges: [edge(ENTRY, entryPort), edge(OWNER, ownerPort)],
    shields: [{ name: SHIELD, tier: `127.0.0.1:${shieldPort}` }],
    sites: [{ include: 'site.yaml' }],
  };
  writeFileSync(file, stringify(region), { mode: 0o600 });
  return file;
}

interface ReadyNode {
  readonly name: string;
  readonly listen?: string;
}

/** @returns Where visitors reach the node: said as a URL, or as an address. */
function urlOf({ listen }: ReadyNode): string | undefined {
  return listen === undefined || listen.includes('://') ? listen : `http://${listen}`;
}

function whenReady(child: Child): Promise<readonly ReadyNode[]> {
  return child.firstLine((line) => {
    if (!line.startsWith('{')) return undefined;
    const message = JSON.parse(line) as { ready?: boolean; nodes?: readonly ReadyNode[] };
    return message.ready ? (message.nodes ?? []) : undefined;
  }, READY_WITHIN_MS);
}

function deathOf(child: Child): Promise<string> {
  return child.died.then((how) => `${child.name} ended by itself (${how})${child.tail ? `:\n${child.tail}` : ''}`);
}

async function stopSeawall(child: Child): Promise<readonly string[]> {
  const { how, killed } = await child.stop(STOP_WITHIN_MS);
  const problems = brokenLines(child);
  if (killed) problems.push(`${child.name} did not stop within ${STOP_WITHIN_MS} ms`);
  else if (how !== 'exit code 0' && how !== 'signal SIGTERM') problems.push(`${child.name} stopped with ${how}`);
  return problems;
}

function brokenLines(child: Child): string[] {
  return child.broken.map((line) => `${child.name} wrote: ${line}`);
}
