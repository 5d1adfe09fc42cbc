/**
 * The edge: the real program, with faults on demand (test/support/thread-faults.ts).
 * @module
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ReadyLine } from '../../cli/ready.ts';
import { type Faults, threadFaults } from '../../test/support/cause-fault.ts';
import { samplesOf } from '../../test/support/network.ts';

const PROGRAM = join(import.meta.dirname, '../../cli/seawall');

export interface EdgeWithFaults extends Pick<Faults, 'cause' | 'connections'> {
  readonly address: string;
  /** Threads that serve. */
  threads(): Promise<(number | undefined)[]>;
  /** Threads that have ended so far. */
  ended(): Promise<ReadonlySet<number>>;
  restarts(): Promise<number>;
  close(): Promise<void>;
}

interface Health {
  readonly workers: { readonly list: readonly { readonly thread?: number; readonly serving: boolean }[] };
}

export async function startEdgeWithFaults(origin: string, workers: number): Promise<EdgeWithFaults> {
  const { env, cause, connections } = threadFaults();
  const options = ['--origin', origin, '--listen', '127.0.0.1:0', '--control', '127.0.0.1:0', '--json'];
  const child = spawn(PROGRAM, ['serve', ...options, '--workers', String(workers)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const [node] = (JSON.parse(line) as ReadyLine).nodes;
  const { listen = '', control = '' } = node ?? {};
  const seen = new Set<number>();
  const list = async (): Promise<Health['workers']['list']> => {
    const health = (await (await fetch(`http://${control}/healthz`)).json()) as Health;
    for (const { thread } of health.workers.list) if (thread !== undefined) seen.add(thread);
    return health.workers.list;
  };
  return {
    address: listen,
    cause,
    connections,
    threads: async () => (await list()).filter(({ serving }) => serving).map(({ thread }) => thread),
    async ended() {
      const running = new Set((await list()).map(({ thread }) => thread));
      const all = new Set([...seen, ...(await connections()).map(({ thread }) => thread)]);
      return new Set([...all].filter((thread) => !running.has(thread)));
    },
    async restarts() {
      const text = await (await fetch(`http://${control}/metrics`)).text();
      return samplesOf(text).find(({ name }) => name === 'seawall_worker_restarts_total')?.value ?? 0;
    },
    async close() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
