/**
 * The access log: a line for each answer to a visitor, written in batches. When
 * the file, the reader of standard output or the syslog server does not keep
 * up, lines are left out and counted rather than answers held back. What
 * cannot be written to is opened again after a while: a disk may have room then.
 *
 * `{"time":"2026-01-31T12:00:00.000Z","ip":"192.0.2.7","method":"GET","host":"www.example.com",
 * "target":"/?a=b","status":200,"bytes":1024,"ms":0.12,"site":"www","result":"hit","id":"…"}`
 * @module
 */
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { syslogAddress } from '../../config/syslog-address.ts';
import { visible } from '../../config/visible.ts';
import { type MonotonicMs, monotonicNow, msSince, wallNow } from '../../lib/clock.ts';
import type { Access } from './entry.ts';
import type { AccessFormat } from './format.ts';
import { openSyslog, syslogHeader } from './syslog.ts';

/** Maximum time that a line waits for its batch. */
const BATCH_MS = 500;
const BATCH_CHARS = 64 * 1024;

/** Maximum backlog; lines beyond it are dropped. */
const MAX_WAITING_CHARS = 8 * 1024 * 1024;

/** Time after which a file that could not be written is opened again. */
const RETRY_MS = 1_000;

/** Maximum time that the shutdown waits for the reader. */
const CLOSE_MS = 2_000;

export interface AccessLogOptions {
  /** A file to append to, `-` for standard output, or the address of a syslog server. */
  readonly to: string;
  readonly format: AccessFormat;
  /** Share of the answers that have a line; by default all. */
  readonly sample?: number | undefined;
  /** Called once per run of dropped lines, and when the file cannot be written. */
  readonly onProblem: (problem: string) => void;
}

export class AccessLog {
  readonly #options: AccessLogOptions;
  /** True if lines are messages of syslog. */
  readonly #isSyslog: boolean;
  readonly #timer: NodeJS.Timeout;
  #out: Writable;
  #batch = '';
  /** Given to the stream, not written yet. */
  #waiting = 0;
  #leftOut = 0;
  #isClosing = false;
  /** Time of the failure, while nothing can be written. */
  #failedAt: MonotonicMs | undefined;

  constructor(options: AccessLogOptions) {
    this.#options = options;
    this.#isSyslog = syslogAddress(options.to) !== undefined;
    this.#out = this.#open();
    this.#timer = setInterval(() => this.flush(), BATCH_MS).unref();
  }

  add(access: Access): void {
    if (this.#waiting + this.#batch.length > MAX_WAITING_CHARS) {
      this.#leftOut++;
      return;
    }
    const { format, sample = 1 } = this.#options;
    if (sample < 1 && Math.random() >= sample) return;
    if (this.#isSyslog) this.#batch += syslogHeader(access.time);
    this.#batch += format.line(access);
    if (this.#batch.length > BATCH_CHARS) this.flush();
  }

  flush(): void {
    if (this.#batch !== '') {
      const batch = visible(this.#batch);
      this.#batch = '';
      if (this.#mayWrite()) this.#write(batch);
      else this.#leftOut += linesIn(batch);
    }
    if (this.#failedAt !== undefined) return; // lines are counted until they can be written again
    if (this.#leftOut > 0) this.#options.onProblem(`${this.#leftOut} lines were left out`);
    this.#leftOut = 0;
  }

  #write(batch: string): void {
    this.#waiting += batch.length;
    this.#out.write(batch, (error) => {
      this.#waiting -= batch.length;
      if (error) this.#leftOut += linesIn(batch);
    });
  }

  /** Returns whether the file is open; one that failed is opened again after a while. */
  #mayWrite(): boolean {
    if (this.#failedAt === undefined) return true;
    if (this.#options.to === '-' || msSince(this.#failedAt) < RETRY_MS) return false;
    this.#failedAt = undefined;
    this.#out = this.#open();
    if (!this.#isSyslog) this.#write('\n'); // the last line may have been cut off
    return true;
  }

  /** Goes on in a new file of the same name, if the old one has been moved away. */
  reopen(): void {
    if (this.#options.to === '-' || this.#isSyslog) return;
    this.flush();
    this.#out.end();
    this.#failedAt = undefined;
    this.#out = this.#open();
  }

  /** Resolves when all is written, or cannot be. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.flush();
    this.#isClosing = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#out.once('error', () => resolve());
    const timer = setTimeout(resolve, CLOSE_MS);
    if (this.#options.to === '-') this.#out.write('', () => resolve());
    else this.#out.end(() => resolve());
    await promise;
    clearTimeout(timer);
  }

  #begin(format: AccessFormat): string {
    return format.begin(wallNow());
  }

  #open(): Writable {
    const { to, format, onProblem } = this.#options;
    const failed = (out: Writable, error: Error): void => {
      if (out !== this.#out || this.#failedAt !== undefined) return; // one that was replaced, or said already
      this.#failedAt = monotonicNow();
      onProblem(error.message);
    };
    if (to === '-') {
      process.stdout.on('error', (error) => failed(process.stdout, error));
      return process.stdout;
    }
    const address = syslogAddress(to);
    const out = address === undefined ? createWriteStream(to, { flags: 'a', mode: 0o640 }) : openSyslog(address);
    out.on('error', (error) => failed(out, error));
    const onClosed = (): void => {
      if (!this.#isClosing) failed(out, new Error(`${to} has closed the connection`));
    };
    if (address !== undefined) out.on('close', onClosed);
    else if (this.#begin(format) !== '') out.write(this.#begin(format));
    return out;
  }
}

function linesIn(batch: string): number {
  let lines = 0;
  for (let at = batch.indexOf('\n'); at !== -1; at = batch.indexOf('\n', at + 1)) lines++;
  return lines;
}
