/**
 * The control node: a journal in memory, and the connections over which nodes
 * follow it (journal/stream.ts does the same over HTTP).
 * @module
 */

import { JournalError, JournalGapError } from '../../journal/errors.ts';
import type { Appended, Journal, JournalRecord, JournalState, Purge } from '../../journal/journal.ts';
import { type JournalMessage, type JournalPosition, startAfter } from '../../journal/message.ts';
import { type Term, termsFrom } from '../../journal/terms.ts';
import type { Timer } from './clock.ts';
import type { Network, Place } from './network.ts';

export const HEARTBEAT_MS = 2_000;

/** Time limit for a connection. */
const CONNECT_PATIENCE_MS = 1_000;

/** State of a journal that survives its process. */
export interface JournalCopy {
  readonly records: readonly JournalRecord[];
  readonly floor: number;
  readonly terms: readonly Term[];
  /** All terms that there were, forgotten or not. */
  readonly line: readonly Term[];
}

/** @returns The beginning of a journal. */
export function emptyCopy(identity: string): JournalCopy {
  const line = [{ identity, after: -1 }];
  return { records: [], floor: 0, terms: line, line };
}

/** @returns The terms that gave out numbers up to this one. */
function upTo(terms: readonly Term[], newest: number): readonly Term[] {
  return terms.filter(({ after }) => after < newest);
}

export class MemoryJournal implements Journal {
  readonly isWritable = true;
  readonly #now: () => number;
  readonly #listeners = new Set<(newest: number) => void>();
  readonly line: readonly Term[];
  #records: readonly JournalRecord[];
  #floor: number;
  #terms: readonly Term[];

  /** @param identity - Of this opening; the program draws another one each time. */
  constructor(identity: string, now: () => number, copy: JournalCopy) {
    this.#now = now;
    this.#records = copy.records;
    this.#floor = copy.floor;
    const newest = copy.floor + copy.records.length;
    const opened = (terms: readonly Term[]): readonly Term[] => {
      const used = upTo(terms, newest);
      return used.at(-1)?.identity === identity ? used : [...used, { identity, after: newest }];
    };
    this.#terms = opened(copy.terms);
    this.line = opened(copy.line);
  }

  /** @param loses - How many of the newest records are not in the copy. */
  copy(loses: number): JournalCopy {
    const kept = this.#records.slice(0, this.#records.length - Math.min(loses, this.#records.length));
    const newest = this.#floor + kept.length;
    return { records: kept, floor: this.#floor, terms: upTo(this.#terms, newest), line: upTo(this.line, newest) };
  }

  get records(): readonly JournalRecord[] {
    return this.#records;
  }

  state(): JournalState {
    return { terms: this.#terms, floor: this.#floor, newest: this.#floor + this.#records.length };
  }

  current(): Promise<JournalState> {
    return Promise.resolve(this.state());
  }

  append(purges: readonly Purge[]): Promise<Appended> {
    const { newest } = this.state();
    const records = purges.map(
      (purge, index): JournalRecord => ({ ...purge, seq: newest + index + 1, time: this.#now() }),
    );
    this.#records = [...this.#records, ...records];
    for (const listener of this.#listeners) listener(newest + purges.length);
    const [{ time, why }] = records as [JournalRecord];
    return Promise.resolve({ first: newest + 1, last: newest + purges.length, time, why, repeated: false });
  }

  async read(seq: number, limit: number): Promise<readonly JournalRecord[]> {
    return this.recordsAfter(seq, limit);
  }

  /** Does what `read` does, at once. */
  recordsAfter(seq: number, limit: number): readonly JournalRecord[] {
    if (seq < this.#floor) throw new JournalGapError(seq, this.#floor);
    return this.#records.slice(seq - this.#floor, seq - this.#floor + limit);
  }

  subscribe(listener: (newest: number) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  compact(before: number): Promise<void> {
    const kept = this.#records.filter(({ time }) => time >= before);
    this.forget(kept.length);
    return Promise.resolve();
  }

  /** @param keeps - How many records stay. */
  forget(keeps: number): void {
    const dropped = Math.max(0, this.#records.length - keeps);
    this.#records = this.#records.slice(dropped);
    this.#floor += dropped;
    this.#terms = termsFrom(this.#terms, this.#floor);
  }

  close(): Promise<void> {
    this.#listeners.clear();
    return Promise.resolve();
  }
}

/** The process that keeps the journal. */
export class Control implements Place {
  readonly name = 'control';
  readonly life = 1;
  readonly frozenUntil = 0;
  readonly exchanges = new Set<never>();
  readonly #network: Network;
  readonly #streams = new Set<JournalStream>();
  journal: MemoryJournal;

  constructor(network: Network, journal: MemoryJournal) {
    this.#network = network;
    this.journal = journal;
  }

  /** Starts again with another journal. */
  replace(journal: MemoryJournal): void {
    void this.journal.close();
    this.journal = journal;
    for (const stream of this.#streams) stream.end();
  }

  /** @returns What journal/client.ts does for a node that is known here. */
  connect(node: Place, after: JournalPosition, signal: AbortSignal): AsyncIterable<JournalMessage> {
    const stream = new JournalStream(this.#network, this, node, after, () => this.#streams.delete(stream));
    this.#streams.add(stream);
    signal.addEventListener('abort', () => stream.close(), { once: true });
    return stream;
  }
}

/** One connection: hello, records as they come, a heartbeat at every interval. */
class JournalStream implements AsyncIterable<JournalMessage>, AsyncIterator<JournalMessage> {
  readonly #network: Network;
  readonly #control: Control;
  readonly #node: Place;
  readonly #onClosed: () => void;
  readonly #arrived: JournalMessage[] = [];
  #waiting: { resolve(result: IteratorResult<JournalMessage>): void; reject(error: Error): void } | undefined;
  #failure: Error | undefined;
  #closed = false;
  #sent = 0;
  #heartbeat: Timer | undefined;
  #unsubscribe: () => void = () => undefined;
  #lastAt = 0;

  constructor(network: Network, control: Control, node: Place, after: JournalPosition, onClosed: () => void) {
    this.#network = network;
    this.#control = control;
    this.#node = node;
    this.#onClosed = onClosed;
    const { clock } = network;
    const { delayMs, fate } = network.draw();
    if (fate === 'lost' || network.isCut(node.name, control.name)) {
      network.at(node, clock.now + CONNECT_PATIENCE_MS, () => this.#fail('journal_unreachable'));
    } else {
      network.at(control, clock.now + delayMs, () => this.#begin(after));
    }
  }

  [Symbol.asyncIterator](): AsyncIterator<JournalMessage> {
    return this;
  }

  next(): Promise<IteratorResult<JournalMessage>> {
    return new Promise((resolve, reject) => {
      const value = this.#arrived.shift();
      if (value !== undefined) resolve({ done: false, value });
      else if (this.#failure !== undefined) reject(this.#failure);
      else this.#waiting = { resolve, reject };
    });
  }

  /** The node wants no more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#heartbeat?.cancel();
    this.#unsubscribe();
    this.#onClosed();
  }

  /** The control node ends it. */
  end(): void {
    if (this.#closed) return;
    this.close();
    this.#network.at(this.#node, Math.max(this.#lastAt, this.#network.clock.now + 1), () =>
      this.#fail('journal_ended'),
    );
  }

  #begin(after: JournalPosition): void {
    if (this.#closed) return;
    const { journal } = this.#control;
    const state = journal.state();
    this.#sent = startAfter(state, after);
    this.#send({ type: 'hello', state });
    this.#unsubscribe = journal.subscribe(() => this.#tell());
    this.#tell();
    this.#sendHeartbeat();
  }

  #sendHeartbeat(): void {
    const { newest, floor } = this.#control.journal.state();
    this.#send({ type: 'heartbeat', newest, floor });
    this.#heartbeat = this.#network.clock.after(HEARTBEAT_MS, () => this.#sendHeartbeat());
  }

  #tell(): void {
    const { journal } = this.#control;
    if (this.#sent >= journal.state().newest) return;
    if (this.#sent < journal.state().floor) {
      this.end(); // the records went while they were being sent
      return;
    }
    const records = journal.recordsAfter(this.#sent, 1_000);
    this.#sent = journal.state().newest;
    this.#send({ type: 'records', records });
  }

  /**
   * Messages arrive in order; what is held up by a cut arrives after it, and what gets lost or arrives twice is for the
   * follower to notice.
   */
  #send(message: JournalMessage): void {
    const { clock } = this.#network;
    const { delayMs, fate } = this.#network.draw();
    this.#lastAt = Math.max(this.#lastAt, clock.now + delayMs);
    for (let copies = fate === 'lost' ? 0 : fate === 'twice' ? 2 : 1; copies > 0; copies--)
      this.#deliver(message, this.#lastAt);
  }

  #deliver(message: JournalMessage, at: number): void {
    this.#network.at(this.#node, at, () => {
      const { clock } = this.#network;
      const until = this.#network.cutUntil(this.#node.name, this.#control.name);
      if (until > clock.now) {
        this.#lastAt = Math.max(this.#lastAt, until);
        this.#deliver(message, until);
      } else if (this.#waiting !== undefined) {
        const { resolve } = this.#waiting;
        this.#waiting = undefined;
        resolve({ done: false, value: message });
      } else {
        this.#arrived.push(message);
      }
    });
  }

  #fail(code: 'journal_unreachable' | 'journal_ended'): void {
    this.close();
    this.#failure = new JournalError(code);
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
  }
}
