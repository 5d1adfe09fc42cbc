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
import { type EpochMs, LONG_AGO, later, type MonotonicMs, msBetween } from '../../lib/clock.ts';
import { encodeHead, type Sealed } from '../audit/log.ts';
import type { Sealer } from '../audit/sealer.ts';
import { JournalError } from '../errors.ts';
import { MAX_TERMS } from '../journal.ts';
import { type Append, type Attempt, entryOf, noteKeys, notesOf, planned, settle } from './append-plan.ts';
import { EtcdRefusal, type TxnResponse } from './connection.ts';
import { encode, encodeAudit, encodeBatch, type Head, isKeptOnce, MAX_BATCH_BYTES, type OnceEntry } from './layout.ts';
import type { JournalSession, Replica } from './replica.ts';
import { callError, hasWrittenNothing, put, range, wasWrittenAt } from './requests.ts';
import { readAudit, readBatches, viewOperations } from './view.ts';

export interface AppenderOptions {
  readonly replica: Replica;
  readonly now: () => EpochMs;
  readonly monotonic: () => MonotonicMs;
  readonly wait: (ms: number) => Promise<void>;
  /** Runs the callback when everything that is to share a transaction has been appended. */
  readonly defer: (flush: () => void) => void;
  /** Time after which an append is given up. */
  readonly timeoutMs: number;
  readonly sealer: Sealer;
}

const PAUSE_MS = 50;
/** Idempotency keys of a transaction; each takes an operation, of which etcd allows 128. */
const MAX_KEYS_AT_ONCE = 100;
/** Time for which other control nodes that have appended are taken to have more. */
const RIVAL_MS = 1_000;
/** Time after which a control node that seems to be alone leaves a turn all the same. */
const ALONE_MS = 200;
/** Transactions that are left to other control nodes after one of this process; of two others each has one. */
const TURNS_LEFT = 2;
const MAX_TURN_MS = 50;

export class Appender {
  readonly #options: AppenderOptions;
  #pending: Append[] = [];
  #flushing: Promise<void> = Promise.resolve();
  /** Revision of the head at the last transaction of this process, its end, and its duration. */
  #writtenRevision = '0';
  #wroteAt = LONG_AGO;
  #transactionMs = 0;
  /** Time of the last transaction on top of a head that another control node had written. */
  #rivalSeenAt = LONG_AGO;
  #restedAt = LONG_AGO;
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
      while (this.#pending.length > 0) {
        await this.#turn();
        await this.#write(this.#takePending([]));
      }
    });
    return this.#flushing;
  }

  /** @returns As many of those that wait as fit into a transaction with `taken`. */
  #takePending(taken: readonly Append[]): Append[] {
    let [bytes, keys, count] = [0, 0, 0];
    for (const append of [...taken, ...this.#pending]) {
      bytes += append.bytes;
      keys += append.once === undefined ? 0 : 1;
      if (count > 0 && (bytes > MAX_BATCH_BYTES || keys > MAX_KEYS_AT_ONCE)) break;
      count += 1;
    }
    return this.#pending.splice(0, Math.max(0, count - taken.length));
  }

  /**
   * Leaves the head to other control nodes that have something to append, if there are any: the one that has just
   * written it knows it first, and would always write it again before they have read it. They show only when they
   * write, so that once in a while there is a turn for those that have never come to it.
   */
  async #turn(): Promise<void> {
    const { monotonic, wait } = this.#options;
    const now = monotonic();
    const hasRivals = msBetween(this.#rivalSeenAt, now) <= RIVAL_MS;
    if (!hasRivals && msBetween(this.#restedAt, now) <= ALONE_MS) return;
    this.#restedAt = now;
    const restMs = Math.min(MAX_TURN_MS, TURNS_LEFT * this.#transactionMs) - msBetween(this.#wroteAt, now);
    if (restMs > 0) await wait(restMs);
  }

  /** Settles all of them, and those that have joined them meanwhile. */
  async #write(appends: Append[]): Promise<void> {
    try {
      await this.#commit(appends);
      this.isWritable = true;
    } catch (error) {
      this.isWritable = false;
      for (const { reject } of appends) reject(callError(error)); // of no effect on what is settled
    }
  }

  async #commit(appends: Append[]): Promise<void> {
    const { replica, monotonic, wait, timeoutMs } = this.#options;
    const giveUpAt = later(monotonic(), timeoutMs);
    const attempt: Attempt = { unknown: new Map(), known: new Map() };
    let hasFailed = false;
    for (;;) {
      try {
        const session = await replica.connected();
        if (attempt.unknown.size > 0 && (await this.#resolve(session, attempt))) return;
        // Those that have come meanwhile join: but not what may be in the store already, or is soon given up.
        if (!hasFailed) appends.push(...this.#takePending(appends));
        if (await replica.writing(() => this.#try(session, appends, attempt))) return;
      } catch (error) {
        hasFailed = true;
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

  /** @returns Whether it was committed; otherwise another control node was faster, and the view is what it wrote. */
  async #try(
    { connection, termBefore }: JournalSession,
    appends: readonly Append[],
    attempt: Attempt,
  ): Promise<boolean> {
    const { replica, sealer, monotonic } = this.#options;
    const { view, layout } = replica;
    const { head, headRevision, termsRevision, state } = view;
    const time = Math.max(this.#wallMs, head?.time ?? 0);
    const plan = planned(appends, attempt.known, state.newest, time, this.#onceIsKept);
    const purges = plan.flatMap(({ append, outcome }) => ('isNew' in outcome ? append.purges : []));
    const audit = sealer.seal(
      view.audit,
      notesOf(plan).map((note) => JSON.stringify(note)),
    );
    if (purges.length === 0 && audit.entries.length === 0) {
      settle(plan);
      return true;
    }
    const newest = state.newest + purges.length;
    const beginsTerm = purges.length > 0 && (head === undefined || head.term === termBefore);
    const term = beginsTerm ? randomUUID() : (head?.term ?? '');
    const terms = beginsTerm
      ? [...state.terms, { identity: term, after: state.newest }].slice(-MAX_TERMS)
      : state.terms;
    const nextHead: Head = { newest, time, term };
    const entries = plan.flatMap(({ append: { once }, outcome }) =>
      once !== undefined && 'isNew' in outcome ? [{ once, outcome }] : [],
    );
    const id = randomUUID();
    const body = {
      compare: [
        ...(purges.length === 0
          ? []
          : [wasWrittenAt(layout.head, headRevision), wasWrittenAt(layout.terms, termsRevision)]),
        ...entries.map(({ once }) => wasWrittenAt(layout.once(once.key), attempt.known.get(once.key)?.revision ?? '0')),
        ...(audit.entries.length === 0 ? [] : [wasWrittenAt(layout.auditHead, view.auditRevision)]),
      ],
      success: [
        ...(purges.length === 0
          ? []
          : [
              put(layout.batch(newest), encodeBatch({ id, first: state.newest + 1, time }, purges)),
              put(layout.head, encode(nextHead)),
            ]),
        ...(beginsTerm ? [put(layout.terms, encode(terms))] : []),
        ...entries.map(({ once, outcome }) => put(layout.once(once.key), encode(entryOf(once, outcome, this.#wallMs)))),
        ...this.#putsAudit(id, audit),
      ],
      failure: [...viewOperations(layout, state.newest), ...entries.map(({ once }) => range(layout.once(once.key)))],
    };
    if (headRevision !== this.#writtenRevision) this.#rivalSeenAt = monotonic();
    let answer: TxnResponse;
    const sentAt = monotonic();
    try {
      answer = await connection.call<TxnResponse>('/v3/kv/txn', body);
    } catch (error) {
      const after = purges.length === 0 ? undefined : state.newest;
      if (!hasWrittenNothing(error)) attempt.unknown.set(id, { after, audit: view.audit.size, plan });
      throw error;
    }
    if (!answer.succeeded) {
      noteKeys(attempt, entries, answer);
      replica.acceptFound(connection, answer);
      return false;
    }
    const { revision } = answer.header;
    this.#wroteAt = monotonic();
    this.#transactionMs = msBetween(sentAt, this.#wroteAt);
    this.#writtenRevision = purges.length > 0 ? revision : headRevision;
    if (purges.length > 0) {
      const firstOfBatch = state.newest + 1;
      replica.accept(
        {
          ...view,
          head: nextHead,
          headRevision: revision,
          termsRevision: beginsTerm ? revision : termsRevision,
          state: { terms, floor: state.floor, newest },
        },
        purges.map((purge, index) => ({ seq: firstOfBatch + index, time, ...purge })),
      );
    }
    if (audit.entries.length > 0) replica.acceptAudit(audit.head, revision);
    settle(plan);
    return true;
  }

  #putsAudit(id: string, { entries, head }: Sealed): object[] {
    const last = entries.at(-1);
    if (last === undefined) return [];
    const { layout } = this.#options.replica;
    return [put(layout.audit(last.index), encodeAudit(id, entries)), put(layout.auditHead, encode(encodeHead(head)))];
  }

  /**
   * Finds out about transactions whose outcome was unknown.
   *
   * @returns Whether one was committed; the appends are settled then.
   */
  async #resolve({ connection }: JournalSession, attempt: Attempt): Promise<boolean> {
    const { replica } = this.#options;
    const { newest, floor } = replica.state;
    const { size } = replica.view.audit;
    for (const [id, { after, audit }] of attempt.unknown) {
      // It can still come: the next attempt compares the same head, so one of them wins.
      if (after === undefined ? audit >= size : after >= newest) continue;
      if (after !== undefined && after < floor) {
        throw new JournalError('journal_unconfirmed', `records up to ${floor} are gone`);
      }
      const [first, [batch]] =
        after === undefined
          ? [audit, await readAudit(connection, replica.layout, audit, 1)]
          : [after + 1, await readBatches(connection, replica.layout, after, 1)];
      const committed = batch && attempt.unknown.get(batch.id);
      if (committed !== undefined) {
        settle(committed.plan);
        return true;
      }
      // Another batch at its place shows that it did not come; none there was compacted since the state was read.
      if (batch?.first !== first) throw new JournalError('journal_unconfirmed', `what follows ${first - 1} is gone`);
      attempt.unknown.delete(id);
    }
    return false;
  }

  readonly #onceIsKept = (entry: OnceEntry): boolean => isKeptOnce(entry, this.#wallMs);

  get #wallMs(): number {
    return Math.floor(this.#options.now());
  }
}
