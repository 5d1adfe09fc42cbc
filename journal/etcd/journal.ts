/**
 * The journal of several control nodes: in etcd, which acknowledges what a majority of its members has synced
 * (docs/adr/0021-etcd-client.md).
 * @module
 */
import { setTimeout as timeout } from 'node:timers/promises';
import { type EpochMs, type MonotonicMs, monotonicNow } from '../../lib/clock.ts';
import { checkOnce, checkPurge } from '../check.ts';
import { JournalError } from '../errors.ts';
import type { Appended, Journal, JournalRecord, JournalState, Once, Purge } from '../journal.ts';
import { paced } from '../pace.ts';
import { Appender } from './appender.ts';
import { forgetKeys, forgetRevisions, olderThan, raiseFloor } from './compaction.ts';
import type { EtcdAccess } from './connection.ts';
import { MAX_BATCH_BYTES, rowOf } from './layout.ts';
import { Replica } from './replica.ts';
import { callError } from './requests.ts';

export interface EtcdOptions extends EtcdAccess {
  /** Beginning of all keys, so that others can use the same etcd. */
  readonly prefix: string;
  /** Name of the network; a store of another one is refused. */
  readonly network: string;
  readonly now: () => EpochMs;
  readonly monotonic?: () => MonotonicMs;
  /** Resolves after `ms`; rejects when the signal aborts. */
  readonly wait?: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Runs the callback when everything that is to share a transaction has been appended. */
  readonly defer?: (flush: () => void) => void;
  /** Time after which an append is given up. */
  readonly appendTimeoutMs?: number;
}

const APPEND_TIMEOUT_MS = 10_000;

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
  readonly #now: () => EpochMs;
  readonly #replica: Replica;
  readonly #appender: Appender;
  #isClosed = false;
  /** Revision that etcd may forget what is older than, at the next compaction. */
  #oldRevision: string | undefined;

  constructor(options: EtcdOptions) {
    const { now, monotonic = monotonicNow, defer = paced(), appendTimeoutMs = APPEND_TIMEOUT_MS } = options;
    const wait = options.wait ?? pause;
    this.#now = now;
    this.#replica = new Replica({ ...options, wait });
    this.#appender = new Appender({
      replica: this.#replica,
      now,
      monotonic,
      wait,
      defer,
      timeoutMs: appendTimeoutMs,
    });
  }

  /** @throws {JournalError} `journal_unreachable` before the first read. */
  state(): JournalState {
    return this.#replica.state;
  }

  async current(): Promise<JournalState> {
    this.#checkOpen();
    return this.#replica.current();
  }

  async append(purges: readonly Purge[], once?: Once): Promise<Appended> {
    this.#checkOpen();
    if (purges.length === 0) throw new JournalError('journal_bad_purge', 'none at all');
    for (const purge of purges) checkPurge(purge);
    if (once !== undefined) checkOnce(once);
    const bytes = Buffer.byteLength(JSON.stringify(purges.map(rowOf)));
    if (bytes > MAX_BATCH_BYTES) throw new JournalError('journal_too_large', `${bytes} bytes; ${MAX_BATCH_BYTES} fit`);
    const { promise, resolve, reject } = Promise.withResolvers<Appended>();
    // A copy: what the caller does to its list later is not what was checked.
    this.#appender.add({ purges: purges.map((purge) => ({ ...purge })), once, bytes, resolve, reject });
    return promise;
  }

  async read(seq: number, limit: number): Promise<readonly JournalRecord[]> {
    this.#checkOpen();
    return this.#replica.read(seq, limit);
  }

  subscribe(listener: (newest: number) => void): () => void {
    return this.#replica.listeners.add(listener);
  }

  get isWritable(): boolean {
    return this.#appender.isWritable;
  }

  async compact(before: number): Promise<void> {
    if (Number.isNaN(before)) throw new RangeError('records older than NaN');
    await this.current();
    const replica = this.#replica;
    const { connection } = await replica.connected();
    try {
      const target = await olderThan(replica, connection, before);
      while (replica.state.floor < target) await raiseFloor(replica, connection, target);
      if (!this.#appender.isWritable) await raiseFloor(replica, connection, replica.state.floor);
      await forgetKeys(replica, connection, Math.floor(this.#now()));
      const revision = this.#oldRevision;
      this.#oldRevision = replica.view.headRevision;
      // From before the compaction before this one: a read that began meanwhile finds what it looks for.
      if (revision !== undefined && revision !== '0') await forgetRevisions(connection, revision);
      this.#appender.isWritable = true;
    } catch (error) {
      this.#appender.isWritable = false;
      throw callError(error);
    }
  }

  async close(): Promise<void> {
    const flushed = this.#appender.flush();
    if (!this.#isClosed) {
      this.#isClosed = true;
      await flushed;
      this.#replica.close();
    }
    await flushed;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new JournalError('journal_closed');
  }
}

async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await timeout(ms, undefined, { ...(signal && { signal, ref: false }) });
}
