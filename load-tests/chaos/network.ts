/**
 * The network under chaos: two regions of two edges each, two shields, a control node and two origin servers, each a
 * process at a host of its own, with certificates and disks.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeToken, type NodeProcess, startNode, temporaryFolder, watch } from '../../test/support/node-processes.ts';
import { makeTrust } from '../../test/support/trust.ts';
import { CHECK_PATH, ITEMS, type Mode } from './content.ts';
import { type Host, makeHosts, mountVolume, type Volume } from './hosts.ts';
import { CLOCK_FILE } from './moved-clock.ts';

export const SITE = 'chaos';
export const HOST = 'chaos.example';

const SECRET = 'only-for-the-chaos-of-this-machine';
const MEMORY = '64MiB';
export const LEASE_SECONDS = 2;
const DISK_MIB = 300;
const DATA_MIB = 64;

const LISTEN_PORT = 8080;
const TIER_PORT = 8700;
const CONTROL_PORT = 8900;

export type Role = 'edge' | 'shield' | 'control' | 'origin';

const PLAN = [
  { name: 'east-1', region: 'east', role: 'edge' },
  { name: 'east-2', region: 'east', role: 'edge' },
  { name: 'west-1', region: 'west', role: 'edge' },
  { name: 'west-2', region: 'west', role: 'edge' },
  { name: 'shield-1', region: 'east', role: 'shield' },
  { name: 'shield-2', region: 'west', role: 'shield' },
  { name: 'control', region: 'east', role: 'control' },
  { name: 'origin-1', region: '', role: 'origin' },
  { name: 'origin-2', region: '', role: 'origin' },
] as const;

export interface Member {
  readonly name: string;
  readonly role: Role;
  readonly region: string;
  readonly host: Host;
  readonly pid: number;
  /** File system of what it stores; a server of the origin has none. */
  readonly volume: Volume | undefined;
  /** URL of an edge for visitors, of the control node for its API. */
  readonly url: string;
  /** URL of its metrics and health; a server of the origin has none. */
  readonly control: string | undefined;
  signal(signal: NodeJS.Signals): void;
  kill(): Promise<void>;
  /** Lets it end by itself (SIGTERM); resolves when it has. */
  stop(): Promise<void>;
  /** Resolves when it answers. */
  start(): Promise<void>;
  /** Has the installed version take the place of a node (SIGUSR2); resolves when the process before has ended. */
  replace(): Promise<void>;
  /** Sets its wall clock; a server of the origin has none of its own. */
  moveClock(aheadMs: number): void;
  /** Lets a process that answers garbage have its addresses, until it is ended. */
  replaceByGarbage(): Promise<() => Promise<void>>;
  /** Changes what a server of the origin answers. */
  become(mode: Mode): Promise<void>;
}

export interface Network {
  readonly members: readonly Member[];
  readonly token: string;
  /** Changes an item at both servers of the origin. */
  change(item: number, version: number): void;
}

export async function startNetwork(logLevel: string): Promise<Network> {
  const folder = temporaryFolder();
  const home = join(folder, 'home');
  mkdirSync(home);
  const hosts = await makeHosts(PLAN.length);
  const addressOf = (index: number): string => (hosts[index] as Host).address;

  const trust = makeTrust(folder, SITE);
  for (const { name, role, region } of PLAN) {
    if (role !== 'origin') trust.issue(role, name, role === 'control' ? undefined : region);
  }
  const data = await mountVolume(home, DATA_MIB);
  const volumes = await Promise.all(
    PLAN.map(async ({ name, role }) => {
      if (role === 'control') return data;
      if (role === 'origin') return undefined;
      const own = join(folder, `disk-${name}`);
      mkdirSync(own);
      return mountVolume(own, DISK_MIB);
    }),
  );
  const files = regionFiles(addressOf, folder, trust.tierTls);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home, name), text);
  const versions = join(folder, 'versions');
  writeFileSync(versions, Buffer.alloc(ITEMS * 4));
  const versionsFile = openSync(versions, 'r+');
  const token = makeToken(home);

  const members: Member[] = [];
  for (const role of ['origin', 'control', 'shield', 'edge'] as const) {
    const started = PLAN.flatMap((plan, index) =>
      plan.role === role
        ? [startMember({ plan, host: hosts[index] as Host, volume: volumes[index], folder, home, versions, logLevel })]
        : [],
    );
    members.push(...(await Promise.all(started)));
  }
  return {
    members,
    token,
    change(item, version) {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(version);
      writeSync(versionsFile, bytes, 0, 4, item * 4);
    },
  };
}

interface MemberOptions {
  readonly plan: (typeof PLAN)[number];
  readonly host: Host;
  readonly volume: Volume | undefined;
  readonly folder: string;
  readonly home: string;
  readonly versions: string;
  readonly logLevel: string;
}

/** A process of a member; `startNode` makes nodes, `startOrigin` servers of the origin. */
interface Running extends NodeProcess {
  become?(mode: Mode): Promise<void>;
}

async function startMember(options: MemberOptions): Promise<Member> {
  const { plan, host, volume, folder, home, versions, logLevel } = options;
  const { name, role, region } = plan;
  const clock = join(folder, `clock-${name}`);
  writeFileSync(clock, '0');
  const env = { NODE_OPTIONS: `--import=${join(import.meta.dirname, 'moved-clock.ts')}`, [CLOCK_FILE]: clock };
  const own = `${region}.yaml`;
  const others = role === 'control' ? ['west.yaml'] : [];
  const launch = (): Promise<Running> =>
    role === 'origin'
      ? startOrigin(name, host, versions)
      : startNode(
          name,
          [own, ...others].map((file) => join(home, file)),
          { env, through: host.through, logLevel },
        );
  let running = await launch();
  const control = role === 'origin' ? undefined : `http://${host.address}:${CONTROL_PORT}`;
  return {
    name,
    role,
    region,
    host,
    get pid() {
      return running.pid;
    },
    volume,
    url: role === 'edge' ? `http://${host.address}:${LISTEN_PORT}` : (control ?? ''),
    control,
    signal: (signal) => running.signal(signal),
    kill: () => running.kill(),
    stop: () => running.stop(),
    async start() {
      running = await launch();
    },
    async replace() {
      await running.replace();
      running = successor(name, home);
    },
    moveClock: (aheadMs) => writeFileSync(clock, String(aheadMs)),
    async replaceByGarbage() {
      await running.kill();
      const ports = [...(role === 'edge' ? [LISTEN_PORT] : []), TIER_PORT, CONTROL_PORT];
      const addresses = ports.map((port) => `${host.address}:${port}`);
      const garbage = run(join(import.meta.dirname, 'garbage.ts'), addresses, host);
      await once(garbage, 'message');
      return async () => {
        const ended = once(garbage, 'exit');
        garbage.kill('SIGKILL');
        await ended;
      };
    },
    become: async (mode) => running.become?.(mode),
  };
}

async function startOrigin(name: string, host: Host, versions: string): Promise<Running> {
  const child = run(join(import.meta.dirname, 'origin.ts'), [host.address, versions], host);
  const stopWatching = watch(child, name);
  await once(child, 'message');
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    stopWatching();
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  return {
    pid: child.pid as number,
    signal: (signal) => void child.kill(signal),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    replace: () => Promise.reject(new Error(`${name} is no node`)),
    async become(mode) {
      const changed = once(child, 'message');
      child.send(mode);
      await changed;
    },
  };
}

/** Processes that have taken the place of others: the command ends them by itself. */
const successors = new Set<number>();

process.prependListener('exit', () => {
  for (const pid of successors) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
});

/** @returns The process that has taken the place of a node. */
function successor(name: string, home: string): Running {
  const pid = pidOf(name, home);
  successors.add(pid);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    process.kill(pid, signal);
    while (isRunning(pid)) await sleep(POLL_MS);
  };
  return {
    pid,
    signal: (signal) => void process.kill(pid, signal),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    replace: () => end('SIGUSR2'),
  };
}

const POLL_MS = 20;

/** @returns The process of a node by its command line, which names the node and a file of this network. */
function pidOf(name: string, home: string): number {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const args = commandLine(Number(entry));
    if (args[args.indexOf('--node') + 1] === name && args.some((arg) => arg.startsWith(home))) return Number(entry);
  }
  throw new Error(`nothing has taken the place of ${name}`);
}

function isRunning(pid: number): boolean {
  return commandLine(pid).length > 0;
}

/** Returns the arguments of a process; none if it has ended. */
function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

/** A program of this folder at a host, with a channel to it. */
function run(program: string, args: readonly string[], host: Host): ChildProcess {
  const [command = '', ...before] = host.through;
  return spawn(command, [...before, process.execPath, program, ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

function regionFiles(addressOf: (index: number) => string, folder: string, tierTls: object): Record<string, string> {
  const at = (index: number, port: number): string => `${addressOf(index)}:${port}`;
  const of = (region: string, role: Role): object[] =>
    PLAN.flatMap((plan, index) => {
      if (plan.region !== region || plan.role !== role) return [];
      return [
        {
          name: plan.name,
          tier: at(index, TIER_PORT),
          control: at(index, CONTROL_PORT),
          disk: { path: join(folder, `disk-${plan.name}`), size: '256MiB' },
          ...(role === 'edge' && { listen: at(index, LISTEN_PORT), workers: 1 }),
        },
      ];
    });
  const indexOf = (wanted: Role): number[] => PLAN.flatMap(({ role }, index) => (role === wanted ? [index] : []));
  const [control = 0] = indexOf('control');
  const common = {
    network: SITE,
    tier_secret: SECRET,
    tier_tls: tierTls,
    memory: MEMORY,
    purges: { journal: `https://${at(control, TIER_PORT)}`, lease: `${LEASE_SECONDS}s` },
    limits: { drain_timeout: '5s' },
    sites: [
      {
        name: SITE,
        hosts: [HOST],
        chunk_above: '1MiB',
        origin: {
          servers: indexOf('origin').map((index) => ({ url: `http://${addressOf(index)}` })),
          check: { path: CHECK_PATH, interval: '250ms', timeout: '300ms' },
        },
      },
    ],
  };
  const regions = {
    'east.yaml': {
      region: 'east',
      ...common,
      edges: of('east', 'edge'),
      shields: of('east', 'shield'),
      shields_from: ['west.yaml'],
      control: { name: 'control', listen: at(control, CONTROL_PORT), tier: at(control, TIER_PORT) },
    },
    'west.yaml': {
      region: 'west',
      ...common,
      edges: of('west', 'edge'),
      shields: of('west', 'shield'),
      shields_from: ['east.yaml'],
    },
  };
  // JSON is YAML.
  return Object.fromEntries(Object.entries(regions).map(([name, region]) => [name, JSON.stringify(region)]));
}
