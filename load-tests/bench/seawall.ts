/** Seawall, as `seawall serve` in a process of its own. @module */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ReadyLine } from '../../cli/ready.ts';
import type { TierTlsConfig } from '../../config/schema/tier-tls.ts';
import { freePorts } from '../../test/support/ports.ts';
import { makeTrust } from '../../test/support/trust.ts';
import { CORES, coreFor, printed, type Running, removeFolder, start, temporaryFolder } from './processes.ts';
import type { ServerKind } from './server.ts';

const ROOT = join(import.meta.dirname, '../..');
const PROGRAM = join(ROOT, 'cli/seawall.ts');

/** Changes to `serve` for one scenario. */
export interface Variant {
  readonly name: string;
  readonly title: string;
  /** Folder of another version of the program. */
  readonly root?: string;
  /** Before the program: `--import FILE`. */
  readonly nodeFlags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** By default as many as the scenario says. */
  readonly threads?: number;
  /** Options of `serve` that this version must know, else the variant is not available. */
  readonly needs?: readonly string[];
  /** @param folder - Its own; gone with it. */
  readonly options?: (folder: string) => readonly string[];
}

let help: string | undefined;

/** Returns whether `seawall serve` of this version has the option. */
export function serveKnows(option: string): boolean {
  help ??= printed([process.execPath, PROGRAM, 'serve', '--help']);
  return new RegExp(`^ +${option}\\b`, 'm').test(help);
}

export function seawall(variant: Variant = { name: 'seawall', title: 'Seawall' }): ServerKind {
  const hasTls = serveKnows('--listen-tls');
  const isKnown = (variant.needs ?? []).every(serveKnows);
  return {
    name: variant.name,
    title: variant.title,
    version: isKnown ? versionOfSeawall() : undefined,
    abilities: new Set(hasTls ? ['cache', 'tls', 'http2'] : ['cache']),
    configs: () => ({ 'command line': `seawall ${options('{{…}}', 0, 0, 0, 256, '{{…}}').join(' ')}` }),

    async start({ originPort, certificates }, { memoryMebibytes, threads }) {
      const folder = temporaryFolder(variant.name);
      const [port = 0, tlsPort = 0] = await freePorts(2);
      const tls = hasTls ? certificates : undefined;
      const args = [...options(tls, port, tlsPort, originPort, memoryMebibytes, folder, threads), '--json'];
      const running = startSeawall(variant.name, args, { ...variant, core: coreFor(threads) });
      await ready(running);
      return {
        kind: this,
        running,
        port,
        tlsPort: tls === undefined ? undefined : tlsPort,
        async stop() {
          await running.stop();
          removeFolder(folder);
        },
      };
    },
  };

  function options(
    certificates: string | undefined,
    port: number,
    tlsPort: number,
    originPort: number,
    memory: number,
    folder: string,
    threads = 1,
  ): string[] {
    const tls = ['--listen-tls', `127.0.0.1:${tlsPort}`];
    const files = ['--tls-cert', `${certificates}/cert.pem`, '--tls-key', `${certificates}/key.pem`];
    return [
      ...['serve', '--origin', `http://127.0.0.1:${originPort}`, '--listen', `127.0.0.1:${port}`],
      ...['--memory', `${memory}MiB`, '--log-level', 'error'],
      ...(serveKnows('--workers') ? ['--workers', String(variant.threads ?? threads)] : []),
      ...(hasTls && certificates !== undefined ? [...tls, ...files] : []),
      ...(variant.options?.(folder) ?? []),
    ];
  }
}

/** Two edges of one region, and no shield: one is asked, the other owns what it is asked for. */
export interface Pair {
  readonly asked: Running;
  readonly owner: Running;
  readonly port: number;
  stop(): Promise<void>;
}

export interface PairOptions {
  readonly memoryMebibytes: number;
  /** Another version of Seawall. */
  readonly root?: string | undefined;
  /** True: they know each other by certificates, on TLS connections. */
  readonly hasCertificates: boolean;
}

export async function startPair(originPort: number, options: PairOptions): Promise<Pair> {
  const { memoryMebibytes, root, hasCertificates } = options;
  const folder = temporaryFolder('pair');
  const [port, ownerPort, tier, ownerTier] = await freePorts(4);
  const file = join(folder, 'region.yaml');
  writeFileSync(
    file,
    `region: bench
tier_secret: only-for-the-benchmark-of-this-machine
memory: ${memoryMebibytes}MiB
${hasCertificates ? `tier_tls: ${JSON.stringify(certificatesIn(folder))}` : ''}
# Nothing gets so hot that the one that is asked keeps a copy itself.
limits: { hot_after: 1000000 }
edges:
  - { name: asked, listen: '127.0.0.1:${port}', tier: '127.0.0.1:${tier}'${oneWorker()} }
  - { name: owner, listen: '127.0.0.1:${ownerPort}', tier: '127.0.0.1:${ownerTier}'${oneWorker()} }
sites:
  - name: bench
    hosts: ['*']
    origin: { servers: [{ url: 'http://127.0.0.1:${originPort}' }] }
`,
  );
  const startNode = async (name: string): Promise<Running> => {
    const running = startSeawall(name, ['start', file, '--node', name, '--json', '--log-level', 'error'], {
      ...(root !== undefined && { root }),
    });
    await ready(running);
    return running;
  };
  // The owner first: the other one would leave it out until it runs, and answer for its keys.
  const owner = await startNode('owner');
  const asked = await startNode('asked');
  return {
    asked,
    owner,
    port: port ?? 0,
    async stop() {
      await asked.stop();
      await owner.stop();
      removeFolder(folder);
    },
  };
}

/** Makes certificates of both. @returns `tier_tls`. */
function certificatesIn(folder: string): TierTlsConfig {
  const trust = makeTrust(folder);
  for (const name of ['asked', 'owner']) trust.issue('edge', name, 'bench');
  return trust.tierTls;
}

const require = createRequire(import.meta.url);

/** Flags that the version in this folder is started with by users. */
function flagsOf(root: string): readonly string[] {
  const { NODE_FLAGS } = require(join(root, 'cli/node-flags.ts')) as typeof import('../../cli/node-flags.ts');
  return NODE_FLAGS;
}

/** A process of the command, with the flags that it is started with by users. */
export function startSeawall(
  name: string,
  args: readonly string[],
  {
    nodeFlags = [],
    env = {},
    root = ROOT,
    core = CORES.server,
  }: Pick<Variant, 'nodeFlags' | 'env' | 'root'> & { readonly core?: number | undefined } = {},
): Running {
  const command = [process.execPath, ...flagsOf(root), ...nodeFlags, join(root, 'cli/seawall.ts'), ...args];
  return start(name, command, { core, stdout: 'pipe', env: { ...process.env, ...env } });
}

/** Resolves when it answers. @throws {Error} with what it said, when it ends instead. */
export async function ready({ name, child, outputTail }: Running): Promise<ReadyLine> {
  if (!child.stdout) throw new Error('standard output is not piped');
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, 'close').then(() => {
    throw new Error(`${name} did not start: ${outputTail()}`);
  });
  const [line] = (await Promise.race([once(lines, 'line'), ended])) as [string];
  ended.catch(() => undefined); // the waiter for its end gets it
  return JSON.parse(line);
}

/** Returns the setting for one worker, or nothing for versions whose region files have no such setting. */
function oneWorker(): string {
  const schema = JSON.parse(readFileSync(join(ROOT, 'config/region.schema.json'), 'utf8'));
  const edge = schema.properties?.edges?.items?.properties ?? {};
  return 'workers' in edge ? ', workers: 1' : '';
}

function versionOfSeawall(): string {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version;
}
