/**
 * The journal of a single control node: one SQLite file.
 *
 * An append is acknowledged after its transaction was written to the
 * write-ahead log and the log was fsynced: that is what `synchronous = FULL`
 * means in WAL mode (sqlite.org/pragma.html#pragma_synchronous: "the WAL is
 * synchronized after each transaction commit"). The directory is fsynced when
 * the log is made. Appends of the same moment share one transaction, hence one
 * fsync: one that comes when the last was a while ago is written in the same
 * tick, those that come soon after it wait for each other.
 *
 * File, format 5:
 *
 *     application_id  0x5357414a, "SWAJ"
 *     user_version    5
 *     journal         one row: the floor
 *     purge           one row a record; the key is its number
 *     term            one row an opening that gave out numbers; the key is the number that they come after
 *     once            one row an idempotency key: which append it came with, written in the same transaction
 *     audit_entry     one row an entry of the audit log; that of an append is written in the same transaction
 *     audit_log       one row: the audit log up to its first entry and up to its newest one (audit/log.ts)
 *
 * Format 2 had no idempotency keys, format 3 no audit log, format 4 one without a hash chain; they are upgraded when
 * they are opened.
 *
 * A term is written with its first record, in the same transaction: an opening
 * that gives out no number leaves no trace, and its identity is never drawn
 * again. Number 0 is of a term after -1, written when the file is made.
 *
 * A copy of a journal that is open has to take FILE and FILE-wal
 * together, or use SQLite's backup; FILE alone is an older copy.
 * @module
 */

import { randomUUID } from 'node:crypto';
import type { EpochMs } from '../lib/clock.ts';
import { type AuditHead, encodeHead, encodeState, pruned, type SealedEntry } from './audit/log.ts';
import { Sealer, type SealerOptions } from './audit/sealer.ts';
import { checkOnce, checkPurge } from './check.ts';
import {
  type Database,
  type FilePlace,
  filePlace,
  isInPlace,
  openJournalFile,
  readAuditBounds,
  readTerms,
  sealedEntries,
  writeError,
} from './embedded-file.ts';
import { prepareStatements, recordOf, type Statements } from './embedded-statements.ts';
import { JournalError, JournalGapError } from './errors.ts';
import {
  type Appended,
  type AuditBounds,
  type AuditedJournal,
  type AuditFields,
  type AuditRow,
  type JournalRecord,
  type JournalState,
  MAX_NOTES,
  MAX_ONCE_KEYS,
  MAX_TERMS,
  type Note,
  ONCE_RETENTION_MS,
  type Once,
  type Purge,
} from './journal.ts';
import { Listeners } from './listeners.ts';
import { paced } from './pace.ts';
import { type Term, termsFrom } from './terms.ts';

export interface EmbeddedOptions extends SealerOptions {
  readonly now: () => EpochMs;
  /** Runs the callback when everything that is to share a transaction has been appended. */
  readonly defer?: (flush: () => void) => void;
}

/** Rows that are deleted at once; more would hold up appends. */
const ROWS_PER_SWEEP = 5_000;

/**
 * Opens the journal, and makes it when there is no such file. No other process
 * can open it meanwhile.
 *
 * @param file - Its folder has to be there.
 * @throws {JournalError} `journal_unopenable`, `journal_in_use`,
 *   `journal_foreign`, `journal_version`, `journal_corrupt`.
 */
export function openEmbeddedJournal(file: string, options: EmbeddedOptions): EmbeddedJournal {
  return new EmbeddedJournal(openJournalFile(file, randomUUID()), options);
}

export class EmbeddedJournal implements AuditedJournal {
  readonly #db: Database;
  readonly #statements: Statements;
  readonly #now: () => EpochMs;
  readonly #defer: (flush: () => void) => void;
  readonly #listeners = new Listeners();
  readonly #sealer: Sealer;
  #audit: AuditBounds;
  /** The last one is this opening. */
  #terms: readonly Term[];
  /** True once the term of this opening is in the file. */
  #termIsWritten = false;
  #floor: number;
  #newest: number;
  #lastTime: number;
  /** Appends of the next flush. */
  #pending: Append[] = [];
  #isWritable = true;
  readonly #place: FilePlace | undefined;
  /** Reason why appends are rejected. */
  #refusal: 'journal_closed' | 'journal_broken' | undefined;

  /** @param db - From `openJournalFile`; the journal's from here on. */
  constructor(db: Database, options: EmbeddedOptions) {
    const { now, defer = paced() } = options;
    this.#db = db;
    this.#place = filePlace(db);
    this.#now = now;
    this.#defer = defer;
    this.#statements = prepareStatements(db);
    this.#sealer = new Sealer(options);
    this.#audit = readAuditBounds(db);
    const { floor } = db.prepare('SELECT floor FROM journal').get() as { floor: number };
    const last = db.prepare('SELECT seq, time FROM purge ORDER BY seq DESC LIMIT 1').get();
    this.#floor = floor;
    this.#newest = Math.max(floor, Number(last?.['seq'] ?? 0));
    this.#terms = [...readTerms(db), { identity: randomUUID(), after: this.#newest }].slice(-MAX_TERMS);
    this.#lastTime = Number(last?.['time'] ?? 0);
  }

  state(): JournalState {
    return { terms: this.#terms, floor: this.#floor, newest: this.#newest };
  }

  async current(): Promise<JournalState> {
    this.#checkOpen();
    return this.state();
  }

  async append(purges: readonly Purge[], once?: Once, note?: Note): Promise<Appended> {
    if (purges.length === 0) throw new JournalError('journal_bad_purge', 'none at all');
    for (const purge of purges) checkPurge(purge);
    if (once !== undefined) checkOnce(once);
    // A copy: what the caller does to its list later is not what was checked.
    return this.#add({ purges: purges.map((purge) => ({ ...purge })), once, note });
  }

  async note(entry: AuditFields, once?: Once): Promise<void> {
    if (once !== undefined) checkOnce(once);
    await this.#add({ purges: [], once, note: () => entry });
  }

  async notes(before: string | undefined, limit: number): Promise<readonly AuditRow[]> {
    this.#checkOpen();
    const rows = this.#statements.readNotes.all(before === undefined ? Number.MAX_SAFE_INTEGER : Number(before), limit);
    return rows.map(({ id, entry }) => ({ id: String(id), entry: JSON.parse(entry as string) as AuditFields }));
  }

  async auditBounds(): Promise<AuditBounds> {
    this.#checkOpen();
    return this.#audit;
  }

  async sealed(from: number, limit: number): Promise<readonly SealedEntry[]> {
    this.#checkOpen();
    return sealedEntries(this.#db, from, limit);
  }

  async read(seq: number, limit: number): Promise<readonly JournalRecord[]> {
    this.#checkOpen();
    if (seq < this.#floor) throw new JournalGapError(seq, this.#floor);
    return this.#statements.read.all(seq, limit).map(recordOf);
  }

  subscribe(listener: (newest: number) => void): () => void {
    return this.#listeners.add(listener);
  }

  get auditFits(): boolean {
    return this.#sealer.fits;
  }

  get isWritable(): boolean {
    return this.#isWritable && this.#isInPlace();
  }

  #isInPlace(): boolean {
    return this.#place === undefined || isInPlace(this.#place);
  }

  async compact(before: number, maxNotes: number = MAX_NOTES): Promise<void> {
    this.#checkOpen();
    if (Number.isNaN(before)) throw new RangeError('records older than NaN'); // to SQLite it is NULL: everything would go
    const firstKept = this.#statements.firstSince.get(this.#floor, before);
    const wanted = firstKept === undefined ? this.#newest : Number(firstKept['seq']) - 1;
    const floor = Math.max(wanted, this.#floor);
    if (floor > this.#floor || !this.#isWritable) {
      const terms = termsFrom(this.#terms, floor);
      this.#write(() => {
        this.#statements.setFloor.run(floor);
        this.#statements.forgetTerms.run((terms[0] as Term).after);
      });
      this.#floor = floor;
      this.#terms = terms;
    }
    this.#write(() => {
      this.#statements.expireOnce.run(Math.floor(this.#now()) - ONCE_RETENTION_MS);
      this.#statements.trimOnce.run(MAX_ONCE_KEYS);
    });
    await this.#forgetNotes(maxNotes);
    await this.#sweep();
  }

  async close(): Promise<void> {
    if (this.#refusal === 'journal_closed') return;
    this.#flush();
    this.#refusal = 'journal_closed';
    this.#listeners.clear();
    this.#db.close();
  }

  #add(append: Omit<Append, 'resolve' | 'reject'>): Promise<Appended> {
    if (this.#refusal) throw new JournalError(this.#refusal);
    const { promise, resolve, reject } = Promise.withResolvers<Appended>();
    this.#pending.push({ ...append, resolve, reject });
    if (this.#pending.length === 1) this.#defer(() => this.#flush());
    return promise;
  }

  /** Writes all that is pending in one transaction, then tells. */
  #flush(): void {
    const appends = this.#pending;
    this.#pending = [];
    if (appends.length === 0) return;
    const time = Math.max(Math.floor(this.#now()), this.#lastTime);
    let outcomes: (Appended | JournalError)[] = [];
    let seq = this.#newest;
    const notes: string[] = [];
    let { head } = this.#audit;
    try {
      this.#write(() => {
        outcomes = appends.map((one) => {
          const earlier = one.once && this.#findOnce(one.once);
          if (earlier !== undefined) return earlier;
          const appended = this.#insert(one, seq + 1, time, notes);
          seq = appended.last;
          return appended;
        });
        if (seq > this.#newest && !this.#termIsWritten) this.#writeTerm();
        head = this.#insertNotes(notes);
      });
    } catch (error) {
      for (const { reject } of appends) reject(error);
      return;
    }
    this.#audit = { ...this.#audit, head };
    const hasNews = seq > this.#newest;
    if (hasNews) {
      this.#newest = seq;
      this.#lastTime = time;
      this.#termIsWritten = true;
    }
    for (const [index, { resolve, reject }] of appends.entries()) {
      const outcome = outcomes[index] as Appended | JournalError;
      if (outcome instanceof JournalError) reject(outcome);
      else resolve(outcome);
    }
    if (hasNews) this.#listeners.call(seq);
  }

  /** @returns What the append with this key has made, or why this one is refused. */
  #findOnce({ key, body }: Once): Appended | JournalError | undefined {
    const row = this.#statements.findOnce.get(key, Math.floor(this.#now()) - ONCE_RETENTION_MS);
    if (row === undefined) return undefined;
    if (Buffer.compare(row['body'] as Uint8Array, body) !== 0) return new JournalError('journal_key_conflict');
    const { first, last, time, why } = row as unknown as Omit<Appended, 'repeated'>;
    return { first, last, time, why, repeated: true };
  }

  /** @param notes - The audit entry is added here. */
  #insert({ purges, once, note }: Append, first: number, time: number, notes: string[]): Appended {
    for (const [index, { site, kind, selector, soft, who, why }] of purges.entries()) {
      this.#statements.insert.run(first + index, time, site, kind, selector, soft ? 1 : 0, who, why);
    }
    const why = purges[0]?.why ?? '';
    const last = first + purges.length - 1;
    if (once !== undefined) {
      this.#statements.insertOnce.run(once.key, once.body, Math.floor(this.#now()), first, last, time, why);
    }
    const appended = { first, last, time, why, repeated: false };
    if (note !== undefined) notes.push(JSON.stringify(note(appended)));
    return appended;
  }

  /** @returns The audit log with the entries. */
  #insertNotes(texts: readonly string[]): AuditHead {
    const { entries, head } = this.#sealer.seal(this.#audit.head, texts);
    for (const { index, text, link, checkpoint } of entries) {
      this.#statements.insertNote.run(index, text, link, checkpoint ?? null);
    }
    if (entries.length > 0) this.#statements.setAuditHead.run(JSON.stringify(encodeHead(head)));
    return head;
  }

  /** Deletes the oldest audit entries, some at a time. */
  async #forgetNotes(maxNotes: number): Promise<void> {
    for (;;) {
      const { start, head } = this.#audit;
      const end = Math.min(head.size - maxNotes, start.size + ROWS_PER_SWEEP);
      if (this.#refusal !== undefined || end <= start.size) return;
      const next = pruned(
        start,
        sealedEntries(this.#db, start.size, end - start.size).filter(({ index }) => index < end),
      );
      this.#write(() => {
        this.#statements.setAuditStart.run(JSON.stringify(encodeState(next)));
        this.#statements.forgetNotes.run(end);
      });
      this.#audit = { ...this.#audit, start: next };
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
  }

  #writeTerm(): void {
    const { after, identity } = this.#terms.at(-1) as Term;
    this.#statements.insertTerm.run(after, identity);
    this.#statements.forgetTerms.run((this.#terms[0] as Term).after);
  }

  /**
   * Runs the statements in a transaction.
   *
   * After a failed fsync it is unknown what the disk holds, and the next fsync
   * may succeed without having written it: the journal takes nothing more.
   *
   * @throws {JournalError} `journal_not_written`, `journal_broken`; `journal_closed`.
   */
  #write(statements: () => void): void {
    this.#checkOpen();
    if (this.#refusal) throw new JournalError(this.#refusal);
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      statements();
      this.#db.exec('COMMIT');
      this.#isWritable = true;
      // Before anything is acknowledged: its folder may have been deleted beneath this process.
      if (!this.#isInPlace()) throw new JournalError('journal_broken', `${this.#place?.path} is gone`);
    } catch (cause) {
      this.#isWritable = false;
      const error = cause instanceof JournalError ? cause : writeError(cause, this.#db);
      if (error.code === 'journal_broken') this.#refusal = error.code;
      throw error;
    }
  }

  /** Deletes what is below the floor, some at a time. */
  async #sweep(): Promise<void> {
    while (this.#refusal === undefined) {
      let deleted = 0;
      this.#write(() => {
        deleted = Number(this.#statements.sweep.run(this.#floor, ROWS_PER_SWEEP).changes);
      });
      if (deleted < ROWS_PER_SWEEP) return;
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
  }

  #checkOpen(): void {
    if (this.#refusal === 'journal_closed') throw new JournalError(this.#refusal);
  }
}

interface Append {
  readonly purges: readonly Purge[];
  readonly once: Once | undefined;
  readonly note: Note | undefined;
  readonly resolve: (appended: Appended) => void;
  readonly reject: (error: unknown) => void;
}
