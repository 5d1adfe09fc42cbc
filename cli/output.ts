/**
 * Standard output, where it is more than the answer of a command: an access
 * log on a pipe, whose reader may be slow, or leave.
 * @module
 */
import type { Readable, Writable } from 'node:stream';
import { visible } from '../config/visible.ts';

/** Prints a line, or lines, on standard output; what a terminal would obey is escaped. */
export function print(text: string): void {
  process.stdout.write(`${visible(text)}\n`);
}

/** The same on standard error. */
export function say(text: string): void {
  process.stderr.write(`${visible(text)}\n`);
}

/** Maximum time that the exit waits for standard output to be read. */
const FLUSH_MS = 2_000;

/** Maximum length of an incomplete line of a worker. */
const MAX_LINE_BYTES = 1024 * 1024;

const NEWLINE = 0x0a;

/** A reader that leaves early, as `head` does, is no failure of a command: it ends. */
export function endWithReader(): void {
  process.exit();
}

/** Resolves when everything that was written is on its way, or its reader has had time enough. */
export async function flush(out: Writable): Promise<void> {
  if (out.destroyed || out.writableLength === 0) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, FLUSH_MS);
  out.write('', () => resolve());
  await promise;
  clearTimeout(timer);
}

/**
 * Lines of several threads on one output, each whole: what threads write to
 * one pipe by themselves runs into each other. When the output's reader is
 * slow, nothing more is read of the threads, which then leave lines out.
 */
export class Lines {
  readonly #out: Writable;
  readonly #waiting = new Set<Readable>();

  constructor(out: Writable) {
    this.#out = out;
    const goOn = (): void => {
      for (const source of this.#waiting) source.resume();
      this.#waiting.clear();
    };
    out.on('drain', goOn);
    out.on('error', goOn); // no reader: input is discarded
  }

  take(source: Readable): void {
    let partial: Buffer[] = [];
    let partialBytes = 0;
    source.on('data', (chunk: Buffer) => {
      const end = chunk.lastIndexOf(NEWLINE) + 1;
      if (end > 0) {
        const lines = Buffer.concat([...partial, chunk.subarray(0, end)]);
        partial = [];
        partialBytes = 0;
        this.#write(lines, source);
      }
      const rest = chunk.subarray(end);
      partialBytes += rest.length;
      if (partialBytes > MAX_LINE_BYTES) partial = [];
      else if (rest.length > 0) partial.push(rest);
    });
    source.on('error', () => undefined); // its thread has ended
    source.once('close', () => this.#waiting.delete(source));
  }

  #write(lines: Buffer, source: Readable): void {
    if (this.#out.destroyed || this.#out.errored) return;
    if (this.#out.write(lines)) return;
    source.pause();
    this.#waiting.add(source);
  }
}
