/**
 * Entries that wait for the audit log, in the data folder.
 * @module
 */
import type { DatabaseSync } from 'node:sqlite';
import type { AuditFields } from '../../journal/journal.ts';
import type { AuditOutbox, Waiting } from '../audit-outbox.ts';

export class SqliteOutbox implements AuditOutbox {
  readonly #statements: ReturnType<typeof prepare>;

  constructor(db: DatabaseSync) {
    this.#statements = prepare(db);
  }

  async add(waiting: Waiting): Promise<void> {
    this.insert(waiting);
  }

  /** Within a transaction that the caller has begun. */
  insert({ id, entry }: Waiting): void {
    this.#statements.insert.run(id, JSON.stringify(entry));
  }

  async list(): Promise<readonly Waiting[]> {
    return this.#statements.list.all().map(({ id, entry }) => {
      return { id: id as string, entry: JSON.parse(entry as string) as AuditFields };
    });
  }

  async remove(id: string): Promise<void> {
    this.#statements.remove.run(id);
  }
}

function prepare(db: DatabaseSync) {
  return {
    insert: db.prepare('INSERT INTO audit_waiting (id, entry) VALUES (?, ?)'),
    list: db.prepare('SELECT id, entry FROM audit_waiting'),
    remove: db.prepare('DELETE FROM audit_waiting WHERE id = ?'),
  };
}
