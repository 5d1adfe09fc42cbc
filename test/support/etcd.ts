/**
 * Real members of etcd on loopback, of Debian's package `etcd-server`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as timeout } from 'node:timers/promises';
import { Agent, request } from 'undici';
import type { MadeCertificate } from './certificate.ts';
import { freePorts } from './ports.ts';

export interface Member {
  readonly url: string;
  /** Folder of what it has stored. */
  readonly data: string;
  /** The process, which is another one after `start`. */
  readonly process: ChildProcess;
  kill(signal: NodeJS.Signals): void;
  /**
   * Stops it (SIGSTOP). Resolves when all of its threads stand still: where processes wait for a processor, that is
   * later than the signal.
   */
  freeze(): Promise<void>;
  /** Resolves when it has ended. */
  end(): Promise<void>;
  /** Starts it again with what it has stored, once it has been killed. */
  start(): Promise<void>;
  /** Saves what is stored, as `etcdctl snapshot save` does. */
  save(file: string): void;
  /**
   * Replaces what it has stored, once it has been killed: as the only member of a new cluster, at the same address.
   *
   * @param file - From `save`; absent: with nothing.
   */
  replace(file?: string): void;
}

export interface Cluster {
  readonly members: readonly Member[];
  readonly endpoints: readonly string[];
  stop(): Promise<void>;
}

const START_MS = 30_000;

/**
 * @param certificate - For `localhost`: members speak TLS, and want this certificate of clients, too.
 * @param more - Further options of each member.
 * @throws {Error} that says what to install where there is no etcd.
 */
export async function startEtcd(
  count: 1 | 3,
  certificate?: MadeCertificate,
  more: Readonly<Record<string, string>> = {},
): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), 'seawall-etcd-'));
  const ports = await freePorts(2 * count);
  const at = (port: number | undefined): string => `http://127.0.0.1:${port}`;
  const scheme = certificate === undefined ? 'http' : 'https';
  const agent = new Agent(certificate && { connect: trusting(certificate) });
  const names = Array.from({ length: count }, (_, index) => `m${index}`);
  const cluster = names.map((name, index) => `${name}=${at(ports[2 * index + 1])}`).join();
  const members = names.map((name, index) => {
    const address = `${scheme}://127.0.0.1:${ports[2 * index]}`;
    const url = certificate === undefined ? address : `https://localhost:${ports[2 * index]}`;
    const peer = at(ports[2 * index + 1]);
    const args = Object.entries({
      name,
      'data-dir': join(folder, name),
      'listen-client-urls': address,
      'advertise-client-urls': url,
      'listen-peer-urls': peer,
      'initial-advertise-peer-urls': peer,
      'initial-cluster': cluster,
      'initial-cluster-token': folder,
      logger: 'zap',
      'log-level': 'error',
      ...more,
      ...(certificate && {
        'cert-file': certificate.cert_file,
        'key-file': certificate.key_file,
        'client-cert-auth': 'true',
        'trusted-ca-file': certificate.cert_file,
      }),
    }).map(([option, value]) => `--${option}=${value}`);
    let child = launch(args);
    return {
      url,
      data: join(folder, name),
      get process() {
        return child;
      },
      kill: (signal: NodeJS.Signals) => void child.kill(signal),
      async freeze() {
        child.kill('SIGSTOP');
        while (!readdirSync(`/proc/${child.pid}/task`).every((task) => isStopped(`/proc/${child.pid}/task/${task}`))) {
          await timeout(1);
        }
      },
      async end() {
        const isOver = child.exitCode !== null || child.signalCode !== null;
        const exited = isOver ? undefined : once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      },
      async start() {
        child = launch(args);
        await answering(url, child, agent);
      },
      save: (file: string) => etcdctl(['--endpoints', url, 'snapshot', 'save', file]),
      replace(file?: string) {
        const data = join(folder, name);
        rmSync(data, { recursive: true, force: true });
        if (file === undefined) return;
        const own = args.filter((arg) => /^--(?:name|data-dir|initial-\S+)=/.test(arg));
        etcdctl(['snapshot', 'restore', file, ...own]);
      },
    };
  });
  const stop = async (): Promise<void> => {
    for (const member of members) if (member.process.pid !== undefined) await member.end();
    await agent.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await Promise.all(members.map(({ url, process: child }) => answering(url, child, agent)));
  } catch (error) {
    await stop();
    throw error;
  }
  return { members, endpoints: members.map(({ url }) => url), stop };
}

/** @param folder - Of a thread in /proc. */
function isStopped(folder: string): boolean {
  return /^State:\s+T/m.test(readFileSync(`${folder}/status`, 'utf8'));
}

function etcdctl(args: readonly string[]): void {
  execFileSync('etcdctl', args, { env: { ...process.env, ETCDCTL_API: '3' }, stdio: ['ignore', 'ignore', 'pipe'] });
}

function launch(args: readonly string[]): ChildProcess {
  const child = spawn('etcd', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  child.on('error', () => undefined); // `answering` says what is missing
  return child;
}

/** Resolves when the member answers linearisable reads. */
async function answering(url: string, child: ChildProcess, dispatcher: Agent): Promise<void> {
  const signal = AbortSignal.timeout(START_MS);
  while (!signal.aborted) {
    if (child.pid === undefined) {
      throw new Error('there is no program `etcd`: these tests need it, install it with `apt-get install etcd-server`');
    }
    if (child.exitCode !== null) throw new Error(`etcd has ended with status ${child.exitCode}`);
    const call = { method: 'POST', body: '{"key":"YQ=="}', signal, dispatcher } as const;
    const response = await request(`${url}/v3/kv/range`, call).catch(() => undefined);
    await response?.body.dump();
    if (response?.statusCode === 200) return;
    await timeout(50);
  }
  throw new Error(`etcd at ${url} does not answer`);
}

/** Options of a client of such members. */
export function trusting({ cert, key }: MadeCertificate): { ca: string; cert: string; key: string } {
  return { ca: cert, cert, key };
}
