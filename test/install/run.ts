/**
 * The Debian package in a Debian that has nothing else, with systemd as its first process: installed, its unit checked,
 * a site served, upgraded under load, removed.
 *
 *     npm run test:install [-- --root FOLDER]
 *
 * @module
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { makeDeb } from '../../packaging/deb.ts';
import { readArguments } from '../support/arguments.ts';
import { freePorts } from '../support/ports.ts';

const HELP = `Usage: npm run test:install [-- --root FOLDER]

Installs the Debian package in a Debian 12 of its own (debootstrap, systemd-nspawn): checks the
unit, serves a site, upgrades under load, and removes the package. Needs root, Debian's
debootstrap and systemd-container, and a mirror.

Options:
  --root FOLDER  A Debian 12 to copy, with systemd and libatomic1. By default one is made.
  --help         Say this.
`;
const given = readArguments('test:install', HELP, { root: '' }).optional('root');

const PACKAGES = 'systemd,systemd-sysv,libatomic1,logrotate';
const CLIENTS = 16;
const BODY = 'x'.repeat(10_000);
/** The highest exposure that `systemd-analyze security` may find; 10 is none at all. */
const MAX_EXPOSURE = 2;

const work = mkdtempSync(join(tmpdir(), 'seawall-install-'));
const root = join(work, 'root');
let failed = 0;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function check(what: string, isTrue: boolean): void {
  if (!isTrue) failed += 1;
  say(`${isTrue ? 'ok' : 'FAILED'}: ${what}`);
}

function timed<Result>(what: string, run: () => Result): Result {
  const began = performance.now();
  const result = run();
  say(`   ${what}: ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  return result;
}

function command(program: string, ...args: readonly string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 2 ** 26 });
}

/** Starts the Debian, and returns its first process. */
async function boot(): Promise<{ readonly nspawn: ChildProcess; readonly pid: number }> {
  const nspawn = spawn('systemd-nspawn', ['-q', '-D', root, '--register=no', '--keep-unit', '--boot'], {
    stdio: 'ignore',
  });
  for (;;) {
    const [pid] = command('sh', '-c', `cat /proc/${nspawn.pid}/task/*/children`).trim().split(/\s+/).map(Number);
    if (pid !== undefined && pid > 0 && existsSync(`/proc/${pid}/root/run/systemd/system`)) return { nspawn, pid };
    if (nspawn.exitCode !== null) throw new Error('systemd-nspawn has ended');
    await wait(50);
  }
}

/** Files and users of the Debian, but for what it changes by itself. */
function leftovers(pid: number): string[] {
  const skipped = '-path /proc -o -path /sys -o -path /run -o -path /dev -o -path /tmp -o -path /var/log/journal';
  const files = inside(pid, 'sh', '-c', `find / \\( ${skipped} \\) -prune -o -print`).split('\n');
  const own =
    /^\/(?:var\/(?:lib\/(?:dpkg|systemd|apt|logrotate)|cache\/(?:apt|ldconfig|debconf)|log\/(?:dpkg|apt|wtmp|lastlog|faillog)|backups)|etc\/(?:\.pwd|passwd-|group-|shadow-|gshadow-|subuid|subgid|mtab|machine-id|resolv\.conf))/;
  return [...files.filter((file) => !own.test(file)), ...inside(pid, 'getent', 'passwd').split('\n')].sort();
}

function inside(pid: number, ...args: readonly string[]): string {
  return command('nsenter', '-t', String(pid), '-m', '-u', '-i', '-p', '-C', '--', ...args);
}

async function ask(port: number, agent: Agent): Promise<void> {
  const [response] = await once(get({ port, host: '127.0.0.1', path: '/', agent }), 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  if (response.statusCode !== 200 || Buffer.concat(chunks).toString() !== BODY)
    throw new Error(`${response.statusCode}`);
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 60_000; !(await condition()); ) {
    if (performance.now() > end) throw new Error(`${what} took too long`);
    await wait(100);
  }
}

const origin = createServer((_, response) => response.setHeader('Cache-Control', 'max-age=60').end(BODY)).listen(0);
await once(origin, 'listening');
const [port = 0, tier = 0, control = 0] = await freePorts(3);
let nspawn: ChildProcess | undefined;
try {
  if (given === undefined)
    timed('debootstrap', () => command('debootstrap', '--variant=minbase', `--include=${PACKAGES}`, 'bookworm', root));
  else cpSync(given, root, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  const [before, after] = timed('two packages', () =>
    ['1.0.0', '1.0.1'].map((version) => makeDeb({ out: join(work, 'deb'), version })),
  ) as [string, string];
  for (const [file, name] of [
    [before, 'before.deb'],
    [after, 'after.deb'],
  ] as const)
    copyFileSync(file, join(root, 'opt', name));
  const booted = await boot();
  nspawn = booted.nspawn;
  const { pid } = booted;
  const clean = leftovers(pid);

  timed('installed', () => inside(pid, 'dpkg', '-i', '/opt/before.deb'));
  check('seawall --version', /^seawall 1\.0\.0 \(Node 26\./.test(inside(pid, 'seawall', '--version')));
  check(`installed size ${inside(pid, 'du', '-sm', '/usr/lib/seawall').split('\t')[0]} MiB`, true);
  check('systemd-analyze verify', inside(pid, 'systemd-analyze', 'verify', 'seawall@eu.service').trim() === '');
  const security = inside(
    pid,
    'systemd-analyze',
    'security',
    '--offline=true',
    '/usr/lib/systemd/system/seawall@.service',
  );
  const exposure = Number(/exposure level for seawall@\S*\.service: ([\d.]+)/.exec(security)?.[1]);
  check(`systemd-analyze security: exposure ${exposure}, at most ${MAX_EXPOSURE}`, exposure <= MAX_EXPOSURE);

  writeFileSync(
    join(root, 'etc/seawall/eu.yaml'),
    `region: eu
tier_secret: \${SEAWALL_TIER_SECRET}
memory: 64MiB
access_log: /var/log/seawall/eu.log
edges:
  - { name: eu-1, listen: '127.0.0.1:${port}', tier: '127.0.0.1:${tier}', control: '127.0.0.1:${control}', workers: 2 }
sites:
  - { name: all, hosts: ['*'], origin: { servers: [{ url: 'http://127.0.0.1:${(origin.address() as AddressInfo).port}' }] } }
`,
  );
  writeFileSync(join(root, 'etc/seawall/secrets.env'), 'SEAWALL_TIER_SECRET=0123456789abcdef0123456789abcdef\n');
  timed('started', () => inside(pid, 'systemctl', 'enable', '--now', 'seawall@eu'));
  const mainPid = (): string => inside(pid, 'systemctl', 'show', '-P', 'MainPID', 'seawall@eu').trim();
  await ask(port, new Agent());
  check('served, by its own user', inside(pid, 'stat', '-c', '%U', `/proc/${mainPid()}`).trim() === 'seawall');
  inside(pid, 'systemctl', 'reload', 'seawall@eu');

  let answered = 0;
  let isOver = false;
  const lost: string[] = [];
  const clients = Array.from({ length: CLIENTS }, async (_, number) => {
    const agent = new Agent({ keepAlive: number % 2 === 0, maxSockets: 1 });
    while (!isOver) {
      await ask(port, agent).then(
        () => void answered++,
        (error: Error) => void lost.push(error.message),
      );
    }
    agent.destroy();
  });
  const first = mainPid();
  await until('some load', () => answered > 500);
  const upgrade = spawn(
    'nsenter',
    ['-t', String(pid), '-m', '-u', '-i', '-p', '-C', '--', 'dpkg', '-i', '/opt/after.deb'],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const [code] = await once(upgrade, 'exit');
  check('upgraded', code === 0);
  check('another process is the main one', mainPid() !== first);
  const reached = answered;
  await until('more load', () => answered > reached + 500);
  await until('the end of the old process', () => !existsSync(`/proc/${pid}/root/proc/${first}`));
  isOver = true;
  await Promise.all(clients);
  check(
    `${answered} requests under the upgrade, ${lost.length} lost ${[...new Set(lost)].join(', ')}`,
    lost.length === 0,
  );
  check('the unit is active', inside(pid, 'systemctl', 'is-active', 'seawall@eu').trim() === 'active');
  inside(pid, 'logrotate', '-f', '/etc/logrotate.d/seawall');
  check(
    'the access log is rotated',
    existsSync(join(root, 'var/log/seawall/eu.log.1')) &&
      readFileSync(join(root, 'var/log/seawall/eu.log.1')).length > 0,
  );

  timed('removed', () => inside(pid, 'dpkg', '--purge', 'seawall'));
  const left = leftovers(pid).filter((line) => !clean.includes(line));
  check(`nothing is left ${left.slice(0, 10).join(' ')}`, left.length === 0);
} catch (error) {
  failed += 1;
  const { message, stderr = '' } = error as Error & { stderr?: string };
  say(`FAILED: ${message}\n${stderr}`);
} finally {
  if (nspawn !== undefined && nspawn.exitCode === null) {
    const ended = once(nspawn, 'exit');
    nspawn.kill('SIGTERM');
    await Promise.race([ended, wait(10_000)]);
    nspawn.kill('SIGKILL');
  }
  origin.close();
  rmSync(work, { recursive: true, force: true });
}
process.exit(failed === 0 ? 0 : 1);
