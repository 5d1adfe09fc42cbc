/**
 * The program as a process, as a person or a supervisor runs it.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { Test } from 'tap';

export const ROOT = join(import.meta.dirname, '../..');

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  /** Without empty ones. */
  readonly stderrLines: string[];
}

export interface Started<Ready> {
  /** The line of `--json`. */
  readonly ready: Ready;
  kill(signal: NodeJS.Signals): void;
  /** Waits for a line on standard error that matches, from the first one on. */
  logLine(pattern: RegExp): Promise<string>;
  readonly exitCode: Promise<number | null>;
  /** Resolves when no process has its standard error any more. */
  readonly outputEnd: Promise<unknown>;
}

/** A script that Node runs (also of what is published), or what a person types. */
export type Script =
  | `${string}/cli/seawall.js`
  | 'cli/seawall.ts'
  | 'cli/demo/start.ts'
  | 'cli/seawall'
  | 'npm run seawall --'
  | 'npm start --';

/** Runs a command to its end. */
export async function runCommand(script: Script, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const child = spawnScript(script, args, env);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  return { code, stdout, stderrLines: stderr.split('\n').filter(Boolean) };
}

/** Starts a command with `--json` and waits until it is ready. It is killed when the test is over. */
export async function startCommand<Ready>(
  t: Test,
  script: Script,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Started<Ready>> {
  const child = spawnScript(script, [...args, '--json'], env);
  t.teardown(() => child.kill('SIGKILL'));
  const exitCode = once(child, 'exit').then(([code]) => code as number | null);
  const outputEnd = once(child.stderr as NodeJS.ReadableStream, 'end');
  const logLine = listenTo(child);
  const ready = await Promise.race([readyOf(child), exitCode]);
  if (typeof ready !== 'string') throw new Error(`${args.join(' ')} ended with ${ready}: ${await logLine(/./)}`);
  return { ready: JSON.parse(ready) as Ready, kill: (signal) => void child.kill(signal), logLine, exitCode, outputEnd };
}

/** @returns The first line of JSON on standard output: npm says something of its own first. */
function readyOf(child: ChildProcess): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    if (line.startsWith('{')) resolve(line);
  });
  return promise;
}

function spawnScript(script: Script, args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  const [program = '', ...first] = /\.[jt]s$/.test(script)
    ? [process.execPath, resolve(ROOT, script)]
    : script.split(' ');
  return spawn(program.startsWith('cli/') ? join(ROOT, program) : program, [...first, ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function listenTo(child: ChildProcess): (pattern: RegExp) => Promise<string> {
  const lines: string[] = [];
  const waiting = new Set<{ pattern: RegExp; resolve: (line: string) => void }>();
  createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
    lines.push(line);
    for (const waiter of waiting) {
      if (!waiter.pattern.test(line)) continue;
      waiting.delete(waiter);
      waiter.resolve(line);
    }
  });
  return (pattern) => {
    const past = lines.find((line) => pattern.test(line));
    if (past !== undefined) return Promise.resolve(past);
    const { promise, resolve } = Promise.withResolvers<string>();
    waiting.add({ pattern, resolve });
    return promise;
  };
}
