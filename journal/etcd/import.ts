/**
 * Moves the content of an embedded journal into etcd, under a prefix that has no journal yet.
 *
 * While the move is under way, `meta` says so and no control node opens the store. The last transaction puts the head
 * and takes that note away: the journal is there whole, or not at all. A move that was broken off is begun anew.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { encodeHead, encodeState, MAX_SEALED_BYTES, type SealedEntry } from '../audit/log.ts';
import type { ExportedKey, JournalExport } from '../embedded-export.ts';
import { JournalError } from '../errors.ts';
import type { JournalRecord } from '../journal.ts';
import { identityOf } from '../terms.ts';
import type { EtcdChannel, RangeResponse, TxnResponse } from './connection.ts';
import {
  checkMeta,
  decode,
  encode,
  encodeAudit,
  encodeMovedBatch,
  FORMAT,
  type Head,
  Layout,
  MAX_BATCH_BYTES,
  type OnceEntry,
  rowOf,
} from './layout.ts';
import { deletion, put, wasWrittenAt } from './requests.ts';

/** Puts of one transaction; etcd allows 128. */
const PUTS_AT_ONCE = 100;
/** Bytes of the values of one transaction; etcd allows 1.5 MiB. */
const BYTES_AT_ONCE = MAX_BATCH_BYTES;
/** Records of a batch, so that compaction can forget some of them. */
const RECORDS_OF_BATCH = 1_000;

export interface Imported {
  readonly records: number;
  readonly keys: number;
  readonly notes: number;
  /** True if the store had all of it already. */
  readonly isDone: boolean;
}

/**
 * @throws {JournalError} (rejects) `journal_foreign` if the prefix has another journal, or one of another network;
 *   `journal_unreachable`.
 */
export async function importJournal(
  connection: EtcdChannel,
  prefix: string,
  network: string,
  source: JournalExport,
): Promise<Imported> {
  const layout = new Layout(prefix);
  const isDone = await begin(connection, layout, network, source);
  if (isDone) return { records: 0, keys: 0, notes: 0, isDone };
  const records = await write(connection, batches(layout, source.records()));
  const keys = await write(connection, onceKeys(layout, source.keys()));
  const notes = await write(connection, auditEntries(layout, source.notes()));
  const { floor, newest, time } = source;
  const head: Head = { newest, time, term: identityOf(source.terms, newest) ?? '' };
  await connection.call<TxnResponse>('/v3/kv/txn', {
    success: [
      put(layout.terms, encode(source.terms)),
      put(layout.floor, encode(floor)),
      put(layout.auditStart, encode(encodeState(source.audit.start))),
      put(layout.auditHead, encode(encodeHead(source.audit.head))),
      ...(newest > 0 ? [put(layout.head, encode(head))] : []),
      put(layout.meta, encode({ format: FORMAT, network })),
    ],
  });
  return { records, keys, notes, isDone: false };
}

/** Notes that the move is under way. @returns Whether it was made before. */
async function begin(
  connection: EtcdChannel,
  layout: Layout,
  network: string,
  { terms, newest }: JournalExport,
): Promise<boolean> {
  const { meta, head } = layout;
  const success = [meta, head, layout.terms].map((key) => ({ request_range: { key } }));
  const { responses = [] } = await connection.call<TxnResponse>('/v3/kv/txn', { success });
  const [metaKv, headKv, termsKv] = responses.map((one) => one.response_range?.kvs?.[0]);
  const identity = identityOf(terms, newest);
  const isUnderWay = metaKv !== undefined && (decode(metaKv) as { moving?: boolean }).moving === true;
  if (metaKv !== undefined && !isUnderWay) {
    checkMeta(metaKv, network);
    const known = termsKv === undefined ? [] : (decode(termsKv) as { identity: string }[]);
    if (headKv !== undefined && known.some((term) => term.identity === identity)) return true;
    if (headKv !== undefined) throw new JournalError('journal_foreign', 'there is another journal with purges');
  }
  const { succeeded } = await connection.call<TxnResponse>('/v3/kv/txn', {
    compare: [wasWrittenAt(meta, metaKv?.mod_revision ?? '0'), wasWrittenAt(head, headKv?.mod_revision ?? '0')],
    success: [
      put(meta, encode({ format: FORMAT, network, moving: true })),
      deletion(layout.batch(0), layout.batchesEnd),
      deletion(layout.onceStart, layout.onceEnd),
      deletion(layout.audit(0), layout.auditEnd),
    ],
  });
  if (!succeeded) throw new JournalError('journal_foreign', 'another program has begun a journal there meanwhile');
  return false;
}

interface Put {
  readonly key: string;
  readonly value: string;
  /** Rows of the source that it stands for. */
  readonly count: number;
}

/** @returns The number of rows. */
async function write(connection: EtcdChannel, puts: Iterable<Put>): Promise<number> {
  let rows = 0;
  let [pending, bytes]: [Put[], number] = [[], 0];
  const flush = async (): Promise<void> => {
    if (pending.length === 0) return;
    await connection.call<RangeResponse>('/v3/kv/txn', { success: pending.map(({ key, value }) => put(key, value)) });
    [pending, bytes] = [[], 0];
  };
  for (const one of puts) {
    if (pending.length >= PUTS_AT_ONCE || bytes + one.value.length > BYTES_AT_ONCE) await flush();
    pending.push(one);
    bytes += one.value.length;
    rows += one.count;
  }
  await flush();
  return rows;
}

function* batches(layout: Layout, records: Iterable<JournalRecord>): Generator<Put> {
  let [batch, bytes]: [JournalRecord[], number] = [[], 0];
  const made = (): Put => ({
    key: layout.batch((batch.at(-1) as JournalRecord).seq),
    value: encodeMovedBatch(randomUUID(), batch),
    count: batch.length,
  });
  for (const record of records) {
    const length = Buffer.byteLength(JSON.stringify(rowOf(record)));
    if (batch.length >= RECORDS_OF_BATCH || (batch.length > 0 && bytes + length > MAX_BATCH_BYTES / 2)) {
      yield made();
      [batch, bytes] = [[], 0];
    }
    batch.push(record);
    bytes += length;
  }
  if (batch.length > 0) yield made();
}

function* onceKeys(layout: Layout, keys: Iterable<ExportedKey>): Generator<Put> {
  for (const { key, body, at, first, last, time, why } of keys) {
    const entry: OnceEntry = { body: Buffer.from(body).toString('base64'), at, first, last, time, why };
    yield { key: layout.once(key), value: encode(entry), count: 1 };
  }
}

function* auditEntries(layout: Layout, notes: Iterable<SealedEntry>): Generator<Put> {
  let [batch, bytes]: [SealedEntry[], number] = [[], 0];
  const made = (): Put => ({
    key: layout.audit((batch.at(-1) as SealedEntry).index),
    value: encodeAudit(randomUUID(), batch),
    count: batch.length,
  });
  for (const note of notes) {
    const length = Buffer.byteLength(JSON.stringify(note.text)) + MAX_SEALED_BYTES;
    // A batch has no hole: its last index and its length tell the others.
    const isNext = batch.length === 0 || batch.at(-1)?.index === note.index - 1;
    if (batch.length > 0 && (!isNext || bytes + length > MAX_BATCH_BYTES / 2)) {
      yield made();
      [batch, bytes] = [[], 0];
    }
    batch.push(note);
    bytes += length;
  }
  if (batch.length > 0) yield made();
}
