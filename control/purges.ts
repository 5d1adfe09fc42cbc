/**
 * Purges as calls: what was appended to the journal at once is one purge with
 * one id.
 *
 * The journal is the only record of them. Each of its records says in `why`
 * which call it belongs to:
 *
 *     NONCE COUNT REASON     9f2c41aa03b7d511 3 price list
 *
 * and a purge's id is `FIRST-COUNT-NONCE`, so that it is found by its number
 * and cannot be guessed. Records that others append are purges of one record.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { JournalError, JournalGapError } from '../journal/errors.ts';
import type {
  Appended,
  AuditedJournal,
  AuditFields,
  JournalRecord,
  Note,
  Once,
  SelectorKind,
} from '../journal/journal.ts';
import type { MonotonicMs } from '../lib/clock.ts';
import { ApiError } from './errors.ts';
import type { Selector } from './selectors.ts';

/** A purge that is in the journal. */
export interface Purge {
  readonly id: string;
  /** Numbers of its records. */
  readonly first: number;
  readonly last: number;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly who: string;
  readonly reason: string;
  readonly soft: boolean;
  readonly sites: readonly string[];
  readonly kinds: Readonly<Partial<Record<SelectorKind, number>>>;
  /** Present in a purge that was read from the journal. */
  readonly records?: readonly JournalRecord[];
}

export interface PurgeOrder {
  readonly selectors: readonly Selector[];
  readonly soft: boolean;
  readonly who: string;
  readonly reason: string;
  /** Arrival time of the call, on the monotonic clock. */
  readonly startedAt: MonotonicMs;
  /** Makes the purge one that is made once, however often it is ordered. */
  readonly once?: Once | undefined;
  /** Makes the audit entry that is written with the purge; none for one that was made before. */
  readonly note?: ((purge: Purge) => AuditFields) | undefined;
}

export interface PurgesOptions {
  readonly journal: Pick<AuditedJournal, 'append' | 'current' | 'read' | 'state'>;
  /** Called for each purge once it is in the journal, in order. */
  readonly appended: (last: number, order: PurgeOrder) => void;
}

interface Call {
  readonly first: number;
  readonly count: number;
  readonly nonce: string;
}

const NONCE_BYTES = 8;
/** Nonce of records that this process did not append. */
const NO_NONCE = '0'.repeat(NONCE_BYTES * 2);
const WHY = /^([0-9a-f]{16}) (\d{1,5}) (.*)$/s;
const ID = /^(\d{1,15})-(\d{1,5})-([0-9a-f]{16})$/;

/** Records that the list reads at once. */
const RECORDS_AT_ONCE = 100;

/** Records that one page of the list may look at: a page of large purges is shorter. */
const MAX_RECORDS_A_PAGE = 10_000;

export class Purges {
  readonly #options: PurgesOptions;

  constructor(options: PurgesOptions) {
    this.#options = options;
  }

  /**
   * Appends all of it to the journal, or nothing.
   *
   * @returns The purge; `repeated` where it was made before.
   * @throws {ApiError} `idempotency_conflict`, `journal_too_large`, `journal_unavailable`, `journal_unconfirmed`.
   */
  async make(order: PurgeOrder): Promise<{ purge: Purge; repeated: boolean }> {
    const { selectors, soft, who, reason, once, note } = order;
    const why = `${newNonce()} ${selectors.length} ${reason}`;
    const appended = await this.#append(
      selectors.map((selector) => ({ ...selector, soft, who, why })),
      once,
      note && ((numbers) => note(purgeOfOrder(order, numbers))),
    );
    if (!appended.repeated) this.#options.appended(appended.last, order);
    return { purge: purgeOfOrder(order, appended), repeated: appended.repeated };
  }

  /** @returns The purge of this id, unless there is none or the journal has forgotten it. */
  async find(id: string): Promise<Purge | undefined> {
    const [, first, count, nonce = ''] = ID.exec(id) ?? [];
    if (first === undefined) return undefined;
    const call = { first: Number(first), count: Number(count), nonce };
    await this.#options.journal.current(); // another control node may have made it
    return call.first < 1 || call.count < 1 ? undefined : this.#read(call);
  }

  /**
   * @param before - Only purges below this number; absent: from the newest on.
   * @param isWanted - Those of which are listed.
   * @returns At most `limit`, newest first, and what `before` is for the next page.
   */
  async list(
    before: number | undefined,
    limit: number,
    isWanted: (purge: Purge) => boolean,
  ): Promise<{ purges: Purge[]; next: number | undefined }> {
    const { journal } = this.#options;
    const { newest, floor } = await journal.current();
    const purges: Purge[] = [];
    let seq = Math.min(newest, (before ?? Number.POSITIVE_INFINITY) - 1);
    let looked = 0;
    let held: readonly JournalRecord[] = [];
    while (seq > floor && purges.length < limit && looked < MAX_RECORDS_A_PAGE) {
      if (seq < (held[0]?.seq ?? Number.POSITIVE_INFINITY)) {
        held = await this.#records(Math.max(floor, seq - RECORDS_AT_ONCE), Math.min(RECORDS_AT_ONCE, seq - floor));
      }
      const record = held[seq - (held[0]?.seq ?? 0)];
      if (record === undefined) break;
      const purge = (await this.#read(callOf(record), held)) ?? purgeOf(lone(record), [record]);
      if (isWanted(purge)) purges.push(purge);
      looked += purge.last - purge.first + 1;
      seq = purge.first - 1;
    }
    return { purges, next: seq > floor ? seq + 1 : undefined };
  }

  /** @throws {ApiError} */
  async #append(
    records: Parameters<AuditedJournal['append']>[0],
    once: Once | undefined,
    note: Note | undefined,
  ): Promise<Appended> {
    try {
      return await this.#options.journal.append(records, once, note);
    } catch (error) {
      throw error instanceof JournalError ? refusalOf(error) : error;
    }
  }

  /** @param held - Records that have been read already, without a hole. */
  async #read({ first, count, nonce }: Call, held: readonly JournalRecord[] = []): Promise<Purge | undefined> {
    const from = first - (held[0]?.seq ?? Number.POSITIVE_INFINITY);
    const isHeld = from >= 0 && from + count <= held.length;
    const records = isHeld ? held.slice(from, from + count) : await this.#records(first - 1, count);
    const isWhole = records.length === count && records.every((record) => callOf(record).nonce === nonce);
    return isWhole ? purgeOf({ first, count, nonce }, records) : undefined;
  }

  /** @returns None where the journal has forgotten them. */
  async #records(seq: number, limit: number): Promise<readonly JournalRecord[]> {
    try {
      return await this.#options.journal.read(seq, limit);
    } catch (error) {
      if (error instanceof JournalGapError) return [];
      throw error;
    }
  }
}

/** Errors after which it is not known whether the append is in the journal. */
const UNCONFIRMED: ReadonlySet<string> = new Set(['journal_unconfirmed', 'journal_broken']);

const RETRY_AFTER = { 'retry-after': '1' };

function refusalOf(error: JournalError): ApiError {
  const { code, message } = error;
  if (code === 'journal_bad_purge') return new ApiError('unpurgeable', { detail: message });
  if (code === 'journal_key_conflict') return keyConflict();
  if (code === 'journal_too_large') return new ApiError('journal_too_large', { detail: message });
  const answered = UNCONFIRMED.has(code) ? 'journal_unconfirmed' : 'journal_unavailable';
  return new ApiError(answered, { headers: RETRY_AFTER, cause: error });
}

function keyConflict(): ApiError {
  return new ApiError('idempotency_conflict', {
    errors: [
      {
        header: 'idempotency-key',
        detail: 'this key came with another request before',
        fix: 'Send a new key with each new request, and the same one with a repetition only.',
      },
    ],
  });
}

function newNonce(): string {
  return randomBytes(NONCE_BYTES).toString('hex');
}

/** @param record - The last one of its call. */
function callOf(record: JournalRecord): Call {
  const [, nonce, count] = WHY.exec(record.why) ?? [];
  if (nonce === undefined) return lone(record);
  return { first: record.seq - Number(count) + 1, count: Number(count), nonce };
}

function lone({ seq }: JournalRecord): Call {
  return { first: seq, count: 1, nonce: NO_NONCE };
}

function purgeOf(call: Call, records: readonly JournalRecord[]): Purge {
  const [{ time, who, why, soft }] = records as readonly [JournalRecord];
  const reason = call.nonce === NO_NONCE ? why : (WHY.exec(why)?.[3] ?? '');
  return { ...summary(call, records), time, who, reason, soft, records };
}

/** @param appended - The records that it made, by this call or the one that it repeats. */
function purgeOfOrder(order: PurgeOrder, { first, last, time, why: noted }: Appended): Purge {
  const { who, reason, soft, selectors } = order;
  const nonce = WHY.exec(noted)?.[1] ?? NO_NONCE;
  return { ...summary({ first, count: last - first + 1, nonce }, selectors), time, who, reason, soft };
}

function summary({ first, count, nonce }: Call, selectors: readonly Selector[]) {
  const kinds: Partial<Record<SelectorKind, number>> = {};
  for (const { kind } of selectors) kinds[kind] = (kinds[kind] ?? 0) + 1;
  const sites = [...new Set(selectors.map(({ site }) => site))];
  return { id: `${first}-${count}-${nonce}`, first, last: first + count - 1, sites, kinds };
}
