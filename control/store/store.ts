/**
 * Store of everything that control nodes keep, in the data folder or in etcd (test/control/store-contract.ts is the
 * contract of both).
 * @module
 */
import type { AuditedJournal } from '../../journal/journal.ts';
import type { Drains } from '../drains.ts';
import type { TokenStore } from '../tokens.ts';

export interface ControlStore {
  /** Purges, idempotency keys and the audit log: what belongs together is written in one transaction. */
  readonly journal: AuditedJournal;
  readonly tokens: TokenStore;
  readonly drains: Drains;
  close(): Promise<void>;
}
