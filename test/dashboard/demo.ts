/**
 * The demo network as processes, with visitors and a purge: what the pictures of the dashboard show.
 * @module
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const ROOT = join(import.meta.dirname, '../..');
const SECRET = 'a-secret-for-the-pictures';

export interface Demo {
  /** Scheme, host and port of the control node. */
  readonly control: string;
  /** Addresses of the edges. */
  readonly edges: readonly string[];
  /** Text of a token that may all. */
  readonly token: string;
  close(): Promise<void>;
}

interface ReadyLine {
  readonly nodes: readonly { readonly role: string; readonly listen?: string; readonly control?: string }[];
  readonly files?: readonly string[];
}

/** Starts it, with visitors who ask until it is closed. */
export async function startDemo(portOffset: number): Promise<Demo> {
  const child = spawn(
    process.execPath,
    ['--disable-sigusr1', 'cli/demo/start.ts', '--json', '--port-offset', String(portOffset)],
    { cwd: ROOT, env: { ...process.env, SEAWALL_TIER_SECRET: SECRET }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'exit');
  const ready = await readyLine(child.stdout, ended);
  const control = `http://${ready.nodes.find(({ role }) => role === 'control')?.control}`;
  const edges = ready.nodes.flatMap(({ role, listen }) => (role === 'edge' && listen ? [`http://${listen}`] : []));
  const token = await createToken(String(ready.files?.[0]));
  const visitors = new AbortController();
  const visits = Promise.all(edges.map((edge, at) => visit(edge, at, visitors.signal)));
  return {
    control,
    edges,
    token,
    async close() {
      visitors.abort();
      await visits;
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function readyLine(output: NodeJS.ReadableStream, ended: Promise<unknown>): Promise<ReadyLine> {
  const lines = createInterface({ input: output });
  const first = await Promise.race([once(lines, 'line'), ended.then(() => undefined)]);
  if (first === undefined) throw new Error('the demo network has ended instead of getting ready');
  return JSON.parse(String(first[0])) as ReadyLine;
}

async function createToken(file: string): Promise<string> {
  const kinds = ['url', 'tag', 'prefix', 'host', 'everything', 'drain'].flatMap((kind) => ['--kind', kind]);
  const child = spawn(
    join(ROOT, 'cli/seawall'),
    ['token', 'create', file, '--name', 'operator', '--all-sites', '--read', ...kinds],
    {
      env: { ...process.env, SEAWALL_TIER_SECRET: SECRET },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let text = '';
  child.stdout.on('data', (chunk) => (text += chunk));
  await once(child, 'close');
  const token = /swt_[\w-]+/.exec(text)?.[0];
  if (token === undefined) throw new Error(`no token: ${text}`);
  return token;
}

const PATHS = ['/', '/', '/', '/media/day.webm', '/?page=1', '/?page=2', '/?page=3', '/api/me', '/nothing-there'];

/** A visitor of one edge, who asks again and again; each edge has another load. */
async function visit(edge: string, at: number, signal: AbortSignal): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) {
    const path = turn % 5 === 4 ? `/?page=${turn}` : PATHS[turn % PATHS.length];
    try {
      const response = await fetch(`${edge}${path}`, { signal });
      await response.body?.cancel();
    } catch {
      // The network ends before its visitors do.
    }
    await new Promise((resolve) => setTimeout(resolve, 20 + at * 15));
  }
}
