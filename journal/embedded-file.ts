/**
 * The file of the embedded journal: made, or found to be one and sound. See
 * embedded.ts for what is in it.
 * @module
 */
import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { decodeHead, decodeState, EMPTY_LOG, encodeHead, encodeState, link, type SealedEntry } from './audit/log.ts';
import { BEFORE_ALL, checkTerms } from './check.ts';
import { JournalError, type JournalErrorCode } from './errors.ts';
import type { AuditBounds, Term } from './journal.ts';

export type Database = DatabaseSync;

const APPLICATION_ID = 0x5357_414a;
const VERSION = 5;
/** Version of a file whose journal was moved into another store. */
const MOVED_VERSION = 1_000;

/** Tables that each version has brought; a file of an older one gets those that it lacks. */
const TABLES = new Map<number, Readonly<Record<string, string>>>();

TABLES.set(2, {
  journal: 'CREATE TABLE journal (floor INTEGER NOT NULL) STRICT',
  purge:
    'CREATE TABLE purge (seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, site TEXT NOT NULL, kind TEXT NOT NULL, ' +
    'selector TEXT NOT NULL, soft INTEGER NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL) STRICT',
  term: 'CREATE TABLE term (after INTEGER PRIMARY KEY, identity TEXT NOT NULL) STRICT',
});

TABLES.set(3, {
  once:
    'CREATE TABLE once (key TEXT PRIMARY KEY, body BLOB NOT NULL, at INTEGER NOT NULL, first INTEGER NOT NULL, ' +
    'last INTEGER NOT NULL, time INTEGER NOT NULL, why TEXT NOT NULL) STRICT, WITHOUT ROWID',
  once_age: 'CREATE INDEX once_age ON once (at)',
});

TABLES.set(4, {
  audit: 'CREATE TABLE audit (id INTEGER PRIMARY KEY, entry TEXT NOT NULL) STRICT',
});

TABLES.set(5, {
  audit_entry:
    'CREATE TABLE audit_entry (id INTEGER PRIMARY KEY, entry TEXT NOT NULL, link BLOB NOT NULL, checkpoint TEXT) STRICT',
  audit_log: 'CREATE TABLE audit_log (start TEXT NOT NULL, head TEXT NOT NULL) STRICT',
});

/** Version that has dropped a table. */
const DROPPED_IN: Readonly<Record<string, number>> = { audit: 5 };

/** @returns The tables of a file of this version. */
function schemaOf(version: number): Readonly<Record<string, string>> {
  const brought = [...TABLES].flatMap(([since, tables]) => (since <= version ? Object.entries(tables) : []));
  return Object.fromEntries(brought.filter(([name]) => version < (DROPPED_IN[name] ?? Number.POSITIVE_INFINITY)));
}

/**
 * @param identity - Of the term of number 0, for a file that is made now.
 * @throws {JournalError} that says why the file is refused; it is left as it is.
 */
export function openJournalFile(file: string, identity: string): Database {
  let db: Database | undefined;
  try {
    db = new DatabaseSync(file, { timeout: 0 });
    // Before anything is read: no other process gets in, and there is no shared memory beside the log.
    db.exec('PRAGMA locking_mode = EXCLUSIVE');
    const version = identify(db);
    setUp(db);
    if (version === undefined) create(db, identity);
    if (version !== undefined && version !== VERSION) {
      verify(db, schemaOf(version));
      upgrade(db, version);
    }
    verify(db, schemaOf(VERSION));
    return db;
  } catch (error) {
    db?.close();
    throw openError(error, file);
  }
}

/**
 * @returns Its version; undefined where there is nothing in the file yet.
 * @throws {JournalError} when it is something else.
 */
function identify(db: Database): number | undefined {
  const applicationId = number(db, 'PRAGMA application_id');
  const version = number(db, 'PRAGMA user_version');
  const tables = number(db, 'SELECT count(*) FROM sqlite_schema');
  // Also when the process ended while it made the file.
  if (applicationId === 0 && version === 0 && tables === 0) return undefined;
  if (applicationId !== APPLICATION_ID) throw new JournalError('journal_foreign');
  if (version === MOVED_VERSION) throw new JournalError('journal_moved');
  if (!TABLES.has(version)) throw new JournalError('journal_version', `${version}; known is ${VERSION}`);
  return version;
}

function setUp(db: Database): void {
  const mode = db.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode'];
  // SQLite answers with the mode that it stays in; one of memory is for tests.
  if (mode !== 'wal' && mode !== 'memory') throw new JournalError('journal_unopenable', `no write-ahead log, ${mode}`);
  db.exec('PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON');
}

function create(db: Database, identity: string): void {
  db.exec('BEGIN IMMEDIATE');
  db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${VERSION}`);
  for (const statement of Object.values(schemaOf(VERSION))) db.exec(statement);
  db.exec('INSERT INTO journal (floor) VALUES (0)');
  db.prepare('INSERT INTO term (after, identity) VALUES (?, ?)').run(BEFORE_ALL, identity);
  createAuditLog(db, []);
  db.exec('COMMIT');
}

/** @param texts - Entries of a log that had no hash chain. */
function createAuditLog(db: Database, texts: readonly string[]): void {
  const { entries, head } = link(EMPTY_LOG, texts);
  const insert = db.prepare('INSERT INTO audit_entry (id, entry, link) VALUES (?, ?, ?)');
  for (const entry of entries) insert.run(entry.index, entry.text, entry.link);
  db.prepare('INSERT INTO audit_log (start, head) VALUES (?, ?)').run(
    JSON.stringify(encodeState(EMPTY_LOG)),
    JSON.stringify(encodeHead(head)),
  );
}

/** Notes that the journal goes on in another store: this file is refused from now on. */
export function markMoved(db: Database): void {
  db.exec(`PRAGMA user_version = ${MOVED_VERSION}`);
}

function upgrade(db: Database, from: number): void {
  db.exec('BEGIN IMMEDIATE');
  const known = schemaOf(from);
  const wanted = schemaOf(VERSION);
  for (const [name, statement] of Object.entries(wanted)) if (!(name in known)) db.exec(statement);
  const notes = 'audit' in known ? db.prepare('SELECT entry FROM audit ORDER BY id').all() : [];
  createAuditLog(
    db,
    notes.map(({ entry }) => entry as string),
  );
  for (const name of Object.keys(known)) if (!(name in wanted)) db.exec(`DROP TABLE ${name}`);
  db.exec(`PRAGMA user_version = ${VERSION}; COMMIT`);
}

/** @throws {JournalError} `journal_corrupt` unless pages, schema, numbers and terms are as they have to be. */
function verify(db: Database, wanted: Readonly<Record<string, string>>): void {
  const schema = db.prepare('SELECT name, sql FROM sqlite_schema ORDER BY name').all();
  const found = Object.fromEntries(schema.map(({ name, sql }) => [name, sql]));
  const isAlike = ([name, sql]: [string, unknown]): boolean => wanted[name] === sql;
  if (Object.keys(found).length !== Object.keys(wanted).length || !Object.entries(found).every(isAlike)) {
    corrupt('schema');
  }
  const check = db.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
  if (check !== 'ok') corrupt(String(check));
  const [journal, ...more] = db.prepare('SELECT floor FROM journal').all();
  if (journal === undefined || more.length > 0) throw new JournalError('journal_corrupt', 'not one floor');
  const floor = Number(journal['floor']);
  if (!(floor >= 0)) corrupt('floor');
  // Records below the floor are on their way out.
  const kept = db
    .prepare('SELECT count(*) AS n, min(seq) AS first, max(seq) AS last FROM purge WHERE seq > ?')
    .get(floor);
  const { n, first, last } = kept as { n: number; first: number | null; last: number | null };
  if (n > 0 && (first !== floor + 1 || last !== floor + n)) corrupt(`${n} records from ${first} to ${last}`);
  checkTerms(readTerms(db), floor + n - 1, 'journal_corrupt'); // each of them gave out a number
  if (!('audit_log' in wanted)) return;
  const { head } = readAuditBounds(db);
  const newest = number(db, 'SELECT coalesce(max(id), -1) FROM audit_entry');
  if (newest >= head.size)
    corrupt(`audit log: entry ${newest} is beyond its ${head.size}; \`seawall audit verify\` tells more`);
}

/** @throws {JournalError} `journal_corrupt` */
export function readAuditBounds(db: Database): AuditBounds {
  const [row, ...more] = db.prepare('SELECT start, head FROM audit_log').all();
  if (row === undefined || more.length > 0) throw new JournalError('journal_corrupt', 'not one audit log');
  const { start, head } = row as { start: string; head: string };
  return { start: decodeState(parsed(start)), head: decodeHead(parsed(head)) };
}

/** @returns Audit entries from this index on, oldest first. */
export function sealedEntries(db: Database, from: number, limit: number): SealedEntry[] {
  const statement = 'SELECT id, entry, link, checkpoint FROM audit_entry WHERE id >= ? ORDER BY id LIMIT ?';
  return db.prepare(statement).all(from, limit).map(sealedEntry);
}

function sealedEntry({ id, entry, link, checkpoint }: Readonly<Record<string, unknown>>): SealedEntry {
  return {
    index: id as number,
    text: entry as string,
    link: Buffer.from(link as Uint8Array),
    checkpoint: (checkpoint as string | null) ?? undefined,
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new JournalError('journal_corrupt', 'audit log', { cause });
  }
}

/** @returns Those that gave out numbers, oldest first. */
export function readTerms(db: Database): Term[] {
  return db.prepare('SELECT identity, after FROM term ORDER BY after').all() as unknown as Term[];
}

function corrupt(detail: string): never {
  throw new JournalError('journal_corrupt', detail);
}

function number(db: Database, query: string): number {
  return Number(Object.values(db.prepare(query).get() ?? {})[0]);
}

/** Primary result codes of SQLite (sqlite.org/rescode.html). */
const BUSY = 5;
const LOCKED = 6;
const IO_ERROR = 10;
const CORRUPT = 11;
const NOT_A_DATABASE = 26;

/** A query that fails in itself asks for a table that is not there. */
const QUERY_ERROR = 1;

const OPEN_ERRORS: Readonly<Record<number, JournalErrorCode>> = {
  [QUERY_ERROR]: 'journal_corrupt',
  [BUSY]: 'journal_in_use',
  [LOCKED]: 'journal_in_use',
  [CORRUPT]: 'journal_corrupt',
  [NOT_A_DATABASE]: 'journal_foreign',
};

export function openError(error: unknown, file: string): JournalError {
  if (error instanceof JournalError) return new JournalError(error.code, `${file}: ${error.message}`, { cause: error });
  const code = OPEN_ERRORS[resultCode(error) ?? -1] ?? 'journal_unopenable';
  return new JournalError(code, `${file}: ${(error as Error).message}`, { cause: error });
}

/** Place of the journal's file: its path, and the file that was there when it was opened. */
export interface FilePlace {
  readonly path: string;
  readonly inode: number;
}

/** Returns the place of a database's file; `undefined` for one in memory. */
export function filePlace(db: Database): FilePlace | undefined {
  const { file: path } = db.prepare('PRAGMA database_list').get() as { file: string };
  return path === '' ? undefined : { path, inode: statSync(path).ino };
}

/** Returns whether the file is still there: what is written to one that was deleted is gone with the process. */
export function isInPlace({ path, inode }: FilePlace): boolean {
  return statSync(path, { throwIfNoEntry: false })?.ino === inode;
}

/** Undoes what was begun. @returns Whether the journal can go on. */
export function writeError(error: unknown, db: Database): JournalError {
  const { message } = error as Error;
  let code: JournalErrorCode = 'journal_not_written';
  try {
    if (db.isTransaction) db.exec('ROLLBACK');
  } catch {
    code = 'journal_broken'; // and the error that came first says why
  }
  const result = resultCode(error);
  if (result === IO_ERROR || result === CORRUPT || result === NOT_A_DATABASE) code = 'journal_broken';
  return new JournalError(code, message, { cause: error });
}

/** @returns The primary result code, without what an extended one adds. */
function resultCode(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === 'number' ? errcode & 0xff : undefined;
}
