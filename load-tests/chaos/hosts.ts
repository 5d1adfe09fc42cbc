/**
 * Hosts of the network under chaos: network namespaces of Linux, each with an address and a link of its own to the
 * namespace of the command, which passes packets on between them. All of it is gone with the command.
 *
 * The command runs again inside of `unshare`, so that links, routes and mounts are its own.
 * @module
 */
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Set for the command inside. */
const INSIDE = 'SEAWALL_CHAOS_INSIDE';

/** Network for measurements between networks (RFC 2544), here within one machine. */
const NETWORK = '198.18';

export type Cut = 'refused' | 'dropped';

export interface Host {
  readonly address: string;
  /** Command that runs a program at this host. */
  readonly through: readonly string[];
  /**
   * `refused`: there is no way to the host, and none from it, and who tries hears of that. `dropped`: packets
   * disappear.
   */
  cut(how: Cut): Promise<void>;
  heal(): Promise<void>;
}

/** @returns What is missing for namespaces; `undefined` if nothing is. */
export function whyNoHosts(): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux, for network namespaces';
  if (process.getuid?.() !== 0) return 'needs root, for network namespaces: run it with sudo, or in a container';
  for (const [program, of] of [
    ['ip', 'iproute2'],
    ['tc', 'iproute2'],
    ['unshare', 'util-linux'],
    ['nsenter', 'util-linux'],
  ] as const) {
    const { error } = spawnSync(program, ['-V'], { stdio: 'ignore' });
    if (error !== undefined) return `needs the program ${program} (Debian: apt-get install ${of})`;
  }
  const tried = spawnSync(
    'unshare',
    [
      '--net',
      '--mount',
      'sh',
      '-c',
      'ip link add try1 type veth peer name try2 && tc qdisc add dev try1 root blackhole && mount -t tmpfs tmpfs /mnt',
    ],
    { encoding: 'utf8' },
  );
  if (tried.status === 0) return undefined;
  return `cannot make network namespaces with links and mounts here: ${tried.stderr.trim()}`;
}

export const isInside: boolean = process.env[INSIDE] !== undefined;

/** Runs the command again in namespaces of its own, and ends as it does. */
export async function runInside(): Promise<never> {
  const child = spawn(
    'unshare',
    ['--net', '--mount', process.execPath, ...process.execArgv, ...process.argv.slice(1)],
    {
      stdio: 'inherit',
      env: { ...process.env, [INSIDE]: '1' },
    },
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  process.on('exit', () => child.kill('SIGKILL'));
  const [code] = (await once(child, 'exit')) as [number | null];
  process.exit(code ?? 1);
}

/** Makes hosts. To be called once, inside. */
export async function makeHosts(count: number): Promise<Host[]> {
  execFileSync('ip', ['link', 'set', 'lo', 'up']);
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  return Promise.all(Array.from({ length: count }, (_, index) => makeHost(index + 1)));
}

async function makeHost(number: number): Promise<Host> {
  // Ends with the command: its standard input ends then.
  const keeper = spawn('unshare', ['--net', 'sh', '-c', 'echo made; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(keeper.stdout, 'data');
  const through = ['nsenter', `--net=/proc/${keeper.pid}/ns/net`, '--'];
  const here = async (program: string, ...args: string[]): Promise<void> => void (await run(program, args));
  const there = (program: string, ...args: string[]): Promise<void> =>
    here('nsenter', ...through.slice(1), program, ...args);
  const [link, end] = [`host${number}`, 'out'];
  const [gateway, address] = [`${NETWORK}.${number}.1`, `${NETWORK}.${number}.2`];
  await here('ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', end, 'netns', String(keeper.pid));
  await here('ip', 'address', 'add', `${gateway}/30`, 'dev', link);
  await here('ip', 'link', 'set', link, 'up');
  await there('ip', 'link', 'set', 'lo', 'up');
  await there('ip', 'address', 'add', `${address}/30`, 'dev', end);
  await there('ip', 'link', 'set', end, 'up');
  await there('ip', 'route', 'add', 'default', 'via', gateway);
  let heal: (() => Promise<unknown>) | undefined;
  return {
    address,
    through,
    async cut(how) {
      if (how === 'dropped') {
        await here('tc', 'qdisc', 'add', 'dev', link, 'root', 'blackhole');
        await there('tc', 'qdisc', 'add', 'dev', end, 'root', 'blackhole');
        heal = () =>
          Promise.all([
            here('tc', 'qdisc', 'delete', 'dev', link, 'root'),
            there('tc', 'qdisc', 'delete', 'dev', end, 'root'),
          ]);
      } else {
        await here('ip', 'route', 'add', 'unreachable', `${address}/32`);
        await there('ip', 'route', 'replace', 'unreachable', 'default', 'metric', '0');
        await there('ip', 'route', 'add', 'unreachable', `${gateway}/32`);
        heal = async () => {
          await there('ip', 'route', 'delete', 'unreachable', `${gateway}/32`);
          await there('ip', 'route', 'delete', 'unreachable', 'default');
          await here('ip', 'route', 'delete', 'unreachable', `${address}/32`);
          await there('ip', 'route', 'replace', 'default', 'via', gateway);
        };
      }
    },
    async heal() {
      await heal?.();
      heal = undefined;
    },
  };
}

/** A file system of its own in memory, that can be filled to its last byte. */
export interface Volume {
  readonly folder: string;
  fill(): Promise<void>;
  empty(): Promise<void>;
}

/** @param folder - One that exists. */
export async function mountVolume(folder: string, mebibytes: number): Promise<Volume> {
  await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', folder]);
  // Before the folder is removed with what is in it.
  process.prependListener('exit', () => spawnSync('umount', ['--lazy', folder]));
  const resize = async (size: string): Promise<void> => {
    await run('mount', ['-o', `remount,size=${size}`, folder]);
  };
  return {
    folder,
    async fill() {
      // As large as what is in it: more may have been written meanwhile, and then it cannot be made so small.
      for (let tries = 0; ; tries++) {
        const { stdout } = await run('df', ['--block-size=1', '--output=used', folder]);
        const used = Number(stdout.split('\n')[1]);
        try {
          await resize(String(Math.max(4_096, used)));
          return;
        } catch (error) {
          if (tries >= MAX_TRIES) throw error;
        }
      }
    },
    empty: () => resize(`${mebibytes}m`),
  };
}

const MAX_TRIES = 20;
