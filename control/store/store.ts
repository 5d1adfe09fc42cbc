/**
 * Store of everything that control nodes keep, in the data folder or in etcd (test/control/store-contract.ts is the
 * contract of both).
 * @module
 */
import type { AuditedJournal } from '../../journal/journal.ts';
import type { AuditOutbox } from '../audit-outbox.ts';
import type { Drains } from '../drains.ts';
import type { JobTable } from '../jobs/table.ts';
import type { MemberStore } from '../members.ts';
import type { TokenStore } from '../tokens.ts';

/** A member of etcd, or a file. */
export interface StorePart {
  readonly name: string;
  /** Undefined: it does not answer. */
  readonly bytes: number | undefined;
  /** True if it takes no more writes, as it is full. */
  readonly isFull: boolean;
}

export interface ControlStore {
  /** Purges, idempotency keys and the audit log: what belongs together is written in one transaction. */
  readonly journal: AuditedJournal;
  readonly tokens: TokenStore;
  readonly drains: Drains;
  readonly members: MemberStore;
  /** Entries of commands that wait for the audit log. */
  readonly outbox: AuditOutbox;
  readonly jobs: JobTable;
  /** Returns the size of each part. Never rejects. */
  measure(): Promise<readonly StorePart[]>;
  close(): Promise<void>;
}
