/**
 * Compaction of the journal in etcd. Any control node may do it at any time: what two of them do at once does no harm.
 * @module
 */
import { encodeState, pruned } from '../audit/log.ts';
import { JournalError } from '../errors.ts';
import { MAX_ONCE_KEYS } from '../journal.ts';
import { termsFrom } from '../terms.ts';
import { type EtcdChannel, EtcdRefusal, OUT_OF_RANGE, type RangeResponse, type TxnResponse } from './connection.ts';
import { decode, encode, isKeptOnce, lastOf, type OnceEntry } from './layout.ts';
import type { Replica } from './replica.ts';
import { deletion, put, wasWrittenAt } from './requests.ts';
import { readAudit, readAuditBounds, readBatches } from './view.ts';

const KEYS_AT_ONCE = 1_000;
/** Transactions of audit entries of one answer of etcd; each may have a megabyte. */
const AUDIT_BATCHES_AT_ONCE = 32;
/** Deletions of a transaction, each with a comparison; etcd allows 128. */
const DELETIONS_AT_ONCE = 100;

/** Binary search, as times never decrease. @returns The highest number of which everything up to it is older. */
export async function olderThan(replica: Replica, connection: EtcdChannel, before: number): Promise<number> {
  const { floor, newest } = replica.state;
  let target = newest;
  let [low, high] = [floor + 1, before === Number.POSITIVE_INFINITY ? 0 : newest];
  while (low <= high) {
    const [batch] = await readBatches(connection, replica.layout, Math.floor((low + high) / 2) - 1, 1);
    if (batch === undefined) break;
    if (batch.time >= before) {
      target = batch.first - 1;
      high = batch.first - 1;
    } else {
      low = batch.last + 1;
    }
  }
  return target;
}

/** Deletes some batches up to the target, with the floor and the terms, in one transaction. */
export async function raiseFloor(replica: Replica, connection: EtcdChannel, target: number): Promise<void> {
  const { layout, view } = replica;
  const { state, termsRevision, floorRevision } = view;
  const end = layout.batch(target + 1);
  const { kvs = [] } = await connection.call<RangeResponse>('/v3/kv/range', {
    key: layout.batch(0),
    range_end: end,
    limit: KEYS_AT_ONCE,
    keys_only: true,
  });
  const lastKey = kvs.at(-1);
  const floor = kvs.length < KEYS_AT_ONCE || lastKey === undefined ? target : Math.min(target, lastOf(lastKey));
  const terms = termsFrom(state.terms, floor);
  const trims = terms.length < state.terms.length;
  const { succeeded } = await connection.call<TxnResponse>('/v3/kv/txn', {
    compare: [wasWrittenAt(layout.floor, floorRevision), ...(trims ? [wasWrittenAt(layout.terms, termsRevision)] : [])],
    success: [
      put(layout.floor, encode(floor)),
      deletion(layout.batch(0), layout.batch(floor + 1)),
      ...(trims ? [put(layout.terms, encode(terms))] : []),
    ],
  });
  await replica.current();
  if (!succeeded && connection.ended.aborted) throw new JournalError('journal_unreachable');
}

/** Deletes idempotency keys that have expired, and the oldest of too many. */
export async function forgetKeys(replica: Replica, connection: EtcdChannel, now: number): Promise<void> {
  const { onceStart: key, onceEnd: range_end } = replica.layout;
  for (;;) {
    const { kvs = [], count = '0' } = await connection.call<RangeResponse>('/v3/kv/range', {
      key,
      range_end,
      limit: DELETIONS_AT_ONCE,
      sort_order: 'ASCEND',
      sort_target: 'MOD',
    });
    const excess = Number(count) - MAX_ONCE_KEYS;
    const old = kvs.filter((kv, index) => index < excess || !isKeptOnce(decode(kv) as OnceEntry, now));
    if (old.length === 0) return;
    // A key that another append has used meanwhile stays: then nothing is deleted, and the keys are read again.
    await connection.call('/v3/kv/txn', {
      compare: old.map((kv) => wasWrittenAt(kv.key, kv.mod_revision)),
      success: old.map((kv) => deletion(kv.key)),
    });
  }
}

/** Deletes the oldest transactions of audit entries, as long as `maxNotes` entries stay. */
export async function forgetNotes(replica: Replica, connection: EtcdChannel, maxNotes: number): Promise<void> {
  const { layout } = replica;
  for (;;) {
    const { start, startRevision, head } = await readAuditBounds(connection, layout);
    const end = head.size - maxNotes;
    if (start.size >= end) return;
    const batches = await readAudit(connection, layout, start.size, AUDIT_BATCHES_AT_ONCE);
    const old = batches.filter(({ last }) => last < end);
    const lastOld = old.at(-1)?.last;
    if (lastOld === undefined) return;
    const next = pruned(
      start,
      old.flatMap(({ entries }) => entries),
    );
    // If another control node was faster, nothing is deleted, and the start is read again.
    await connection.call('/v3/kv/txn', {
      compare: [wasWrittenAt(layout.auditStart, startRevision)],
      success: [
        put(layout.auditStart, encode(encodeState(next))),
        deletion(layout.audit(0), layout.audit(lastOld + 1)),
      ],
    });
  }
}

/** Lets etcd forget revisions older than this one; nothing here reads old revisions. */
export async function forgetRevisions(connection: EtcdChannel, revision: string): Promise<void> {
  try {
    await connection.call('/v3/kv/compaction', { revision });
  } catch (error) {
    if (!(error instanceof EtcdRefusal && error.code === OUT_OF_RANGE)) throw error; // it was compacted already
  }
}
