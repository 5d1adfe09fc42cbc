/**
 * Keys and values of the journal in etcd, format 2. All keys begin with the prefix; values are JSON.
 *
 *     meta                    format, and the name of the network; `moving` while a journal is being moved here
 *     journal/head            newest number, its time, the identity of its term
 *     journal/terms           terms, oldest first
 *     journal/floor           the floor
 *     journal/batch/LAST      records that were written in one transaction; LAST is the last number, in 16 digits
 *     audit/head              the audit log up to its newest entry (journal/audit/log.ts)
 *     audit/start             the audit log up to the first entry that is kept; absent: all are
 *     audit/entry/LAST        entries that were written in one transaction; LAST is the last index, in 16 digits
 *     once/KEY                idempotency key: the append that came with it, written in the same transaction
 *
 * A transaction writes one batch, as etcd bounds operations (`--max-txn-ops`, 128) and bytes (`--max-request-bytes`,
 * 1.5 MiB) of a transaction.
 * @module
 */

import { decodeHash, type SealedEntry } from '../audit/log.ts';
import { checkRecord, checkTerms, fields } from '../check.ts';
import { JournalError } from '../errors.ts';
import { type JournalRecord, ONCE_RETENTION_MS, type Purge } from '../journal.ts';
import type { Term } from '../terms.ts';
import type { KeyValue } from './connection.ts';

export const FORMAT = 2;

/** Maximum length of a batch, and so of one append. */
export const MAX_BATCH_BYTES = 1_048_576;

export interface Head {
  readonly newest: number;
  readonly time: number;
  readonly term: string;
}

export interface Batch {
  /** Random; tells whether a transaction of unknown outcome was committed. */
  readonly id: string;
  readonly first: number;
  readonly last: number;
  readonly time: number;
  readonly records: readonly JournalRecord[];
}

export interface OnceEntry {
  /** Digest of the request, in base64. */
  readonly body: string;
  /** Time of the entry, in milliseconds since the epoch. */
  readonly at: number;
  readonly first: number;
  readonly last: number;
  readonly time: number;
  readonly why: string;
}

/** @param now - Milliseconds since the epoch. */
export function isKeptOnce({ at }: OnceEntry, now: number): boolean {
  return at > now - ONCE_RETENTION_MS;
}

const DIGITS = 16;

export class Layout {
  readonly #prefix: string;
  readonly meta: string;
  readonly head: string;
  readonly terms: string;
  readonly floor: string;
  /** First key beyond all batches. */
  readonly batchesEnd: string;
  readonly onceStart: string;
  readonly onceEnd: string;
  readonly auditHead: string;
  readonly auditStart: string;
  /** First key beyond all audit entries. */
  readonly auditEnd: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.meta = this.#key('meta');
    this.head = this.#key('journal/head');
    this.terms = this.#key('journal/terms');
    this.floor = this.#key('journal/floor');
    this.batchesEnd = this.#key('journal/batch0'); // 0 comes after /
    this.onceStart = this.#key('once/');
    this.onceEnd = this.#key('once0');
    this.auditHead = this.#key('audit/head');
    this.auditStart = this.#key('audit/start');
    this.auditEnd = this.#key('audit/entry0');
  }

  batch(last: number): string {
    return this.#key(`journal/batch/${String(last).padStart(DIGITS, '0')}`);
  }

  once(key: string): string {
    return this.#key(`once/${key}`);
  }

  /** @param last - Index of the last entry of the transaction. */
  audit(last: number): string {
    return this.#key(`audit/entry/${String(last).padStart(DIGITS, '0')}`);
  }

  #key(name: string): string {
    return base64(`${this.#prefix}${name}`);
  }
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

export function encode(value: unknown): string {
  return base64(JSON.stringify(value));
}

/** @throws {JournalError} `journal_corrupt` */
export function decode(stored: KeyValue): unknown {
  try {
    return JSON.parse(Buffer.from(stored.value ?? '', 'base64').toString());
  } catch (cause) {
    throw new JournalError('journal_corrupt', Buffer.from(stored.key, 'base64').toString(), { cause });
  }
}

/** Returns the last number of a batch, from its key. */
export function lastOf({ key }: KeyValue): number {
  return Number(Buffer.from(key, 'base64').toString().slice(-DIGITS));
}

type Row = readonly [
  site: string,
  kind: string,
  selector: string,
  soft: 0 | 1,
  who: string,
  why: string,
  /** Milliseconds by which it is older than the batch: in batches that were moved here from another store. */
  age?: number,
];

export function encodeBatch({ id, first, time }: Omit<Batch, 'last' | 'records'>, purges: readonly Purge[]): string {
  return encode({ id, first, time, rows: purges.map(rowOf) });
}

export function rowOf({ site, kind, selector, soft, who, why }: Purge): Row {
  return [site, kind, selector, soft ? 1 : 0, who, why];
}

/** @param records - At least one, without a hole; their times may differ. */
export function encodeMovedBatch(id: string, records: readonly JournalRecord[]): string {
  const first = records[0]?.seq;
  const time = records.at(-1)?.time ?? 0;
  const rows = records.map((record) => (record.time === time ? rowOf(record) : [...rowOf(record), time - record.time]));
  return encode({ id, first, time, rows });
}

/** @throws {JournalError} `journal_corrupt` */
export function decodeBatch(stored: KeyValue): Batch {
  const last = lastOf(stored);
  try {
    const { id, first, time, rows } = decode(stored) as Batch & { rows: readonly Row[] };
    const records = rows.map(([site, kind, selector, soft, who, why, age = 0], index) => {
      const record = { seq: first + index, time: time - age, site, kind, selector, soft: soft === 1, who, why };
      checkRecord(record);
      return record;
    });
    if (records.at(-1)?.seq !== last) throw new Error('numbers');
    return { id, first, last, time, records };
  } catch (cause) {
    throw new JournalError('journal_corrupt', `batch ${last}`, { cause });
  }
}

/** Entries of the audit log that were written in one transaction. */
export interface AuditBatch {
  /** Random; tells whether a transaction of unknown outcome was committed. */
  readonly id: string;
  readonly first: number;
  readonly last: number;
  readonly entries: readonly SealedEntry[];
}

type AuditRowOf = readonly [text: string, link: string, checkpoint?: string];

/** @param entries - At least one, without a hole. */
export function encodeAudit(id: string, entries: readonly SealedEntry[]): string {
  const rows = entries.map(({ text, link, checkpoint }): AuditRowOf => {
    const encoded = link.toString('base64');
    return checkpoint === undefined ? [text, encoded] : [text, encoded, checkpoint];
  });
  return encode({ id, rows });
}

/** @throws {JournalError} `journal_corrupt` */
export function decodeAudit(stored: KeyValue): AuditBatch {
  const last = lastOf(stored);
  try {
    const { id, rows } = decode(stored) as { id: string; rows: readonly AuditRowOf[] };
    const first = last - rows.length + 1;
    const entries = rows.map(([text, link, checkpoint], index): SealedEntry => {
      return { index: first + index, text: String(text), link: decodeHash(link), checkpoint };
    });
    return { id, first, last, entries };
  } catch (cause) {
    throw new JournalError('journal_corrupt', `audit ${last}`, { cause });
  }
}

/** @throws {JournalError} `journal_corrupt` */
export function decodeTerms(stored: KeyValue | undefined, newest: number): readonly Term[] {
  const terms = stored === undefined ? undefined : decode(stored);
  checkTerms(terms, newest, 'journal_corrupt');
  return terms;
}

/** @throws {JournalError} `journal_foreign` if it is of another format or network. */
export function checkMeta(stored: KeyValue, network: string): void {
  const { format, network: found, moving } = fields(decode(stored), 'journal_foreign');
  if (moving === true) throw new JournalError('journal_foreign', 'a journal is being moved there');
  if (format !== FORMAT) throw new JournalError('journal_foreign', `format ${format}; known is ${FORMAT}`);
  if (found !== network) throw new JournalError('journal_foreign', `of the network ${found}, not ${network}`);
}
