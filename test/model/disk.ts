/**
 * The disk of a node of the model: files in memory, whose operations take simulated time, and which fail, forget and
 * change as those of a machine do that loses its power, has a bad disk, or is restored from a copy.
 *
 * A process that is killed leaves what it has handed over, and of a write that is under way a part. A machine that
 * loses its power leaves of what was not synced any part of any write; of a file that took another's place, perhaps
 * the one before it.
 * @module
 */
import { DiskInUseError, type DiskSystem, type OpenFile } from '../../cache/disk/system.ts';
import type { Network, Place } from './network.ts';

/** Times that an operation takes, by the noise. */
const DELAYS_MS = [0, 0, 1, 3, 10, 30, 100, 400];

/** Writes that a system holds back at most: older ones are on disk. */
const MAX_HELD_WRITES = 48;

interface HeldWrite {
  readonly position: number;
  readonly bytes: Buffer;
}

/** A file: as the system shows it, and as it is on disk. */
class ModelFile {
  readonly mark: string;
  bytes: Buffer;
  #onDisk: Buffer;
  #held: HeldWrite[] = [];

  constructor(mark: string, bytes: Buffer) {
    this.mark = mark;
    this.bytes = bytes;
    this.#onDisk = Buffer.from(bytes);
  }

  /** The same content, with the same mark unless it is another one. */
  copy(mark: string = this.mark): ModelFile {
    return new ModelFile(mark, Buffer.from(this.bytes));
  }

  resize(bytes: number): void {
    this.bytes = resized(this.bytes, bytes);
    this.#onDisk = resized(this.#onDisk, bytes);
  }

  write(position: number, bytes: Buffer): void {
    bytes.copy(this.bytes, position);
    this.#held.push({ position, bytes: Buffer.from(bytes) });
    const oldest = this.#held.length > MAX_HELD_WRITES ? this.#held.shift() : undefined;
    oldest?.bytes.copy(this.#onDisk, oldest.position);
  }

  /** Damage to what is on disk. */
  flip(bit: number): void {
    if (this.bytes.length === 0) return;
    const [at, mask] = [(bit >> 3) % this.bytes.length, 1 << (bit & 7)];
    for (const bytes of [this.bytes, this.#onDisk]) bytes[at] = (bytes[at] as number) ^ mask;
    this.#held = [];
    this.#onDisk = Buffer.from(this.bytes);
  }

  /** @param keeps - Part of each write that has come to the disk, from 0 to 1. */
  losePower(keeps: () => number): void {
    for (const { position, bytes } of this.#held) {
      bytes.copy(this.#onDisk, position, 0, Math.floor(bytes.length * keeps()));
    }
    this.#held = [];
    this.bytes = Buffer.from(this.#onDisk);
  }
}

function resized(bytes: Buffer, length: number): Buffer {
  return bytes.length >= length
    ? bytes.subarray(0, length)
    : Buffer.concat([bytes, Buffer.alloc(length - bytes.length)]);
}

/**
 * Ways in which a copy of the folder is put back: as other files, written over those that are there, or with the whole
 * file system.
 */
export const WAYS_BACK = ['copied', 'written over', 'file system'] as const;
export type WayBack = (typeof WAYS_BACK)[number];

/** @param files - By name. */
type Files = Map<string, ModelFile>;

export class ModelDisk {
  readonly #network: Network;
  readonly #place: Place;
  #files: Files = new Map();
  /** Files that others took the place of lately. */
  readonly #before: Files = new Map();
  /** The first copy that was made of the folder. */
  #copy: Files | undefined;
  #marks = 0;
  #randoms = 0;
  /** Writes under way. */
  readonly #writing = new Set<{ readonly file: ModelFile; readonly position: number; readonly bytes: Buffer }>();
  #failsUntil = 0;
  #holder: number | undefined;
  operations = 0;

  constructor(network: Network, place: Place) {
    this.#network = network;
    this.#place = place;
  }

  /** Every operation fails for so long. */
  fail(ms: number): void {
    this.#failsUntil = Math.max(this.#failsUntil, this.#network.clock.now + ms);
  }

  heal(): void {
    this.#failsUntil = 0;
  }

  /** The process has ended. */
  processEnded(): void {
    for (const { file, position, bytes } of this.#writing) {
      const part = bytes.subarray(0, Math.floor(bytes.length * this.#network.random()));
      if (part.length > 0) file.write(position, part);
    }
    this.#writing.clear();
    this.#holder = undefined;
  }

  /** The machine loses its power, while no process runs. */
  losePower(): void {
    for (const [name, before] of this.#before) if (this.#network.random() < 0.25) this.#files.set(name, before);
    for (const file of this.#files.values()) file.losePower(() => Math.min(1, this.#network.random() * 2));
    this.#before.clear();
  }

  /** @param file - Number of the file. */
  flip(file: number, bit: number): void {
    const files = [...this.#files.values()];
    files[file % Math.max(1, files.length)]?.flip(bit);
  }

  copy(): void {
    this.#copy ??= copyOf(this.#files);
  }

  putBack(way: WayBack): void {
    const copy = this.#copy;
    if (copy === undefined) return;
    this.#before.clear();
    if (way === 'file system') this.#files = copyOf(copy);
    else if (way === 'copied') this.#files = new Map([...copy].map(([name, file]) => [name, file.copy(this.#mark())]));
    else for (const [name, file] of copy) this.#files.set(name, file.copy(this.#files.get(name)?.mark ?? this.#mark()));
  }

  /** Empties it. */
  clear(): void {
    this.#files.clear();
    this.#before.clear();
  }

  /** The system, as the process sees it that runs now. */
  get system(): DiskSystem {
    const { life } = this.#place;
    return {
      lock: async (folder) => {
        await this.#operation();
        if (this.#holder !== undefined) throw new DiskInUseError(folder);
        this.#holder = life;
        return () => {
          if (this.#holder === life) this.#holder = undefined;
        };
      },
      markOf: async (name) => (await this.#find(name)).mark,
      read: async (name) => (await this.#find(name)).bytes.toString('utf8'),
      replace: async (name, textFor) => {
        const mark = this.#mark();
        await this.#operation();
        const known = this.#files.get(name);
        if (known !== undefined) this.#before.set(name, known);
        this.#files.set(name, new ModelFile(mark, Buffer.from(textFor(mark))));
      },
      clear: async (name) => {
        await this.#operation();
        this.#files.set(name, new ModelFile(this.#mark(), Buffer.alloc(0)));
      },
      open: async (name, bytes) => {
        const file = await this.#find(name);
        file.resize(bytes);
        return this.#open(file);
      },
      after: (ms, happen) => {
        const timer = this.#network.at(this.#place, this.#network.clock.now + ms, happen);
        return () => timer.cancel();
      },
      random: (bytes) => Buffer.from(Array.from({ length: bytes }, () => this.#byte())),
    };
  }

  #open(file: ModelFile): OpenFile {
    return {
      read: (target, offset, position, done) =>
        void this.#operation().then(
          () => done(null, file.bytes.copy(target, offset, position, position + target.length - offset)),
          (error: Error) => done(error, 0),
        ),
      write: (source, offset, position, done) => {
        const write = { file, position, bytes: source.subarray(offset) };
        this.#writing.add(write);
        this.#operation().then(
          () => {
            this.#writing.delete(write);
            file.write(position, write.bytes);
            done(null, write.bytes.length);
          },
          (error: Error) => {
            this.#writing.delete(write);
            done(error, 0);
          },
        );
      },
      close: (done) => void this.#operation().then(done, done),
    };
  }

  async #find(name: string): Promise<ModelFile> {
    await this.#operation();
    const file = this.#files.get(name);
    if (file === undefined) throw Object.assign(new Error(`ENOENT: ${name}`), { code: 'ENOENT' });
    return file;
  }

  /** Resolves when an operation is done that begins now; never if the process ends before that. */
  #operation(): Promise<void> {
    this.operations++;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { clock } = this.#network;
    const delayMs = DELAYS_MS[Math.floor(this.#network.random() * DELAYS_MS.length)] as number;
    this.#network.at(this.#place, clock.now + delayMs, () => {
      if (clock.now < this.#failsUntil) reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
      else resolve();
    });
    return promise;
  }

  #mark(): string {
    return `inode ${++this.#marks}`;
  }

  /** Numbers that look random, the same ones each time (a linear congruential generator). */
  #byte(): number {
    this.#randoms = (Math.imul(this.#randoms, 1_664_525) + 1_013_904_223) | 0;
    return this.#randoms >>> 24;
  }
}

function copyOf(files: Files): Files {
  return new Map([...files].map(([name, file]) => [name, file.copy()]));
}
