/**
 * An edge of several threads, and visitors who may reach any of them.
 * @module
 */
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { ReadyLine } from '../../cli/ready.ts';
import { threadFaults } from '../support/cause-fault.ts';
import { samplesOf } from '../support/network.ts';
import { startCommand } from './process.ts';

export const SEAWALL = 'cli/seawall.ts';
export const KEPT = { 'Cache-Control': 'max-age=60' };

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly tiers: readonly string[];
  readonly mark: string | undefined;
}

/** Over a connection of its own, so that any worker may take it. */
export function ask(address: string, path: string, method = 'GET'): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const request = get(`http://${address}${path}`, { method, agent: new Agent({ keepAlive: false }) }, (response) => {
    let body = '';
    response.setEncoding('latin1').on('data', (chunk: string) => {
      body += chunk;
    });
    response.once('error', reject);
    response.once('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        text: body,
        tiers: String(response.headers['cache-status'] ?? '').split(', '),
        mark: response.headers['x-mark'] as string | undefined,
      }),
    );
  });
  request.once('error', reject);
  return promise;
}

export interface Parts {
  readonly workers?: number;
  readonly mark?: string;
  readonly listen?: string;
  readonly control?: boolean;
}

export function region(
  origin: string,
  { workers = 2, mark = 'first', listen = '127.0.0.1:0', control = false }: Parts,
): string {
  return [
    'region: eu',
    'tier_secret: a-secret-of-the-tests',
    'limits: { drain_timeout: 5s }',
    'edges:',
    '  - name: eu-1',
    `    listen: ${listen}`,
    '    tier: 127.0.0.1:0',
    '    control: 127.0.0.1:0',
    `    workers: ${workers}`,
    ...(control ? ['control: { listen: "127.0.0.1:0" }'] : []),
    'sites:',
    '  - name: site',
    '    hosts: ["*"]',
    `    origin: { servers: [{ url: '${origin}' }] }`,
    `    response_headers: { set: { X-Mark: ${mark} } }`,
  ].join('\n');
}

export async function startEdge(t: Test, origin: string, parts: Parts = {}) {
  const file = join(t.testdir({ 'eu.yaml': region(origin, parts) }), 'eu.yaml');
  const { env, cause } = threadFaults();
  const started = await startCommand<ReadyLine>(t, SEAWALL, ['start', file, '--node', 'eu-1'], env);
  const [edge] = started.ready.nodes;
  const address = edge?.listen ?? '';
  const control = edge?.control ?? '';
  const threads = (edge?.workers ?? []).map(({ thread }) => thread as number);
  return { file, address, control, threads, cause, ...started };
}

export function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

export interface WorkerHealth {
  readonly name: string;
  /** Absent while it is being replaced. */
  readonly thread?: number;
  readonly serving: boolean;
}

export interface Health {
  readonly status: string;
  readonly workers: { readonly serving: number; readonly of: number; readonly list: WorkerHealth[] };
}

export async function healthOf(control: string): Promise<Health> {
  return (await (await fetch(`http://${control}/healthz`)).json()) as Health;
}

export async function metric(
  control: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const page = await (await fetch(`http://${control}/metrics`)).text();
  return samplesOf(page)
    .filter((sample) => sample.name === name && Object.entries(labels).every(([key, is]) => sample.labels[key] === is))
    .reduce((sum, { value }) => sum + value, 0);
}

/** Resolves when all workers serve, none of them in this thread. */
export async function whenReplaced(control: string, thread: number | undefined): Promise<Health> {
  for (;;) {
    const health = await healthOf(control);
    const { serving, of, list } = health.workers;
    if (serving === of && list.every((worker) => worker.thread !== thread)) return health;
  }
}
