/**
 * The seam between jobs and where they are kept: rows by key, in order, that are changed together. The data folder and
 * etcd have one each (test/control/store-contract.ts is the contract of both).
 * @module
 */
import type { Waiting } from '../audit-outbox.ts';

export interface JobRow {
  readonly key: string;
  /** As JSON can hold it. */
  readonly value: unknown;
  /** Another one after each write, and never the same again. */
  readonly version: string;
}

/** A change of rows: all of it, or nothing. */
export interface JobChange {
  /** Versions that rows must have; `undefined`: the row must not be there. */
  readonly expect?: readonly { readonly key: string; readonly version: string | undefined }[];
  readonly put?: readonly { readonly key: string; readonly value: unknown }[];
  readonly remove?: readonly string[];
  /** Entry for the audit log, written in the same transaction. */
  readonly audit?: Waiting | undefined;
}

/** Rows that one change may write and remove: etcd bounds operations of a transaction (`--max-txn-ops`, 128). */
export const MAX_ROWS_A_CHANGE = 50;

/** Bytes that one change may write: etcd bounds a transaction (`--max-request-bytes`, 1.5 MiB). */
export const MAX_BYTES_A_CHANGE = 1_000_000;

export interface JobPage {
  /** Key after which the page begins. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Each call sees what any process has written before it. */
export interface JobTable {
  /** @throws {JournalError} (rejects) `journal_unreachable`. */
  get(key: string): Promise<JobRow | undefined>;
  /** @returns Rows whose keys begin with `prefix`, in the order of their keys. @throws {JournalError} (rejects) */
  list(prefix: string, page: JobPage): Promise<readonly JobRow[]>;
  /**
   * Durable when it resolves.
   *
   * @returns False if a row is not as it is expected, or if it is not known whether the change was made and others
   *   have changed the rows since: the caller reads again.
   * @throws {JournalError} (rejects) `journal_unreachable`: it may have been made.
   */
  commit(change: JobChange): Promise<boolean>;
}

/** Reads all rows of a prefix, a page at a time. */
export async function* allRows(table: JobTable, prefix: string, limit = 200): AsyncGenerator<JobRow> {
  for (let after: string | undefined; ; ) {
    const rows = await table.list(prefix, { after, limit });
    yield* rows;
    if (rows.length < limit) return;
    after = rows.at(-1)?.key;
  }
}
