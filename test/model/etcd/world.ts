/**
 * Runs one history of three control nodes on one etcd: the program's own journal, streams and followers in simulated
 * time, on a stand-in for etcd.
 *
 * Rules that every history keeps:
 *
 * - A number of a term is given out once: never to two purges, whatever is restored. Followers rest on that.
 * - An append that was acknowledged is in the store, once, at the numbers that were told, with its audit entry, unless
 *   a restore has lost it. One that was refused for certain is not, and never comes.
 * - The audit log is whole: no entry is missing, changed or in another's place, and all are signed.
 * - Appends with one key are made once.
 * - A follower applies what the term of its position has at that number. When everything works again, it has all.
 * @module
 */
import { generateKeyPairSync } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Ledger, type PurgeRecord } from '../../../cache/ledger.ts';
import { storedLog } from '../../../journal/audit/export.ts';
import { signerOf } from '../../../journal/audit/note.ts';
import { verifyAudit } from '../../../journal/audit/verify.ts';
import { JournalError } from '../../../journal/errors.ts';
import { EtcdJournal } from '../../../journal/etcd/journal.ts';
import { type Connect, Follower } from '../../../journal/follower.ts';
import type { Appended, JournalRecord } from '../../../journal/journal.ts';
import type { JournalMessage } from '../../../journal/message.ts';
import { streamJournal } from '../../../journal/stream.ts';
import { identityOf } from '../../../journal/terms.ts';
import { journalTarget } from '../../../journal/wire.ts';
import { epochMs, monotonicMs } from '../../../lib/clock.ts';
import { Clock, type Timer } from '../clock.ts';
import { Violation } from '../oracle.ts';
import { type Action, CONTROLS, FOLLOWERS, type History } from './history.ts';
import { type EtcdBreakage, ModelEtcd, type Snapshot } from './store.ts';

const PREFIX = '/m/';
const SIGNER = signerOf('model', generateKeyPairSync('ed25519').privateKey);
const HEARTBEAT_MS = 1_000;
const RECOVERY_MS = 30_000;
/** Time in which the journal is read when everything works. */
const READ_MS = 1_000;
/** Clocks of control nodes differ. */
const SKEW_MS = [0, 90_000, -45_000];

export interface Outcome {
  readonly appends: number;
  readonly acknowledged: number;
  readonly terms: number;
}

export interface EtcdRunOptions {
  /** Called with each event, line by line. */
  readonly trace?: ((line: string) => void) | undefined;
  readonly breakage?: EtcdBreakage | undefined;
}

interface Call {
  readonly name: string;
  readonly count: number;
  readonly key: number | undefined;
  /** Number of restores when it was made. */
  readonly restores: number;
  appended: Appended | undefined;
  error: Error | undefined;
}

/** @throws {Violation} (rejects) when something happens that must not. */
export async function runEtcdHistory(history: History, options: EtcdRunOptions = {}): Promise<Outcome> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = options.trace === undefined ? 0 : stackTraceLimit;
  try {
    return await new World(history, options).run();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

class World {
  readonly #history: History;
  readonly #trace: (line: string) => void;
  readonly #clock = new Clock();
  readonly #etcd: ModelEtcd;
  readonly #controls: ControlProcess[];
  readonly #followers: ModelFollower[] = [];
  readonly #calls: Call[] = [];
  /** Term and number → selector, of all that was ever committed. */
  readonly #given = new Map<string, string>();
  #draws = 0;
  #snapshot: { readonly snapshot: Snapshot; readonly calls: number } | undefined;
  /** Calls whose appends a restore may have lost. */
  readonly #mayBeLost = new Set<Call>();
  #restores = 0;
  failure: unknown;

  constructor(history: History, { trace = () => undefined, breakage }: EtcdRunOptions) {
    this.#history = history;
    this.#trace = (line) => trace(`${String(this.#clock.elapsedMs).padStart(7)} ms  ${line}`);
    const { noise } = history;
    const draw = (): number => (noise.length === 0 ? 0 : (noise[this.#draws++ % noise.length] as number));
    this.#etcd = new ModelEtcd(this.#clock, draw, (rows) => this.#written(rows), breakage);
    this.#controls = Array.from(
      { length: CONTROLS },
      (_, index) => new ControlProcess(index, this.#clock, this.#etcd, draw),
    );
    for (let index = 0; index < FOLLOWERS; index += 1) {
      this.#followers.push(
        new ModelFollower(index, this.#clock, this.#controls, this.#given, (error) => {
          this.failure ??= error;
        }),
      );
    }
  }

  async run(): Promise<Outcome> {
    for (const follower of this.#followers) follower.start();
    await this.#pass(10);
    for (const { afterMs, action } of this.#history.steps) {
      await this.#pass(afterMs);
      this.#trace(JSON.stringify(action));
      this.#act(action);
      await this.#pass(0);
    }
    this.#trace('everything works again');
    this.#etcd.isUndisturbed = true;
    this.#etcd.downUntil = 0;
    await this.#pass(RECOVERY_MS);
    await this.#check();
    const acknowledged = this.#calls.filter(({ appended }) => appended !== undefined).length;
    const terms = new Set([...this.#given.keys()].map((key) => key.split(' ')[0])).size;
    return { appends: this.#calls.length, acknowledged, terms };
  }

  async #pass(ms: number): Promise<void> {
    await this.#clock.runUntil(this.#clock.now + ms);
    if (this.failure !== undefined) throw this.failure;
  }

  /** @throws {Violation} unless the promise is settled after this time, with everything working. */
  async #within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
    let outcome: { value: T } | { error: unknown } | undefined;
    void settle(promise).then((settled) => {
      outcome = settled;
    });
    await this.#pass(ms);
    if (outcome === undefined) throw new Violation(`${what} has no outcome ${ms} ms after everything works again`);
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }

  #act(action: Action): void {
    switch (action.type) {
      case 'append':
        this.#append(action);
        break;
      case 'kill':
        this.#controls[action.at]?.kill(action.downMs);
        break;
      case 'freeze':
        this.#controls[action.at]?.freeze(action.ms);
        break;
      case 'down':
        this.#etcd.downUntil = Math.max(this.#etcd.downUntil, this.#clock.now + action.ms);
        break;
      case 'compact': {
        const before = this.#clock.now - action.olderThanMs;
        this.#controls[action.at]?.journal?.compact(before).catch(() => undefined); // it is tried again each minute
        break;
      }
      case 'snapshot':
        this.#snapshot = { snapshot: this.#etcd.snapshot(), calls: this.#calls.length };
        break;
      case 'restore':
        if (this.#snapshot === undefined) break;
        // Calls that were under way when the snapshot was made may be in it or not.
        for (const call of this.#calls) this.#mayBeLost.add(call);
        this.#restores += 1;
        this.#etcd.restore(this.#snapshot.snapshot);
        break;
    }
  }

  #append({ at, count, key }: Extract<Action, { type: 'append' }>): void {
    const journal = this.#controls[at]?.journal;
    if (journal === undefined) return;
    const name = `call-${this.#calls.length}`;
    const call: Call = { name, count, key, restores: this.#restores, appended: undefined, error: undefined };
    this.#calls.push(call);
    const purges = Array.from({ length: count }, (_, index) => ({
      site: 'site',
      kind: 'tag' as const,
      selector: `${name}.${index}`,
      soft: false,
      who: 'model',
      why: name,
    }));
    const once = key === undefined ? undefined : { key: `k${key}`, body: Buffer.from('same') };
    journal
      .append(purges, once, ({ first }) => ({ name, first }))
      .then(
        (appended) => {
          call.appended = appended;
          this.#trace(`${name} is acknowledged: ${JSON.stringify(appended)}`);
        },
        (error: Error) => {
          call.error = error;
          this.#trace(`${name}: ${error.message}`);
        },
      );
  }

  /** A transaction was committed. */
  #written(rows: ReadonlyMap<string, string>): void {
    const head = rows.get(`${PREFIX}journal/head`);
    const hasBatch = [...rows.keys()].some((key) => key.startsWith(`${PREFIX}journal/batch/`));
    if (hasBatch !== (head !== undefined)) this.failure ??= new Violation('a batch without its head, or the other way');
    if (head === undefined) return;
    for (const [key, value] of rows) {
      if (!key.startsWith(`${PREFIX}journal/batch/`)) continue;
      const { term } = JSON.parse(Buffer.from(head, 'base64').toString()) as { term: string };
      const { first, rows: records } = JSON.parse(Buffer.from(value, 'base64').toString()) as {
        first: number;
        rows: [string, string, string][];
      };
      for (const [index, [, , selector]] of records.entries()) {
        const place = `${term} ${first + index}`;
        const before = this.#given.get(place);
        if (before !== undefined && before !== selector) {
          this.failure ??= new Violation(`number ${first + index} of term ${term} is ${before}, and ${selector}`);
        }
        this.#given.set(place, selector);
      }
    }
  }

  async #check(): Promise<void> {
    const journal = this.#controls[0]?.journal as EtcdJournal;
    const { state, records } = await this.#within(READ_MS, this.#current(journal), 'a read');
    const { terms, floor, newest } = state;
    const bySelector = new Map<string, JournalRecord>();
    for (const record of records) {
      if (bySelector.has(record.selector)) throw new Violation(`${record.selector} is there twice`);
      bySelector.set(record.selector, record);
    }
    const ever = new Set(this.#given.values());
    const log = await this.#within(READ_MS, storedLog(journal), 'a read of the audit log');
    const found = await this.#within(READ_MS, verifyAudit(log, { known: [SIGNER] }), 'verification');
    const sealed = await this.#within(READ_MS, journal.sealed(0, 1_000), 'a read of the audit log');
    if (found.finding !== undefined) throw new Violation(`the audit log: ${JSON.stringify(found.finding)}`);
    const notes = sealed.map(({ text }) => JSON.parse(text) as { name: string; first: number });
    for (const call of this.#calls) {
      this.#checkCall(call, { floor, bySelector, ever, notes });
    }
    for (const key of new Set(this.#calls.map((call) => call.key))) {
      if (key === undefined || this.#restores > 0) continue;
      const firsts = new Set(
        this.#calls.flatMap((call) => (call.key === key && call.appended ? [call.appended.first] : [])),
      );
      if (firsts.size > 1) throw new Violation(`key ${key} was made ${firsts.size} times: ${[...firsts]}`);
    }
    for (const follower of this.#followers) follower.checkComplete(newest, identityOf(terms, newest));
  }

  async #current(journal: EtcdJournal) {
    const state = await journal.current();
    return { state, records: await journal.read(state.floor, 10_000) };
  }

  #checkCall(
    call: Call,
    {
      floor,
      bySelector,
      ever,
      notes,
    }: {
      readonly floor: number;
      readonly bySelector: ReadonlyMap<string, JournalRecord>;
      readonly ever: ReadonlySet<string>;
      readonly notes: readonly { readonly name: string; readonly first: number }[];
    },
  ): void {
    const { name, count, appended, error } = call;
    const code = error instanceof JournalError ? error.code : error?.message;
    if (error !== undefined && code !== 'journal_unconfirmed' && ever.has(`${name}.0`)) {
      throw new Violation(`${name} was refused (${code}), and is in the journal`);
    }
    if (appended === undefined || this.#mayBeLost.has(call)) return;
    const entries = notes.filter((note) => note.name === name);
    if (appended.repeated) {
      if (ever.has(`${name}.0`)) throw new Violation(`${name} was a repetition, and is in the journal`);
      return;
    }
    if (entries.length !== 1 || entries[0]?.first !== appended.first) {
      throw new Violation(`${name} has the audit entries ${JSON.stringify(entries)}`);
    }
    for (let index = 0; index < count; index += 1) {
      const seq = appended.first + index;
      const found = bySelector.get(`${name}.${index}`)?.seq;
      if (seq > floor && found !== seq) throw new Violation(`${name}.${index} was told ${seq}, and is at ${found}`);
    }
  }
}

/** A control node: its journal, which ends with it. */
class ControlProcess {
  readonly index: number;
  readonly #clock: Clock;
  readonly #etcd: ModelEtcd;
  readonly #draw: () => number;
  readonly #streams = new Set<StreamResponse>();
  #life = 0;
  #frozenUntil = 0;
  journal: EtcdJournal | undefined;

  constructor(index: number, clock: Clock, etcd: ModelEtcd, draw: () => number) {
    this.index = index;
    this.#clock = clock;
    this.#etcd = etcd;
    this.#draw = draw;
    this.#begin();
  }

  kill(downMs: number): void {
    if (this.journal === undefined) return;
    this.#life += 1;
    this.journal = undefined;
    for (const stream of this.#streams) stream.destroy();
    this.#clock.after(downMs, () => this.#begin());
  }

  freeze(ms: number): void {
    this.#frozenUntil = Math.max(this.#frozenUntil, this.#clock.now + ms);
  }

  /** Streams the journal to a node. */
  stream(after: Parameters<Connect>[0], response: StreamResponse): void {
    const { journal } = this;
    if (journal === undefined) {
      response.destroy();
      return;
    }
    this.#streams.add(response);
    const request = { rawHeaders: [], headers: {}, url: journalTarget(after) };
    const life = this.#life;
    void streamJournal(journal, request as unknown as IncomingMessage, response as unknown as ServerResponse, {
      heartbeatIntervalMs: HEARTBEAT_MS,
      wait: (ms, signal) => this.#wait(life, ms, signal),
    }).then(() => this.#streams.delete(response));
  }

  #begin(): void {
    const life = this.#life;
    const skewMs = SKEW_MS[this.index] ?? 0;
    this.journal = new EtcdJournal({
      endpoints: ['one', 'two'],
      prefix: PREFIX,
      network: 'model',
      signer: SIGNER,
      now: () => epochMs(this.#clock.now + skewMs),
      monotonic: () => monotonicMs(this.#clock.now),
      random: () => this.#draw() / 128,
      wait: (ms, signal) => this.#wait(life, ms, signal),
      defer: (flush) => this.#at(life, 1, flush),
      open: async () => {
        await this.#wait(life, 1);
        const channel = this.#etcd.open();
        const { call } = channel;
        // What happens in a process that stands still happens when it goes on; in one that has ended, never.
        channel.call = async (path, body) => {
          const answered = await settle(call.call(channel, path, body) as Promise<never>);
          await this.#wait(life, 0);
          if ('error' in answered) throw answered.error;
          return answered.value;
        };
        return channel;
      },
    });
    this.journal.current().catch(() => undefined); // it is opened by the next call
  }

  #at(life: number, ms: number, happen: () => void): Timer {
    const planned: { timer: Timer } = { timer: this.#clock.after(ms, run) };
    const self = this;
    function run(): void {
      if (self.#life !== life) return;
      if (self.#frozenUntil > self.#clock.now) planned.timer = self.#clock.plan(self.#frozenUntil, run);
      else happen();
    }
    return { cancel: () => planned.timer.cancel() };
  }

  #wait(life: number, ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#at(life, ms, resolve);
      const abort = (): void => {
        timer.cancel();
        reject(new Error('aborted'));
      };
      signal?.addEventListener('abort', abort, { once: true });
      if (signal?.aborted) abort();
    });
  }
}

async function settle<T>(promise: Promise<T>): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await promise };
  } catch (error) {
    return { error };
  }
}

/** The node's end of a stream, as far as the control node knows it. */
class StreamResponse extends EventEmitter {
  readonly #onLine: (line: string) => void;
  readonly #onEnd: () => void;
  headersSent = false;
  destroyed = false;

  constructor(onLine: (line: string) => void, onEnd: () => void) {
    super();
    this.#onLine = onLine;
    this.#onEnd = onEnd;
  }

  writeHead(): this {
    this.headersSent = true;
    return this;
  }

  write(line: string): boolean {
    if (!this.destroyed) this.#onLine(line);
    return true;
  }

  end(): this {
    return this.destroy();
  }

  destroy(): this {
    if (this.destroyed) return this;
    this.destroyed = true;
    this.#onEnd();
    this.emit('close');
    return this;
  }
}

/** A ledger that compares each record with what the store has ever given that number of that term. */
class ComparingLedger extends Ledger {
  readonly #check: (record: PurgeRecord) => void;

  constructor(check: (record: PurgeRecord) => void) {
    super({ leaseMs: 60_000 });
    this.#check = check;
  }

  override apply(records: readonly PurgeRecord[]): void {
    for (const record of records) {
      super.apply([record]);
      this.#check(record);
    }
  }
}

class ModelFollower {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #controls: readonly ControlProcess[];
  readonly #ledger: ComparingLedger;
  readonly #follower: Follower;
  #connections: number;

  constructor(
    index: number,
    clock: Clock,
    controls: readonly ControlProcess[],
    given: ReadonlyMap<string, string>,
    failed: (error: Error) => void,
  ) {
    this.#name = `node-${index + 1}`;
    this.#clock = clock;
    this.#controls = controls;
    this.#connections = index;
    this.#ledger = new ComparingLedger(({ seq, selector }) => {
      const { identity } = this.#ledger.position;
      const expected = given.get(`${identity} ${seq}`);
      if (expected === selector) return;
      failed(new Violation(`${this.#name} applied ${selector} as ${seq} of term ${identity}, which is ${expected}`));
    });
    this.#follower = new Follower({
      target: this.#ledger,
      connect: (after, signal) => this.#connect(after, signal),
      report: () => undefined,
      now: () => ({ monotonic: monotonicMs(clock.now), wall: epochMs(clock.now) }),
      wait: (ms, signal) =>
        new Promise((resolve) => {
          const timer = clock.after(ms, resolve);
          signal.addEventListener('abort', () => timer.cancel(), { once: true });
        }),
      random: () => 0.5,
      heartbeatIntervalMs: HEARTBEAT_MS,
    });
  }

  start(): void {
    this.#follower.start();
  }

  /** @throws {Violation} unless it has all. */
  checkComplete(newest: number, identity: string | undefined): void {
    const { position } = this.#ledger;
    if (position.seq === newest && position.identity === identity) return;
    throw new Violation(`${this.#name} is at ${JSON.stringify(position)}, the journal at ${newest} of ${identity}`);
  }

  async *#connect(after: Parameters<Connect>[0], signal: AbortSignal): AsyncGenerator<JournalMessage> {
    const control = this.#controls[this.#connections++ % this.#controls.length] as ControlProcess;
    const lines: string[] = [];
    let arrived = Promise.withResolvers<void>();
    let isOver = false;
    const ring = (): void => {
      arrived.resolve();
      arrived = Promise.withResolvers();
    };
    const response = new StreamResponse(
      (line) =>
        void this.#clock.after(2, () => {
          lines.push(line);
          ring();
        }),
      () =>
        void this.#clock.after(2, () => {
          isOver = true;
          ring();
        }),
    );
    signal.addEventListener('abort', () => response.destroy(), { once: true });
    this.#clock.after(1, () => control.stream(after, response));
    for (;;) {
      const line = lines.shift();
      if (line !== undefined) yield JSON.parse(line) as JournalMessage;
      else if (isOver) throw new JournalError('journal_ended');
      else await arrived.promise;
    }
  }
}
