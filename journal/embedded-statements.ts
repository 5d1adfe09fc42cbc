/**
 * SQL of an embedded journal (embedded.ts), and a record of its rows.
 * @module
 */
import type { Database } from './embedded-file.ts';
import type { JournalRecord, SelectorKind } from './journal.ts';

/** Every statement of an open journal, prepared once. */
export type Statements = ReturnType<typeof prepareStatements>;
export function prepareStatements(db: Database) {
  return {
    insert: db.prepare(
      'INSERT INTO purge (seq, time, site, kind, selector, soft, who, why) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    ),
    read: db.prepare('SELECT * FROM purge WHERE seq > ? ORDER BY seq LIMIT ?'),
    // Time never decreases with the number, so the first record that stays is the one to look for.
    firstSince: db.prepare('SELECT seq FROM purge WHERE seq > ? AND time >= ? ORDER BY seq LIMIT 1'),
    insertTerm: db.prepare('INSERT INTO term (after, identity) VALUES (?, ?)'),
    forgetTerms: db.prepare('DELETE FROM term WHERE after < ?'),
    findOnce: db.prepare('SELECT * FROM once WHERE key = ? AND at > ?'),
    insertOnce: db.prepare('REPLACE INTO once (key, body, at, first, last, time, why) VALUES (?, ?, ?, ?, ?, ?, ?)'),
    expireOnce: db.prepare('DELETE FROM once WHERE at <= ?'),
    trimOnce: db.prepare('DELETE FROM once WHERE at <= (SELECT at FROM once ORDER BY at DESC LIMIT 1 OFFSET ?)'),
    insertNote: db.prepare('INSERT INTO audit_entry (id, entry, link, checkpoint) VALUES (?, ?, ?, ?)'),
    readNotes: db.prepare('SELECT id, entry FROM audit_entry WHERE id < ? ORDER BY id DESC LIMIT ?'),
    forgetNotes: db.prepare('DELETE FROM audit_entry WHERE id < ?'),
    setAuditStart: db.prepare('UPDATE audit_log SET start = ?'),
    setAuditHead: db.prepare('UPDATE audit_log SET head = ?'),
    setFloor: db.prepare('UPDATE journal SET floor = ?'),
    sweep: db.prepare('DELETE FROM purge WHERE seq IN (SELECT seq FROM purge WHERE seq <= ? ORDER BY seq LIMIT ?)'),
  };
}

/** Record of a row of `purge`. */
export function recordOf(row: Readonly<Record<string, unknown>>): JournalRecord {
  return {
    seq: row['seq'] as number,
    time: row['time'] as number,
    site: row['site'] as string,
    kind: row['kind'] as SelectorKind,
    selector: row['selector'] as string,
    soft: row['soft'] === 1,
    who: row['who'] as string,
    why: row['why'] as string,
  };
}
