/**
 * The store, as a linearisable read found it.
 * @module
 */
import { type AuditHead, type AuditState, decodeHead, decodeState, EMPTY_LOG } from '../audit/log.ts';
import { JournalError } from '../errors.ts';
import type { JournalState } from '../journal.ts';
import type { EtcdChannel, KeyValue, RangeResponse, TxnResponse } from './connection.ts';
import {
  type AuditBatch,
  type Batch,
  checkMeta,
  decode,
  decodeAudit,
  decodeBatch,
  decodeTerms,
  type Head,
  type Layout,
} from './layout.ts';
import { range } from './requests.ts';

export interface View {
  readonly head: Head | undefined;
  /** Revisions at which the keys were last written; `0`: not there. */
  readonly headRevision: string;
  readonly termsRevision: string;
  readonly floorRevision: string;
  readonly auditRevision: string;
  readonly audit: AuditHead;
  readonly state: JournalState;
}

/** The store, and batches after the newest number that was known. */
export interface Found {
  readonly view: View;
  /** In order, the first of them; none where there are too many. */
  readonly batches: readonly Batch[];
}

/** Batches of one answer of etcd; each may have a megabyte. */
export const BATCHES_AT_ONCE = 32;

/** @throws {JournalError} `journal_unreachable`, `journal_foreign`, `journal_corrupt`; {EtcdRefusal}. */
export async function readView(channel: EtcdChannel, layout: Layout, network: string, known: number): Promise<Found> {
  const answer = await channel.call<TxnResponse>('/v3/kv/txn', { success: viewOperations(layout, known) });
  return foundIn(answer, network);
}

/**
 * Operations of a transaction that read the store; {@link foundIn} reads the answers to them.
 *
 * @param known - Batches after this number come with it.
 */
export function viewOperations(layout: Layout, known: number): object[] {
  const { head, terms, floor, meta, auditHead, batchesEnd } = layout;
  const batches = range(layout.batch(known + 1), { range_end: batchesEnd, limit: BATCHES_AT_ONCE });
  return [...[head, terms, floor, meta, auditHead].map((key) => range(key)), batches];
}

/** Number of the operations of {@link viewOperations}. */
export const VIEW_OPERATIONS = 6;

/**
 * @param answer - To a transaction whose first operations are {@link viewOperations}.
 * @throws {JournalError} `journal_unreachable`, `journal_foreign`, `journal_corrupt`
 */
export function foundIn({ responses = [] }: TxnResponse, network: string): Found {
  const ranges = responses.slice(0, VIEW_OPERATIONS).map((one) => one.response_range?.kvs ?? []);
  const batches = (ranges.pop() ?? []).map(decodeBatch);
  return {
    view: viewOf(
      ranges.map(([kv]) => kv),
      network,
    ),
    batches,
  };
}

function viewOf([headKv, termsKv, floorKv, metaKv, auditKv]: readonly (KeyValue | undefined)[], network: string): View {
  if (metaKv === undefined) throw new JournalError('journal_unreachable', 'the store has become empty');
  checkMeta(metaKv, network);
  const found = headKv === undefined ? undefined : (decode(headKv) as Head);
  const newest = found?.newest ?? 0;
  return {
    head: found,
    headRevision: headKv?.mod_revision ?? '0',
    termsRevision: termsKv?.mod_revision ?? '0',
    floorRevision: floorKv?.mod_revision ?? '0',
    auditRevision: auditKv?.mod_revision ?? '0',
    audit: auditKv === undefined ? EMPTY_LOG : decodeHead(decode(auditKv)),
    state: {
      terms: decodeTerms(termsKv, newest),
      floor: floorKv === undefined ? 0 : Number(decode(floorKv)),
      newest,
    },
  };
}

/** @returns Batches with records after `seq`, in order, at most `limit`; the first one may begin before. */
export async function readBatches(channel: EtcdChannel, layout: Layout, seq: number, limit: number): Promise<Batch[]> {
  const { kvs = [] } = await channel.call<RangeResponse>('/v3/kv/range', {
    key: layout.batch(seq + 1),
    range_end: layout.batchesEnd,
    limit,
  });
  return kvs.map(decodeBatch);
}

/** @returns Transactions of audit entries with one at `from` or after it, in order; the first one may begin before. */
export async function readAudit(
  channel: EtcdChannel,
  layout: Layout,
  from: number,
  limit: number,
): Promise<AuditBatch[]> {
  const { kvs = [] } = await channel.call<RangeResponse>('/v3/kv/range', {
    key: layout.audit(from),
    range_end: layout.auditEnd,
    limit,
  });
  return kvs.map(decodeAudit);
}

/** @returns What of the audit log is kept. */
export async function readAuditBounds(
  channel: EtcdChannel,
  { auditStart, auditHead }: Layout,
): Promise<{ readonly start: AuditState; readonly startRevision: string; readonly head: AuditHead }> {
  const { responses = [] } = await channel.call<TxnResponse>('/v3/kv/txn', {
    success: [range(auditStart), range(auditHead)],
  });
  const [startKv, headKv] = responses.map((one) => one.response_range?.kvs?.[0]);
  return {
    start: startKv === undefined ? EMPTY_LOG : decodeState(decode(startKv)),
    startRevision: startKv?.mod_revision ?? '0',
    head: headKv === undefined ? EMPTY_LOG : decodeHead(decode(headKv)),
  };
}
