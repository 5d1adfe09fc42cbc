/**
 * The folder of a disk store: whose it is, and what it is called by.
 *
 * ```
 * lock       held by the process that uses the folder: a lock of the system, which ends with the process
 * identity   JSON, and its CRC-32 on a line of its own; a folder whose identity is in doubt is emptied
 * segments   segment after segment (format.ts)
 * ```
 *
 * All of it is for its owner only: what is stored is what visitors were sent.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { KEY_BYTES } from '../../lib/siphash.ts';
import { FORMAT, type Word64 } from './format.ts';

export interface Identity {
  /** In all heads of segments and records. */
  readonly id: Word64;
  /** Key of the hash of keys. */
  readonly secret: Buffer;
}

/** Reason why a folder was emptied on opening. */
export type Renewal = 'empty' | 'format' | 'identity' | 'copied' | 'segments' | 'removals';

export interface OpenedFolder {
  readonly identity: Identity;
  readonly segmentsFile: string;
  readonly renewal: Renewal | undefined;
  /** Another process may use the folder from then on. */
  release(): void;
}

/** Another process, or another store of this one, uses the folder. */
export class DiskInUseError extends Error {
  readonly path: string;

  constructor(path: string) {
    super(`${path} is used by another process`);
    this.path = path;
  }
}

/**
 * @param isOutdated - True if more was removed than is known of: what the folder holds is not used.
 * @throws {DiskInUseError}, or the system's error.
 */
export async function openFolder(path: string, segmentBytes: number, isOutdated = false): Promise<OpenedFolder> {
  await makeFolder(path);
  await chmod(path, 0o700);
  const release = await lock(path);
  try {
    return { ...(await identify(path, segmentBytes, isOutdated)), release };
  } catch (error) {
    release();
    throw error;
  }
}

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
  await (await open(file, 'a', 0o600)).close();
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

/** File of the identity. */
interface Written {
  readonly format: number;
  readonly segment_bytes: number;
  readonly id: string;
  readonly secret: string;
  /** Inode and birth of the file of segments: those of a copy are others. */
  readonly file: string;
}

async function identify(
  path: string,
  segmentBytes: number,
  isOutdated: boolean,
): Promise<Omit<OpenedFolder, 'release'>> {
  const segmentsFile = join(path, 'segments');
  const file = join(path, 'identity');
  const read = await readIdentity(file);
  const difference = typeof read === 'string' ? read : await mismatch(read, segmentsFile, segmentBytes);
  const renewal = difference ?? (isOutdated ? 'removals' : undefined);
  if (renewal === undefined) return { identity: identityOf(read as Written), segmentsFile, renewal };
  await rm(segmentsFile, { force: true });
  await (await open(segmentsFile, 'wx', 0o600)).close();
  const written: Written = {
    format: FORMAT,
    segment_bytes: segmentBytes,
    id: randomBytes(8).toString('hex'),
    secret: randomBytes(KEY_BYTES).toString('hex'),
    file: await fileMark(segmentsFile),
  };
  await writeIdentity(file, written);
  return { identity: identityOf(written), segmentsFile, renewal };
}

async function mismatch(written: Written, segmentsFile: string, segmentBytes: number): Promise<Renewal | undefined> {
  if (written.format !== FORMAT) return 'format';
  if (written.segment_bytes !== segmentBytes) return 'segments';
  try {
    return written.file === (await fileMark(segmentsFile)) ? undefined : 'copied';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'segments';
    throw error;
  }
}

/**
 * A copy that is put back lacks the removals since it was made. (Those that purges cause are found out without this, by
 * the journal.)
 */
async function fileMark(file: string): Promise<string> {
  const { ino, birthtimeNs } = await stat(file, { bigint: true });
  return `${ino} ${birthtimeNs}`;
}

function identityOf({ id, secret }: Written): Identity {
  const bytes = Buffer.from(id, 'hex');
  return { id: { low: bytes.readInt32LE(0), high: bytes.readInt32LE(4) }, secret: Buffer.from(secret, 'hex') };
}

async function readIdentity(file: string): Promise<Written | Renewal> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'empty';
    throw error;
  }
  const [json = '', checksum] = text.split('\n');
  if (checksum !== checksumOf(json)) return 'identity';
  const written = JSON.parse(json) as Written; // as it was written, so it is JSON; another format says so
  return written;
}

async function writeIdentity(file: string, written: Written): Promise<void> {
  const json = JSON.stringify(written);
  const temporary = `${file}.new`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(`${json}\n${checksumOf(json)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}

function checksumOf(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
