/**
 * The audit log: who asked for which purge, when, from where, and what came of
 * it. One JSON object a line, appended before the answer is sent.
 *
 * A line that was written survives the end of this process, not that of the
 * machine: who and why stand in the journal too, which is fsynced.
 * @module
 */
import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { EpochMs } from '../lib/clock.ts';

export interface AuditEntry {
  /** The token's name and id; absent where there was no valid one. */
  readonly who?: string;
  readonly token?: string;
  readonly address: string;
  readonly action: string;
  /** `ok`, or the code of the error. */
  readonly result: string;
  readonly [detail: string]: unknown;
}

export interface AuditOptions {
  readonly maxBytes: number;
  /** Kept ones, the one that is written to included. */
  readonly files: number;
  readonly now: () => EpochMs;
}

export class AuditLog {
  readonly #file: string;
  #options: AuditOptions;
  #fd: number;
  #bytes: number;

  /** @throws What `open` fails with. */
  constructor(file: string, options: AuditOptions) {
    this.#file = file;
    this.#options = options;
    this.#fd = openSync(file, 'a', 0o600);
    this.#bytes = fstatSync(this.#fd).size;
  }

  /** @throws What writing fails with: a purge that cannot be recorded is not made. */
  write(entry: AuditEntry): void {
    const line = Buffer.from(`${JSON.stringify({ time: new Date(this.#options.now()).toISOString(), ...entry })}\n`);
    if (this.#bytes > 0 && this.#bytes + line.length > this.#options.maxBytes) this.#rotate();
    writeSync(this.#fd, line);
    this.#bytes += line.length;
  }

  /** Other bounds, from the next entry on. */
  update(bounds: Pick<AuditOptions, 'maxBytes' | 'files'>): void {
    this.#options = { ...this.#options, ...bounds };
  }

  close(): void {
    closeSync(this.#fd);
  }

  #rotate(): void {
    const { files } = this.#options;
    const next = `${this.#file}.next`;
    const fd = openSync(next, 'a', 0o600); // before anything is moved: where it cannot be opened, all stays as it is
    rmSync(this.#nth(files - 1), { force: true });
    for (let n = files - 2; n >= 0; n -= 1) {
      try {
        renameSync(this.#nth(n), this.#nth(n + 1));
      } catch {
        // There are not that many yet.
      }
    }
    renameSync(next, this.#file);
    closeSync(this.#fd);
    this.#fd = fd;
    this.#bytes = fstatSync(fd).size;
  }

  #nth(n: number): string {
    return n === 0 ? this.#file : `${this.#file}.${n}`;
  }
}
