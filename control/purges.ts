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
import type { Journal, JournalRecord, SelectorKind } from '../journal/journal.ts';
import type { MonotonicMs } from '../lib/clock.ts';
import { ApiError } from './errors.ts';
import type { IdempotencyKeys, IdempotentCall, NotedCall } from './idempotency.ts';
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
  /** Absent once the journal has forgotten them. */
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
  readonly idempotent?: IdempotentCall | undefined;
}

export interface PurgesOptions {
  readonly journal: Journal;
  readonly keys: IdempotencyKeys;
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

/** Records that one page of the list may look at: a page of large purges is shorter. */
const MAX_RECORDS_A_PAGE = 10_000;
const SCANNED_AT_ONCE = 1_000;

export class Purges {
  readonly #options: PurgesOptions;
  /** Idempotent calls under way, by token and key. */
  readonly #inFlight = new Map<string, { body: Uint8Array; purge: Promise<Purge> }>();

  constructor(options: PurgesOptions) {
    this.#options = options;
  }

  /**
   * Appends all of it to the journal, or nothing.
   *
   * @returns The purge; `repeated` where it was made before.
   * @throws {ApiError} `idempotency_conflict`, `journal_unavailable`.
   */
  async make(order: PurgeOrder): Promise<{ purge: Purge; repeated: boolean }> {
    const { idempotent } = order;
    if (idempotent === undefined) return { purge: await this.#append(order, newNonce()), repeated: false };

    const name = `${idempotent.token}\n${idempotent.key}`;
    const other = this.#inFlight.get(name);
    if (other !== undefined) {
      checkSame(other.body, idempotent);
      return { purge: await other.purge, repeated: true };
    }
    const noted = this.#options.keys.find(idempotent);
    if (noted !== undefined) checkSame(noted.body, idempotent);
    let repeated = true;
    const purge = this.#once(order, idempotent, noted, () => {
      repeated = false;
    });
    this.#inFlight.set(name, { body: idempotent.body, purge });
    try {
      return { purge: await purge, repeated };
    } finally {
      this.#inFlight.delete(name);
    }
  }

  /** @returns The purge of this id, unless there is none or the journal has forgotten it. */
  find(id: string): Purge | undefined {
    const [, first, count, nonce = ''] = ID.exec(id) ?? [];
    if (first === undefined) return undefined;
    const call = { first: Number(first), count: Number(count), nonce };
    return call.first < 1 || call.count < 1 ? undefined : this.#read(call);
  }

  /**
   * @param before - Only purges below this number; absent: from the newest on.
   * @param isWanted - Those of which are listed.
   * @returns At most `limit`, newest first, and what `before` is for the next page.
   */
  list(
    before: number | undefined,
    limit: number,
    isWanted: (purge: Purge) => boolean,
  ): { purges: Purge[]; next: number | undefined } {
    const { journal } = this.#options;
    const { newest, floor } = journal.state();
    const purges: Purge[] = [];
    let seq = Math.min(newest, (before ?? Number.POSITIVE_INFINITY) - 1);
    let looked = 0;
    while (seq > floor && purges.length < limit && looked < MAX_RECORDS_A_PAGE) {
      const [record] = journal.read(seq - 1, 1);
      if (record === undefined) break;
      const purge = this.#read(callOf(record)) ?? purgeOf(lone(record), [record]);
      if (isWanted(purge)) purges.push(purge);
      looked += purge.last - purge.first + 1;
      seq = purge.first - 1;
    }
    return { purges, next: seq > floor ? seq + 1 : undefined };
  }

  async #once(
    order: PurgeOrder,
    idempotent: IdempotentCall,
    noted: NotedCall | undefined,
    isNew: () => void,
  ): Promise<Purge> {
    const { keys, journal } = this.#options;
    const before = noted === undefined ? undefined : await this.#locate(order, noted);
    if (before !== undefined) {
      keys.complete(idempotent, { first: before.first, count: before.last - before.first + 1 });
      return before;
    }
    isNew();
    const nonce = noted?.nonce ?? newNonce();
    if (noted === undefined) keys.note(idempotent, nonce, journal.state().newest);
    const purge = await this.#append(order, nonce);
    keys.complete(idempotent, { first: purge.first, count: order.selectors.length });
    return purge;
  }

  /** @returns What became of a call that was noted, if it got into the journal. */
  async #locate(order: PurgeOrder, { nonce, since, at, records }: NotedCall): Promise<Purge | undefined> {
    const { journal } = this.#options;
    if (records !== undefined) {
      if (records.first <= journal.state().floor) return forgotten(order, { ...records, nonce }, at);
      return this.#read({ ...records, nonce });
    }
    for (let seq = Math.max(since, journal.state().floor); ; ) {
      const scanned = journal.read(Math.max(seq, journal.state().floor), SCANNED_AT_ONCE);
      const found = scanned.find(({ why }) => why.startsWith(`${nonce} `));
      if (found !== undefined) return this.#read({ ...callOf(found), first: found.seq });
      const last = scanned.at(-1);
      if (last === undefined) return undefined;
      seq = last.seq;
      await new Promise<void>((resolve) => void setImmediate(resolve)); // others have their turn
    }
  }

  async #append(order: PurgeOrder, nonce: string): Promise<Purge> {
    const { journal, appended } = this.#options;
    const { selectors, soft, who, reason } = order;
    const why = `${nonce} ${selectors.length} ${reason}`;
    let first: number;
    try {
      const numbers = await journal.append(selectors.map((selector) => ({ ...selector, soft, who, why })));
      first = numbers.first;
      appended(numbers.last, order);
    } catch (error) {
      if (!(error instanceof JournalError)) throw error;
      if (error.code === 'journal_bad_purge') throw new ApiError('unpurgeable', { detail: error.message });
      throw new ApiError('journal_unavailable', { headers: { 'retry-after': '5' }, cause: error });
    }
    const call = { first, count: selectors.length, nonce };
    return this.#read(call) ?? forgotten(order, call, 0);
  }

  #read({ first, count, nonce }: Call): Purge | undefined {
    let records: readonly JournalRecord[];
    try {
      records = this.#options.journal.read(first - 1, count);
    } catch (error) {
      if (error instanceof JournalGapError) return undefined;
      throw error;
    }
    const isWhole = records.length === count && records.every((record) => callOf(record).nonce === nonce);
    return isWhole ? purgeOf({ first, count, nonce }, records) : undefined;
  }
}

/** @throws {ApiError} `idempotency_conflict` */
function checkSame(body: Uint8Array, { body: other }: IdempotentCall): void {
  if (Buffer.compare(body, other) === 0) return;
  throw new ApiError('idempotency_conflict', {
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

function forgotten(order: PurgeOrder, call: Call, time: number): Purge {
  const { who, reason, soft, selectors } = order;
  return { ...summary(call, selectors), time, who, reason, soft };
}

function summary({ first, count, nonce }: Call, selectors: readonly Selector[]) {
  const kinds: Partial<Record<SelectorKind, number>> = {};
  for (const { kind } of selectors) kinds[kind] = (kinds[kind] ?? 0) + 1;
  const sites = [...new Set(selectors.map(({ site }) => site))];
  return { id: `${first}-${count}-${nonce}`, first, last: first + count - 1, sites, kinds };
}
