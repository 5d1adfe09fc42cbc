/**
 * Services of the system that a disk cache uses: files, timers, randomness. The model of the purge protocol has others,
 * with which it ends processes at any moment (test/model/disk.ts).
 * @module
 */
import { randomBytes } from 'node:crypto';
import {
  type BigIntStats,
  constants,
  close as fsClose,
  open as fsOpen,
  read as fsRead,
  ftruncate as fsTruncate,
  write as fsWrite,
} from 'node:fs';
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';

/** Another process, or another store of this one, uses the folder. */
export class DiskInUseError extends Error {
  readonly path: string;

  constructor(path: string) {
    super(`${path} is used by another process`);
    this.path = path;
  }
}

export interface DiskSystem {
  /**
   * Makes the folder if there is none, for its owner only, and locks it.
   *
   * @returns What unlocks it. @throws {DiskInUseError}
   */
  lock(folder: string): Promise<() => void>;
  /** @returns Inode and birth of the file: those of a copy are others. @throws `ENOENT` if there is none. */
  markOf(file: string): Promise<string>;
  /** @throws `ENOENT` if there is none. */
  read(file: string): Promise<string>;
  /**
   * Puts a new file in the place of the one that is there, at once; it is on disk when this resolves.
   *
   * @param textFor - Returns its content, which may name the mark of the file.
   */
  replace(file: string, textFor: (mark: string) => string): Promise<void>;
  /** Puts an empty file in the place of the one that is there. */
  clear(file: string): Promise<void>;
  /** Opens a file of so many bytes. */
  open(file: string, bytes: number): Promise<OpenFile>;
  /** Starts a timer that does not keep the process running. @returns What stops it. */
  after(ms: number, happen: () => void): () => void;
  random(bytes: number): Buffer;
}

/** A file that is read and written at any place; each call may do a part of what is asked for. */
export interface OpenFile {
  read(target: Buffer, offset: number, position: number, done: (error: Error | null, bytes: number) => void): void;
  write(source: Buffer, offset: number, position: number, done: (error: Error | null, bytes: number) => void): void;
  close(done: () => void): void;
}

export const DISK_SYSTEM: DiskSystem = {
  async lock(folder) {
    await makeFolder(folder);
    await chmod(folder, 0o700);
    return lock(folder);
  },

  async markOf(file) {
    return markOf(await stat(file, { bigint: true }));
  },

  read: (file) => readFile(file, 'utf8'),

  async replace(file, textFor) {
    const temporary = `${file}.new`;
    await rm(temporary, { force: true });
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(textFor(markOf(await handle.stat({ bigint: true }))));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  },

  async clear(file) {
    await rm(file, { force: true });
    await (await open(file, 'wx', 0o600)).close();
  },

  async open(file, bytes) {
    const fd = await openFile(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      await truncateFile(fd, bytes);
    } catch (error) {
      await closeFile(fd);
      throw error;
    }
    return {
      read: (target, offset, position, done) => fsRead(fd, target, offset, target.length - offset, position, done),
      write: (source, offset, position, done) => fsWrite(fd, source, offset, source.length - offset, position, done),
      close: (done) => fsClose(fd, done),
    };
  },

  after(ms, happen) {
    const timer = setTimeout(happen, ms).unref();
    return () => clearTimeout(timer);
  },

  random: randomBytes,
};

const openFile = promisify(fsOpen);
const closeFile = promisify(fsClose);
const truncateFile = promisify(fsTruncate);

/** Makes the folder. On a read-only file system, a recursive `mkdir` of Node fails with ENOENT instead of EROFS. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') await mkdir(path, { recursive: true, mode: 0o700 });
    else if (code !== 'EEXIST') throw error;
  }
}

/** Result codes of SQLite: busy, locked. */
const HELD: ReadonlySet<unknown> = new Set([5, 6]);

/**
 * SQLite locks with the record locks of the system, which no `kill -9` leaves behind; Node itself has no call for them.
 */
async function lock(path: string): Promise<() => void> {
  const file = join(path, 'lock');
  await makeLockFile(file);
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (HELD.has((error as { errcode?: number }).errcode)) throw new DiskInUseError(path);
    throw error;
  }
  return () => database.close();
}

/** One that is there is not opened: as soon as it was closed, all locks of this process on it would be gone. */
async function makeLockFile(file: string): Promise<void> {
  try {
    await (await open(file, 'wx', 0o600)).close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function markOf({ ino, birthtimeNs }: BigIntStats): string {
  return `${ino} ${birthtimeNs}`;
}
