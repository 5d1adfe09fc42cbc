/**
 * Copy of the audit log in files: one JSON object a line, appended before the answer is sent, for who follows or ships
 * them. The log itself is in the journal.
 * @module
 */
import { closeSync, existsSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { AuditFields } from '../journal/journal.ts';

export interface AuditFileBounds {
  readonly maxBytes: number;
  /** Kept ones, the one that is written to included. */
  readonly files: number;
}

export class AuditFile {
  readonly #file: string;
  #bounds: AuditFileBounds;
  #fd: number;
  #bytes: number;

  /** @throws What `open` fails with. */
  constructor(file: string, bounds: AuditFileBounds) {
    this.#file = file;
    this.#bounds = bounds;
    this.#fd = openSync(file, 'a', 0o600);
    this.#bytes = fstatSync(this.#fd).size;
  }

  /** @throws What writing fails with. */
  write(entry: AuditFields): void {
    const line = Buffer.from(`${JSON.stringify(entry)}\n`);
    if (this.#bytes > 0 && this.#bytes + line.length > this.#bounds.maxBytes) this.#rotate();
    writeSync(this.#fd, line);
    this.#bytes += line.length;
  }

  /** Other bounds, from the next entry on. */
  update(bounds: AuditFileBounds): void {
    this.#bounds = bounds;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #rotate(): void {
    const { files } = this.#bounds;
    const next = `${this.#file}.next`;
    const fd = openSync(next, 'a', 0o600); // before anything is moved: where it cannot be opened, all stays as it is
    // Those beyond the bound as well, which may have been higher before a reload.
    for (let n = files - 1; existsSync(this.#nth(n)); n += 1) rmSync(this.#nth(n));
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
