/**
 * State of the journal and its newest records in this process, as linearisable reads and its own appends have found
 * them.
 *
 * The watch is a doorbell: an event of it is a hint to read now. Whether it is late, missing or doubled is of no
 * consequence.
 * @module
 */
import { randomUUID } from 'node:crypto';
import type { AuditHead } from '../audit/log.ts';
import { BEFORE_ALL } from '../check.ts';
import { JournalError, JournalGapError } from '../errors.ts';
import type { JournalRecord, JournalState } from '../journal.ts';
import { Listeners } from '../listeners.ts';
import type { EtcdAccess, EtcdChannel, RangeResponse, TxnResponse } from './connection.ts';
import { encode, FORMAT, Layout } from './layout.ts';
import { MAX_RECENT, RecentRecords } from './recent.ts';
import { callError, put, wasWrittenAt } from './requests.ts';
import { type Session, Sessions } from './sessions.ts';
import { readBatches, readView, type View } from './view.ts';

export interface ReplicaOptions extends EtcdAccess {
  /** Beginning of all keys, so that others can use the same etcd. */
  readonly prefix: string;
  /** Name of the network; a store of another one is refused. */
  readonly network: string;
  /** Resolves after `ms`; rejects when the signal aborts. */
  readonly wait: (ms: number, signal?: AbortSignal) => Promise<void>;
}

export interface JournalSession extends Session {
  /** Identity of the term that was current when the connection was opened. */
  readonly termBefore: string | undefined;
}

const WATCH_PAUSE_MS = 1_000;
/** Batches of one answer of etcd; each may have a megabyte. */
const BATCHES_AT_ONCE = 32;

export class Replica {
  readonly layout: Layout;
  readonly listeners = new Listeners();
  readonly #options: ReplicaOptions;
  readonly #sessions: Sessions<JournalSession>;
  readonly #recent = new RecentRecords();
  #view: View | undefined;
  #refreshing: Promise<unknown> = Promise.resolve();
  /** Read that has not begun. */
  #queued: Promise<JournalState> | undefined;
  #isClosed = false;

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.layout = new Layout(options.prefix);
    this.#sessions = new Sessions({ access: options, begin: (connection) => this.#begin(connection) });
  }

  /** @throws {JournalError} `journal_unreachable` before the first read. */
  get view(): View {
    if (this.#view === undefined) throw new JournalError('journal_unreachable');
    return this.#view;
  }

  /** @throws {JournalError} `journal_unreachable` before the first read. */
  get state(): JournalState {
    return this.view.state;
  }

  /** Reads the state, in one read with all calls that come before the read begins. */
  current(): Promise<JournalState> {
    if (this.#isClosed) return Promise.reject(new JournalError('journal_closed'));
    // A read that has begun may not see what was acknowledged since.
    this.#queued ??= this.#refreshing.then(() => {
      this.#queued = undefined;
      const run = this.#refresh();
      this.#refreshing = run.catch(() => undefined);
      return run;
    });
    return this.#queued;
  }

  /** @returns The connection that is open, or the next one. @throws {JournalError} */
  connected(): Promise<JournalSession> {
    return this.#sessions.connected();
  }

  /** Gives up the connection: the next call opens another one. */
  leave(): void {
    this.#sessions.leave();
  }

  /** @throws {JournalGapError} (rejects) when `seq` is below the floor; {JournalError}; {EtcdRefusal}. */
  async read(seq: number, limit: number): Promise<readonly JournalRecord[]> {
    const { newest, floor } = this.state;
    if (seq < floor) throw new JournalGapError(seq, floor);
    const count = Math.min(limit, newest - seq);
    if (count <= 0) return [];
    const recent = this.#recent.after(seq, count);
    if (recent !== undefined) return recent;
    const { connection } = await this.connected();
    const records: JournalRecord[] = [];
    while (records.length < count) {
      const after = records.at(-1)?.seq ?? seq;
      // A batch has one record at least.
      const most = Math.min(BATCHES_AT_ONCE, count - records.length);
      const batches = await readBatches(connection, this.layout, after, most);
      const found = batches.flatMap((batch) => batch.records).filter((record) => record.seq > after);
      if (found[0]?.seq !== after + 1) {
        // Compacted by another control node since the state was read, or the store was restored.
        throw new JournalGapError(seq, (await this.current()).floor);
      }
      records.push(...found);
    }
    return records.slice(0, count);
  }

  /** @param news - Records after the newest one that was known, without a hole; all of them, or they are not kept. */
  accept(view: View, news: readonly JournalRecord[]): void {
    const before = this.#view?.state.newest ?? 0;
    this.#view = view;
    const { newest, floor } = view.state;
    if (newest > before) this.#recent.extend(before, newest, news);
    this.#recent.forget(floor);
    if (newest > before) this.listeners.call(newest);
  }

  /** The head of the audit log is this one, as a transaction of this process has written it. */
  acceptAudit(audit: AuditHead, auditRevision: string): void {
    this.#view = { ...this.view, audit, auditRevision };
  }

  close(): void {
    this.#isClosed = true;
    this.listeners.clear();
    this.#sessions.close();
  }

  /** One linearisable read of the state; records that others have appended come with it. */
  async #refresh(): Promise<JournalState> {
    if (this.#isClosed) throw new JournalError('journal_closed');
    const wasOpen = this.#sessions.current;
    const session = await this.connected();
    if (session !== wasOpen) return this.state; // that was a read
    try {
      await this.#takeView(session.connection, await this.#read(session.connection));
      return this.state;
    } catch (error) {
      throw callError(error);
    }
  }

  #read(connection: EtcdChannel): Promise<View> {
    return readView(connection, this.layout, this.#options.network);
  }

  async #takeView(connection: EtcdChannel, view: View): Promise<void> {
    const { newest } = this.state;
    const news: JournalRecord[] = [];
    if (view.state.newest > newest && view.state.newest - newest <= MAX_RECENT) {
      const batches = await readBatches(connection, this.layout, newest, BATCHES_AT_ONCE);
      news.push(...batches.flatMap(({ records }) => records).filter(({ seq }) => seq > newest));
    }
    // An append of this process may have been answered meanwhile.
    if (connection.ended.aborted || view.state.newest < this.state.newest) return;
    this.accept(
      view,
      news.filter(({ seq }) => seq > this.state.newest && seq <= view.state.newest),
    );
  }

  async #begin(connection: EtcdChannel): Promise<JournalSession> {
    await this.#makeStore(connection);
    const view = await this.#read(connection);
    if (this.#isClosed) throw new JournalError('journal_closed');
    this.#recent.clear(); // the store may be another one than before
    this.accept(view, []);
    void this.#watch(connection);
    return { connection, termBefore: view.head?.term };
  }

  /** Writes the beginning of a journal if there is nothing under the prefix. */
  async #makeStore(connection: EtcdChannel): Promise<void> {
    const { meta, terms, floor } = this.layout;
    const { kvs = [] } = await connection.call<RangeResponse>('/v3/kv/range', { key: meta });
    if (kvs.length > 0) return; // etcd at its quota refuses a transaction that could write, though it would not
    await connection.call<TxnResponse>('/v3/kv/txn', {
      compare: [wasWrittenAt(meta, '0')],
      success: [
        put(meta, encode({ format: FORMAT, network: this.#options.network })),
        put(terms, encode([{ identity: randomUUID(), after: BEFORE_ALL }])),
        put(floor, encode(0)),
      ],
    });
  }

  async #watch(connection: EtcdChannel): Promise<void> {
    const read = (): void => {
      this.current().catch(() => undefined); // whatever needs the state reads it again
    };
    while (!connection.ended.aborted) {
      await connection.watch(this.layout.head, read);
      await this.#options.wait(WATCH_PAUSE_MS, connection.ended).catch(() => undefined);
    }
  }
}
