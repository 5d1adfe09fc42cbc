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
import { RecentRecords } from './recent.ts';
import { callError, put, wasWrittenAt } from './requests.ts';
import { type Session, Sessions } from './sessions.ts';
import { BATCHES_AT_ONCE, type Found, foundIn, readBatches, readView, type View } from './view.ts';

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
/** A number after which there are none. */
const NO_BATCHES = Number.MAX_SAFE_INTEGER - 1;

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
  /** Resolves when the answer to the transaction that is being made has been taken. */
  #writing: Promise<void> = Promise.resolve();
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

  /**
   * Writes the head, and takes the answer. Events of the head that come meanwhile wait for that: it may be what they
   * are about.
   */
  async writing<T>(write: () => Promise<T>): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#writing = promise;
    try {
      return await write();
    } finally {
      resolve();
    }
  }

  /** Takes the state from the answer to a transaction that found another one (view.ts, `viewOperations`). */
  acceptFound(connection: EtcdChannel, answer: TxnResponse): void {
    this.#take(connection, foundIn(answer, this.#options.network));
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
      this.#take(session.connection, await this.#read(session.connection, this.state.newest));
      return this.state;
    } catch (error) {
      throw callError(error);
    }
  }

  #read(connection: EtcdChannel, known: number): Promise<Found> {
    return readView(connection, this.layout, this.#options.network, known);
  }

  #take(connection: EtcdChannel, { view, batches }: Found): void {
    const { newest } = this.state;
    // An append of this process may have been answered meanwhile.
    if (connection.ended.aborted || view.state.newest < newest) return;
    const isNew = ({ seq }: JournalRecord): boolean => seq > newest && seq <= view.state.newest;
    this.accept(view, batches.flatMap(({ records }) => records).filter(isNew));
  }

  async #begin(connection: EtcdChannel): Promise<JournalSession> {
    await this.#makeStore(connection);
    const { view } = await this.#read(connection, NO_BATCHES);
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
    const read = (revision: string | undefined): void => {
      const look = async (): Promise<void> => {
        await this.#writing;
        const isKnown = revision !== undefined && BigInt(revision) <= BigInt(this.view.headRevision);
        if (!isKnown) await this.current();
      };
      look().catch(() => undefined); // whatever needs the state reads it again
    };
    while (!connection.ended.aborted) {
      await connection.watch(this.layout.head, read);
      await this.#options.wait(WATCH_PAUSE_MS, connection.ended).catch(() => undefined);
    }
  }
}
