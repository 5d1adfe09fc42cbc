/**
 * Runs commands in a folder, as a reader pastes them, and ends all that they leave behind.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';

/** Time for a block to end, or to begin to run. */
const LIMIT_MS = 60_000;
/** Time for commands that run to print what is expected of them. */
const PRINT_MS = 10_000;
/** Time for a process that is asked to end. */
const END_MS = 20_000;

export class CommandError extends Error {}

/** Commands that run on. */
export interface Lasting {
  /** Output so far, on both streams. */
  output(): string;
  /** Waits until what they have printed is as wanted, or time is over. */
  until(isWanted: () => boolean): Promise<void>;
  /** Asks them to end, as Ctrl-C does, and waits until they have. */
  end(): Promise<void>;
}

export class Shell {
  readonly #folder: string;
  readonly env: Record<string, string>;
  /** Shell functions that stand in for programs. */
  functions = ':';
  readonly #running = new Set<ChildProcess>();

  constructor(folder: string, env: Readonly<Record<string, string>>) {
    this.#folder = folder;
    const { PATH = '', HOME = '', LANG = 'C.UTF-8' } = process.env;
    this.env = { PATH: `${dirname(process.execPath)}:${PATH}`, HOME, LANG, ...env };
  }

  /** @returns What the commands print, on both streams. @throws {CommandError} when one of them fails. */
  async run(script: string): Promise<string> {
    const child = this.#spawn(script);
    const output = printedBy(child);
    const timer = setTimeout(() => endGroup(child, 'SIGKILL'), LIMIT_MS);
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    clearTimeout(timer);
    await settled(child);
    if (code !== 0) throw new CommandError(`it ended with ${signal ?? code}, having printed:\n${output()}`);
    return output();
  }

  /** @param until - In the output, once they run. @throws {CommandError} when they end before, or are too slow. */
  async start(script: string, until: RegExp): Promise<Lasting> {
    const child = this.#spawn(script);
    const output = printedBy(child);
    const wait = (isWanted: () => boolean, limitMs: number): Promise<void> => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const fail = (what: string): void => reject(new CommandError(`${what}, having printed:\n${output()}`));
      const look = (): void => {
        if (isWanted()) resolve();
      };
      const onExit = (): void => fail(`it ended with ${child.signalCode ?? child.exitCode}`);
      const timer = setTimeout(() => fail('its time is over'), limitMs);
      for (const stream of [child.stdout, child.stderr]) stream?.on('data', look);
      child.once('exit', onExit);
      look();
      return promise.finally(() => {
        clearTimeout(timer);
        child.off('exit', onExit);
        for (const stream of [child.stdout, child.stderr]) stream?.off('data', look);
      });
    };
    await wait(() => until.test(output()), LIMIT_MS);
    return {
      output,
      until: (isWanted) => wait(isWanted, PRINT_MS).catch(() => undefined),
      end: async () => {
        endGroup(child, 'SIGINT');
        const timer = setTimeout(() => endGroup(child, 'SIGKILL'), END_MS);
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
        clearTimeout(timer);
        this.#running.delete(child);
      },
    };
  }

  /** Ends all that still runs. */
  async close(): Promise<void> {
    for (const child of this.#running) endGroup(child, 'SIGKILL');
  }

  #spawn(script: string): ChildProcess {
    const child = spawn('bash', ['-euc', `${this.functions}\n${script}`], {
      cwd: this.#folder,
      env: this.env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#running.add(child);
    return child;
  }
}

function printedBy({ stdout, stderr }: ChildProcess): () => string {
  let text = '';
  for (const stream of [stdout, stderr]) {
    stream?.setEncoding('utf8');
    stream?.on('data', (chunk: string) => {
      text += chunk;
    });
  }
  return () => text;
}

/** Resolves when its output has been read; a process that it left behind may hold the pipe open. */
async function settled({ stdout }: ChildProcess): Promise<void> {
  if (stdout === null || stdout.readableEnded) return;
  await Promise.race([once(stdout, 'end'), tick()]);
}

function tick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 50));
}

/** Signals a process and all that it has started. */
function endGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-(pid as number), signal);
  } catch {
    // all of them have ended
  }
}
