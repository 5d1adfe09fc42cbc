/**
 * Two regions with scripted edges, and a control node that watches them.
 * @module
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type RegionConfig, regionSchema } from '../../config/schema.ts';
import { openControlDatabase } from '../../control/data-folder.ts';
import { startControl } from '../../control/node.ts';
import { SqliteTokens } from '../../control/store/sqlite-tokens.ts';
import { newToken, type TokenScope } from '../../control/tokens.ts';
import type { WhereAnswer } from '../../geo/where.ts';
import { wallNow } from '../../lib/clock.ts';
import { log, SECRET, SITES } from './control.ts';

/** A region’s death has to be seen within this time. */
export const SEEN_MS = 3_000;
/** In North America, and in Europe, by every database. */
export const AMERICAN = '8.8.8.8';
export const EUROPEAN = '81.2.69.142';

/** Fake control listener of an edge: it answers /healthz, hangs, or is gone. */
export class FakeEdge {
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #hangs = false;
  port = 0;
  /** Number of health probes so far. */
  probes = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      if (this.#hangs) return;
      if (request.url === '/healthz') this.probes++;
      response.end(request.url === '/metrics' ? 'seawall_requests_total{listener="public"} 5\n' : '{}');
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  async start(): Promise<void> {
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as AddressInfo).port;
    this.#hangs = false;
  }

  hang(): void {
    this.#hangs = true;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }
}

export interface World {
  readonly url: string;
  readonly folder: string;
  readonly edges: Readonly<Record<'eu' | 'us', FakeEdge>>;
  readonly regions: readonly RegionConfig[];
  token(scope?: Partial<TokenScope>): string;
  post(
    path: string,
    token: string | undefined,
    body?: object,
  ): Promise<{ status: number; body: Record<string, unknown> }>;
  where(address: string): Promise<WhereAnswer>;
  state(region: string): Promise<string>;
  stopControl(): Promise<void>;
}

export async function startWorld(t: Test, geo: object = {}, before?: World): Promise<World> {
  const folder = before?.folder ?? t.testdir({});
  const edges = before?.edges ?? { eu: new FakeEdge(), us: new FakeEdge() };
  const regions: RegionConfig[] = [];
  for (const [region, coordinates] of [
    ['eu', [50.11, 8.68]],
    ['us', [39.04, -77.49]],
  ] as const) {
    const edge = edges[region];
    if (!before) {
      await edge.start();
      t.teardown(() => edge.stop());
    }
    const address = `127.0.0.1:${edge.port}`;
    const parsed = regionSchema.parse({
      region,
      coordinates,
      tier_secret: SECRET,
      geo: { recovery: '500ms', ...geo },
      edges: [{ name: `${region}-1`, listen: address, tier: address, control: address }],
      ...(region === 'eu' && { control: { listen: '127.0.0.1:0' } }),
      sites: [{ include: 'unused.yaml' }],
    });
    regions.push({ ...parsed, file: join(folder, `${region}.yaml`), sites: SITES, reachableShields: [] });
  }
  const [region] = regions as [RegionConfig];
  const control = region.control as NonNullable<RegionConfig['control']>;
  const node = await startControl({ region, control, regions, log });
  let isOpen = true;
  const stopControl = async (): Promise<void> => {
    if (isOpen) await node.close();
    isOpen = false;
  };
  t.teardown(stopControl);
  const url = `http://${node.address}`;
  const read = async <T>(path: string): Promise<T> => (await (await fetch(`${url}${path}`)).json()) as T;
  return {
    url,
    folder,
    edges,
    regions,
    stopControl,
    token(scope = {}) {
      const database = openControlDatabase(join(folder, control.data, 'control.sqlite'));
      try {
        const all: TokenScope = { sites: ['*'], kinds: ['drain'], read: false, ...scope };
        const { stored, text } = newToken({ name: 'ops', ...all }, wallNow());
        void new SqliteTokens(database).add(stored); // written when it returns
        return text;
      } finally {
        database.close();
      }
    },
    async post(path, token, body) {
      const response = await fetch(`${url}${path}`, {
        method: 'POST',
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
    where: (address) => read(`/v1/where?address=${encodeURIComponent(address)}`),
    async state(name) {
      const { regions: list } = await read<{ regions: { name: string; state: string }[] }>('/v1/regions');
      return list.find((one) => one.name === name)?.state ?? '';
    },
  };
}

/** @returns After how many milliseconds it was so. */
export async function until(isSo: () => Promise<boolean> | boolean): Promise<number> {
  const startedAt = performance.now();
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
  return performance.now() - startedAt;
}
