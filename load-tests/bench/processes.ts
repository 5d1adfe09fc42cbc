/**
 * Processes and folders of the benchmark. None of them outlives the command,
 * however it ends.
 * @module
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { familyPids } from './proc.ts';

/** The processor of the server under test, and that of the rest: load generator and origin. */
export const CORES: { readonly server: number; readonly load: number } = { server: 0, load: 1 };

/** Processor of a server with so many threads: all of them if there are more than one. */
export function coreFor(threads: number | undefined): number | undefined {
  return threads === undefined ? CORES.server : undefined;
}

/** Time limit for a server to accept connections, and to exit. */
const START_MS = 30_000;
const RETRY_MS = 20;

/**
 * As many open files as ten thousand connections take twice over, where the system allows it; else as many as it
 * allows.
 */
const RAISE_AND_EXEC = 'ulimit -n 40000 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$@"';

const running = new Set<Running>();
const folders = new Set<string>();

process.prependListener('exit', () => {
  for (const { kill } of running) kill();
  for (const folder of folders) remove(folder);
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));

export interface Running {
  readonly name: string;
  readonly pid: number;
  readonly child: ChildProcess;
  /** Tail of its standard error, and of its standard output unless another reader has it. */
  outputTail(): string;
  /** Ends it and all its descendants at once. */
  kill(): void;
  /** Likewise; resolves when it is gone. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Absent: all of the machine. */
  readonly core?: number | undefined;
  readonly env?: NodeJS.ProcessEnv;
  readonly stdin?: 'pipe';
  /** Pipe standard output to the caller. */
  readonly stdout?: 'pipe';
}

/** Returns whether processes can be pinned: `taskset` is installed, and there is more than one processor. */
export function canPin(): boolean {
  return availableParallelism() > 1 && programOf('taskset') !== undefined;
}

/**
 * Starts a program in a process group of its own, with as many open files as the system allows.
 */
export function start(name: string, command: readonly string[], options: StartOptions): Running {
  const pinned = options.core !== undefined && canPin() ? ['taskset', '-c', String(options.core), ...command] : command;
  const child = spawn('/bin/sh', ['-c', RAISE_AND_EXEC, 'sh', ...pinned], {
    detached: true,
    env: options.env ?? process.env,
    stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name} cannot be started`);
  let outputTail = '';
  const listen = (text: Buffer): void => {
    outputTail = (outputTail + text.toString()).slice(-4_000);
  };
  child.stderr?.on('data', listen);
  if (options.stdout === undefined) child.stdout?.on('data', listen);
  const ended = once(child, 'exit');
  const entry: Running = {
    name,
    pid,
    child,
    outputTail: () => outputTail.trim(),
    kill() {
      if (!running.delete(entry)) return;
      // Some servers put their children into groups of their own.
      for (const member of familyPids(pid)) signal(member);
      signal(-pid);
    },
    async stop() {
      entry.kill();
      await ended;
    },
  };
  running.add(entry);
  child.once('exit', () => running.delete(entry) && signal(-pid));
  return entry;
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended by itself
  }
}

/** @throws {Error} with what it said, when it ends or takes too long before it accepts connections. */
export async function untilListening(server: Running, port: number): Promise<void> {
  const deadline = performance.now() + START_MS;
  while (!(await accepts(port))) {
    const ended = server.child.exitCode ?? server.child.signalCode;
    if (ended !== null) throw new Error(`${server.name} ended (${ended}): ${server.outputTail()}`);
    if (performance.now() > deadline) throw new Error(`${server.name} does not listen: ${server.outputTail()}`);
    await sleep(RETRY_MS); // it does not report when it is ready
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = createConnection({ port, host: '127.0.0.1' });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/**
 * Runs a program to its end, on the processor of the load.
 *
 * @param limitMs - It is ended after that time.
 * @returns Its standard output.
 * @throws {Error} with what it said, when it fails.
 */
export async function run(
  name: string,
  command: readonly string[],
  { limitMs, input }: { limitMs: number; input?: string },
): Promise<string> {
  const program = start(name, command, {
    core: CORES.load,
    stdout: 'pipe',
    ...(input === undefined ? {} : { stdin: 'pipe' as const }),
  });
  program.child.stdin?.end(input);
  const timer = setTimeout(() => program.kill(), limitMs);
  let output = '';
  program.child.stdout?.on('data', (text: Buffer) => {
    output += text.toString();
  });
  const [code, killed] = (await once(program.child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  if (code !== 0) throw new Error(`${name} failed (${killed ?? code}): ${program.outputTail()} ${output.slice(-500)}`);
  return output;
}

/** @returns A folder in memory, where the system has one, that is gone with the command. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(isWritable('/dev/shm') ? '/dev/shm' : tmpdir(), `seawall-bench-${name}-`));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder: string): void {
  if (folders.delete(folder)) remove(folder);
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** @returns Where a program is, Debian's folders for administrators included. */
export function programOf(name: string): string | undefined {
  const path = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;
  for (const folder of path.split(':')) {
    const file = join(folder || '.', name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // not in this one
    }
  }
  return undefined;
}

/** @returns What a program prints, on either stream; empty when it fails. */
export function printed(command: readonly [string, ...string[]]): string {
  const [program, ...args] = command;
  try {
    return execFileSync('/bin/sh', ['-c', '"$@" 2>&1', 'sh', program, ...args], {
      encoding: 'utf8',
      timeout: START_MS,
    });
  } catch {
    return '';
  }
}
