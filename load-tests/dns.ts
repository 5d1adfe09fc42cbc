/**
 * `npm run bench:dns`: answers a second of the DNS server on one core, and what
 * one costs, beside Debian's nsd.
 *
 * The load is dnsperf where it is installed, else a process of our own
 * (dns/load.ts); it runs on another core where there is one. nsd serves a
 * plain zone of the same names: it neither locates nor steers nor limits.
 *
 * Answers a second are what came in the time of day, with whatever else ran on
 * the core; what a second of the core is worth follows from the CPU of an answer.
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { readArguments } from '../test/support/arguments.ts';
import { freePort } from '../test/support/ports.ts';
import { usageOf } from './bench/proc.ts';
import { isAnswering, type Load, ownLoad, QUESTIONS, withDnsperf } from './dns/load.ts';
import { print, type Row } from './report.ts';

const HELP = `Usage: npm run bench:dns -- [options]

Answers a second of the DNS server on one core, and what one costs, beside
Debian's nsd where that is installed.

Options:
  --seconds N   Of each server, for each kind of question. By default 5.
  --load WHICH  dnsperf, where that is installed, or own. By default dnsperf.
  --help        Say this.
`;

const GOAL_PER_SECOND = 20_000;
const ROOT = join(import.meta.dirname, '..');

interface Measured {
  readonly perSecond: number;
  readonly cpuMicros: number;
  readonly lost: number;
  readonly residentBytes: number;
}

interface Server {
  readonly child: ChildProcess;
  readonly port: number;
}

async function main(): Promise<void> {
  const settings = readArguments('bench:dns', HELP, { seconds: '5', load: 'dnsperf' });
  const seconds = settings.positive('seconds', 60);
  const { load } = settings.values;
  if (load !== 'dnsperf' && load !== 'own') settings.refuse(`--load needs dnsperf or own, not ${JSON.stringify(load)}`);
  const hasDnsperf = load === 'dnsperf' && isInstalled('dnsperf', ['-h']);
  const folder = mkdtempSync(join(tmpdir(), 'seawall-dns-'));
  const rows: Row[] = [];
  try {
    for (const withSubnet of [false, true]) {
      const kind = withSubnet ? 'the visitor’s network in each question' : 'plain questions';
      const seawall = await measure(await startSeawall(folder), seconds, withSubnet, hasDnsperf);
      rows.push(
        { what: `Seawall, ${kind}: answers/s`, value: seawall.perSecond.toFixed(0) },
        { what: 'CPU of an answer, µs', value: seawall.cpuMicros.toFixed(1) },
        {
          what: 'answers in a second of one core',
          value: (1e6 / seawall.cpuMicros).toFixed(0),
          promise: { text: `>= ${GOAL_PER_SECOND}`, kept: 1e6 / seawall.cpuMicros >= GOAL_PER_SECOND },
        },
        { what: 'questions without an answer', value: String(seawall.lost) },
        { what: 'memory, MiB', value: (seawall.residentBytes / 2 ** 20).toFixed(0) },
      );
      const nsd = await startNsd(folder);
      if (nsd === undefined) {
        rows.push({ what: 'nsd', value: 'not installed' });
        continue;
      }
      const { perSecond, cpuMicros, lost } = await measure(nsd, seconds, withSubnet, hasDnsperf);
      rows.push(
        { what: `nsd, ${kind}: answers/s`, value: perSecond.toFixed(0) },
        { what: 'CPU of an answer, µs', value: cpuMicros.toFixed(1) },
        { what: 'questions without an answer', value: String(lost) },
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  print(`DNS, load from ${hasDnsperf ? 'dnsperf' : 'a process of our own'}, ${seconds} s each`, rows);
}

/** Warms it up for a second, measures, and stops it. */
async function measure(
  { child, port }: Server,
  seconds: number,
  withSubnet: boolean,
  hasDnsperf: boolean,
): Promise<Measured> {
  const put = hasDnsperf ? withDnsperf : ownLoad;
  const load: Load = { port, seconds: 1, withSubnet, pin: pinTo(availableParallelism() - 1) };
  try {
    await put(load);
    const before = usageOf(child.pid as number);
    const { answers, lost, elapsedSeconds } = await put({ ...load, seconds });
    const after = usageOf(child.pid as number);
    return {
      perSecond: answers / elapsedSeconds,
      cpuMicros: (after.cpuMicros - before.cpuMicros) / answers,
      lost,
      residentBytes: after.residentBytes,
    };
  } finally {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }
}

async function startSeawall(folder: string): Promise<Server> {
  const file = join(folder, 'region.yaml');
  writeFileSync(file, regionFile());
  const [program = '', ...args] = [
    ...pinTo(0),
    process.execPath,
    '--max-semi-space-size=4',
    'cli/seawall.ts',
    'start',
    file,
    '--node',
    'dns',
    '--json',
  ];
  const child = spawn(program, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, SEAWALL_LOG: 'error' },
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const { nodes } = JSON.parse(line) as { nodes: readonly { listen: string }[] };
  return { child, port: Number(nodes[0]?.listen.split(':').at(-1)) };
}

/** An edge at port 0 is one that cannot be probed, so it counts as healthy. */
function regionFile(): string {
  return `region: bench
tier_secret: 0123456789abcdef
coordinates: [50.11, 8.68]
edges:
  - { name: bench-1, listen: '127.0.0.1:0', tier: '127.0.0.1:0', public: [203.0.113.1, '2001:db8::1'] }
  - { name: bench-2, listen: '127.0.0.2:0', tier: '127.0.0.2:0', public: [203.0.113.2, '2001:db8::2'] }
dns:
  listen: ['127.0.0.1:0']
  rate_limit: { exempt: [127.0.0.0/8] }
  zones:
    - name: example.com
      nameservers: [{ name: ns.example.net }]
      steer: [${QUESTIONS.steered.join(', ')}]
      records: [{ name: mail, type: A, values: [203.0.113.3] }]
sites:
  - { name: shop, hosts: [www.example.com], origin: { servers: [{ url: 'https://origin.example.net' }] } }
`;
}

/** @returns `undefined` when it is not installed. */
async function startNsd(folder: string): Promise<Server | undefined> {
  const program = '/usr/sbin/nsd';
  if (!isInstalled(program, ['-v'])) return undefined;
  const port = await freePort();
  const addresses = ['A 203.0.113.1', 'A 203.0.113.2', 'AAAA 2001:db8::1', 'AAAA 2001:db8::2'];
  const zone = [
    '@ 3600 IN SOA ns.example.net. hostmaster.example.com. 1 14400 3600 1209600 60',
    '@ 3600 IN NS ns.example.net.',
    'mail 3600 IN A 203.0.113.3',
    ...['www', ...QUESTIONS.steered].flatMap((name) => addresses.map((address) => `${name} 30 IN ${address}`)),
  ];
  writeFileSync(join(folder, 'zone'), `$ORIGIN example.com.\n${zone.join('\n')}\n`);
  writeFileSync(
    join(folder, 'nsd.conf'),
    `server:
  ip-address: 127.0.0.1@${port}
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "${folder}"
  database: ""
  pidfile: "${folder}/nsd.pid"
  xfrdfile: "${folder}/xfrd"
  zonelistfile: "${folder}/zones"
  xfrdir: "${folder}"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: example.com
  zonefile: zone
`,
  );
  const [command = '', ...args] = [...pinTo(0), program, '-d', '-c', join(folder, 'nsd.conf')];
  const child = spawn(command, args, { stdio: 'ignore' });
  await isAnswering(port, child);
  return { child, port };
}

function isInstalled(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).error === undefined;
}

/** In front of a command: nothing where there is one core, or no taskset. */
function pinTo(core: number): readonly string[] {
  return availableParallelism() > 1 && isInstalled('taskset', ['-V']) ? ['taskset', '-c', String(core)] : [];
}

await main();
