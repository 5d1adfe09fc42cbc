/**
 * Appends to the journal in etcd.
 *
 * Numbers are given out here: a transaction compares the revision of the head, and puts a batch of records, the next
 * head and the idempotency keys. If another control node was faster, it is tried again on top of that. A transaction of
 * unknown outcome is resolved: its batch has a random id, and stands right after the head that was compared, or can
 * never come there once the head has moved on.
 *
 * **Terms** have to tell a store that was restored from an older copy, which gives out numbers again
 * (journal/terms.ts). A control node appends to the term that is current only if that term began while its connection
 * was open: all answers on a connection are of one history (connection.ts), so a term that began meanwhile is of this
 * history alone. Otherwise the append begins a term of its own, which control nodes that are connected at that time go
 * on with. So a term has one history, and there are no more of them than connections.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { type EpochMs, later, type MonotonicMs, msBetween } from '../../lib/clock.ts';
import { JournalError } from '../errors.ts';
import { MAX_TERMS } from '../journal.ts';
import { type Append, type Attempt, entryOf, noteKeys, notesOf, type Planned, planned, settle } from './append-plan.ts';
import { type EtcdChannel, EtcdRefusal, type TxnResponse } from './connection.ts';
import { auditName, encode, encodeBatch, type Head, isKeptOnce, MAX_BATCH_BYTES, type OnceEntry } from './layout.ts';
import type { JournalSession, Replica } from './replica.ts';
import { callError, hasWrittenNothing, put, range, wasWrittenAt } from './requests.ts';
import { readBatches } from './view.ts';

export interface AppenderOptions {
  readonly replica: Replica;
  readonly now: () => EpochMs;
  readonly monotonic: () => MonotonicMs;
  readonly wait: (ms: number) => Promise<void>;
  /** Runs the callback when everything that is to share a transaction has been appended. */
  readonly defer: (flush: () => void) => void;
  /** Time after which an append is given up. */
  readonly timeoutMs: number;
}

const PAUSE_MS = 50;
/** Idempotency keys of a transaction; each takes an operation, of which etcd allows 128. */
const MAX_KEYS_AT_ONCE = 100;

export class Appender {
  readonly #options: AppenderOptions;
  #pending: Append[] = [];
  #flushing: Promise<void> = Promise.resolve();
  /** Time in the name of the last audit entries: names ascend, whatever the clock does. */
  #notedAt = 0;
  /** False once a write has failed, until the next one succeeds. */
  isWritable = true;

  constructor(options: AppenderOptions) {
    this.#options = options;
  }

  add(append: Append): void {
    this.#pending.push(append);
    if (this.#pending.length === 1) this.#options.defer(() => void this.flush());
  }

  /** Writes what is pending, after what is being written. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(async () => {
      while (this.#pending.length > 0) await this.#write(this.#takePending());
    });
    return this.#flushing;
  }

  /** @returns As many appends as fit into a transaction. */
  #takePending(): Append[] {
    let [bytes, keys, count] = [0, 0, 0];
    for (const append of this.#pending) {
      bytes += append.bytes;
      keys += append.once === undefined ? 0 : 1;
      if (count > 0 && (bytes > MAX_BATCH_BYTES || keys > MAX_KEYS_AT_ONCE)) break;
      count += 1;
    }
    return this.#pending.splice(0, count);
  }

  /** Settles all of them. */
  async #write(appends: readonly Append[]): Promise<void> {
    try {
      await this.#commit(appends);
      this.isWritable = true;
    } catch (error) {
      this.isWritable = false;
      for (const { reject } of appends) reject(callError(error)); // of no effect on what is settled
    }
  }

  async #commit(appends: readonly Append[]): Promise<void> {
    const { replica, monotonic, wait, timeoutMs } = this.#options;
    const giveUpAt = later(monotonic(), timeoutMs);
    const attempt: Attempt = { id: randomUUID(), unknown: new Map(), notedAt: undefined, known: new Map() };
    for (;;) {
      try {
        const session = await replica.connected();
        if (attempt.unknown.size > 0 && (await this.#resolve(session, attempt))) return;
        if (await this.#try(session, appends, attempt)) return;
      } catch (error) {
        const isFinal = error instanceof JournalError && error.code !== 'journal_unreachable';
        if (isFinal || (hasWrittenNothing(error) && attempt.unknown.size === 0)) throw error;
        if (error instanceof EtcdRefusal) replica.leave();
        if (msBetween(giveUpAt, monotonic()) >= 0) {
          if (attempt.unknown.size === 0) throw error;
          throw new JournalError('journal_unconfirmed', (error as Error).message, { cause: error });
        }
        await wait(PAUSE_MS);
      }
    }
  }

  /** @returns Whether it was committed; otherwise another control node was faster, and the view is read again. */
  async #try(
    { connection, termBefore }: JournalSession,
    appends: readonly Append[],
    attempt: Attempt,
  ): Promise<boolean> {
    const { replica } = this.#options;
    const { view, layout } = replica;
    const { head, headRevision, termsRevision, state } = view;
    const time = Math.max(this.#wallMs, head?.time ?? 0);
    const plan = planned(appends, attempt.known, state.newest, time, this.#onceIsKept);
    const purges = plan.flatMap(({ append, outcome }) => ('isNew' in outcome ? append.purges : []));
    attempt.notedAt ??= Math.max(time, this.#notedAt + 1);
    this.#notedAt = Math.max(this.#notedAt, attempt.notedAt);
    const putsNotes = this.#putsNotes(plan, attempt);
    if (purges.length === 0) {
      await this.#writeNotes(connection, putsNotes);
      settle(plan);
      return true;
    }
    const newest = state.newest + purges.length;
    const beginsTerm = head === undefined || head.term === termBefore;
    const term = beginsTerm ? randomUUID() : head.term;
    const terms = beginsTerm
      ? [...state.terms, { identity: term, after: state.newest }].slice(-MAX_TERMS)
      : state.terms;
    const nextHead: Head = { newest, time, term };
    const entries = plan.flatMap(({ append: { once }, outcome }) =>
      once !== undefined && 'isNew' in outcome ? [{ once, outcome }] : [],
    );
    const batchId = randomUUID();
    const body = {
      compare: [
        wasWrittenAt(layout.head, headRevision),
        wasWrittenAt(layout.terms, termsRevision),
        ...entries.map(({ once }) => wasWrittenAt(layout.once(once.key), attempt.known.get(once.key)?.revision ?? '0')),
      ],
      success: [
        put(layout.batch(newest), encodeBatch({ id: batchId, first: state.newest + 1, time }, purges)),
        put(layout.head, encode(nextHead)),
        ...(beginsTerm ? [put(layout.terms, encode(terms))] : []),
        ...entries.map(({ once, outcome }) => put(layout.once(once.key), encode(entryOf(once, outcome, this.#wallMs)))),
        ...putsNotes,
      ],
      failure: entries.map(({ once }) => range(layout.once(once.key))),
    };
    let answer: TxnResponse;
    try {
      answer = await connection.call<TxnResponse>('/v3/kv/txn', body);
    } catch (error) {
      if (!hasWrittenNothing(error)) attempt.unknown.set(batchId, { after: state.newest, plan });
      throw error;
    }
    if (!answer.succeeded) {
      noteKeys(attempt, entries, answer);
      await replica.current();
      return false;
    }
    const { revision } = answer.header;
    const firstOfBatch = state.newest + 1;
    replica.accept(
      {
        head: nextHead,
        headRevision: revision,
        termsRevision: beginsTerm ? revision : termsRevision,
        floorRevision: view.floorRevision,
        state: { terms, floor: state.floor, newest },
      },
      purges.map((purge, index) => ({ seq: firstOfBatch + index, time, ...purge })),
    );
    settle(plan);
    return true;
  }

  #putsNotes(plan: readonly Planned[], { id, notedAt }: Attempt): object[] {
    const notes = notesOf(plan);
    const { layout } = this.#options.replica;
    return notes.length === 0 ? [] : [put(layout.audit(auditName(notedAt ?? 0, id)), encode(notes))];
  }

  /** Made again it writes the same: it does not matter how often. */
  async #writeNotes(connection: EtcdChannel, puts: readonly object[]): Promise<void> {
    if (puts.length > 0) await connection.call<TxnResponse>('/v3/kv/txn', { success: puts });
  }

  /**
   * Finds out about transactions whose outcome was unknown.
   *
   * @returns Whether one was committed; the appends are settled then.
   */
  async #resolve({ connection }: JournalSession, attempt: Attempt): Promise<boolean> {
    const { replica } = this.#options;
    const { newest, floor } = replica.state;
    for (const [id, { after }] of attempt.unknown) {
      if (after >= newest) continue; // it can still come: the next attempt compares the same head, so one of them wins
      if (after < floor) throw new JournalError('journal_unconfirmed', `records up to ${floor} are gone`);
      const [batch] = await readBatches(connection, replica.layout, after, 1);
      const committed = batch && attempt.unknown.get(batch.id);
      if (committed !== undefined) {
        settle(committed.plan);
        return true;
      }
      // Another batch at its place shows that it did not come; none there was compacted since the state was read.
      if (batch?.first !== after + 1) throw new JournalError('journal_unconfirmed', `records after ${after} are gone`);
      attempt.unknown.delete(id);
    }
    return false;
  }

  readonly #onceIsKept = (entry: OnceEntry): boolean => isKeptOnce(entry, this.#wallMs);

  get #wallMs(): number {
    return Math.floor(this.#options.now());
  }
}
