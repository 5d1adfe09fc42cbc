/**
 * One node of the demo network: `seawall start FILE --node NAME` as a process
 * of its own.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Failure } from '../failure.ts';
import { NODE_FLAGS } from '../node-flags.ts';
import type { ReadyLine, ReadyNode } from '../ready.ts';

export interface ChildOptions {
  readonly name: string;
  /** Its region file first. */
  readonly files: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly logLevel: string;
  /** Command that runs the program, such as one that changes the network namespace; by default it is run directly. */
  readonly through?: readonly string[];
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly node: ReadyNode;
  /** Exit status as text: `exit code 1`, `SIGKILL`. */
  readonly ended: Promise<string>;
  /** Does nothing once it has ended. */
  signal(signal: NodeJS.Signals): void;
}

/** As cli/seawall says it. */
const COMPILE_CACHE = join(import.meta.dirname, '../../node_modules/.cache/seawall');

const SEAWALL = join(import.meta.dirname, '../seawall.ts');

/** @throws {Failure} with what the node said when it ended instead of getting ready. */
export async function startChild({ name, files, env, logLevel, through = [] }: ChildOptions): Promise<Child> {
  const program = [process.execPath, ...NODE_FLAGS, SEAWALL, 'start', ...files, '--node', name];
  const [command = process.execPath, ...args] = [...through, ...program, '--json', '--log-level', logLevel];
  const process_ = spawn(command, args, {
    env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
    // A group of its own: Ctrl-C reaches the launcher alone, which stops its nodes in order. The channel tells the node
    // when the launcher is gone.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const ended = endOf(process_);
  const complaints = passOn(process_);
  const ready = await Promise.race([readyLineOf(process_), ended]);
  if (typeof ready === 'string') {
    const complaint = (await complaints.read()).replace(/^seawall: /, '');
    throw new Failure(`${name} did not start: ${complaint || ready}`);
  }
  complaints.flush();

  const [node] = ready.nodes;
  if (!node) throw new Failure(`${name} started without a node`);
  return { name, pid: ready.pid, node, ended, signal: (signal) => void process_.kill(signal) };
}

async function endOf(child: ChildProcess): Promise<string> {
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return signal ?? `exit code ${code}`;
}

function readyLineOf(child: ChildProcess): Promise<ReadyLine> {
  const { promise, resolve } = Promise.withResolvers<ReadyLine>();
  if (child.stdout) createInterface({ input: child.stdout }).once('line', (line) => resolve(JSON.parse(line)));
  return promise;
}

/** Holds back what the node says until it is ready, then passes it on as it comes. */
function passOn(child: ChildProcess): { read(): Promise<string>; flush(): void } {
  const held: string[] = [];
  let isReady = false;
  const lines = child.stderr ? createInterface({ input: child.stderr }) : undefined;
  const closed = lines ? once(lines, 'close') : Promise.resolve();
  lines?.on('line', (line) => {
    if (isReady) process.stderr.write(`${line}\n`);
    else held.push(line);
  });
  return {
    async read() {
      await closed;
      return held.join('\n');
    },
    flush() {
      isReady = true;
      for (const line of held.splice(0)) process.stderr.write(`${line}\n`);
    },
  };
}
