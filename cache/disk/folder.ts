/**
 * The folder of a disk store: whose it is, and what it is called by.
 *
 * ```
 * lock       held by the process that uses the folder: a lock of the system, which ends with the process
 * identity   JSON, and its CRC-32 on a line of its own; a folder whose identity is in doubt is emptied
 * segments   segment after segment (format.ts)
 * ```
 *
 * The identity says which purges have been applied to what is stored. It names its own inode, and is another file after
 * each start and each purge: an older copy of the folder that is written over the present one is found out by that.
 *
 * All of it is for its owner only: what is stored is what visitors were sent.
 * @module
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { isInHistory, type JournalPosition, type Term } from '../../journal/terms.ts';
import { KEY_BYTES } from '../../lib/siphash.ts';
import { FORMAT, type Word64 } from './format.ts';
import { DISK_SYSTEM, type DiskSystem } from './system.ts';

export { DiskInUseError } from './system.ts';

export interface Identity {
  /** In all heads of segments and records. */
  readonly id: Word64;
  /** Key of the hash of keys. */
  readonly secret: Buffer;
}

/** Reason why a folder was emptied on opening. */
export type Renewal = 'empty' | 'format' | 'identity' | 'copied' | 'segments' | 'removals' | 'journal';

/** Position of a journal that has been applied to what is stored. */
export interface AppliedPurges {
  readonly position: JournalPosition;
  /** Identities of the terms that stored responses may name. */
  readonly terms: readonly string[];
}

export interface OpenedFolder {
  readonly identity: Identity;
  readonly segmentsFile: string;
  readonly renewal: Renewal | undefined;
  /** Purges that an earlier process, or this one, has noted. */
  readonly applied: AppliedPurges | undefined;
  /** Notes purges that are applied: on disk when it resolves, or later ones are. Rejects with the system's error. */
  note(applied: AppliedPurges): Promise<void>;
  /** Resolves when nothing is being noted. */
  readonly noted: Promise<void>;
  /** Another process may use the folder from then on, or when what is being noted is written. */
  release(): void;
}

/**
 * @param outdated - Reason why what the folder holds is not used, whatever it is.
 * @throws {DiskInUseError}, or the system's error.
 */
export async function openFolder(
  path: string,
  segmentBytes: number,
  outdated?: Renewal,
  system: DiskSystem = DISK_SYSTEM,
): Promise<OpenedFolder> {
  const unlock = await system.lock(path);
  try {
    return new Folder(await identify(path, segmentBytes, outdated, system), unlock, system);
  } catch (error) {
    unlock();
    throw error;
  }
}

class Folder implements OpenedFolder {
  readonly identity: Identity;
  readonly segmentsFile: string;
  readonly renewal: Renewal | undefined;
  readonly #file: string;
  readonly #unlock: () => void;
  readonly #system: DiskSystem;
  #written: Written;
  /** Content of the next write, while one is running. */
  #next: AppliedPurges | undefined;
  #writing: Promise<void> | undefined;

  constructor({ file, segmentsFile, renewal, written }: Identified, unlock: () => void, system: DiskSystem) {
    this.identity = identityOf(written);
    this.segmentsFile = segmentsFile;
    this.renewal = renewal;
    this.#file = file;
    this.#written = written;
    this.#unlock = unlock;
    this.#system = system;
  }

  get applied(): AppliedPurges | undefined {
    return this.#next ?? this.#written.applied ?? undefined;
  }

  note(applied: AppliedPurges): Promise<void> {
    this.#next = applied;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  get noted(): Promise<void> {
    return (this.#writing ?? Promise.resolve()).catch(() => undefined); // `note` has told of it
  }

  async #write(): Promise<void> {
    for (let applied = this.#next; applied !== undefined; applied = this.#next) {
      this.#written = { ...this.#written, applied };
      this.#next = undefined;
      await writeIdentity(this.#system, this.#file, this.#written);
    }
  }

  release(): void {
    if (this.#writing === undefined) this.#unlock();
    else this.#writing.then(this.#unlock, this.#unlock);
  }
}

/**
 * Returns whether what is stored can be compared with this journal. Not if it went back behind what was applied: of
 * what is stored and was purged since, it says no more that it was. Where it knows none of the terms that stored
 * responses name, it makes no difference: each of them is revalidated before use.
 */
export function isFollowedBy({ position, terms }: AppliedPurges, journal: readonly Term[]): boolean {
  const isKnown = journal.some(({ identity }) => terms.includes(identity));
  return !isKnown || isInHistory(journal, Number.POSITIVE_INFINITY, position);
}

/** File of the identity. */
interface Written {
  readonly format: number;
  readonly segment_bytes: number;
  readonly id: string;
  readonly secret: string;
  /** Inode and birth of the file of segments: those of a copy are others. */
  readonly file: string;
  readonly applied: AppliedPurges | null;
}

/** Inode and birth of the file of the identity itself. */
interface Marked extends Written {
  readonly self: string;
}

interface Identified {
  readonly file: string;
  readonly segmentsFile: string;
  readonly renewal: Renewal | undefined;
  readonly written: Written;
}

async function identify(
  path: string,
  segmentBytes: number,
  outdated: Renewal | undefined,
  system: DiskSystem,
): Promise<Identified> {
  const segmentsFile = join(path, 'segments');
  const file = join(path, 'identity');
  const read = await readIdentity(system, file);
  const difference =
    typeof read === 'string' ? read : await mismatch(system, read, { file, segmentsFile, segmentBytes });
  const renewal = difference ?? outdated;
  const written = renewal === undefined ? (read as Written) : await beginAnew(system, segmentsFile, segmentBytes);
  await writeIdentity(system, file, written);
  return { file, segmentsFile, renewal, written };
}

async function beginAnew(system: DiskSystem, segmentsFile: string, segmentBytes: number): Promise<Written> {
  await system.clear(segmentsFile);
  return {
    format: FORMAT,
    segment_bytes: segmentBytes,
    id: system.random(8).toString('hex'),
    secret: system.random(KEY_BYTES).toString('hex'),
    file: await system.markOf(segmentsFile),
    applied: null,
  };
}

/** A copy that is put back lacks the removals since it was made, and the purges if the journal is part of it. */
async function mismatch(
  system: DiskSystem,
  written: Marked,
  { file, segmentsFile, segmentBytes }: { readonly file: string; readonly segmentsFile: string; segmentBytes: number },
): Promise<Renewal | undefined> {
  if (written.format !== FORMAT) return 'format';
  if (written.segment_bytes !== segmentBytes) return 'segments';
  try {
    const isSame = written.file === (await system.markOf(segmentsFile)) && written.self === (await system.markOf(file));
    return isSame ? undefined : 'copied';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'segments';
    throw error;
  }
}

function identityOf({ id, secret }: Written): Identity {
  const bytes = Buffer.from(id, 'hex');
  return { id: { low: bytes.readInt32LE(0), high: bytes.readInt32LE(4) }, secret: Buffer.from(secret, 'hex') };
}

async function readIdentity(system: DiskSystem, file: string): Promise<Marked | Renewal> {
  let text: string;
  try {
    text = await system.read(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'empty';
    throw error;
  }
  const [json = '', checksum] = text.split('\n');
  if (checksum !== checksumOf(json)) return 'identity';
  return JSON.parse(json) as Marked; // as it was written, so it is JSON; another format says so
}

function writeIdentity(system: DiskSystem, file: string, written: Written): Promise<void> {
  return system.replace(file, (mark) => {
    const marked: Marked = { ...written, self: mark };
    const json = JSON.stringify(marked);
    return `${json}\n${checksumOf(json)}\n`;
  });
}

function checksumOf(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
