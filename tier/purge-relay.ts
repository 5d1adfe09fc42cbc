/**
 * Purges of a node of several threads. The main thread follows the journal, for all of them; its ledger hands each
 * change on to the ledgers of the others, in order. A purge is applied when all threads have said so.
 * @module
 */
import { Ledger, type LedgerState, receivedInstant, type SentInstant, sentInstant } from '../cache/ledger.ts';
import type { PurgeRecord } from '../cache/purge-index.ts';
import { HttpError } from '../http/errors.ts';
import type { Purge } from '../journal/journal.ts';
import type { JournalPosition, Term } from '../journal/terms.ts';
import type { Instant } from '../lib/clock.ts';
import type { JournalFollowing, PurgedNode, Purging } from './purges.ts';

interface JournalLine {
  readonly terms: readonly Term[];
}

interface JournalBounds extends JournalLine {
  readonly newest: number;
  readonly floor: number;
}

/** A change of the main thread's ledger. */
export type LedgerChange =
  | { readonly kind: 'extend'; readonly state: JournalLine }
  | { readonly kind: 'restart'; readonly state: JournalBounds }
  | { readonly kind: 'skip-to'; readonly floor: number }
  | { readonly kind: 'raise-floor'; readonly floor: number }
  | { readonly kind: 'apply'; readonly records: readonly PurgeRecord[] }
  | { readonly kind: 'heartbeat'; readonly newest: number; readonly at: SentInstant }
  | { readonly kind: 'lease'; readonly leaseMs: number };

/** Message of the main thread to a worker. */
export type ToPurgedThread =
  | { readonly kind: 'change'; readonly number: number; readonly change: LedgerChange }
  /** A call has ended; with the reason if it failed. */
  | { readonly kind: 'purged'; readonly call: number; readonly reason: string | undefined };

/** Message of a worker to the main thread. */
export type FromPurgedThread =
  | { readonly kind: 'changed'; readonly number: number }
  | { readonly kind: 'learned'; readonly position: JournalPosition }
  | {
      readonly kind: 'call';
      readonly method: 'purge' | 'invalidate';
      readonly call: number;
      readonly purges: readonly Purge[];
    };

/** Start of a thread's ledger. */
export interface PurgedThreadStart {
  readonly state: LedgerState;
  /** Number of the last change that the state has. */
  readonly number: number;
}

/** Ledger of the main thread: tells of each change. */
export class RelayedLedger extends Ledger {
  readonly #changed: (change: LedgerChange) => void;
  /** Position that another thread has learned of, and that is not on the journal's line. */
  #forked: JournalPosition | undefined;

  constructor(changed: (change: LedgerChange) => void) {
    super({ leaseMs: Number.POSITIVE_INFINITY });
    this.#changed = changed;
  }

  override get latestKnown(): JournalPosition {
    return this.#forked ?? super.latestKnown;
  }

  override set leaseMs(leaseMs: number) {
    super.leaseMs = leaseMs;
    this.#changed({ kind: 'lease', leaseMs });
  }

  override extend(state: JournalLine): void {
    super.extend(state);
    this.#changed({ kind: 'extend', state: { terms: state.terms } });
  }

  override restart({ terms, newest, floor }: JournalBounds): void {
    this.#forked = undefined;
    super.restart({ terms, newest, floor });
    this.#changed({ kind: 'restart', state: { terms, newest, floor } });
  }

  override skipTo(floor: number): void {
    super.skipTo(floor);
    this.#changed({ kind: 'skip-to', floor });
  }

  override raiseFloor(floor: number): void {
    super.raiseFloor(floor);
    this.#changed({ kind: 'raise-floor', floor });
  }

  override apply(records: readonly PurgeRecord[]): void {
    super.apply(records);
    this.#changed({ kind: 'apply', records });
  }

  override onHeartbeat(newest: number, now: Instant): void {
    super.onHeartbeat(newest, now);
    this.#changed({ kind: 'heartbeat', newest, at: sentInstant(now) });
  }

  /**
   * Another thread has learned of a number.
   *
   * @returns False if it was of another journal than this: then everything stored is to be unverified (rule 9).
   */
  override learn(position: JournalPosition): boolean {
    if (super.learn(position)) return true;
    this.#forked = position;
    return false;
  }
}

interface PurgedThread {
  readonly send: (message: ToPurgedThread) => void;
  /** Number of the last change that it has applied. */
  applied: number;
}

interface Waiter {
  readonly number: number;
  readonly resolve: () => void;
}

/** The threads of a node, as the main thread keeps them up to date. */
export class PurgeRelay {
  readonly ledger: RelayedLedger = new RelayedLedger((change) => this.#tell(change));
  readonly #threads = new Map<number, PurgedThread>();
  readonly #waiters = new Set<Waiter>();
  #number = 0;
  #following: JournalFollowing | undefined;

  /** @param follow - Follows the journal with this node. */
  start(follow: (node: Pick<PurgedNode, 'ledger' | 'everywhere'>) => JournalFollowing): JournalFollowing {
    this.#following = follow({ ledger: this.ledger, everywhere: () => this.#everywhere() });
    return this.#following;
  }

  /**
   * A thread is about to start: what changes from now on is sent to it, and waited for.
   *
   * @param thread - Not used for another one later.
   */
  add(thread: number, send: (message: ToPurgedThread) => void): PurgedThreadStart {
    this.#threads.set(thread, { send, applied: this.#number });
    return { state: this.ledger.state, number: this.#number };
  }

  /** The thread has ended: nothing that it has stored in memory of its own is served any more. */
  ended(thread: number): void {
    this.#threads.delete(thread);
    this.#settle();
  }

  onMessage(thread: number, message: FromPurgedThread): void {
    const from = this.#threads.get(thread);
    if (from === undefined) return;
    switch (message.kind) {
      case 'changed':
        from.applied = message.number;
        this.#settle();
        break;
      case 'learned':
        if (!this.ledger.learn(message.position)) this.#following?.renew();
        break;
      case 'call':
        void this.#call(message).then((reason) => from.send({ kind: 'purged', call: message.call, reason }));
        break;
    }
  }

  /** @returns Why it failed. Never rejects. */
  async #call({ method, purges }: Extract<FromPurgedThread, { kind: 'call' }>): Promise<string | undefined> {
    try {
      await this.#following?.[method](purges);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  #tell(change: LedgerChange): void {
    if (change.kind !== 'heartbeat') this.#number++;
    const number = this.#number;
    for (const { send } of this.#threads.values()) send({ kind: 'change', number, change });
  }

  async #everywhere(): Promise<void> {
    const number = this.#number;
    if (this.#applied >= number) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.add({ number, resolve });
    await promise;
  }

  /** Number of the last change that all threads have applied. */
  get #applied(): number {
    return [...this.#threads.values()].reduce((least, { applied }) => Math.min(least, applied), this.#number);
  }

  #settle(): void {
    const applied = this.#applied;
    for (const waiter of this.#waiters) {
      if (waiter.number > applied) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }
}

/** Purges of a worker's thread: those of the main thread. */
export class RelayedPurges {
  readonly #send: (message: FromPurgedThread) => void;
  readonly #start: PurgedThreadStart;
  #ledger: Ledger | undefined;
  readonly #early: ToPurgedThread[] = [];
  readonly #calls = new Map<number, (reason: string | undefined) => void>();
  #called = 0;

  constructor(start: PurgedThreadStart, send: (message: FromPurgedThread) => void) {
    this.#start = start;
    this.#send = send;
  }

  /** Takes the place of `followPurges`. */
  readonly follow = ({ ledger }: PurgedNode): Purging => {
    ledger.restore(this.#start.state);
    ledger.onLearned = (position) => this.#send({ kind: 'learned', position });
    this.#ledger = ledger;
    for (const message of this.#early.splice(0)) this.onMessage(message);
    return {
      purge: async (purges) => {
        const reason = await this.#call('purge', purges);
        if (reason !== undefined) throw new HttpError('journal_unreachable', reason);
      },
      invalidate: async (purges) => {
        await this.#call('invalidate', purges);
      },
      release: () => undefined, // the main thread does
      reload: () => undefined,
      close: async () => undefined,
    };
  };

  onMessage(message: ToPurgedThread): void {
    if (message.kind === 'purged') {
      this.#calls.get(message.call)?.(message.reason);
      this.#calls.delete(message.call);
    } else if (this.#ledger === undefined) this.#early.push(message);
    else {
      change(this.#ledger, message.change);
      // Of what is purged, nothing is served from now on.
      if (message.change.kind !== 'heartbeat') this.#send({ kind: 'changed', number: message.number });
    }
  }

  #call(method: 'purge' | 'invalidate', purges: readonly Purge[]): Promise<string | undefined> {
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const call = this.#called++;
    this.#calls.set(call, resolve);
    this.#send({ kind: 'call', method, call, purges });
    return promise;
  }
}

function change(ledger: Ledger, change: LedgerChange): void {
  switch (change.kind) {
    case 'extend':
      ledger.extend(change.state);
      break;
    case 'restart':
      ledger.restart(change.state);
      break;
    case 'skip-to':
      ledger.skipTo(change.floor);
      break;
    case 'raise-floor':
      ledger.raiseFloor(change.floor);
      break;
    case 'apply':
      ledger.apply(change.records);
      break;
    case 'heartbeat':
      ledger.onHeartbeat(change.newest, receivedInstant(change.at));
      break;
    case 'lease':
      ledger.leaseMs = change.leaseMs;
      break;
  }
}
