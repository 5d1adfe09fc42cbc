/**
 * The file of segments: reads at any place, a few at a time, and writes one after another in the order of their calls.
 *
 * Node runs file operations in four threads that all of the process shares. Of those, writes take one at a time and
 * reads two, so a disk that hangs leaves one to everything else. Reads that have to wait are bounded in number and in
 * time.
 * @module
 */
import { type MonotonicMs, monotonicNow, msSince } from '../../lib/clock.ts';
import { DISK_SYSTEM, type DiskSystem, type OpenFile } from './system.ts';

const READS_AT_A_TIME = 2;
const MAX_WAITING_READS = 1_024;

/** Time for one read, the wait included; a miss upstream is better than a longer one. */
const READ_TIMEOUT_MS = 1_000;

/** An operation that takes longer says that the disk hangs. */
export const HANG_MS = 10_000;

/** The disk is too busy for this read; it says nothing of the disk's health. */
export class DiskBusyError extends Error {
  constructor() {
    super('the disk is busy');
  }
}

interface Read {
  readonly position: number;
  readonly bytes: number;
  readonly done: (error: Error | null, bytes?: Buffer) => void;
  /** Cleared when the timeout has answered. */
  isWanted: boolean;
}

interface Write {
  readonly position: number;
  readonly bytes: Buffer;
  readonly written: () => void;
}

export class Space {
  readonly #file: OpenFile;
  readonly #system: DiskSystem;
  readonly #onFailed: (error: Error) => void;
  readonly #waiting: Read[] = [];
  readonly #writes: Write[] = [];
  #writing: Write | undefined;
  readonly #reading = new Set<{ readonly since: MonotonicMs }>();
  #writingSince: MonotonicMs | undefined;
  #pendingBytes = 0;
  #isClosed = false;
  #isFileClosed = false;
  readonly #fileClosed = Promise.withResolvers<void>();
  #idle: (() => void) | undefined;

  /** @param onFailed - Called once, with the error of the first operation that fails. */
  static async open(
    file: string,
    bytes: number,
    onFailed: (error: Error) => void,
    system: DiskSystem = DISK_SYSTEM,
  ): Promise<Space> {
    return new Space(await system.open(file, bytes), onFailed, system);
  }

  private constructor(file: OpenFile, onFailed: (error: Error) => void, system: DiskSystem) {
    this.#file = file;
    this.#onFailed = onFailed;
    this.#system = system;
  }

  /** Bytes of writes that are not done. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /**
   * @returns So many bytes, or fewer at the end of the file. What waits to be written counts as written.
   * @throws {DiskBusyError} when it would take too long; the error of the system.
   */
  read(position: number, bytes: number, timeoutMs: number = READ_TIMEOUT_MS): Promise<Buffer> {
    const pending = this.#pending(position, bytes);
    if (pending !== undefined) return Promise.resolve(pending);
    return new Promise((resolve, reject) => {
      if (this.#isClosed || this.#waiting.length >= MAX_WAITING_READS) {
        this.#noticeHang();
        reject(new DiskBusyError());
        return;
      }
      const stopTimer = this.#system.after(timeoutMs, () => {
        read.isWanted = false;
        this.#noticeHang();
        reject(new DiskBusyError());
      });
      const read: Read = {
        position,
        bytes,
        isWanted: true,
        done: (error, buffer) => {
          stopTimer();
          if (error) reject(error);
          else resolve(buffer as Buffer);
        },
      };
      this.#waiting.push(read);
      this.#readOn();
    });
  }

  /** Writes after all writes before it. @param written - Called when the system has taken it. */
  write(position: number, bytes: Buffer, written: () => void = nothing): void {
    if (this.#isClosed) return;
    this.#pendingBytes += bytes.length;
    this.#writes.push({ position, bytes, written });
    this.#noticeHang();
    if (this.#writingSince === undefined) this.#writeOn();
  }

  /** Resolves when all writes are done, or one has failed. */
  async drain(): Promise<void> {
    if (this.#writingSince === undefined) return;
    await new Promise<void>((resolve) => {
      const before = this.#idle;
      this.#idle = () => {
        before?.();
        resolve();
      };
    });
  }

  /** Resolves when the file is closed. */
  get closed(): Promise<void> {
    return this.#fileClosed.promise;
  }

  /** Starts nothing any more. The file is closed when what runs has ended: a disk that hangs delays no caller. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const read of this.#waiting.splice(0)) read.done(new DiskBusyError());
    this.#writes.length = 0;
    this.#closeWhenIdle();
  }

  /** @returns A copy of bytes that are part of one write. */
  #pending(position: number, bytes: number): Buffer | undefined {
    const covers = (write: Write): boolean =>
      position >= write.position && position + bytes <= write.position + write.bytes.length;
    const write = this.#writes.findLast(covers) ?? (this.#writing && covers(this.#writing) ? this.#writing : undefined);
    const start = position - (write?.position ?? 0);
    return write && Buffer.from(write.bytes.subarray(start, start + bytes));
  }

  #readOn(): void {
    while (this.#reading.size < READS_AT_A_TIME && !this.#isClosed) {
      const read = this.#waiting.shift();
      if (read === undefined) return;
      if (!read.isWanted) continue;
      const running = { since: monotonicNow() };
      this.#reading.add(running);
      readAll(this.#file, Buffer.allocUnsafeSlow(read.bytes), read.position, (error, buffer) => {
        this.#reading.delete(running);
        if (error) this.#fail(error);
        read.done(error, buffer);
        this.#readOn();
        this.#closeWhenIdle();
      });
    }
  }

  #writeOn(): void {
    const next = this.#isClosed ? undefined : this.#writes.shift();
    this.#writing = next;
    if (next === undefined) {
      this.#writingSince = undefined;
      this.#idle?.();
      this.#idle = undefined;
      this.#closeWhenIdle();
      return;
    }
    this.#writingSince = monotonicNow();
    writeAll(this.#file, next.bytes, next.position, (error) => {
      this.#pendingBytes -= next.bytes.length;
      if (error) this.#fail(error);
      else next.written();
      this.#writeOn();
    });
  }

  #noticeHang(): void {
    const oldest = [this.#writingSince, ...[...this.#reading].map(({ since }) => since)];
    const hangs = oldest.some((since) => since !== undefined && msSince(since) > HANG_MS);
    if (hangs) this.#fail(new Error(`an operation has taken more than ${HANG_MS / 1_000} s`));
  }

  #fail(error: Error): void {
    if (this.#isClosed) return;
    this.close();
    this.#onFailed(error);
  }

  #closeWhenIdle(): void {
    if (!this.#isClosed || this.#reading.size > 0 || this.#writingSince !== undefined || this.#isFileClosed) return;
    this.#isFileClosed = true;
    this.#file.close(() => this.#fileClosed.resolve());
  }
}

function nothing(): void {
  // Nothing follows from it.
}

/** Reads until the buffer is full or the file ends. */
function readAll(
  file: OpenFile,
  buffer: Buffer,
  position: number,
  done: (error: Error | null, bytes: Buffer) => void,
): void {
  let got = 0;
  const next = (): void => {
    file.read(buffer, got, position + got, (error, bytes) => {
      got += bytes;
      if (error || bytes === 0 || got === buffer.length) done(error, buffer.subarray(0, got));
      else next();
    });
  };
  next();
}

function writeAll(file: OpenFile, buffer: Buffer, position: number, done: (error: Error | null) => void): void {
  let put = 0;
  const next = (): void => {
    file.write(buffer, put, position + put, (error, bytes) => {
      put += bytes;
      if (error || put === buffer.length) done(error);
      else next();
    });
  };
  next();
}
