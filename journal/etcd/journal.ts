/**
 * The journal of several control nodes: in etcd, which acknowledges what a majority of its members has synced.
 *
 * Numbers are given out here: a transaction compares the revision of the head, and puts a batch of records, the next
 * head and the idempotency keys. If another control node was faster, it is tried again on top of that. A transaction of
 * unknown outcome is resolved: the batch has a random id, and stands right after the head that was compared, or can
 * never come there once the head has moved on.
 *
 * **Terms** have to tell a store that was restored from an older copy, which gives out numbers again
 * (journal/terms.ts). A control node appends to the term that is current only if that term began while its connection
 * was open: all answers on a connection are of one history (connection.ts), so a term that began meanwhile is of this
 * history alone. Otherwise the append begins a term of its own, which control nodes that are connected at that time go
 * on with. So a term has one history, and there are no more of them than connections.
 *
 * **The watch is a doorbell.** Reads are linearisable; an event of the watch is a hint to read now.
 * @module
 */

import { randomUUID } from 'node:crypto';
import { setTimeout as timeout } from 'node:timers/promises';
import { type EpochMs, later, monotonicNow, msSince } from '../../lib/clock.ts';
import { BEFORE_ALL, checkOnce, checkPurge } from '../check.ts';
import { JournalError, JournalGapError } from '../errors.ts';
import {
  type Appended,
  type Journal,
  type JournalRecord,
  type JournalState,
  MAX_ONCE_KEYS,
  MAX_TERMS,
  ONCE_RETENTION_MS,
  type Once,
  type Purge,
} from '../journal.ts';
import { Listeners } from '../listeners.ts';
import { paced } from '../pace.ts';
import { type Term, termsFrom } from '../terms.ts';
import {
  type EtcdAccess,
  EtcdConnection,
  EtcdRefusal,
  type KeyValue,
  OUT_OF_RANGE,
  type RangeResponse,
  type TxnResponse,
} from './connection.ts';
import {
  type Batch,
  checkMeta,
  decode,
  decodeBatch,
  decodeTerms,
  encode,
  encodeBatch,
  FORMAT,
  type Head,
  Layout,
  lastOf,
  MAX_BATCH_BYTES,
  type OnceEntry,
  rowOf,
} from './layout.ts';

export interface EtcdOptions extends EtcdAccess {
  /** Beginning of all keys, so that others can use the same etcd. */
  readonly prefix: string;
  /** Name of the network; a store of another one is refused. */
  readonly network: string;
  readonly now: () => EpochMs;
  /** Runs the callback when everything that is to share a transaction has been appended. */
  readonly defer?: (flush: () => void) => void;
  /** Time after which an append is given up. */
  readonly appendTimeoutMs?: number;
}

const APPEND_TIMEOUT_MS = 10_000;
const PAUSE_MS = 50;
const WATCH_PAUSE_MS = 1_000;
/** Newest records that are kept in memory: streams of nodes read them all at the same time. */
const MAX_RECENT = 10_000;
/** Idempotency keys of a transaction; each takes an operation, of which etcd allows 128. */
const MAX_KEYS_AT_ONCE = 100;
const BATCHES_AT_ONCE = 100;
const KEYS_AT_ONCE = 1_000;

/** gRPC codes of refusals after which it is certain that nothing was written. */
const NOTHING_WRITTEN: ReadonlySet<number> = new Set([3, 7, 8]);

/** gRPC codes of refusals of a user: invalid (also: none), denied, unauthenticated. */
const NOT_ADMITTED: ReadonlySet<number> = new Set([3, 7, 16]);

/** The store, as a linearisable read found it. */
interface View {
  readonly head: Head | undefined;
  /** Revisions at which the keys were last written; `0`: not there. */
  readonly headRevision: string;
  readonly termsRevision: string;
  readonly floorRevision: string;
  readonly state: JournalState;
}

interface Session {
  readonly connection: EtcdConnection;
  /** Identity of the term that was current when the connection was opened. */
  readonly termBefore: string | undefined;
}

interface Append {
  readonly purges: readonly Purge[];
  readonly once: Once | undefined;
  readonly bytes: number;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Opens the journal, and begins one where there is none under the prefix.
 *
 * @throws {JournalError} (rejects) `journal_unreachable`, `journal_refused`, `journal_foreign`, `journal_corrupt`.
 */
export async function openEtcdJournal(options: EtcdOptions): Promise<EtcdJournal> {
  const journal = new EtcdJournal(options);
  try {
    await journal.current();
    return journal;
  } catch (error) {
    await journal.close();
    throw error;
  }
}

export class EtcdJournal implements Journal {
  readonly #options: EtcdOptions;
  readonly #layout: Layout;
  readonly #defer: (flush: () => void) => void;
  readonly #listeners = new Listeners();
  readonly #closing = new AbortController();
  #session: Session | undefined;
  #connecting: Promise<Session> | undefined;
  /** Member that is tried next. */
  #next: number;
  #view: View | undefined;
  /** The newest records, without a hole; of the connection that is open. */
  #recent: JournalRecord[] = [];
  #pending: Append[] = [];
  #flushing: Promise<void> = Promise.resolve();
  #refreshing: Promise<unknown> = Promise.resolve();
  /** Read that has not begun. */
  #queued: Promise<JournalState> | undefined;
  #isWritable = true;
  #isClosed = false;
  /** Revision that etcd may forget what is older than, at the next compaction. */
  #oldRevision: string | undefined;

  constructor(options: EtcdOptions) {
    this.#options = options;
    this.#layout = new Layout(options.prefix);
    this.#defer = options.defer ?? paced();
    this.#next = Math.floor(Math.random() * options.endpoints.length);
  }

  /** @throws {JournalError} `journal_unreachable` before the first read. */
  state(): JournalState {
    if (this.#view === undefined) throw new JournalError('journal_unreachable');
    return this.#view.state;
  }

  current(): Promise<JournalState> {
    if (this.#isClosed) return Promise.reject(new JournalError('journal_closed'));
    // A read that has begun may not see what was acknowledged since; calls before the next one begins share it.
    this.#queued ??= this.#refreshing.then(() => {
      this.#queued = undefined;
      const run = this.#refresh();
      this.#refreshing = run.catch(() => undefined);
      return run;
    });
    return this.#queued;
  }

  async append(purges: readonly Purge[], once?: Once): Promise<Appended> {
    if (this.#isClosed) throw new JournalError('journal_closed');
    if (purges.length === 0) throw new JournalError('journal_bad_purge', 'none at all');
    for (const purge of purges) checkPurge(purge);
    if (once !== undefined) checkOnce(once);
    const bytes = Buffer.byteLength(JSON.stringify(purges.map(rowOf)));
    if (bytes > MAX_BATCH_BYTES) throw new JournalError('journal_too_large', `${bytes} bytes; ${MAX_BATCH_BYTES} fit`);
    const { promise, resolve, reject } = Promise.withResolvers<Appended>();
    // A copy: what the caller does to its list later is not what was checked.
    this.#pending.push({ purges: purges.map((purge) => ({ ...purge })), once, bytes, resolve, reject });
    if (this.#pending.length === 1) this.#defer(() => void this.#flush());
    return promise;
  }

  async read(seq: number, limit: number): Promise<readonly JournalRecord[]> {
    if (this.#isClosed) throw new JournalError('journal_closed');
    const { newest, floor } = this.state();
    if (seq < floor) throw new JournalGapError(seq, floor);
    const count = Math.min(limit, newest - seq);
    if (count <= 0) return [];
    const firstRecent = this.#recent[0]?.seq ?? Number.POSITIVE_INFINITY;
    if (seq + 1 >= firstRecent) return this.#recent.slice(seq + 1 - firstRecent, seq + 1 - firstRecent + count);
    const { connection } = await this.#connected();
    const records: JournalRecord[] = [];
    while (records.length < count) {
      const after = records.at(-1)?.seq ?? seq;
      const batches = await this.#batches(connection, after, BATCHES_AT_ONCE);
      const found = batches.flatMap((batch) => batch.records).filter((record) => record.seq > after);
      if (found[0]?.seq !== after + 1) {
        // Compacted by another control node since the state was read, or the store was restored.
        throw new JournalGapError(seq, (await this.current()).floor);
      }
      records.push(...found);
    }
    return records.slice(0, count);
  }

  subscribe(listener: (newest: number) => void): () => void {
    return this.#listeners.add(listener);
  }

  get isWritable(): boolean {
    return this.#isWritable;
  }

  async compact(before: number): Promise<void> {
    if (Number.isNaN(before)) throw new RangeError('records older than NaN');
    await this.current();
    const { connection } = await this.#connected();
    try {
      const target = await this.#firstKept(connection, before);
      while (this.state().floor < target) await this.#raiseFloor(connection, target);
      if (!this.#isWritable) await this.#raiseFloor(connection, this.state().floor);
      await this.#forgetKeys(connection);
      await this.#forgetRevisions(connection);
      this.#isWritable = true;
    } catch (error) {
      this.#isWritable = false;
      throw asJournalError(error);
    }
  }

  async close(): Promise<void> {
    if (!this.#isClosed) {
      const flushed = this.#flush();
      this.#isClosed = true;
      await flushed;
      this.#closing.abort();
      this.#listeners.clear();
      this.#session?.connection.end();
    }
    await this.#flushing;
  }

  /** Writes what is pending, after what is being written. */
  #flush(): Promise<void> {
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
      this.#isWritable = true;
    } catch (error) {
      this.#isWritable = false;
      for (const { reject } of appends) reject(asJournalError(error)); // of no effect on what is settled
    }
  }

  async #commit(appends: readonly Append[]): Promise<void> {
    const giveUpAt = later(monotonicNow(), this.#options.appendTimeoutMs ?? APPEND_TIMEOUT_MS);
    const attempt: Attempt = { id: randomUUID(), after: new Set(), known: new Map() };
    for (;;) {
      try {
        const session = await this.#connected();
        if (attempt.after.size > 0 && (await this.#resolve(session, appends, attempt))) return;
        if (await this.#try(session, appends, attempt)) return;
      } catch (error) {
        const isCertain = error instanceof EtcdRefusal && NOTHING_WRITTEN.has(error.code);
        const isFinal = error instanceof JournalError && error.code !== 'journal_unreachable';
        if (isFinal || (isCertain && attempt.after.size === 0)) throw error;
        if (error instanceof EtcdRefusal) this.#session?.connection.end();
        if (msSince(giveUpAt) >= 0) {
          if (attempt.after.size === 0) throw error;
          throw new JournalError('journal_unconfirmed', (error as Error).message, { cause: error });
        }
        await timeout(PAUSE_MS);
      }
    }
  }

  /** @returns Whether it was committed; otherwise another control node was faster, and the view is read again. */
  async #try({ connection, termBefore }: Session, appends: readonly Append[], attempt: Attempt): Promise<boolean> {
    const view = this.#view as View;
    const { head, headRevision, termsRevision, state } = view;
    const time = Math.max(Math.floor(this.#options.now()), head?.time ?? 0);
    const plan = planned(appends, attempt, state.newest, time, this.#onceIsKept);
    const purges = plan.flatMap(({ append, outcome }) => ('isNew' in outcome ? append.purges : []));
    if (purges.length === 0) {
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
    const layout = this.#layout;
    const entries = plan.flatMap(({ append: { once }, outcome }) =>
      once !== undefined && 'isNew' in outcome ? [{ once, outcome }] : [],
    );
    const body = {
      compare: [
        wasWrittenAt(layout.head, headRevision),
        wasWrittenAt(layout.terms, termsRevision),
        ...entries.map(({ once }) => wasWrittenAt(layout.once(once.key), attempt.known.get(once.key)?.revision ?? '0')),
      ],
      success: [
        put(layout.batch(newest), encodeBatch({ id: attempt.id, first: state.newest + 1, time }, purges)),
        put(layout.head, encode(nextHead)),
        ...(beginsTerm ? [put(layout.terms, encode(terms))] : []),
        ...entries.map(({ once, outcome }) => put(layout.once(once.key), encode(entryOf(once, outcome, this.#wallMs)))),
      ],
      failure: entries.map(({ once }) => ({ request_range: { key: layout.once(once.key) } })),
    };
    let answer: TxnResponse;
    try {
      answer = await connection.call<TxnResponse>('/v3/kv/txn', body);
    } catch (error) {
      const isCertain = error instanceof EtcdRefusal && NOTHING_WRITTEN.has(error.code);
      if (!isCertain) attempt.after.add(state.newest);
      throw error;
    }
    if (!answer.succeeded) {
      noteKeys(attempt, entries, answer);
      await this.current();
      return false;
    }
    const { revision } = answer.header;
    const firstOfBatch = state.newest + 1;
    this.#accept(
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

  /**
   * Finds out about transactions whose outcome was unknown.
   *
   * @returns Whether one was committed; the appends are settled then.
   */
  async #resolve({ connection }: Session, appends: readonly Append[], attempt: Attempt): Promise<boolean> {
    const { newest, floor } = this.state();
    for (const after of attempt.after) {
      if (after >= newest) continue; // it can still come: the next attempt compares the same head, so one of them wins
      if (after < floor) throw new JournalError('journal_unconfirmed', `records up to ${floor} are gone`);
      const [batch] = await this.#batches(connection, after, 1);
      if (batch?.id === attempt.id) {
        settle(planned(appends, attempt, after, batch.time, this.#onceIsKept));
        return true;
      }
      attempt.after.delete(after);
    }
    return false;
  }

  readonly #onceIsKept = ({ at }: OnceEntry): boolean => at > this.#wallMs - ONCE_RETENTION_MS;

  get #wallMs(): number {
    return Math.floor(this.#options.now());
  }

  /** One linearisable read of the state; records that others have appended come with it. */
  async #refresh(): Promise<JournalState> {
    if (this.#isClosed) throw new JournalError('journal_closed');
    const wasOpen = this.#session;
    const { connection } = await this.#connected();
    if (this.#session !== wasOpen) return this.state(); // that was a read
    try {
      const view = await this.#readView(connection);
      await this.#takeView(connection, view);
      return this.state();
    } catch (error) {
      throw asJournalError(error);
    }
  }

  async #takeView(connection: EtcdConnection, view: View): Promise<void> {
    const { newest } = this.state();
    const news: JournalRecord[] = [];
    if (view.state.newest > newest && view.state.newest - newest <= MAX_RECENT) {
      const batches = await this.#batches(connection, newest, BATCHES_AT_ONCE);
      news.push(...batches.flatMap(({ records }) => records).filter(({ seq }) => seq > newest));
    }
    // An append of this process may have been answered meanwhile.
    if (connection.ended.aborted || view.state.newest < this.state().newest) return;
    this.#accept(
      view,
      news.filter(({ seq }) => seq > this.state().newest && seq <= view.state.newest),
    );
  }

  /** @param news - Records after the newest one that was known, without a hole; all of them, or they are not kept. */
  #accept(view: View, news: readonly JournalRecord[]): void {
    const before = this.#view?.state.newest ?? 0;
    this.#view = view;
    const { newest, floor } = view.state;
    if (newest > before) {
      const isWhole = news[0]?.seq === before + 1 && news.at(-1)?.seq === newest;
      if (!isWhole) this.#recent = [];
      else if (this.#recent.length === 0 || this.#recent.at(-1)?.seq === before) this.#recent.push(...news);
      else this.#recent = [...news];
    }
    if (this.#recent.length > 2 * MAX_RECENT) this.#recent = this.#recent.slice(-MAX_RECENT);
    if ((this.#recent[0]?.seq ?? 0) <= floor) this.#recent = this.#recent.filter(({ seq }) => seq > floor);
    if (newest > before) this.#listeners.call(newest);
  }

  async #readView(connection: EtcdConnection): Promise<View> {
    const { head, terms, floor, meta } = this.#layout;
    const success = [head, terms, floor, meta].map((key) => ({ request_range: { key } }));
    const { responses = [] } = await connection.call<TxnResponse>('/v3/kv/txn', { success });
    const [headKv, termsKv, floorKv, metaKv] = responses.map((one) => one.response_range?.kvs?.[0]);
    if (metaKv === undefined) throw new JournalError('journal_unreachable', 'the store has become empty');
    checkMeta(metaKv, this.#options.network);
    const found = headKv === undefined ? undefined : (decode(headKv) as Head);
    const newest = found?.newest ?? 0;
    return {
      head: found,
      headRevision: headKv?.mod_revision ?? '0',
      termsRevision: termsKv?.mod_revision ?? '0',
      floorRevision: floorKv?.mod_revision ?? '0',
      state: {
        terms: decodeTerms(termsKv, newest),
        floor: floorKv === undefined ? 0 : Number(decode(floorKv)),
        newest,
      },
    };
  }

  /** @returns The connection that is open, or the next one. @throws {JournalError} */
  #connected(): Promise<Session> {
    const session = this.#session;
    if (session !== undefined && !session.connection.ended.aborted) return Promise.resolve(session);
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  /** Tries each member once. */
  async #connect(): Promise<Session> {
    let problem: unknown;
    for (let tries = this.#options.endpoints.length; tries > 0; tries -= 1) {
      if (this.#closing.signal.aborted) throw new JournalError('journal_closed');
      const endpoint = this.#options.endpoints[this.#next++ % this.#options.endpoints.length] as string;
      let connection: EtcdConnection | undefined;
      try {
        connection = await EtcdConnection.open(endpoint, this.#options);
        return await this.#begin(connection);
      } catch (error) {
        connection?.end();
        problem = connectError(endpoint, error);
        if (problem instanceof JournalError && problem.code === 'journal_foreign') break;
      }
    }
    throw problem;
  }

  async #begin(connection: EtcdConnection): Promise<Session> {
    await this.#makeStore(connection);
    const view = await this.#readView(connection);
    if (this.#closing.signal.aborted) throw new JournalError('journal_closed');
    const session: Session = { connection, termBefore: view.head?.term };
    this.#session = session;
    this.#recent = []; // the store may be another one than before
    this.#accept(view, []);
    void this.#watch(connection);
    return session;
  }

  /** Writes the beginning of a journal if there is nothing under the prefix. */
  async #makeStore(connection: EtcdConnection): Promise<void> {
    const { meta, terms, floor } = this.#layout;
    const first: Term = { identity: randomUUID(), after: BEFORE_ALL };
    await connection.call<TxnResponse>('/v3/kv/txn', {
      compare: [wasWrittenAt(meta, '0')],
      success: [
        put(meta, encode({ format: FORMAT, network: this.#options.network })),
        put(terms, encode([first])),
        put(floor, encode(0)),
      ],
    });
  }

  async #watch(connection: EtcdConnection): Promise<void> {
    const read = (): void => {
      this.current().catch(() => undefined); // whatever needs the state reads it again
    };
    while (!connection.ended.aborted) {
      await connection.watch(this.#layout.head, read);
      await timeout(WATCH_PAUSE_MS, undefined, { signal: connection.ended, ref: false }).catch(() => undefined);
    }
  }

  /** @returns Batches with records after `seq`, in order; the first one may begin before. */
  async #batches(connection: EtcdConnection, seq: number, limit: number): Promise<Batch[]> {
    const { batchesEnd: range_end } = this.#layout;
    const key = this.#layout.batch(seq + 1);
    const { kvs = [] } = await connection.call<RangeResponse>('/v3/kv/range', { key, range_end, limit });
    return kvs.map(decodeBatch);
  }

  /** Binary search, as times never decrease. @returns The highest number of which everything up to it is older. */
  async #firstKept(connection: EtcdConnection, before: number): Promise<number> {
    const { floor, newest } = this.state();
    let target = newest;
    let [low, high] = [floor + 1, before === Number.POSITIVE_INFINITY ? 0 : newest];
    while (low <= high) {
      const [batch] = await this.#batches(connection, Math.floor((low + high) / 2) - 1, 1);
      if (batch === undefined) break;
      if (batch.time >= before) {
        target = batch.first - 1;
        high = batch.first - 1;
      } else {
        low = batch.last + 1;
      }
    }
    return target;
  }

  /** Deletes some batches up to the target, with the floor and the terms, in one transaction. */
  async #raiseFloor(connection: EtcdConnection, target: number): Promise<void> {
    const { state, termsRevision, floorRevision } = this.#view as View;
    const layout = this.#layout;
    const end = layout.batch(target + 1);
    const { kvs = [] } = await connection.call<RangeResponse>('/v3/kv/range', {
      key: layout.batch(0),
      range_end: end,
      limit: KEYS_AT_ONCE,
      keys_only: true,
    });
    const lastKey = kvs.at(-1);
    const floor = kvs.length < KEYS_AT_ONCE || lastKey === undefined ? target : Math.min(target, lastOf(lastKey));
    const terms = termsFrom(state.terms, floor);
    const trims = terms.length < state.terms.length;
    const { succeeded } = await connection.call<TxnResponse>('/v3/kv/txn', {
      compare: [
        wasWrittenAt(layout.floor, floorRevision),
        ...(trims ? [wasWrittenAt(layout.terms, termsRevision)] : []),
      ],
      success: [
        put(layout.floor, encode(floor)),
        { request_delete_range: { key: layout.batch(0), range_end: layout.batch(floor + 1) } },
        ...(trims ? [put(layout.terms, encode(terms))] : []),
      ],
    });
    await this.current();
    if (!succeeded && connection.ended.aborted) throw new JournalError('journal_unreachable');
  }

  /** Deletes idempotency keys that have expired, and the oldest of too many. */
  async #forgetKeys(connection: EtcdConnection): Promise<void> {
    const { onceStart: key, onceEnd: range_end } = this.#layout;
    for (;;) {
      const { kvs = [], count = '0' } = await connection.call<RangeResponse>('/v3/kv/range', {
        key,
        range_end,
        limit: MAX_KEYS_AT_ONCE,
        sort_order: 'ASCEND',
        sort_target: 'MOD',
      });
      const excess = Number(count) - MAX_ONCE_KEYS;
      const old = kvs.filter((kv, index) => index < excess || !this.#onceIsKept(decode(kv) as OnceEntry));
      if (old.length === 0) return;
      await connection.call('/v3/kv/txn', { success: old.map((kv) => ({ request_delete_range: { key: kv.key } })) });
    }
  }

  /** Lets etcd forget what was overwritten before the compaction before this one; nothing here reads old revisions. */
  async #forgetRevisions(connection: EtcdConnection): Promise<void> {
    const revision = this.#oldRevision;
    this.#oldRevision = this.#view?.headRevision;
    if (revision === undefined || revision === '0') return;
    try {
      await connection.call('/v3/kv/compaction', { revision });
    } catch (error) {
      if (!(error instanceof EtcdRefusal && error.code === OUT_OF_RANGE)) throw error; // it was compacted already
    }
  }
}

/** One set of appends on its way into the store. */
interface Attempt {
  /** Id of the batch. */
  readonly id: string;
  /** Newest numbers after which a transaction of unknown outcome would have put the batch. */
  readonly after: Set<number>;
  /** Idempotency keys that are in the store. */
  readonly known: Map<string, { readonly revision: string; readonly entry: OnceEntry }>;
}

interface Planned {
  readonly append: Append;
  readonly outcome: Appended | (Appended & { readonly isNew: true }) | JournalError;
}

/** Gives each append its numbers after `newest`, or what an idempotency key says. */
function planned(
  appends: readonly Append[],
  { known }: Attempt,
  newest: number,
  time: number,
  isKept: (entry: OnceEntry) => boolean,
): Planned[] {
  const made = new Map<string, { readonly body: string; readonly appended: Appended }>();
  let seq = newest;
  return appends.map((append) => {
    const { purges, once } = append;
    const body = once === undefined ? '' : Buffer.from(once.body).toString('base64');
    const earlier = once && (made.get(once.key) ?? stored(known.get(once.key)?.entry, isKept));
    if (earlier !== undefined) {
      const outcome =
        earlier.body === body ? { ...earlier.appended, repeated: true } : new JournalError('journal_key_conflict');
      return { append, outcome };
    }
    const [{ why }] = purges as readonly [Purge];
    const appended: Appended = { first: seq + 1, last: seq + purges.length, time, why, repeated: false };
    seq = appended.last;
    if (once !== undefined) made.set(once.key, { body, appended });
    return { append, outcome: { ...appended, isNew: true as const } };
  });
}

function stored(
  entry: OnceEntry | undefined,
  isKept: (entry: OnceEntry) => boolean,
): { readonly body: string; readonly appended: Appended } | undefined {
  if (entry === undefined || !isKept(entry)) return undefined;
  const { body, first, last, time, why } = entry;
  return { body, appended: { first, last, time, why, repeated: true } };
}

function settle(plan: readonly Planned[]): void {
  for (const { append, outcome } of plan) {
    if (outcome instanceof JournalError) append.reject(outcome);
    else {
      const { first, last, time, why, repeated } = outcome;
      append.resolve({ first, last, time, why, repeated });
    }
  }
}

function entryOf({ body }: Once, { first, last, time, why }: Appended, at: number): OnceEntry {
  return { body: Buffer.from(body).toString('base64'), at, first, last, time, why };
}

/** Takes the idempotency keys from the answer to a transaction that found the store otherwise. */
function noteKeys(attempt: Attempt, entries: readonly { readonly once: Once }[], answer: TxnResponse): void {
  for (const [index, { once }] of entries.entries()) {
    const found: KeyValue | undefined = answer.responses?.[index]?.response_range?.kvs?.[0];
    if (found === undefined) attempt.known.delete(once.key);
    else attempt.known.set(once.key, { revision: found.mod_revision, entry: decode(found) as OnceEntry });
  }
}

function wasWrittenAt(key: string, revision: string) {
  return { target: 'MOD', result: 'EQUAL', key, mod_revision: revision };
}

function put(key: string, value: string) {
  return { request_put: { key, value } };
}

function connectError(endpoint: string, error: unknown): unknown {
  if (!(error instanceof EtcdRefusal)) return error;
  const code = NOT_ADMITTED.has(error.code) ? 'journal_refused' : 'journal_unreachable';
  return new JournalError(code, `${endpoint}: ${error.message}`, { cause: error });
}

function asJournalError(error: unknown): unknown {
  if (!(error instanceof EtcdRefusal)) return error;
  const code = NOTHING_WRITTEN.has(error.code) ? 'journal_not_written' : 'journal_unreachable';
  return new JournalError(code, error.message, { cause: error });
}
