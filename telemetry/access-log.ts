/**
 * The access log: one JSON object a line for each answer to a visitor, written
 * in batches. When the file, or the reader of standard output, does not keep
 * up, lines are left out and counted rather than answers held back. A file that
 * cannot be written is opened again after a while: its disk may have room then.
 *
 * `{"time":"2026-01-31T12:00:00.000Z","ip":"192.0.2.7","method":"GET","host":"www.example.com",
 * "target":"/?a=b","status":200,"bytes":1024,"ms":0.12,"site":"www","result":"hit","id":"…"}`
 * @module
 */
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { visible } from '../config/visible.ts';
import { type MonotonicMs, monotonicNow, msSince } from '../lib/clock.ts';
import type { Result } from './results.ts';

export interface Access {
  /** Completion time of the answer, in milliseconds since the epoch. */
  readonly time: number;
  /** Address of the visitor, taken from proxies as far as the config trusts them. */
  readonly ip: string;
  readonly method: string;
  readonly host: string;
  readonly target: string;
  readonly status: number;
  /** Length of the body. */
  readonly bytes: number;
  readonly seconds: number;
  readonly site: string;
  /** As in `seawall_requests_total`. */
  readonly result: Result;
  /** Identifier of the request; absent for hits that involve no other node. */
  readonly id?: string | undefined;
}

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
  /** A file to append to, or `-` for standard output. */
  readonly file: string;
  /** Called once per run of dropped lines, and when the file cannot be written. */
  readonly onProblem: (problem: string) => void;
}

export class AccessLog {
  readonly #options: AccessLogOptions;
  readonly #timer: NodeJS.Timeout;
  #out: Writable;
  #batch = '';
  /** Given to the stream, not written yet. */
  #waiting = 0;
  #leftOut = 0;
  /** Time of the failure, while nothing can be written. */
  #failedAt: MonotonicMs | undefined;

  constructor(options: AccessLogOptions) {
    this.#options = options;
    this.#out = this.#open();
    this.#timer = setInterval(() => this.flush(), BATCH_MS).unref();
  }

  add(access: Access): void {
    if (this.#waiting + this.#batch.length > MAX_WAITING_CHARS) {
      this.#leftOut++;
      return;
    }
    const { time, ip, method, host, target, status, bytes, seconds, site, result, id } = access;
    // What visitors send is quoted by JSON.stringify, and made visible with the batch; the rest has nothing to be
    // quoted.
    this.#batch += `{"time":"${isoTime(time)}","ip":"${ip}","method":${JSON.stringify(method)},"host":${JSON.stringify(host)},"target":${JSON.stringify(target)},"status":${status},"bytes":${bytes},"ms":${(seconds * 1_000).toFixed(2)},"site":"${site}","result":"${result}"${id === undefined ? '' : `,"id":"${id}"`}}\n`;
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
    if (this.#options.file === '-' || msSince(this.#failedAt) < RETRY_MS) return false;
    this.#failedAt = undefined;
    this.#out = this.#open();
    this.#write('\n'); // the last line may have been cut off
    return true;
  }

  /** Goes on in a new file of the same name, if the old one has been moved away. */
  reopen(): void {
    if (this.#options.file === '-') return;
    this.flush();
    this.#out.end();
    this.#failedAt = undefined;
    this.#out = this.#open();
  }

  /** Resolves when all is written, or cannot be. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.flush();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#out.once('error', () => resolve());
    const timer = setTimeout(resolve, CLOSE_MS);
    if (this.#options.file === '-') this.#out.write('', () => resolve());
    else this.#out.end(() => resolve());
    await promise;
    clearTimeout(timer);
  }

  #open(): Writable {
    const { file, onProblem } = this.#options;
    const failed = (out: Writable, error: Error): void => {
      if (out !== this.#out || this.#failedAt !== undefined) return; // one that was replaced, or said already
      this.#failedAt = monotonicNow();
      onProblem(error.message);
    };
    if (file === '-') {
      process.stdout.on('error', (error) => failed(process.stdout, error));
      return process.stdout;
    }
    const out = createWriteStream(file, { flags: 'a', mode: 0o640 });
    out.on('error', (error) => failed(out, error));
    return out;
  }
}

function linesIn(batch: string): number {
  let lines = 0;
  for (let at = batch.indexOf('\n'); at !== -1; at = batch.indexOf('\n', at + 1)) lines++;
  return lines;
}

let lastTime = 0;
let lastText = new Date(0).toISOString();

/** Many answers share a millisecond. */
function isoTime(time: number): string {
  if (time !== lastTime) {
    lastTime = time;
    lastText = new Date(time).toISOString();
  }
  return lastText;
}
