/**
 * The herd's network in processes of its own: four edges in two regions, one
 * shield, one origin. None of them outlives the command.
 * @module
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from '../../cli/demo/child.ts';
import { freePorts } from '../../test/support/ports.ts';
import type { Counted, FromOrigin, ToOrigin } from './origin.ts';

const ORIGIN = join(import.meta.dirname, 'origin.ts');

export interface Node {
  readonly name: string;
  readonly pid: number;
  /** Port for visitors; the shield has none. */
  readonly port: number | undefined;
}

export interface Origin {
  readonly port: number;
  reset(visitors: number, largeBytes: number): void;
  release(): void;
  report(): Promise<Counted>;
}

/** Ends each of the processes that run. */
const running = new Set<() => void>();
const folders = new Set<string>();

process.on('exit', () => {
  for (const kill of running) kill();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));

export async function startOrigin(): Promise<Origin> {
  const child = fork(ORIGIN, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = once(child, 'exit').then(([code, signal]) => String(signal ?? `exit code ${code}`));
  watch('the origin', () => child.kill('SIGKILL'), ended);
  const hear = async (): Promise<FromOrigin> => (await once(child, 'message'))[0] as FromOrigin;
  const tell = (message: ToOrigin): void => void child.send(message);
  const first = await hear();
  if (first.kind !== 'listening') throw new Error('the origin does not listen');
  return {
    port: first.port,
    reset: (visitors, largeBytes) => tell({ kind: 'reset', visitors, largeBytes }),
    release: () => tell({ kind: 'release' }),
    report: async () => {
      tell({ kind: 'report' });
      const message = await hear();
      if (message.kind !== 'report') throw new Error('the origin does not report');
      return message.counted;
    },
  };
}

export interface Network {
  readonly nodes: readonly Node[];
  stop(): Promise<void>;
}

/**
 * Bodies are stored in one piece: `npm run bench:large` is about those in chunks.
 *
 * @param memory - As in a region file.
 */
export async function startNetwork(memory: string, originPort: number): Promise<Network> {
  const folder = mkdtempSync(join(tmpdir(), 'seawall-herd-'));
  folders.add(folder);
  const [a, b, c, d, e] = await freePorts(5);
  const common = `
network: herd
tier_secret: only-for-the-herd-of-this-machine
memory: ${memory}
sites:
  - name: herd
    hosts: ['*']
    direct_to_origin: false
    chunk_above: never
    origin: { servers: [{ url: 'http://127.0.0.1:${originPort}' }], max_connections: 4096 }
`;
  const edge = (name: string, port: number | undefined) =>
    `  - { name: ${name}, listen: '127.0.0.1:0', tier: '127.0.0.1:${port}', workers: 1 }\n`;
  const east = join(folder, 'east.yaml');
  const west = join(folder, 'west.yaml');
  const shields = `shields:\n  - { name: shield, tier: '127.0.0.1:${e}' }\n`;
  writeFileSync(east, `region: east${common}edges:\n${edge('east-1', a)}${edge('east-2', b)}${shields}`);
  writeFileSync(
    west,
    `region: west${common}edges:\n${edge('west-1', c)}${edge('west-2', d)}shields_from: [east.yaml]\n`,
  );
  const started = await Promise.all([
    startNode(east, 'shield'),
    startNode(east, 'east-1'),
    startNode(east, 'east-2'),
    startNode(west, 'west-1'),
    startNode(west, 'west-2'),
  ]);
  return {
    nodes: started.map(({ node }) => node),
    async stop() {
      await Promise.all(started.map(({ stop }) => stop()));
      rmSync(folder, { recursive: true, force: true });
      folders.delete(folder);
    },
  };
}

async function startNode(file: string, name: string): Promise<{ node: Node; stop: () => Promise<void> }> {
  const child = await startChild({ name, files: [file], env: process.env, logLevel: 'error' });
  const kill = (): void => child.signal('SIGKILL');
  const stop = watch(name, kill, child.ended);
  const listen = child.node.listen;
  const port = listen === undefined ? undefined : Number(listen.split(':').at(-1));
  return { node: { name, pid: child.pid, port }, stop };
}

/**
 * One that ends by itself ends the command: what it would print then would mean nothing.
 *
 * @returns Ends it.
 */
function watch(name: string, kill: () => void, ended: Promise<string>): () => Promise<void> {
  running.add(kill);
  void ended.then((how) => {
    if (!running.delete(kill)) return;
    console.error(`herd: ${name} ended (${how})`);
    process.exit(1);
  });
  return async () => {
    running.delete(kill);
    kill();
    await ended;
  };
}

/** @returns The most that the process ever held in memory, in bytes. */
export function peakMemory(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

/** @returns How many files this process may open at most. */
export function openFileLimit(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const [, soft] = /^Max open files\s+(\S+)/m.exec(limits) ?? [];
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}
