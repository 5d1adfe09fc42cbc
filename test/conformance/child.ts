/**
 * The processes of a run: the suite's origin, the suite's client and Seawall.
 * None of them outlives the run, however it ends.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Errors on standard error that mean that the process is broken, whatever it answers. */
const BROKEN =
  /unhandled\s*(?:promise\s*)?rejection|uncaught\s*exception|\bUncaught\b|ERR_UNHANDLED|MaxListenersExceededWarning|FATAL ERROR/i;
const TAIL_LINES = 40;
/** For a process that did not even start well. */
const STOP_WITHIN_MS = 2_000;
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

const alive = new Set<ChildProcess>();
let watching = false;

export interface ChildOptions {
  readonly cwd?: string;
  /** Added to this process's environment; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** True if parent and child use `send` and `onMessage`. */
  readonly ipc?: boolean;
  /** Called with each line of standard output. */
  readonly onLine?: (line: string) => void;
}

export class Child {
  readonly name: string;
  /** Resolves with how the process ended: `exit code 1`, `signal SIGKILL`. */
  readonly ended: Promise<string>;
  readonly #process: ChildProcess;
  readonly #tail: string[] = [];
  readonly #broken: string[] = [];
  readonly #listeners = new Set<(line: string) => void>();
  #stopping = false;

  /** Starts Node with `args`. */
  constructor(name: string, args: readonly string[], options: ChildOptions = {}) {
    killChildrenAtExit();
    this.name = name;
    if (options.onLine) this.#listeners.add(options.onLine);
    const child = spawn(process.execPath, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe', options.ipc ? 'ipc' : 'ignore'],
      // A group of its own, so that what it starts in turn can be killed with it.
      detached: true,
    });
    this.#process = child;
    alive.add(child);
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
    });
    // What it has started in turn may hold its pipes open, and has no business any more.
    child.once('exit', () => killGroup(child));
    void this.ended.then(() => alive.delete(child));
    if (child.stdout) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        for (const listener of this.#listeners) listener(line);
      });
    }
    if (child.stderr) {
      createInterface({ input: child.stderr }).on('line', (line) => {
        this.#tail.push(line);
        if (this.#tail.length > TAIL_LINES) this.#tail.shift();
        if (BROKEN.test(line) && this.#broken.length < TAIL_LINES) this.#broken.push(line);
      });
    }
  }

  /** The last lines on standard error. */
  get tail(): string {
    return this.#tail.join('\n');
  }

  /** Lines on standard error that no healthy process writes. */
  get broken(): readonly string[] {
    return this.#broken;
  }

  /** Resolves, with how it went, if the process ends before `stop` is called; otherwise never. */
  get died(): Promise<string> {
    return this.ended.then((how) => (this.#stopping ? new Promise<string>(() => undefined) : how));
  }

  /**
   * The first line of standard output that `pick` makes something of.
   *
   * @throws {Error} when the process ends, or `withinMs` pass, before that; the process is gone then.
   */
  async firstLine<T>(pick: (line: string) => T | undefined, withinMs: number): Promise<T> {
    let listener: ((line: string) => void) | undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        listener = (line) => {
          const picked = pick(line);
          if (picked !== undefined) resolve(picked);
        };
        this.#listeners.add(listener);
        timer = setTimeout(() => reject(new Error(`${this.name} was not ready within ${withinMs} ms`)), withinMs);
        void this.ended.then((how) => reject(new Error(`${this.name} ended (${how}) before it was ready`)));
      });
    } catch (error) {
      await this.stop(STOP_WITHIN_MS);
      throw this.tail === '' ? error : new Error(`${(error as Error).message}; it wrote:\n${this.tail}`);
    } finally {
      if (listener) this.#listeners.delete(listener);
      clearTimeout(timer);
    }
  }

  send(message: object): void {
    if (this.#process.connected) this.#process.send(message);
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#process.on('message', listener);
  }

  /** Ends the process without a word: SIGKILL. */
  async kill(): Promise<void> {
    this.#stopping = true;
    killGroup(this.#process);
    await this.ended;
  }

  /** Asks the process to stop, and kills it if it does not within `withinMs`. */
  async stop(withinMs: number): Promise<{ readonly how: string; readonly killed: boolean }> {
    let killed = false;
    if (alive.has(this.#process)) {
      this.#stopping = true;
      this.#process.kill('SIGTERM');
    }
    const timer = setTimeout(() => {
      killed = true;
      killGroup(this.#process);
    }, withinMs);
    const how = await this.ended;
    clearTimeout(timer);
    return { how, killed };
  }
}

/** Kills the children when this process exits in any way but SIGKILL. */
function killChildrenAtExit(): void {
  if (watching) return;
  watching = true;
  process.once('exit', () => {
    for (const child of alive) killGroup(child);
  });
  for (const [signal, number] of Object.entries(SIGNALS)) {
    process.once(signal, () => process.exit(128 + number));
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nobody is left in that group, which is what was wanted.
  }
}
