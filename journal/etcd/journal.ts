/**
 * The journal of several control nodes: in etcd, which acknowledges what a majority of its members has synced
 * (docs/adr/0021-etcd-client.md).
 * @module
 */
import { setTimeout as timeout } from 'node:timers/promises';
import { type EpochMs, type MonotonicMs, monotonicNow } from '../../lib/clock.ts';
import { MAX_SEALED_BYTES, type SealedEntry } from '../audit/log.ts';
import { Sealer, type SealerOptions } from '../audit/sealer.ts';
import { checkOnce, checkPurge } from '../check.ts';
import { JournalError } from '../errors.ts';
import {
  type Appended,
  type AuditBounds,
  type AuditedJournal,
  type AuditFields,
  type AuditRow,
  type JournalRecord,
  type JournalState,
  MAX_NOTES,
  type Note,
  type Once,
  type Purge,
} from '../journal.ts';
import { paced } from '../pace.ts';
import type { Append } from './append-plan.ts';
import { Appender } from './appender.ts';
import { forgetKeys, forgetNotes, forgetRevisions, olderThan, raiseFloor } from './compaction.ts';
import type { EtcdAccess, RangeResponse } from './connection.ts';
import { decodeAudit, MAX_BATCH_BYTES, rowOf } from './layout.ts';
import { Replica } from './replica.ts';
import { callError } from './requests.ts';
import { readAudit, readAuditBounds } from './view.ts';

export interface EtcdOptions extends EtcdAccess, SealerOptions {
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
  /** False: compactions leave old revisions to others who share the store. */
  readonly forgetsRevisions?: boolean;
  /** Time after which an append is given up. */
  readonly appendTimeoutMs?: number;
}

const APPEND_TIMEOUT_MS = 10_000;

/** Transactions of audit entries of one answer of etcd; each may have a megabyte. */
const SEALED_BATCHES_AT_ONCE = 64;

/** Stands for the numbers of an append where only the length of its audit entry matters. */
const NUMBERLESS: Appended = { first: 0, last: 0, time: 0, why: '', repeated: false };

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

export class EtcdJournal implements AuditedJournal {
  readonly #now: () => EpochMs;
  readonly #forgetsRevisions: boolean;
  readonly #replica: Replica;
  readonly #appender: Appender;
  readonly #sealer: Sealer;
  #isClosed = false;
  /** Revision that etcd may forget what is older than, at the next compaction. */
  #oldRevision: string | undefined;

  constructor(options: EtcdOptions) {
    const { now, monotonic = monotonicNow, defer = paced(), appendTimeoutMs = APPEND_TIMEOUT_MS } = options;
    const wait = options.wait ?? pause;
    this.#sealer = new Sealer(options);
    this.#now = now;
    this.#forgetsRevisions = options.forgetsRevisions ?? true;
    this.#replica = new Replica({ ...options, wait });
    this.#appender = new Appender({
      replica: this.#replica,
      now,
      monotonic,
      wait,
      defer,
      timeoutMs: appendTimeoutMs,
      sealer: this.#sealer,
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

  async append(purges: readonly Purge[], once?: Once, note?: Note): Promise<Appended> {
    this.#checkOpen();
    if (purges.length === 0) throw new JournalError('journal_bad_purge', 'none at all');
    for (const purge of purges) checkPurge(purge);
    if (once !== undefined) checkOnce(once);
    const bytes = Buffer.byteLength(JSON.stringify(purges.map(rowOf)));
    if (bytes > MAX_BATCH_BYTES) throw new JournalError('journal_too_large', `${bytes} bytes; ${MAX_BATCH_BYTES} fit`);
    // A copy: what the caller does to its list later is not what was checked.
    return this.#add({ purges: purges.map((purge) => ({ ...purge })), once, note }, bytes);
  }

  async note(entry: AuditFields, once?: Once): Promise<void> {
    this.#checkOpen();
    if (once !== undefined) checkOnce(once);
    await this.#add({ purges: [], once, note: () => entry }, 0);
  }

  async notes(before: string | undefined, limit: number): Promise<readonly AuditRow[]> {
    this.#checkOpen();
    const { layout } = this.#replica;
    const end = before === undefined ? Number.MAX_SAFE_INTEGER : Number(before);
    const { connection } = await this.#replica.connected();
    const rows: AuditRow[] = [];
    try {
      // The transaction that `before` is of has its last entry there, or later.
      const [straddling] = await readAudit(connection, layout, end, 1);
      if (straddling !== undefined) rows.push(...rowsOf(straddling.entries, end));
      if (rows.length >= limit) return rows.slice(0, limit);
      const { kvs = [] } = await connection.call<RangeResponse>('/v3/kv/range', {
        key: layout.audit(0),
        range_end: layout.audit(end),
        limit,
        sort_order: 'DESCEND',
        sort_target: 'KEY',
      });
      for (const kv of kvs) rows.push(...rowsOf(decodeAudit(kv).entries, end));
      return rows.slice(0, limit);
    } catch (error) {
      throw callError(error);
    }
  }

  async auditBounds(): Promise<AuditBounds> {
    this.#checkOpen();
    const { connection } = await this.#replica.connected();
    try {
      const { start, head } = await readAuditBounds(connection, this.#replica.layout);
      return { start, head };
    } catch (error) {
      throw callError(error);
    }
  }

  async sealed(from: number, limit: number): Promise<readonly SealedEntry[]> {
    this.#checkOpen();
    const { connection } = await this.#replica.connected();
    try {
      const batches = await readAudit(connection, this.#replica.layout, from, Math.min(limit, SEALED_BATCHES_AT_ONCE));
      return batches.flatMap(({ entries }) => entries).filter(({ index }) => index >= from);
    } catch (error) {
      throw callError(error);
    }
  }

  async read(seq: number, limit: number): Promise<readonly JournalRecord[]> {
    this.#checkOpen();
    return this.#replica.read(seq, limit);
  }

  subscribe(listener: (newest: number) => void): () => void {
    return this.#replica.listeners.add(listener);
  }

  get auditFits(): boolean {
    return this.#sealer.fits;
  }

  get isWritable(): boolean {
    return this.#appender.isWritable;
  }

  async compact(before: number, maxNotes: number = MAX_NOTES): Promise<void> {
    if (Number.isNaN(before)) throw new RangeError('records older than NaN');
    await this.current();
    const replica = this.#replica;
    const { connection } = await replica.connected();
    try {
      const target = await olderThan(replica, connection, before);
      while (replica.state.floor < target) await raiseFloor(replica, connection, target);
      if (!this.#appender.isWritable) await raiseFloor(replica, connection, replica.state.floor);
      await forgetKeys(replica, connection, Math.floor(this.#now()));
      await forgetNotes(replica, connection, maxNotes);
      const revision = this.#oldRevision;
      this.#oldRevision = replica.view.headRevision;
      // From before the compaction before this one: a read that began meanwhile finds what it looks for.
      const hasOld = revision !== undefined && revision !== '0';
      if (hasOld && this.#forgetsRevisions) await forgetRevisions(connection, revision);
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

  #add(append: Pick<Append, 'purges' | 'once' | 'note'>, bytes: number): Promise<Appended> {
    const { promise, resolve, reject } = Promise.withResolvers<Appended>();
    const noteBytes = append.note === undefined ? 0 : sealedBytes(append.note(NUMBERLESS));
    this.#appender.add({ ...append, bytes: bytes + noteBytes, resolve, reject });
    return promise;
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new JournalError('journal_closed');
  }
}

/** @returns The newest first, of those before `end`. */
function rowsOf(entries: readonly SealedEntry[], end: number): AuditRow[] {
  return entries
    .filter(({ index }) => index < end)
    .map(({ index, text }) => ({ id: String(index), entry: JSON.parse(text) as AuditFields }))
    .reverse();
}

/** @returns Bound of the bytes that the entry takes in its transaction. */
function sealedBytes(entry: AuditFields): number {
  return Buffer.byteLength(JSON.stringify(JSON.stringify(entry))) + MAX_SEALED_BYTES;
}

async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await timeout(ms, undefined, { ...(signal && { signal, ref: false }) });
}
