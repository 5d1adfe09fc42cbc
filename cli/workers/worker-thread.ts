/**
 * The threads of the workers: each is started, watched, and replaced when it ends, or no longer turns its event loop.
 * @module
 */
import { Worker } from 'node:worker_threads';
import type { ToDisk } from '../../cache/disk/thread-disk.ts';
import type { KnownCertificate } from '../../http/listener/certificates.ts';
import type { ListeningSocket } from '../../http/listener/sockets.ts';
import { backoffMs } from '../../lib/backoff.ts';
import { type MonotonicMs, msBetween } from '../../lib/clock.ts';
import type { Traffic } from '../../lib/traffic.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { FromPurgedThread } from '../../tier/purge-relay.ts';
import type { Lines } from '../output.ts';
import { scarcity } from '../process-memory.ts';
import {
  ALIVE_MS,
  type Answer,
  type FromWorker,
  type Metrics,
  type StartMessage,
  type ToWorker,
  type WorkerAddresses,
  type WorkerData,
} from './messages.ts';

/** One that lived this long is replaced at once when it ends. */
const STABLE_MS = 10_000;
const PAUSES = { firstMs: 250, maxMs: 10_000 };

/**
 * After so many checks, `ALIVE_MS` apart, in which a worker's heartbeat stood still, it is ended: the system goes on
 * giving it connections. Counted, not timed: when the whole process stood still, no worker is at fault.
 */
const SILENCES = 5;
/** The same for one that is starting, which a busy machine may make slow. */
const SILENCES_AT_START = 60;

/**
 * Maximum time that a thread may take to end. What V8 runs ends within milliseconds; a call into native code that never
 * returns cannot be ended, and the thread would go on holding its connections and its sockets.
 */
const END_MS = 10_000;

/** Maximum time to wait for a worker's reply. */
const ANSWER_MS = 3_000;

const PROGRAM = new URL(import.meta.resolve('./program.ts'));

const MIB = 2 ** 20;
/** Least limit of a thread's heap, beside what is stored: connections and requests in flight. */
const MIN_HEAP_BYTES = 1024 * MIB;

/**
 * @param failures - Starts in a row, the last one included, after which the worker soon ended.
 * @returns How long to wait before it is started again: the first time not at all.
 */
export function pauseBeforeRestart(failures: number): number {
  return failures <= 1 ? 0 : backoffMs(PAUSES, failures - 2);
}

export interface WorkerThreadOptions {
  /** `eu-1#2`. */
  readonly name: string;
  readonly log: Logger;
  /**
   * A thread is about to start.
   *
   * @param thread - Not used for another one later.
   * @returns Its start message, from the current config.
   */
  readonly starting: (thread: number, send: (message: ToWorker) => void) => StartMessage;
  /** Output for the worker's access log, where that is standard output. */
  readonly output: Lines;
  /** About as much as its share of the memory for stored responses: its heap may grow to that. */
  readonly memoryBytes: () => number;
  readonly onEnded: (thread: number) => void;
  /** Its last values: it is about to end in order. */
  readonly onMetrics: (metrics: Metrics) => void;
  readonly onTraffic: (traffic: Traffic) => void;
  readonly onPurges: (thread: number, message: FromPurgedThread) => void;
  readonly onDisk: (thread: number, message: ToDisk) => void;
  readonly onCertificate: (known: KnownCertificate) => void;
  readonly now: () => MonotonicMs;
}

type StartOutcome = Extract<FromWorker, { readonly kind: 'ready' | 'failed' }>;

/** A thread of the process, and what is known of it. */
interface Running {
  readonly worker: Worker;
  /** Heartbeat of its event loop. */
  readonly turns: Int32Array;
  /** Resolves with whether it could start; with `undefined` when it has ended instead. */
  readonly started: Promise<StartOutcome | undefined>;
  readonly ended: Promise<void>;
}

/** Threads that were started so far. */
let threads = 0;

/** A worker's place, whichever thread fills it. */
export class WorkerThread {
  readonly name: string;
  readonly #options: WorkerThreadOptions;
  #running: Running | undefined;
  #addresses: WorkerAddresses | undefined;
  #readyAt: MonotonicMs | undefined;
  #failures = 0;
  #isClosing = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #questions = new Map<number, (answer: Answer | undefined) => void>();
  #asked = 0;
  /** Threads that took the place of one that ended. */
  restarts = 0;

  constructor(options: WorkerThreadOptions) {
    this.name = options.name;
    this.#options = options;
  }

  /** Number of the thread in this process; `undefined` while none runs. */
  get thread(): number | undefined {
    return this.#running?.worker.threadId;
  }

  /** Addresses of the worker; `undefined` unless it serves. */
  get addresses(): WorkerAddresses | undefined {
    return this.#addresses;
  }

  /** @throws The error, a system's one in the form of Node's, that its first start fails with. */
  async start(): Promise<WorkerAddresses> {
    const outcome = await this.#run({ isFirst: true }).started;
    if (outcome?.kind === 'ready') return outcome.addresses;
    this.#isClosing = true;
    if (outcome === undefined) throw new Error(`${this.name} ended instead of starting`);
    const { code, syscall, address, port } = outcome;
    throw Object.assign(new Error(outcome.message), syscall === undefined ? {} : { code, syscall, address, port });
  }

  /** Starts beside others: one that cannot start is tried again, as one that has ended. */
  startAnew(): void {
    this.#run({ isFirst: false });
  }

  send(message: ToWorker): void {
    this.#running?.worker.postMessage(message); // one that ended is started with what is new
  }

  /** @returns `undefined` when it does not serve, or does not answer. */
  askMetrics(): Promise<Metrics | undefined> {
    return this.#ask('metrics') as Promise<Metrics | undefined>;
  }

  /** @returns `undefined` when it does not serve, or does not answer. */
  askSockets(): Promise<readonly ListeningSocket[] | undefined> {
    return this.#ask('sockets') as Promise<readonly ListeningSocket[] | undefined>;
  }

  #ask(about: 'metrics' | 'sockets'): Promise<Answer | undefined> {
    if (this.#addresses === undefined) return Promise.resolve(undefined);
    const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
    const id = this.#asked++;
    const timer = setTimeout(() => this.#answered(id, undefined), ANSWER_MS);
    this.#questions.set(id, (answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
    this.send({ kind: 'ask', id, about });
    return promise;
  }

  /** Lets it finish what is in flight. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#timer);
    this.send({ kind: 'close' });
    await this.#running?.ended;
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#timer);
    if (this.#running !== undefined) await this.#end(this.#running);
  }

  #run({ isFirst }: { readonly isFirst: boolean }): Running {
    const turns = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const thread = ++threads;
    const send = (message: ToWorker): void => worker.postMessage(message);
    const workerData: WorkerData = { start: this.#options.starting(thread, send), turns, scarcity };
    const heapBytes = Math.max(MIN_HEAP_BYTES, this.#options.memoryBytes());
    const worker: Worker = new Worker(PROGRAM, {
      name: this.name,
      workerData,
      stdout: true,
      resourceLimits: { maxOldGenerationSizeMb: heapBytes / MIB },
    });
    const started = Promise.withResolvers<StartOutcome | undefined>();
    const ended = Promise.withResolvers<void>();
    const running: Running = { worker, turns, started: started.promise, ended: ended.promise };
    this.#running = running;
    this.#readyAt = undefined;
    this.#options.output.take(worker.stdout);
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'ready' || message.kind === 'failed') started.resolve(message);
      this.#onMessage(message, thread);
    });
    let why: string | undefined;
    worker.on('error', (error) => {
      why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    const watching = this.#watch(running);
    worker.once('exit', (code) => {
      clearInterval(watching);
      started.resolve(undefined);
      this.#options.onEnded(thread);
      this.#ended(why ?? `exit code ${code}`, isFirst);
      ended.resolve();
    });
    return running;
  }

  /** Ends the thread when its heartbeat stands still. */
  #watch(running: Running): NodeJS.Timeout {
    const { turns, worker } = running;
    let last = 0;
    let silences = 0;
    const timer = setInterval(() => {
      const turn = Atomics.load(turns, 0);
      silences = turn === last ? silences + 1 : 0;
      last = turn;
      const allowed = this.#addresses === undefined ? SILENCES_AT_START : SILENCES;
      if (silences <= allowed) return;
      clearInterval(timer);
      this.#options.log.error({ worker: this.name, thread: worker.threadId }, 'worker does not respond');
      void this.#end(running);
    }, ALIVE_MS);
    return timer.unref();
  }

  async #end({ worker, ended }: Running): Promise<void> {
    const late = setTimeout(() => {
      this.#options.log.fatal({ worker: this.name }, 'worker cannot be ended: the process ends');
      process.kill(process.pid, 'SIGKILL'); // `process.exit` waits for all threads
    }, END_MS);
    void worker.terminate();
    await ended;
    clearTimeout(late);
  }

  #onMessage(message: FromWorker, thread: number): void {
    if (message.kind === 'changed' || message.kind === 'learned' || message.kind === 'call') {
      this.#options.onPurges(thread, message);
    }
    if (message.kind === 'disk') this.#options.onDisk(thread, message);
    if (message.kind === 'answer') this.#answered(message.id, message.answer);
    if (message.kind === 'metrics') this.#options.onMetrics(message.metrics);
    if (message.kind === 'traffic') this.#options.onTraffic(message.traffic);
    if (message.kind === 'certificate') this.#options.onCertificate(message.known);
    if (message.kind === 'failed') this.#options.log.error({ detail: message.message }, 'worker cannot start');
    if (message.kind === 'ready') {
      this.#addresses = message.addresses;
      this.#readyAt = this.#options.now();
    }
  }

  #answered(id: number, answer: Answer | undefined): void {
    this.#questions.get(id)?.(answer);
    this.#questions.delete(id);
  }

  #ended(how: string, isFirst: boolean): void {
    const { log, now } = this.#options;
    const wasReady = this.#readyAt !== undefined;
    this.#running = undefined;
    this.#addresses = undefined;
    for (const id of this.#questions.keys()) this.#answered(id, undefined);
    if (this.#isClosing || (isFirst && !wasReady)) return; // `start` says why
    const livedMs = this.#readyAt === undefined ? 0 : msBetween(this.#readyAt, now());
    this.#failures = livedMs >= STABLE_MS ? 1 : this.#failures + 1;
    const pauseMs = pauseBeforeRestart(this.#failures);
    log.error({ worker: this.name, how, pauseMs }, 'worker exited; replacing it');
    this.#timer = setTimeout(() => {
      this.restarts++;
      this.#run({ isFirst: false });
    }, pauseMs);
  }
}
