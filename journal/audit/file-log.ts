/**
 * The audit log in the file of an embedded journal that no control node has open, or in a copy of one. Nothing is
 * checked that `seawall audit verify` is to find.
 * @module
 */
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { openError, readAuditBounds, sealedEntries } from '../embedded-file.ts';
import { JournalError } from '../errors.ts';
import type { AuditReader } from './export.ts';

export interface AuditFileLog extends AuditReader {
  close(): void;
}

/** @throws {JournalError} `journal_unopenable`, `journal_in_use`, `journal_foreign`, `journal_corrupt`. */
export function openAuditLogFile(file: string): AuditFileLog {
  if (!existsSync(file)) throw new JournalError('journal_unopenable', `${file}: there is no such file`);
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(file, { timeout: 0 });
    db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; BEGIN');
    readAuditBounds(db);
  } catch (error) {
    db?.close();
    throw openError(error, file);
  }
  const open = db;
  return {
    auditBounds: async () => readAuditBounds(open),
    sealed: async (from, limit) => sealedEntries(open, from, limit),
    close: () => open.close(),
  };
}
