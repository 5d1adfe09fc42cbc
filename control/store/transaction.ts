/**
 * Transactions of the control node's database.
 * @module
 */
import type { DatabaseSync } from 'node:sqlite';

/** Runs statements as one: all of them count, or, if they throw, none. */
export function transaction<T>(db: DatabaseSync, statements: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = statements();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}
