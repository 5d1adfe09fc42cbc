/**
 * The processes of the workers: each is started, heard, and replaced when it
 * ends, or is heard no more.
 * @module
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { KnownCertificate } from '../../http/listener/certificates.ts';
import { backoffMs } from '../../lib/backoff.ts';
import { type MonotonicMs, msBetween } from '../../lib/clock.ts';
import type { Logger } from '../../telemetry/log.ts';
import { NODE_FLAGS } from '../node-flags.ts';
import type { Lines } from '../output.ts';
import {
  ALIVE_MS,
  type FromWorker,
  type Metrics,
  type Question,
  type ToWorker,
  type WorkerAddresses,
} from './messages.ts';

/** One that lived this long is replaced at once when it ends. */
const STABLE_MS = 10_000;
const PAUSES = { firstMs: 250, maxMs: 10_000 };

/**
 * After so many times that a worker should have said that it is alive, and did not, it is ended: the system goes on
 * giving it connections. Counted, not timed: when the whole machine stood still, no worker is at fault.
 */
const SILENCES = 5;
/** The same for one that is starting, which a busy machine may make slow. */
const SILENCES_AT_START = 60;

/** Maximum time to read the remaining output of a worker that has exited. */
const READ_MS = 2_000;

/** Maximum time to wait for a worker's reply. */
const ANSWER_MS = 3_000;

const PROGRAM = join(import.meta.dirname, 'worker.ts');

/**
 * @param failures - Starts in a row, the last one included, after which the worker soon ended.
 * @returns How long to wait before it is started again: the first time not at all.
 */
export function pauseBeforeRestart(failures: number): number {
  return failures <= 1 ? 0 : backoffMs(PAUSES, failures - 2);
}

/**
 * Resolves with the first message that says whether a worker has started; with `undefined` where there is none. One
 * listener for all messages: several can arrive in one read, and are emitted before a promise goes on.
 */
export function startOutcome(child: ChildProcess): Promise<StartOutcome | undefined> {
  const { promise, resolve } = Promise.withResolvers<StartOutcome | undefined>();
  const onMessage = (message: FromWorker): void => {
    if (message.kind === 'ready' || message.kind === 'failed') end(message);
  };
  const onDisconnect = (): void => end(undefined);
  const end = (outcome: StartOutcome | undefined): void => {
    child.off('message', onMessage);
    child.off('disconnect', onDisconnect);
    resolve(outcome);
  };
  child.on('message', onMessage);
  child.on('disconnect', onDisconnect);
  return promise;
}

type StartOutcome = Extract<FromWorker, { readonly kind: 'ready' | 'failed' }>;

export interface WorkerProcessOptions {
  /** `eu-1#2/4`. */
  readonly name: string;
  readonly log: Logger;
  /** Makes the start message from the current config. */
  readonly startMessage: () => ToWorker;
  /** Output for the worker's log lines. */
  readonly output: Lines;
  readonly onReady: () => void;
  readonly onEnded: () => void;
  readonly onCertificate: (known: KnownCertificate) => void;
  readonly now: () => MonotonicMs;
}

/** A worker's place, whichever process fills it. */
export class WorkerProcess {
  readonly name: string;
  readonly #options: WorkerProcessOptions;
  #child: ChildProcess | undefined;
  #addresses: WorkerAddresses | undefined;
  #readyAt: MonotonicMs | undefined;
  #failures = 0;
  #isClosing = false;
  #timer: NodeJS.Timeout | undefined;
  #listening: NodeJS.Timeout | undefined;
  #silences = 0;
  readonly #questions = new Map<number, (answer: Metrics | number | undefined) => void>();
  #asked = 0;
  /** Processes that took the place of one that ended. */
  restarts = 0;

  constructor(options: WorkerProcessOptions) {
    this.name = options.name;
    this.#options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Addresses of the worker; `undefined` unless it serves. */
  get addresses(): WorkerAddresses | undefined {
    return this.#addresses;
  }

  /** @throws The error, a system's one in the form of Node's, that its first start fails with. */
  async start(): Promise<WorkerAddresses> {
    const child = this.#spawn();
    const outcome = await startOutcome(child);
    if (outcome === undefined) throw new Error(`${this.name} ended instead of starting`);
    if (outcome.kind === 'failed') {
      this.#isClosing = true;
      const { code, syscall, address, port } = outcome;
      throw Object.assign(new Error(outcome.message), syscall === undefined ? {} : { code, syscall, address, port });
    }
    this.#watch(child);
    return this.#addresses as WorkerAddresses;
  }

  send(message: ToWorker): void {
    if (this.#child?.connected) this.#child.send(message, () => undefined); // one that ended is started with what is new
  }

  /** @returns `undefined` when it does not serve, or does not answer. */
  ask(question: Question): Promise<Metrics | number | undefined> {
    if (this.#addresses === undefined) return Promise.resolve(undefined);
    const { promise, resolve } = Promise.withResolvers<Metrics | number | undefined>();
    const id = this.#asked++;
    const timer = setTimeout(() => this.#answered(id, undefined), ANSWER_MS);
    this.#questions.set(id, (answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
    this.send({ kind: 'ask', id, question });
    return promise;
  }

  /** Lets it finish what is under way. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const read = once(child, 'close');
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
    await Promise.race([read, wait(READ_MS, undefined, { ref: false })]); // what it wrote last
  }

  /** Ends it at once. */
  kill(): void {
    this.#isClosing = true;
    clearTimeout(this.#timer);
    this.#child?.kill('SIGKILL');
  }

  #spawn(): ChildProcess {
    const child = fork(PROGRAM, {
      execArgv: [...NODE_FLAGS],
      // A group of its own: Ctrl-C reaches the supervisor alone, which then stops its workers.
      detached: true,
      serialization: 'advanced',
      // Its standard output is the access log's, where that is `-`.
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    this.#child = child;
    if (child.stdout !== null) this.#options.output.take(child.stdout);
    this.#readyAt = undefined;
    child.on('error', () => undefined); // that it could not be started, or told, shows in its end
    child.on('message', (message: FromWorker) => this.#onMessage(message));
    child.send(this.#options.startMessage(), () => undefined);
    this.#silences = 0;
    this.#listening = setInterval(() => this.#listen(child), ALIVE_MS).unref();
    child.once('exit', () => clearInterval(this.#listening));
    return child;
  }

  #listen(child: ChildProcess): void {
    const allowed = this.#addresses === undefined ? SILENCES_AT_START : SILENCES;
    if (++this.#silences <= allowed) return;
    this.#options.log.error({ worker: this.name, pid: child.pid }, 'worker does not respond');
    child.kill('SIGKILL');
  }

  #onMessage(message: FromWorker): void {
    this.#silences = 0;
    if (message.kind === 'answer') this.#answered(message.id, message.answer);
    if (message.kind === 'certificate') this.#options.onCertificate(message.known);
    if (message.kind === 'failed') this.#options.log.error({ detail: message.message }, 'worker cannot start');
    if (message.kind === 'ready') {
      this.#addresses = message.addresses;
      this.#readyAt = this.#options.now();
      this.#options.onReady();
    }
  }

  #answered(id: number, answer: Metrics | number | undefined): void {
    this.#questions.get(id)?.(answer);
    this.#questions.delete(id);
  }

  #watch(child: ChildProcess): void {
    const onEnd = (code: number | null, signal: NodeJS.Signals | null): void =>
      this.#ended(signal ?? `exit code ${code}`);
    if (child.exitCode !== null || child.signalCode !== null) onEnd(child.exitCode, child.signalCode);
    else child.once('exit', onEnd);
  }

  #ended(how: string): void {
    const { log, now, onEnded } = this.#options;
    this.#addresses = undefined;
    for (const id of this.#questions.keys()) this.#answered(id, undefined);
    onEnded();
    if (this.#isClosing) return;
    const livedMs = this.#readyAt === undefined ? 0 : msBetween(this.#readyAt, now());
    this.#failures = livedMs >= STABLE_MS ? 1 : this.#failures + 1;
    const pauseMs = pauseBeforeRestart(this.#failures);
    log.error({ worker: this.name, how, pauseMs }, 'worker exited; replacing it');
    this.#timer = setTimeout(() => {
      this.restarts++;
      this.#watch(this.#spawn());
    }, pauseMs);
  }
}
