/**
 * Nodes as processes of their own, for commands that kill them: `seawall start`
 * with a region file in a temporary folder. None of them outlives the command.
 * @module
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startChild } from '../../cli/demo/child.ts';
import { loadRegion } from '../../config/load.ts';
import { type ControlConfig, openControlDatabase } from '../../control/data-folder.ts';
import { openStore } from '../../control/store/open-store.ts';
import { SqliteTokens } from '../../control/store/sqlite-tokens.ts';
import { newToken, SCOPE_KINDS, type TokenKind, Tokens } from '../../control/tokens.ts';
import { wallNow } from '../../lib/clock.ts';

const running = new Set<{ kill(signal: 'SIGKILL'): unknown }>();
const folders = new Set<string>();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));

export interface NodeProcess {
  readonly pid: number;
  /** Ends it at once (SIGKILL). Resolves when it is gone. */
  kill(): Promise<void>;
  /** Lets it end by itself (SIGTERM). Resolves when it is gone. */
  stop(): Promise<void>;
  /** Has the installed version take its place (SIGUSR2), in a process that is not watched. Resolves when it is gone. */
  replace(): Promise<void>;
  /** Stops it, or lets it go on (SIGSTOP, SIGCONT). */
  signal(signal: NodeJS.Signals): void;
}

/** Surroundings of a node, where they are not those of the command. */
export interface NodeSurroundings {
  /** Added to the environment. */
  readonly env?: NodeJS.ProcessEnv;
  /** Command that runs the program. */
  readonly through?: readonly string[];
  readonly logLevel?: string;
}

/**
 * One that ends by itself ends the command: what it would print then would mean nothing.
 *
 * @param files - Region files, its own first.
 * @returns when it answers.
 */
export async function startNode(
  name: string,
  files: readonly string[],
  { env = {}, through = [], logLevel = 'error' }: NodeSurroundings = {},
): Promise<NodeProcess> {
  const child = await startChild({ name, files, env: { ...process.env, ...env }, logLevel, through });
  const entry = { kill: (signal: 'SIGKILL') => child.signal(signal) };
  running.add(entry);
  void child.ended.then((how) => {
    if (running.delete(entry)) fail(`${name} ended (${how})`);
  });
  return {
    pid: child.pid,
    signal: (signal) => child.signal(signal),
    async kill() {
      running.delete(entry);
      child.signal('SIGKILL');
      await child.ended;
    },
    async stop() {
      running.delete(entry);
      child.signal('SIGTERM');
      await child.ended;
    },
    async replace() {
      running.delete(entry);
      child.signal('SIGUSR2');
      await child.ended;
    },
  };
}

/**
 * Ends with the command, and the command with it.
 *
 * @returns Lets it end without the command.
 */
export function watch(child: ChildProcess, name: string): () => void {
  running.add(child);
  child.once('exit', (code, signal) => {
    if (running.delete(child)) fail(`${name} ended (${signal ?? `exit code ${code}`})`);
  });
  return () => void running.delete(child);
}

function fail(message: string): void {
  console.error(message);
  process.exit(1);
}

/**
 * @param home - Folder of the control node's region file.
 * @returns A token for all sites, by default for all purges.
 */
export function makeToken(home: string, kinds: readonly TokenKind[] = SCOPE_KINDS): string {
  const data = join(home, 'seawall-data');
  mkdirSync(data, { mode: 0o700 });
  const database = openControlDatabase(join(data, 'control.sqlite'));
  const { stored, text } = newToken({ name: 'load test', sites: ['*'], kinds, read: true }, wallNow());
  void new SqliteTokens(database).add(stored); // written when it returns
  database.close();
  return text;
}

/** @param file - Region file of a control node whose store is no folder. @returns A token that may purge everything. */
export async function makeStoredToken(file: string): Promise<string> {
  const region = loadRegion(file);
  const store = await openStore(region, region.control as ControlConfig);
  const wanted = { name: 'load test', sites: ['*'], kinds: SCOPE_KINDS, read: true };
  const { text } = await new Tokens(store.tokens, wallNow).create(wanted);
  await store.close();
  return text;
}

/** @returns A folder that is gone with the command. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'seawall-load-'));
  folders.add(folder);
  return folder;
}

/** Microseconds in which somebody on this machine waited for a processor (Linux: pressure stall information). */
export function processorPressureMicros(): number | undefined {
  try {
    return Number(/^some .*total=(\d+)/m.exec(readFileSync('/proc/pressure/cpu', 'utf8'))?.[1]);
  } catch {
    return undefined; // another system, or one without it
  }
}
