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
import { ownVerifier } from '../../control/audit-key.ts';
import type { Receipt } from '../../control/schemas.ts';
import { exportedLog } from '../../journal/audit/export.ts';
import { type Verified, verifyAudit } from '../../journal/audit/verify.ts';
import { startEtcd } from '../../test/support/etcd.ts';
import {
  makeStoredToken,
  makeToken,
  type NodeProcess,
  startNode,
  temporaryFolder,
} from '../../test/support/node-processes.ts';
import { freePorts } from '../../test/support/ports.ts';

export const HOST = 'purge.example';
export const SITE = 'purge';
export const SECRET = 'only-for-the-purges-of-this-machine';

/** More than any of the measures has under way. */
const CONNECTIONS = 128;
const MAX_AUDIT_ENTRIES = 10_000_000;

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
  /** Processes that take purges and keep them. */
  parts(): readonly { readonly name: string; readonly pid: number }[];
  verifyAudit(): Promise<Verified>;
  close(): Promise<void>;
}

export interface ControlOptions {
  /** As in a region file. */
  readonly limits?: object;
  /** True: three control nodes on three members of etcd; callers go to each in turn. */
  readonly hasEtcd?: boolean;
}

/** @param names - Edges that a receipt waits for; they are not started. */
export async function startControl(
  names: readonly string[],
  { limits = {}, hasEtcd = false }: ControlOptions = {},
): Promise<Control> {
  const home = join(temporaryFolder(), 'home');
  mkdirSync(home);
  const count = hasEtcd ? 3 : 1;
  const cluster = hasEtcd ? await startEtcd(3) : undefined;
  // Members of etcd end with the command, however that ends.
  process.on('exit', () => {
    for (const member of cluster?.members ?? []) member.kill('SIGKILL');
  });
  const free = await freePorts(count + 3 * names.length);
  const [controlPorts, ports] = [free.slice(0, count), free.slice(count)];
  const address = (index: number): string => `127.0.0.1:${ports[index]}`;
  const edges = names.map((name, index) => ({
    name,
    listen: address(3 * index),
    tier: address(3 * index + 1),
    control: address(3 * index + 2),
  }));
  const urls = controlPorts.map((port) => `http://127.0.0.1:${port}`);
  const files = controlPorts.map((port, index) => {
    const file = join(home, `region-${index + 1}.yaml`);
    const config = {
      region: index === 0 ? 'local' : `other-${index}`,
      network: 'purge',
      tier_secret: SECRET,
      memory: '64MiB',
      ...(index === 0 && { edges }),
      control: {
        name: nameOf(index),
        listen: `127.0.0.1:${port}`,
        rate_limits: limits,
        audit_log: { max_entries: MAX_AUDIT_ENTRIES },
        ...(cluster && { journal: { etcd: { endpoints: cluster.endpoints } } }),
      },
      purges: { journal: urls },
      sites: [{ name: SITE, hosts: [HOST], origin: { servers: [{ url: 'http://127.0.0.1:9' }] } }],
    };
    writeFileSync(file, JSON.stringify(config)); // JSON is YAML
    return file;
  });
  const [file = ''] = files;
  const token = hasEtcd ? await makeStoredToken(file) : makeToken(home);
  const pools = urls.map((url) => new Pool(url, { connections: CONNECTIONS, headersTimeout: 20_000 }));
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const start = (): Promise<NodeProcess[]> =>
    Promise.all(files.map((own, index) => startNode(nameOf(index), [own, ...files.filter((one) => one !== own)])));
  let processes = await start();
  let calls = 0;
  return {
    url: urls[0] as string,
    region: loadRegion(file),
    edges: edges.map(({ name, control }) => ({ name, control, file })),
    parts: () => [
      ...processes.map(({ pid }, index) => ({ name: `control node ${index + 1}`, pid })),
      ...(cluster?.members ?? []).map((member, index) => ({
        name: `member ${index + 1} of etcd`,
        pid: member.process.pid as number,
      })),
    ],
    async purge(body, idempotencyKey) {
      const pool = pools[calls++ % pools.length] as Pool;
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
      const { statusCode, body } = await (pools[0] as Pool).request({ method: 'GET', path, headers });
      return { status: statusCode, body: (await body.json()) as Body };
    },
    async verifyAudit() {
      const known = files.flatMap((one) => ownVerifier(loadRegion(one), controlOf(one)) ?? []);
      const { body } = await (pools[0] as Pool).request({ method: 'GET', path: '/v1/audit/export', headers });
      const text = await body.text();
      return verifyAudit(
        await exportedLog(async function* () {
          yield text;
        }),
        { known },
      );
    },
    kill: async () => void (await Promise.all(processes.map((one) => one.kill()))),
    async start() {
      processes = await start();
    },
    async close() {
      await Promise.all(pools.map((pool) => pool.destroy()));
      await Promise.all(processes.map((one) => one.kill()));
      await cluster?.stop();
    },
  };
}

function nameOf(index: number): string {
  return `control-${index + 1}`;
}

function controlOf(file: string): NonNullable<RegionConfig['control']> {
  const { control } = loadRegion(file);
  if (control === undefined) throw new Error(`${file} has no control node`);
  return control;
}
