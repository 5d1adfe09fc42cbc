/**
 * The journal: every purge of the network, in one order, each with a number.
 *
 * Numbers begin at 1 and have no holes. A record never changes; the oldest
 * ones are forgotten from the front, and the *floor* is the highest number
 * that is gone. Numbers are of a *term* with an identity of its own, drawn at
 * random: the same number of two terms means two different purges
 * (journal/terms.ts). Each opening that gives out numbers begins a term.
 *
 * An acknowledged record survives the end of the process and of the power.
 * One that was not acknowledged, because the process ended first, is either
 * there whole, with everything it was appended with, or not at all.
 * @module
 */
import type { AuditHead, AuditState, SealedEntry } from './audit/log.ts';
import type { Term } from './terms.ts';

export type { Term } from './terms.ts';

/** Target of a purge: one URL, one variant of it, all responses with a tag, …, one site, the whole network. */
export type SelectorKind = 'url' | 'variant' | 'tag' | 'prefix' | 'pattern' | 'host' | 'site' | 'everything';

export interface Purge {
  /** Name of the site; `*` for everything. */
  readonly site: string;
  readonly kind: SelectorKind;
  /**
   * - url: authority and target of the cache key, without a scheme, `//host/path?query`;
   * - variant: JSON, `{"url":"//host/path","headers":["accept-language","de"]}`;
   * - tag: the tag;
   * - prefix: `//host/path`;
   * - pattern: `//host/path`, where `*` stands for any characters;
   * - host: the host;
   * - site and everything: the empty string.
   */
  readonly selector: string;
  /** Stale rather than gone: it may be served while it is revalidated. */
  readonly soft: boolean;
  readonly who: string;
  readonly why: string;
}

export interface JournalRecord extends Purge {
  readonly seq: number;
  /** Milliseconds since the epoch; never less than the record's before. */
  readonly time: number;
}

/** As many of the newest terms are kept, in a file, in memory and on the wire. */
export const MAX_TERMS = 1_000;

export interface JournalState {
  /**
   * From 1 to {@link MAX_TERMS}, oldest first, each above the one before. The
   * last one may have given out nothing yet. Number 0 is of a term after -1,
   * until that is forgotten.
   */
  readonly terms: readonly Term[];
  /** Records up to this one are gone; 0: none. */
  readonly floor: number;
  /** Highest number given out, gone or not; 0: none. */
  readonly newest: number;
}

/** Makes an append one that is made once, however often it is repeated. */
export interface Once {
  /** Idempotency key, unique to the caller that chose it; at most {@link MAX_ONCE_KEY_LENGTH} characters. */
  readonly key: string;
  /** Digest of the request; another one with the same key is refused. */
  readonly body: Uint8Array;
}

export const MAX_ONCE_KEY_LENGTH = 512;

/** Lifetime of an idempotency key. */
export const ONCE_RETENTION_MS = 24 * 60 * 60 * 1_000;

/** Idempotency keys that a compaction leaves, the newest ones. */
export const MAX_ONCE_KEYS = 100_000;

/** Records of one append. */
export interface Appended {
  readonly first: number;
  readonly last: number;
  /** Time of the records, in milliseconds since the epoch. */
  readonly time: number;
  /** `why` of the first record. */
  readonly why: string;
  /** True if an earlier append with the same idempotency key has made them. */
  readonly repeated: boolean;
}

/** Entry of the audit log: fields that JSON can hold. The journal does not look at them. */
export type AuditFields = Readonly<Record<string, unknown>>;

export interface AuditRow {
  /** Place in the log: `before` of the next page. */
  readonly id: string;
  readonly entry: AuditFields;
}

/** Audit log from the first entry that is kept to the newest one. */
export interface AuditBounds {
  readonly start: AuditState;
  readonly head: AuditHead;
}

/** Makes the audit entry of an append from its numbers; may be called more than once. */
export type Note = (appended: Appended) => AuditFields;

/** Audit entries that a compaction leaves unless it is told otherwise, the newest ones. */
export const MAX_NOTES = 100_000;

/**
 * Appending is the only thing that gives out numbers. What `read` returns and
 * `state` tells is durable: neither ever shows a record that could still be
 * lost.
 */
export interface Journal {
  /** Returns the state as this process knows it: other processes may have appended since. */
  state(): JournalState;

  /**
   * Returns the state with everything that was acknowledged, by any process, before the call.
   *
   * @throws {JournalError} (rejects) `journal_unreachable` if that cannot be known; `journal_closed`.
   */
  current(): Promise<JournalState>;

  /**
   * Gives the purges contiguous numbers, in their order, all of them or none.
   * Durable when it resolves.
   *
   * @param once - In the same transaction. A key that is known gives the numbers of the append that came with it
   *   first, and nothing is appended, also after the journal has forgotten the records.
   * @throws {JournalError} (rejects) `journal_bad_purge` when there is none, or
   *   one that `checkPurge` refuses; `journal_key_conflict`; `journal_not_written`, `journal_broken`;
   *   `journal_closed`.
   */
  append(purges: readonly Purge[], once?: Once): Promise<Appended>;

  /**
   * Records after `seq` in order, at most `limit`; none when `seq` is the
   * newest or beyond.
   *
   * @throws {JournalGapError} (rejects) when `seq` is below the floor.
   */
  read(seq: number, limit: number): Promise<readonly JournalRecord[]>;

  /**
   * Calls the listener after each append with the newest number, in order;
   * appends that became durable together make one call.
   *
   * @returns how to stop it.
   */
  subscribe(listener: (newest: number) => void): () => void;

  /** True if the last write succeeded. */
  readonly isWritable: boolean;

  /**
   * Forgets records older than `before` (milliseconds since the epoch) and
   * raises the floor. Terms that end below it are forgotten, too. After an
   * attempt to write that failed this is another one, whatever it forgets.
   * Idempotency keys go that are older than {@link ONCE_RETENTION_MS}, or more than {@link MAX_ONCE_KEYS}.
   */
  compact(before: number): Promise<void>;

  /** Finishes what was appended; nothing more is taken. Idempotent. */
  close(): Promise<void>;
}

/** A journal as control nodes need it: with the audit log in the same store, and in the same transactions. */
export interface AuditedJournal extends Journal {
  /**
   * @param note - Entry that is written in the transaction of the append. An append that is repeated writes none.
   */
  append(purges: readonly Purge[], once?: Once, note?: Note): Promise<Appended>;

  /**
   * Writes an entry about something else than an append. Durable when it resolves.
   *
   * @param once - With a key that is known nothing is written.
   * @throws {JournalError} (rejects) as `append`; the entry may have been written after `journal_unreachable`.
   */
  note(entry: AuditFields, once?: Once): Promise<void>;

  /**
   * Returns entries, newest first, at most `limit`.
   *
   * @param before - Id of an entry; absent: from the newest on.
   */
  notes(before: string | undefined, limit: number): Promise<readonly AuditRow[]>;

  /** False while the audit log is not signed, as it is not what was signed before. */
  readonly auditFits: boolean;

  /** Returns what of the audit log is kept, with everything that was acknowledged before the call. */
  auditBounds(): Promise<AuditBounds>;

  /**
   * Returns audit entries as they are stored, oldest first: one at least, if there is one at `from` or after it, and
   * about `limit`.
   */
  sealed(from: number, limit: number): Promise<readonly SealedEntry[]>;

  /** @param maxNotes - Audit entries that stay. Those that were written in one transaction may count as one. */
  compact(before: number, maxNotes?: number): Promise<void>;
}
