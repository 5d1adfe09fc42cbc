/**
 * Environment of a follower under a test's control: a clock that is advanced, a ledger that records its calls, a
 * journal in memory, and scripted connections.
 * @module
 */

import type { FollowerOptions, FollowerTarget } from '../../journal/follower.ts';
import { Follower } from '../../journal/follower.ts';
import type { JournalRecord, JournalState, Purge } from '../../journal/journal.ts';
import type { Connect, JournalMessage, JournalPosition } from '../../journal/message.ts';
import { identityOf, isInHistory, type Term } from '../../journal/terms.ts';
import type { Instant } from '../../lib/clock.ts';
import { instant } from '../support/instant.ts';
import { aPurge } from './contract.ts';

/** Lets everything happen that needs no more time. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export class Clock {
  /** Time of the wall clock. */
  #nowMs = 0;
  /** Lead of the monotonic clock. */
  #aheadMs = 0;
  readonly #sleepers = new Set<{ at: number; readonly wake: () => void }>();

  readonly now = (): Instant => instant(this.#nowMs, this.#nowMs + this.#aheadMs);

  readonly wait = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const sleeper = { at: this.#nowMs + ms, wake: resolve };
      this.#sleepers.add(sleeper);
      const abort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal.reason);
      };
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted) abort();
    });

  /** Number of pending timers. */
  get waiting(): number {
    return this.#sleepers.size;
  }

  /** Wakes everybody in turn whose time comes. */
  async advance(ms: number): Promise<void> {
    const end = this.#nowMs + ms;
    await settle();
    for (;;) {
      const next = [...this.#sleepers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.at);
      this.#sleepers.delete(next);
      next.wake();
      await settle();
    }
    this.#nowMs = end;
    await settle();
  }

  /** Sets the wall clock back; timers fire as late as before. */
  setBack(ms: number): void {
    this.#nowMs -= ms;
    this.#aheadMs += ms;
    for (const sleeper of this.#sleepers) sleeper.at -= ms;
  }

  /** The machine sleeps: the monotonic clock stands still. */
  sleep(ms: number): void {
    this.#nowMs += ms;
    this.#aheadMs -= ms;
  }

  /** Time passes while this process stands still: nobody is woken. */
  freeze(ms: number): void {
    this.#nowMs += ms;
  }
}

/** A ledger that notes everything, and fails when it is told what it must not be told. */
export class NotingTarget implements FollowerTarget {
  terms: readonly Term[] = [];
  seq = 0;
  /** Records applied since the last `restart` or `skipTo`. */
  applied: JournalRecord[] = [];
  /** Position at which `applied` begins. */
  base = 0;
  #newestReported = 0;
  readonly calls: string[] = [];

  get position(): JournalPosition {
    return { identity: identityOf(this.terms, this.seq), seq: this.seq };
  }

  get latestKnown(): JournalPosition {
    const seq = Math.max(this.seq, this.#newestReported);
    return { identity: identityOf(this.terms, seq), seq };
  }

  extend({ terms, newest }: JournalState): void {
    const { latestKnown: known } = this;
    if (!isInHistory(terms, newest, known)) throw new Error(`extend, but ${known.seq} is not on the line`);
    const last = (list: readonly Term[]): string | undefined => list.at(-1)?.identity;
    if (last(terms) !== last(this.terms)) this.calls.push(`extend ${last(terms)}`);
    this.terms = terms;
  }

  restart({ terms, floor, newest }: JournalState): void {
    this.calls.push(`restart ${terms.at(-1)?.identity} ${floor}..${newest}`);
    this.terms = terms;
    this.#newestReported = newest;
    this.#moveTo(floor);
  }

  skipTo(floor: number): void {
    if (floor <= this.seq) throw new Error(`skipTo ${floor} at ${this.seq}`);
    this.calls.push(`skipTo ${floor}`);
    this.#moveTo(floor);
  }

  apply(records: readonly JournalRecord[]): void {
    for (const record of records) {
      if (record.seq !== this.seq + 1) throw new Error(`apply ${record.seq} at ${this.seq}`);
      this.seq = record.seq;
      this.applied.push(record);
    }
    this.calls.push(`apply ${records.map(({ seq }) => seq).join(' ')}`);
  }

  onHeartbeat(newest: number, now: Instant): void {
    this.#newestReported = Math.max(this.#newestReported, newest);
    this.calls.push(`heard ${newest} at ${now.wall}`);
  }

  raiseFloor(floor: number): void {
    if (floor > this.seq) throw new Error(`raiseFloor ${floor} at ${this.seq}`);
    this.calls.push(`raiseFloor ${floor}`);
  }

  /** Returns the calls since the last one. */
  takeCalls(): string[] {
    return this.calls.splice(0);
  }

  #moveTo(seq: number): void {
    this.seq = seq;
    this.base = seq;
    this.applied = [];
  }
}

/** One connection of a follower, as the journal's side sees it. */
export class Line {
  readonly after: JournalPosition;
  readonly signal: AbortSignal;
  readonly #queue: (JournalMessage | Error | undefined)[] = [];
  #arrived = Promise.withResolvers<void>();

  constructor(after: JournalPosition, signal: AbortSignal) {
    this.after = after;
    this.signal = signal;
  }

  /** Messages of any form: some tests lie. */
  send(...messages: unknown[]): void {
    this.#push(...(messages as JournalMessage[]));
  }

  /** @param line - Name of the only term, or each one's with the number that it begins after. */
  hello(line: string | Readonly<Record<string, number>>, newest: number, floor = 0): void {
    this.send({ type: 'hello', state: { terms: termsOf(line), floor, newest } });
  }

  records(...records: JournalRecord[]): void {
    this.send({ type: 'records', records });
  }

  heartbeat(newest: number, floor = 0): void {
    this.send({ type: 'heartbeat', newest, floor });
  }

  fail(error = new Error('cut')): void {
    this.#push(error);
  }

  end(): void {
    this.#push(undefined);
  }

  async *messages(): AsyncGenerator<JournalMessage> {
    for (;;) {
      while (this.#queue.length === 0) await this.#arrived.promise;
      this.#arrived = Promise.withResolvers();
      const next = this.#queue.shift();
      if (next === undefined) return;
      if (next instanceof Error) throw next;
      yield next;
    }
  }

  #push(...entries: (JournalMessage | Error | undefined)[]): void {
    this.#queue.push(...entries);
    this.#arrived.resolve();
  }
}

/** Takes a follower's connections. */
export class Exchange {
  readonly lines: Line[] = [];

  readonly connect: Connect = (after, signal) => {
    const line = new Line(after, signal);
    this.lines.push(line);
    return line.messages();
  };

  /** The connection that was opened last. */
  get line(): Line {
    return this.lines.at(-1) as Line;
  }
}

export function termsOf(line: string | Readonly<Record<string, number>>): Term[] {
  const begins = typeof line === 'string' ? { [line]: -1 } : line;
  return Object.entries(begins).map(([identity, after]) => ({ identity, after }));
}

export interface Followed {
  readonly clock: Clock;
  readonly exchange: Exchange;
  readonly target: NotingTarget;
  readonly follower: Follower;
  readonly reports: string[];
  readonly problems: string[];
}

/** A follower that was started, with a heartbeat every second and no jitter. */
export function follow(target = new NotingTarget(), options: Partial<FollowerOptions> = {}): Followed {
  const clock = new Clock();
  const exchange = new Exchange();
  const reports: string[] = [];
  const problems: string[] = [];
  const follower = new Follower({
    target,
    connect: exchange.connect,
    report: (seq, identity) => reports.push(`${identity} ${seq}`),
    now: clock.now,
    wait: clock.wait,
    random: () => 0,
    problem: (error) => problems.push((error as { code?: string }).code ?? error.message),
    ...options,
  });
  follower.start();
  return { clock, exchange, target, follower, reports, problems };
}

/** Records `first` to `last` of a history of this name. */
export function history(first: number, last: number, name = 'a'): JournalRecord[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) =>
    recordOf(first + index, { selector: `${name}-${first + index}` }),
  );
}

export function recordOf(seq: number, purge: Partial<Purge> = {}): JournalRecord {
  return { seq, time: 1_000 + seq, ...aPurge(purge) };
}
