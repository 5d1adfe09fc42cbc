/**
 * The demo's etcd: three members on this machine, with what they store in a folder that is gone afterwards.
 * @module
 */
import { type ChildProcess, type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as timeout } from 'node:timers/promises';
import { Failure } from '../failure.ts';

const NAMES = ['etcd-1', 'etcd-2', 'etcd-3'] as const;
const CLIENT_PORT = 8_911;
const PEER_PORT = 8_921;
const START_MS = 30_000;

export interface EtcdMember {
  readonly name: string;
  readonly pid: number;
  /** HOST:PORT for clients. */
  readonly address: string;
}

export interface DemoEtcd {
  readonly members: readonly EtcdMember[];
  close(): Promise<void>;
}

/** @returns HOST:PORT of each member, for clients. */
export function etcdAddresses(portOffset: number): string[] {
  return NAMES.map((_, index) => at(CLIENT_PORT + index + portOffset));
}

/** @throws {Failure} that says what to install where there is no etcd. */
export function checkEtcd(): void {
  if (spawnSync('etcd', ['--version'], { stdio: 'ignore' }).error === undefined) return;
  throw new Failure(
    'there is no program `etcd`. Fix: install it, on Debian and Ubuntu with apt-get install etcd-server, or start without --replicated.',
  );
}

/** @throws {Failure} when a member ends, or does not answer in time. */
export async function startDemoEtcd(portOffset: number): Promise<DemoEtcd> {
  const folder = mkdtempSync(join(tmpdir(), 'seawall-demo-etcd-'));
  const peers = NAMES.map((_, index) => `http://${at(PEER_PORT + index + portOffset)}`);
  const addresses = etcdAddresses(portOffset);
  const children = NAMES.map((name, index) => {
    const client = `http://${addresses[index]}`;
    const options = {
      name,
      'data-dir': join(folder, name),
      'listen-client-urls': client,
      'advertise-client-urls': client,
      'listen-peer-urls': peers[index],
      'initial-advertise-peer-urls': peers[index],
      'initial-cluster': NAMES.map((other, place) => `${other}=${peers[place]}`).join(),
      'initial-cluster-token': folder,
      logger: 'zap',
      'log-level': 'error',
    };
    const args = Object.entries(options).map(([option, value]) => `--${option}=${value}`);
    // A group of its own: Ctrl-C reaches the launcher alone, which stops control nodes first.
    return spawn('sh', ['-c', GUARDED, 'sh', ...args], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  });
  const clear = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', clear);
  const close = async (): Promise<void> => {
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = once(child, 'exit');
        child.stdin.end();
        await ended;
      }),
    );
    process.off('exit', clear);
    clear();
  };
  try {
    const pids = await Promise.all(children.map(pidOf));
    await Promise.all(children.map((child, index) => answering(child, addresses[index] as string)));
    const members = NAMES.map((name, index) => {
      return { name, pid: pids[index] as number, address: addresses[index] as string };
    });
    return { members, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Runs etcd with its arguments, prints its process id, and ends it when standard input ends: also when the launcher was
 * killed.
 */
const GUARDED = 'exec 3<&0; etcd "$@" </dev/null 3<&- & p=$!; echo $p; { cat <&3 >/dev/null; kill -9 $p; } & wait $p';

async function pidOf({ stdout }: ChildProcessByStdio<Writable, Readable, null>): Promise<number> {
  const [line] = (await once(stdout, 'data')) as [Buffer];
  stdout.resume();
  return Number(String(line));
}

async function answering(child: ChildProcess, address: string): Promise<void> {
  const signal = AbortSignal.timeout(START_MS);
  while (!signal.aborted) {
    if (child.exitCode !== null) throw new Failure(`etcd at ${address} has ended`);
    const body = Buffer.from('{"key":"YQ=="}');
    const response = await fetch(`http://${address}/v3/kv/range`, { method: 'POST', body, signal }).catch(
      () => undefined,
    );
    await response?.body?.cancel();
    if (response?.ok) return;
    await timeout(50);
  }
  throw new Failure(`etcd at ${address} does not answer`);
}

function at(port: number): string {
  return `127.0.0.1:${port}`;
}
