/**
 * Surroundings in which command blocks of the documentation are run: a folder that looks like the repository, region
 * files whose ports are moved, and what their pages have running.
 * @module
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DemoOrigin, startDemoOrigin } from '../../../cli/demo/origin.ts';
import { takenAddresses } from '../../../cli/demo/ports.ts';
import { documentedBlocks, ROOT } from '../blocks.ts';
import type { StageName } from './plan.ts';
import { Shell } from './shell.ts';

export interface Stage {
  readonly shell: Shell;
  /** The text with the ports of this stage. */
  moved(text: string): string;
  /** Output with the ports of the documentation. */
  movedBack(text: string): string;
  close(): Promise<void>;
}

/** Addresses of the documentation, and every other one of this machine. */
const ADDRESS = /\b(?:127\.0\.0\.1|0\.0\.0\.0|10\.0\.0\.\d|localhost):(\d{2,5})\b/g;

/** Ports of the documentation: those that blocks need are free once they are moved. */
const PORTS = [443, 3_000, 8_000, 8_080, ...[1, 2, 3, 4].flatMap((n) => [8_080 + n, 8_180 + n, 8_280 + n]), 8_900];

const [LEAST_OFFSET, MOST_OFFSET] = [11_000, 22_000];

export async function openStage(name: StageName): Promise<Stage> {
  const offset = await freeOffset();
  const folder = mkdtempSync(join(tmpdir(), 'seawall-commands-'));
  const moved = (text: string): string => moveBy(text, offset);
  mirrorRepository(folder, moved);
  const shell = new Shell(folder, {
    OFFSET: String(offset),
    SEAWALL_TIER_SECRET: randomBytes(32).toString('base64url'),
    SEAWALL_CONTROL: moved('http://127.0.0.1:8900'),
  });
  const origin = await startOrigin(3_000 + offset);
  let demo: DemoOrigin | undefined;
  if (name === 'demo') {
    const { host, port } = demoOriginAddress(folder);
    demo = await startDemoOrigin({ host, port });
    await shell.start('cli/seawall start config/regions/eu.yaml config/regions/us.yaml --json', /"ready":true/);
    shell.env['SEAWALL_TOKEN'] = (
      await shell.run('cli/seawall token create config/regions/eu.yaml --name me --all-sites --read 2> /dev/null')
    ).trim();
  } else if (name === 'no origin') {
    writeFileSync(join(folder, 'eu.yaml'), moved(WITHOUT_ORIGIN));
    writeFileSync(join(folder, 'trace.mjs'), documentedFile('// trace.mjs'));
  } else if (name === 'purge method') {
    const token = randomBytes(32).toString('hex');
    shell.env['PURGE_TOKEN'] = token;
    const hash = createHash('sha256').update(token).digest('hex');
    writeFileSync(join(folder, 'site.yaml'), `purge_method: { token_sha256: [${hash}] }\nhosts: ['*']\n`);
    await shell.start(
      moved('cli/seawall serve --origin http://127.0.0.1:3000 --listen 127.0.0.1:8080 --site site.yaml --json'),
      /"ready":true/,
    );
    shell.functions = moved(
      `curl() { command curl -sS -o /dev/null -w '%{http_code}\\n' --connect-to ::127.0.0.1:8080 "\${@/https:/http:}"; }`,
    );
  }
  return {
    shell,
    moved,
    movedBack: (text) => moveBy(text, -offset),
    async close() {
      await shell.close();
      await demo?.close();
      origin.closeAllConnections();
      origin.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

const WITHOUT_ORIGIN = `region: eu
tier_secret: \${SEAWALL_TIER_SECRET}
memory: 64MiB
edges:
  - { name: eu-1, listen: '127.0.0.1:8081', tier: '127.0.0.1:8181', workers: 1 }
  - { name: eu-2, listen: '127.0.0.1:8082', tier: '127.0.0.1:8182', workers: 1 }
shields:
  - { name: shield-1, tier: '127.0.0.1:8190' }
sites:
  - { name: site, hosts: ['*'], origin: { servers: [{ url: 'http://127.0.0.1:8000' }] } }
`;

/** @returns A file that the documentation shows. */
function documentedFile(begins: string): string {
  const block = documentedBlocks().find(({ text }) => text.startsWith(begins));
  if (block === undefined) throw new Error(`no block begins with ${begins}`);
  return block.text;
}

/** Links to what the repository has; the region and site files are copies, with other ports. */
function mirrorRepository(folder: string, moved: (text: string) => string): void {
  for (const name of readdirSync(ROOT)) {
    if (name !== 'config' && !name.startsWith('.')) symlinkSync(join(ROOT, name), join(folder, name));
  }
  for (const kind of ['regions', 'sites']) {
    mkdirSync(join(folder, 'config', kind), { recursive: true });
    for (const file of readdirSync(join(ROOT, 'config', kind))) {
      if (!file.endsWith('.yaml')) continue; // such as the data folder of a control node that was started there
      const text = readFileSync(join(ROOT, 'config', kind, file), 'utf8');
      writeFileSync(join(folder, 'config', kind, file), moved(text));
    }
  }
}

function demoOriginAddress(folder: string): { host: string; port: number } {
  const text = readFileSync(join(folder, 'config/sites/demo.yaml'), 'utf8');
  const url = /url: (http:\/\/\S+)/.exec(text)?.[1];
  if (url === undefined) throw new Error('the demo site has no origin');
  const { hostname: host, port } = new URL(url);
  return { host, port: Number(port) };
}

/** Answers everything, `/error` with 500. */
async function startOrigin(port: number): Promise<ReturnType<typeof createServer>> {
  const server = createServer(({ url }, response) => {
    response.writeHead(url === '/error' ? 500 : 200, { 'Content-Type': 'text/plain', 'Cache-Control': 'max-age=60' });
    response.end('hello');
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function moveBy(text: string, offset: number): string {
  return text.replaceAll(ADDRESS, (_address, port: string) => `127.0.0.1:${Number(port) + offset}`);
}

async function freeOffset(): Promise<number> {
  for (;;) {
    const offset = LEAST_OFFSET + Math.floor(Math.random() * (MOST_OFFSET - LEAST_OFFSET));
    const taken = await takenAddresses(PORTS.map((port) => `127.0.0.1:${port + offset}`));
    if (taken.length === 0) return offset;
  }
}
