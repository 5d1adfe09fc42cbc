/**
 * Request bodies on this node until they are whole: the last 64 KiB of each in
 * memory, what came before in one file for all of them, whose name is removed
 * as soon as it is open.
 *
 * Memory and file are bounded, and shared out between visitors
 * (http/upstream/fair-share.ts). The file is a row of blocks; a body has a list of them,
 * and gives them back when it has been read or given up.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { finished, Readable } from 'node:stream';
import { HttpError } from '../errors.ts';
import { WholeBody } from '../http1/whole-body.ts';
import { FairShare } from '../upstream/fair-share.ts';

export interface SpoolOptions {
  /** Folder of the file; asked when the file is opened. */
  readonly folder: () => string;
  /** Bytes of memory for all bodies together; may change. */
  readonly memoryBytes: () => number;
  /** Bytes of the file; may change. */
  readonly fileBytes: () => number;
}

const BLOCK_BYTES = 64 * 1024;

/** Memory of a body that has just begun; doubled as it grows, up to a block. */
const FIRST_BYTES = 1024;

/** A file that was larger than so many blocks is not kept when nothing is in it. */
const FREE_BLOCKS = 256;

/** Largest part of memory and file that one visitor may have. */
const VISITOR_SHARE = 1 / 4;

export class Spool {
  readonly #folder: () => string;
  readonly memory: FairShare;
  readonly blocks: FairShare;
  #file: Promise<FileHandle> | undefined;
  /** Numbers of blocks that were used and are free again. */
  readonly #free: number[] = [];
  /** Number of the first block that was never used. */
  #next = 0;

  constructor({ folder, memoryBytes, fileBytes }: SpoolOptions) {
    this.#folder = folder;
    this.memory = new FairShare({ capacity: memoryBytes, share: VISITOR_SHARE });
    this.blocks = new FairShare({ capacity: () => Math.floor(fileBytes() / BLOCK_BYTES), share: VISITOR_SHARE });
  }

  /**
   * Takes a body until it is whole.
   *
   * @param visitor - Block of addresses that it counts for.
   * @returns The body, to be read once; destroying it gives back what it holds.
   * @throws {HttpError} `spool_full` when there is no room, or the disk is full; the error that the body broke off
   * with.
   */
  async take(body: Readable, visitor: string | undefined): Promise<Readable> {
    const kept = new SpooledBody(this, visitor);
    try {
      await readAll(body, (piece) => kept.append(piece));
      return kept.reader();
    } catch (error) {
      kept.release();
      body.destroy();
      throw error;
    }
  }

  /**
   * Takes a body that is whole already.
   *
   * @returns The same body; destroying it gives back what it holds.
   * @throws {HttpError} `spool_full` when there is no room.
   */
  takeWhole(body: WholeBody, visitor: string | undefined): WholeBody {
    const { length } = body.bytes;
    if (!this.memory.tryTake(visitor, length)) {
      body.destroy();
      throw noMemory();
    }
    body.heldBy(() => this.memory.release(visitor, length));
    return body;
  }

  /** @returns The number of a block, which is the caller's until it gives it back. */
  takeBlock(visitor: string | undefined): number {
    if (!this.blocks.tryTake(visitor)) throw new HttpError('spool_full', 'no room in the file: spool.file');
    return this.#free.pop() ?? this.#next++;
  }

  releaseBlock(block: number, visitor: string | undefined): void {
    this.#free.push(block);
    this.blocks.release(visitor);
    if (this.blocks.taken === 0 && this.#next > FREE_BLOCKS) this.#startAnew();
  }

  /** Gives the disk back what a time of many bodies took of it. */
  #startAnew(): void {
    this.#free.length = 0;
    this.#next = 0;
    this.close().catch(() => undefined); // waits for what is being read or written
  }

  async write(block: number, bytes: Buffer): Promise<void> {
    try {
      const { bytesWritten } = await (await this.#opened()).write(bytes, 0, bytes.length, block * BLOCK_BYTES);
      if (bytesWritten !== bytes.length)
        throw new Error(`no space: ${bytesWritten} of ${bytes.length} bytes were written`);
    } catch (error) {
      throw new HttpError('spool_full', `spool.folder ${this.#folder()}: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  async read(block: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(BLOCK_BYTES);
    const { bytesRead } = await (await this.#opened()).read(bytes, 0, BLOCK_BYTES, block * BLOCK_BYTES);
    if (bytesRead !== BLOCK_BYTES) throw new HttpError('internal', `${bytesRead} bytes of a block were read`);
    return bytes;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await (await file?.catch(() => undefined))?.close();
  }

  #opened(): Promise<FileHandle> {
    this.#file ??= openUnnamed(this.#folder()).catch((error: unknown) => {
      this.#file = undefined; // the folder may be there next time
      throw error;
    });
    return this.#file;
  }
}

/** A file that no other process can open, and that is gone with this one. */
async function openUnnamed(folder: string): Promise<FileHandle> {
  const path = join(folder, `seawall-spool-${randomUUID()}`);
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  await unlink(path);
  return file;
}

/** One body. */
class SpooledBody {
  readonly #spool: Spool;
  readonly #visitor: string | undefined;
  readonly #blocks: number[] = [];
  #tail: Buffer = Buffer.alloc(0);
  /** Bytes of `#tail` that are the body's. */
  #length = 0;

  constructor(spool: Spool, visitor: string | undefined) {
    this.#spool = spool;
    this.#visitor = visitor;
  }

  /** The piece may be a part of a larger buffer, and is copied: a byte must not keep 64 KiB alive. */
  append(piece: Buffer): void | Promise<void> {
    const at = this.#fill(piece, 0);
    if (at < piece.length) return this.#appendRest(piece, at);
  }

  async #appendRest(piece: Buffer, from: number): Promise<void> {
    for (let at = from; at < piece.length; at = this.#fill(piece, at)) await this.#flush();
  }

  /** @returns How far the piece is copied: not to its end where the block is full. */
  #fill(piece: Buffer, from: number): number {
    let at = from;
    while (at < piece.length && this.#length < BLOCK_BYTES) {
      if (this.#length === this.#tail.length) this.#grow(piece.length - at);
      const copied = piece.copy(this.#tail, this.#length, at);
      this.#length += copied;
      at += copied;
    }
    return at;
  }

  #grow(wanted: number): void {
    const before = this.#tail.length;
    let bytes = Math.max(before * 2, FIRST_BYTES);
    while (bytes < before + wanted && bytes < BLOCK_BYTES) bytes *= 2;
    if (!this.#spool.memory.tryTake(this.#visitor, bytes - before)) throw noMemory();
    const tail = Buffer.allocUnsafeSlow(bytes);
    this.#tail.copy(tail, 0, 0, this.#length);
    this.#tail = tail;
  }

  async #flush(): Promise<void> {
    const block = this.#spool.takeBlock(this.#visitor);
    this.#blocks.push(block);
    await this.#spool.write(block, this.#tail);
    this.#length = 0;
  }

  async read(): Promise<Buffer | null> {
    const block = this.#blocks[0];
    if (block !== undefined) {
      const bytes = await this.#spool.read(block);
      if (this.#blocks.shift() !== undefined) this.#spool.releaseBlock(block, this.#visitor);
      return bytes;
    }
    if (this.#length === 0) return null;
    const bytes = this.#tail.subarray(0, this.#length);
    this.#length = 0;
    return bytes;
  }

  /** Gives everything back. Idempotent. */
  release(): void {
    for (const block of this.#blocks.splice(0)) this.#spool.releaseBlock(block, this.#visitor);
    if (this.#tail.length > 0) this.#spool.memory.release(this.#visitor, this.#tail.length);
    this.#tail = Buffer.alloc(0);
    this.#length = 0;
  }

  /** @returns The body: as a whole where all of it is in memory. */
  reader(): Readable {
    if (this.#blocks.length > 0) return new SpooledReader(this);
    const whole = new WholeBody(this.#tail.subarray(0, this.#length));
    whole.heldBy(() => this.release());
    return whole;
  }
}

/**
 * Reads a body to its end. An asynchronous iterator would take several turns for each body, however small.
 *
 * @param take - Called with each piece; the next one is read when it has been taken.
 * @returns Rejects with the error of the body or of `take`, and not before the last piece has been taken.
 */
function readAll(body: Readable, take: (piece: Buffer) => void | Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    let taking: Promise<void> | undefined;
    const end = (error?: unknown): void => {
      stopWaiting();
      body.off('readable', read);
      const settle = (): void => (error ? reject(error) : resolve());
      if (taking === undefined) settle();
      else taking.then(settle, settle);
    };
    const stopWaiting = finished(body, { writable: false }, end);
    const goOn = (): void => {
      taking = undefined;
      read();
    };
    const read = (): void => {
      if (taking !== undefined) return;
      try {
        for (let piece = body.read() as Buffer | null; piece !== null; piece = body.read()) {
          taking = take(piece) ?? undefined;
          if (taking === undefined) continue;
          taking.then(goOn, end);
          return;
        }
      } catch (error) {
        end(error);
      }
    };
    body.on('readable', read);
    read();
  });
}

function noMemory(): HttpError {
  return new HttpError('spool_full', 'no room in memory: spool.memory');
}

class SpooledReader extends Readable {
  readonly #body: SpooledBody;
  #reading: Promise<void> | undefined;

  constructor(body: SpooledBody) {
    super({ highWaterMark: BLOCK_BYTES });
    this.#body = body;
  }

  override _read(): void {
    this.#reading = this.#body.read().then(
      (bytes) => void this.push(bytes),
      (error: Error) => void this.destroy(error),
    );
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // A block that is being read is another body's only afterwards.
    void Promise.resolve(this.#reading).then(() => {
      this.#body.release();
      done(error);
    });
  }
}
