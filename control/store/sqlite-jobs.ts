/**
 * Jobs in the data folder.
 * @module
 */
import type { DatabaseSync } from 'node:sqlite';
import type { JobChange, JobPage, JobRow, JobTable } from '../jobs/table.ts';
import { SqliteOutbox } from './sqlite-outbox.ts';
import { transaction } from './transaction.ts';

export class SqliteJobs implements JobTable {
  readonly #db: DatabaseSync;
  readonly #statements: ReturnType<typeof prepare>;
  readonly #outbox: SqliteOutbox;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#statements = prepare(db);
    this.#outbox = new SqliteOutbox(db);
  }

  async get(key: string): Promise<JobRow | undefined> {
    const row = this.#statements.get.get(key);
    return row && rowOf(row);
  }

  async list(prefix: string, { after, limit }: JobPage): Promise<readonly JobRow[]> {
    const from = after === undefined || after < prefix ? prefix : after;
    return this.#statements.list.all(from, after ?? '', endOf(prefix), limit).map(rowOf);
  }

  async commit({ expect = [], put = [], remove = [], audit }: JobChange): Promise<boolean> {
    const { version, write, remove: removeRow } = this.#statements;
    return transaction(this.#db, () => {
      const isAsExpected = expect.every((row) => {
        const found = version.get(row.key);
        return row.version === (found && String(found['version']));
      });
      if (!isAsExpected) return false;
      for (const { key, value } of put) write.run(key, JSON.stringify(value));
      for (const key of remove) removeRow.run(key);
      if (audit !== undefined) this.#outbox.insert(audit);
      return true;
    });
  }
}

function prepare(db: DatabaseSync) {
  return {
    get: db.prepare('SELECT key, value, version FROM job_row WHERE key = ?'),
    version: db.prepare('SELECT version FROM job_row WHERE key = ?'),
    list: db.prepare(
      'SELECT key, value, version FROM job_row WHERE key >= ? AND key > ? AND key < ? ORDER BY key LIMIT ?',
    ),
    // A number that is never given again: see AUTOINCREMENT in control/data-folder.ts.
    write: db.prepare('INSERT OR REPLACE INTO job_row (key, value) VALUES (?, ?)'),
    remove: db.prepare('DELETE FROM job_row WHERE key = ?'),
  };
}

/** First key beyond those with the prefix: its last character is followed by the next one. */
function endOf(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

function rowOf({ key, value, version }: Readonly<Record<string, unknown>>): JobRow {
  return { key: key as string, value: JSON.parse(value as string), version: String(version) };
}
