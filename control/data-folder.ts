/**
 * Files of the control node that outlive the process.
 *
 *     journal.sqlite    the journal with its idempotency keys (journal/embedded.ts); one process has it open
 *     control.sqlite    tokens, jobs, the registry of nodes, and entries that wait for the audit log; commands open it
 *                       beside the control node
 *     drains.json       which regions are drained by a call (drains.ts)
 *     audit.key         signs the audit log (audit-key.ts)
 *     audit.jsonl       who purged what; audit.jsonl.1 and so on are older
 * @module
 */
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { problemWithout } from '../config/document.ts';
import { siblingPath } from '../config/path.ts';
import { ConfigError } from '../config/problem.ts';
import type { RegionConfig } from '../config/schema.ts';

export type ControlConfig = NonNullable<RegionConfig['control']>;

export interface DataFolder {
  readonly folder: string;
  readonly journal: string;
  readonly database: string;
  readonly audit: string;
  readonly drains: string;
}

/** Names of what is kept here, and of what SQLite keeps beside its files. */
const OWN_FILE =
  /^(?:(?:journal|control)\.sqlite(?:-wal|-shm|-journal)?|drains\.json(?:\.\w+)?|audit\.key|audit\.jsonl(?:\.\d+)?)$/;

const FOR_OTHERS = 0o077;
const WRITABLE_FOR_OTHERS = 0o022;

/**
 * Makes the folder if it is not there. Only its owner can read its
 * content, however it was made before: a folder that holds nothing else is
 * closed, in one that holds other things the files are.
 *
 * @param file - The region file that names the folder.
 * @throws {ConfigError} when it cannot be made, or not be closed to others.
 */
export function openDataFolder(file: string, control: Pick<ControlConfig, 'data'>): DataFolder {
  const folder = siblingPath(file, control.data);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw dataProblem(file, `${folder} cannot be made (${(error as Error).message})`);
  }
  closeToOthers(file, folder);
  return {
    folder,
    journal: join(folder, 'journal.sqlite'),
    database: join(folder, 'control.sqlite'),
    audit: join(folder, 'audit.jsonl'),
    drains: join(folder, 'drains.json'),
  };
}

/** @throws {ConfigError} */
function closeToOthers(file: string, folder: string): void {
  const fix = `Run \`chmod -R go= ${folder}\` as its owner, or name another folder.`;
  const names = readdirSync(folder);
  const { mode } = statSync(folder);
  try {
    if ((mode & FOR_OTHERS) !== 0) {
      if (names.every((name) => OWN_FILE.test(name))) chmodSync(folder, mode & ~FOR_OTHERS & 0o777);
      else if ((mode & WRITABLE_FOR_OTHERS) !== 0) throw new Error('others may write to it, and it holds other things');
    }
    // SQLite gives the files beside a database the mode that the database has.
    for (const name of ['journal.sqlite', 'control.sqlite']) makeFile(join(folder, name));
    for (const name of names) {
      const path = join(folder, name);
      if (OWN_FILE.test(name) && (statSync(path).mode & FOR_OTHERS) !== 0) chmodSync(path, 0o600);
    }
  } catch (error) {
    throw dataProblem(file, `${folder} cannot be closed to other users (${(error as Error).message})`, fix);
  }
}

/**
 * Makes an empty file where there is none. One that is there is not opened: closing it would release the locks that
 * SQLite has on it in this process (sqlite.org/howtocorrupt.html, section 2.2).
 */
function makeFile(file: string): void {
  if (!existsSync(file)) closeSync(openSync(file, 'a', 0o600));
}

/** Makes a problem about the folder or one of its files, on the config key that names it. */
export function dataProblem(
  file: string,
  message: string,
  fix = 'Name a folder that this user may write to.',
): ConfigError {
  return new ConfigError([problemWithout(file, 'control.data', message, fix)]);
}

const APPLICATION_ID = 0x5357_434f; // "SWCO"
const VERSION = 4;

const SCHEMA = `
CREATE TABLE token (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL, sites TEXT NOT NULL, kinds TEXT NOT NULL,
  read INTEGER NOT NULL, created INTEGER NOT NULL, expires INTEGER, revoked INTEGER
) STRICT;
`;

/** New in version 2: a file of version 1 gets it when it is opened. */
const OUTBOX = 'CREATE TABLE audit_waiting (id TEXT PRIMARY KEY, entry TEXT NOT NULL) STRICT;';

/** New in version 3. A version is never given again: AUTOINCREMENT sees to that. */
const JOBS = `
CREATE TABLE job_row (version INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, value TEXT NOT NULL) STRICT;
`;

/** New in version 4: rows of the registry of nodes, in JSON. */
const MEMBERS = 'CREATE TABLE member (name TEXT PRIMARY KEY, row TEXT NOT NULL) STRICT;';

/** Statements that bring a file of each older version, in order, to the next one. */
const ADDED = [OUTBOX, JOBS, MEMBERS];

/** Another process may be writing: a token is being made, or used. */
const BUSY_TIMEOUT_MS = 5_000;

/** @throws {Error} that says why the file cannot be used. */
export function openControlDatabase(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS });
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; BEGIN IMMEDIATE');
    const id = pragma(db, 'application_id');
    const version = pragma(db, 'user_version');
    const isNew = id === 0 && Number(db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n']) === 0;
    if (isNew)
      db.exec(
        `${SCHEMA} ${ADDED.join(' ')} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${VERSION}`,
      );
    else if (id !== APPLICATION_ID) throw new Error(`${file} is not a database of Seawall's control node`);
    else if (version >= 1 && version < VERSION)
      db.exec(`${ADDED.slice(version - 1).join(' ')} PRAGMA user_version = ${VERSION}`);
    else if (version !== VERSION) throw new Error(`${file} is of version ${version}; known is ${VERSION}`);
    db.exec('COMMIT');
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
}
