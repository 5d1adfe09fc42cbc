/**
 * A control node as a process of its own, with a region of edges around it, and
 * its API.
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Pool } from 'undici';
import { loadRegion } from '../../config/load.ts';
import type { RegionConfig } from '../../config/schema.ts';
import type { Receipt } from '../../control/schemas.ts';
import { makeToken, type NodeProcess, startNode, temporaryFolder } from '../../test/support/node-processes.ts';
import { freePorts } from '../../test/support/ports.ts';

export const HOST = 'purge.example';
export const SITE = 'purge';
export const SECRET = 'only-for-the-purges-of-this-machine';

/** More than any of the measures has under way. */
const CONNECTIONS = 128;

export interface Edge {
  readonly name: string;
  /** Control listener, HOST:PORT. */
  readonly control: string;
  readonly file: string;
}

export interface Control {
  readonly url: string;
  readonly region: RegionConfig;
  readonly edges: readonly Edge[];
  /** @throws {Error} with what the API said, unless it took the purge. */
  purge(body: object, idempotencyKey?: string): Promise<Receipt>;
  get<Body>(path: string): Promise<{ status: number; body: Body }>;
  /** Ends the process at once, and starts another one. */
  kill(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** @param names - Edges that a receipt waits for; they are not started. */
export async function startControl(names: readonly string[], limits: object = {}): Promise<Control> {
  const home = join(temporaryFolder(), 'home');
  mkdirSync(home);
  const [port, ...ports] = (await freePorts(1 + 3 * names.length)) as [number, ...number[]];
  const address = (index: number): string => `127.0.0.1:${ports[index]}`;
  const edges = names.map((name, index) => ({
    name,
    listen: address(3 * index),
    tier: address(3 * index + 1),
    control: address(3 * index + 2),
  }));
  const file = join(home, 'region.yaml');
  const config = {
    region: 'local',
    network: 'purge',
    tier_secret: SECRET,
    memory: '64MiB',
    edges,
    control: { listen: `127.0.0.1:${port}`, rate_limits: limits },
    sites: [{ name: SITE, hosts: [HOST], origin: { servers: [{ url: 'http://127.0.0.1:9' }] } }],
  };
  writeFileSync(file, JSON.stringify(config)); // JSON is YAML
  const token = makeToken(home);
  const url = `http://127.0.0.1:${port}`;
  const pool = new Pool(url, { connections: CONNECTIONS, headersTimeout: 20_000 });
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  let process_: NodeProcess = await startNode('control', [file]);
  return {
    url,
    region: loadRegion(file),
    edges: edges.map(({ name, control }) => ({ name, control, file })),
    async purge(body, idempotencyKey) {
      const answer = await pool.request({
        method: 'POST',
        path: '/v1/purges',
        headers: { ...headers, ...(idempotencyKey !== undefined && { 'idempotency-key': idempotencyKey }) },
        body: JSON.stringify(body),
      });
      const receipt = (await answer.body.json()) as Receipt;
      if (answer.statusCode !== 200 && answer.statusCode !== 202) {
        throw new Error(`status ${answer.statusCode}: ${JSON.stringify(receipt)}`);
      }
      return receipt;
    },
    async get<Body>(path: string) {
      const { statusCode, body } = await pool.request({ method: 'GET', path, headers });
      return { status: statusCode, body: (await body.json()) as Body };
    },
    kill: () => process_.kill(),
    async start() {
      process_ = await startNode('control', [file]);
    },
    async close() {
      await pool.destroy();
      await process_.kill();
    },
  };
}
