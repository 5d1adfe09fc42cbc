/**
 * Keeps a node's ledger up with the journal: applies records in order, each
 * once, over a connection that may break, stall, repeat itself or lie.
 *
 * What does not fit is never applied; the connection is given up instead, and
 * the next one begins where the ledger stands. A journal whose line does not
 * contain what the ledger goes by is another one, or was restored from an older
 * copy (rule 9 of docs/purging.md).
 *
 * Clock, patience, randomness and transport are passed in.
 * @module
 */

import { Backoff } from '../lib/backoff.ts';
import { type Instant, mostBetween } from '../lib/clock.ts';
import { Connection } from './connection.ts';
import { JournalError } from './errors.ts';
import type { JournalRecord, JournalState } from './journal.ts';
import {
  type Connect,
  checkMessage,
  HEARTBEAT_INTERVAL_MS,
  type JournalMessage,
  type JournalPosition,
  MAX_RECORDS,
  startAfter,
} from './message.ts';
import { isInHistory, type Term } from './terms.ts';

export type { Connect, JournalMessage, JournalPosition } from './message.ts';

/** Consumer that the follower keeps up to date: the ledger. Its methods do not throw. */
export interface FollowerTarget {
  /** Highest number applied. */
  readonly position: JournalPosition;
  /** Highest number that it goes by in any way: not below the position, and on the same line. */
  readonly latestKnown: JournalPosition;
  /** The journal goes on from what is known. */
  extend(state: JournalState): void;
  /**
   * The journal is not the one that was followed (for a new node, any), or one
   * restored from an older copy. Everything stored becomes unverified (rule 9).
   * Afterwards the position is on the state's line, at any number from its
   * floor to its newest.
   */
  restart(state: JournalState): void;
  /**
   * Records up to `floor` are gone, not all of which were applied: everything
   * older counts as purged (rule 10). Afterwards the position is `floor`.
   */
  skipTo(floor: number): void;
  /** The records that come after the position, without a hole. */
  apply(records: readonly JournalRecord[]): void;
  /**
   * At `now` the journal had nothing newer than `newest`; when that is the
   * position, the node was up to date at that time.
   */
  onHeartbeat(newest: number, now: Instant): void;
  /** The journal has forgotten records up to `floor`, all of which were applied: what is older has outlived itself. */
  raiseFloor?(floor: number): void;
}

export interface FollowerOptions {
  readonly target: FollowerTarget;
  readonly connect: Connect;
  /** Called with the position of the target each time that it moves, and once for each connection. */
  readonly report: (seq: number, identity: string) => void;
  /**
   * Both clocks, by which the target holds its lease: one goes on while the machine sleeps, the other is never set
   * back.
   */
  readonly now: () => Instant;
  /** Resolves after `ms`; resolves or rejects early when the signal aborts. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** From 0 to below 1. */
  readonly random: () => number;
  /** Called with the reason when a connection is closed. */
  readonly problem?: (error: Error) => void;
  readonly heartbeatIntervalMs?: number;
  /** Pause before the second attempt; doubles with each one that fails. */
  readonly firstPauseMs?: number;
  readonly maxPauseMs?: number;
}

/**
 * A connection is dead after this many intervals without a message, or of heartbeats without the records they tell of.
 */
const SILENT_INTERVALS = 3;
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;

export class Follower {
  readonly #options: FollowerOptions;
  readonly #intervalMs: number;
  readonly #stopping = new AbortController();
  readonly #waiters = new Set<Waiter>();
  #running: Promise<void> | undefined;
  /** Terms of the journal, as last received. */
  #terms: readonly Term[] = [];
  /** Pauses between attempts, since the last connection that got somewhere. */
  readonly #backoff: Backoff;
  /** Gives up the connection that is open. */
  #renew: () => void = () => undefined;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#intervalMs = options.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS;
    const { firstPauseMs: firstMs = FIRST_PAUSE_MS, maxPauseMs: maxMs = MAX_PAUSE_MS, random } = options;
    this.#backoff = new Backoff({ firstMs, maxMs, random });
  }

  /** Follows from now on, until `stop`. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Connects anew, so that what the target knows is compared with the journal again. */
  renew(): void {
    this.#renew();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const waiter of this.#waiters) waiter.settle(false);
    await this.#running;
  }

  /** Resolves true when the target has applied it, false after `timeoutMs` or when the follower stops. */
  async caughtUp(position: JournalPosition, timeoutMs: number): Promise<boolean> {
    if (this.#hasApplied(position)) return true;
    if (this.#stopping.signal.aborted || timeoutMs <= 0) return false;
    const patience = new AbortController();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiter = { position, settle: resolve };
    this.#waiters.add(waiter);
    void this.#wait(timeoutMs, patience.signal).then(() => resolve(false));
    const reached = await promise;
    this.#waiters.delete(waiter);
    patience.abort();
    return reached;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#follow();
        continue;
      } catch (error) {
        if (signal.aborted) return;
        this.#options.problem?.(error as Error);
      }
      await this.#wait(this.#backoff.next(), signal);
    }
  }

  /**
   * One connection, to its end.
   *
   * @returns when another one gets the target further than this one would.
   * @throws why it ended.
   */
  async #follow(): Promise<void> {
    const ending = new AbortController();
    const end = (): void => ending.abort();
    this.#stopping.signal.addEventListener('abort', end);
    try {
      const progress = this.#begin();
      const connection = new Connection(this.#options.connect(progress.after, ending.signal), ending.signal);
      this.#renew = () => connection.giveUp(new JournalError('journal_forked', 'another thread has heard of more'));
      await this.#takeAll(connection, progress, ending.signal);
    } finally {
      this.#stopping.signal.removeEventListener('abort', end);
      end();
    }
  }

  #begin(): Progress {
    return { after: this.#options.target.position, sent: undefined, lastHeartbeat: undefined, floor: 0, idle: 0 };
  }

  async #takeAll(connection: Connection, progress: Progress, signal: AbortSignal): Promise<void> {
    const { now } = this.#options;
    const watch: Watch = { lastMessageAt: now() };
    void this.#giveUpWhenSilent(connection, watch, signal);
    for (;;) {
      const message = await connection.next();
      // What waited in a buffer while this process stood still says nothing about now.
      if (mostBetween(watch.lastMessageAt, now()) > this.#silenceMs) throw new JournalError('journal_silent');
      watch.lastMessageAt = now();
      checkMessage(message);
      this.#take(message, progress);
      if (message.type === 'hello' && this.#isFarAhead(progress)) return;
    }
  }

  async #giveUpWhenSilent(connection: Connection, watch: Watch, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const leftMs = this.#silenceMs - mostBetween(watch.lastMessageAt, this.#options.now());
      if (leftMs <= 0) {
        connection.giveUp(new JournalError('journal_silent'));
        return;
      }
      await this.#wait(leftMs, signal);
    }
  }

  /** @throws {JournalError} when the message does not fit; nothing of it is applied then. */
  #take(message: JournalMessage, progress: Progress): void {
    if ((message.type === 'hello') !== (progress.sent === undefined)) {
      throw new JournalError('journal_out_of_order', message.type);
    }
    switch (message.type) {
      case 'hello':
        this.#takeHello(message.state, progress);
        break;
      case 'records':
        this.#takeRecords(message.records, progress);
        break;
      case 'heartbeat':
        this.#takeHeartbeat(message, progress);
        break;
    }
  }

  #takeHello(state: JournalState, progress: Progress): void {
    const { target } = this.#options;
    const { position, latestKnown: known } = target;
    this.#terms = state.terms;
    progress.sent = startAfter(state, progress.after);
    if (!isInHistory(state.terms, state.newest, known)) {
      target.restart(state);
      // The connection goes on after what it was asked for, if that is on its line: what is between does not come.
      if (target.position.seq < progress.sent) {
        throw new JournalError('journal_forked', `${known.seq} was known, ${position.seq} applied`);
      }
    } else {
      target.extend(state);
      if (state.floor > position.seq) target.skipTo(state.floor);
    }
    this.#notify(state.newest, progress);
    this.#moved();
  }

  #takeRecords(records: readonly JournalRecord[], progress: Progress): void {
    const { target } = this.#options;
    const expected = (progress.sent as number) + 1;
    for (const [index, { seq }] of records.entries()) {
      if (seq !== expected + index)
        throw new JournalError('journal_out_of_order', `${seq} after ${expected + index - 1}`);
    }
    progress.sent = (records.at(-1) as JournalRecord).seq;
    progress.idle = 0;
    this.#backoff.reset();
    const news = records.filter(({ seq }) => seq > target.position.seq);
    if (news.length > 0) target.apply(news);
    this.#moved();
    const { lastHeartbeat } = progress;
    if (lastHeartbeat) target.onHeartbeat(Math.max(lastHeartbeat.newest, target.position.seq), lastHeartbeat.at);
  }

  #takeHeartbeat({ newest, floor = 0 }: { newest: number; floor?: number }, progress: Progress): void {
    const { target } = this.#options;
    const { seq } = target.position;
    if (newest < seq) throw new JournalError('journal_out_of_order', `${seq} was applied, ${newest} is the newest`);
    const isBehind = newest > seq;
    progress.idle = isBehind ? progress.idle + 1 : 0;
    if (progress.idle >= SILENT_INTERVALS) throw new JournalError('journal_stalled', `at ${seq} of ${newest}`);
    if (!isBehind) this.#backoff.reset();
    if (!isBehind && floor > progress.floor) {
      target.raiseFloor?.(floor);
      progress.floor = floor;
    }
    this.#notify(newest, progress);
  }

  /**
   * Returns whether the records that this connection will send are older than the target's position: then `restart` may
   * jump to the newest record.
   */
  #isFarAhead({ sent }: Progress): boolean {
    return this.#options.target.position.seq > (sent as number) + MAX_RECORDS;
  }

  #notify(newest: number, progress: Progress): void {
    const at = this.#options.now();
    progress.lastHeartbeat = { newest, at };
    this.#options.target.onHeartbeat(newest, at);
  }

  #moved(): void {
    const { target, report } = this.#options;
    const { identity, seq } = target.position;
    report(seq, identity as string);
    for (const waiter of this.#waiters) if (this.#hasApplied(waiter.position)) waiter.settle(true);
  }

  /** A number that is applied may be another purge's, until the follower has heard of a journal that was restored. */
  #hasApplied(position: JournalPosition): boolean {
    const { seq } = this.#options.target.position;
    return position.seq <= seq && isInHistory(this.#terms, seq, position);
  }

  get #silenceMs(): number {
    return SILENT_INTERVALS * this.#intervalMs;
  }

  /** Never rejects. */
  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return this.#options.wait(ms, signal).catch(() => undefined); // aborted: callers check the signal
  }
}

interface Waiter {
  readonly position: JournalPosition;
  readonly settle: (reached: boolean) => void;
}

interface Watch {
  /** Time of the last message, or of the start of the connection. */
  lastMessageAt: Instant;
}

/** Progress of one connection. */
interface Progress {
  /** Position that the connection was asked to start after. */
  readonly after: JournalPosition;
  /** Number of the last record that came, or after which they come; undefined before `hello`. */
  sent: number | undefined;
  /** The newest number it told of, and when. */
  lastHeartbeat: { readonly newest: number; readonly at: Instant } | undefined;
  /** The highest floor that the target knows. */
  floor: number;
  /** Heartbeats since the last record, while there are records to come. */
  idle: number;
}
