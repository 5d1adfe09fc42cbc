/**
 * One reader of a body on its way (shared-body.ts): its position, the pieces that it has given out, and its wait for
 * the next one.
 * @module
 */
import { release, retain } from '../http/body/buffer-pool.ts';
import type { BodyReader } from '../http/message.ts';

/**
 * Pieces that a reader remembers to have given out; of one that never says that they are done with, the collector takes
 * care.
 */
const MAX_LENT = 4;

/** The reader is too far behind for a body that is not kept; `position` is the next byte it would have read. */
export class LaggedError extends Error {
  readonly position: number;

  constructor(position: number) {
    super(`reader fell behind at byte ${position}`);
    this.position = position;
  }
}

/** Body of which a reader takes the chunks by their numbers. */
interface ReadableBody {
  /** Returns the chunk with number `index`, the end, or that it is pending. @throws when the body broke off. */
  read(index: number): Buffer | 'ended' | 'pending';
  /** The reader has read a chunk, and is at its `index` now. */
  moved(reader: SharedReader): void;
  removeReader(reader: SharedReader): void;
}

export class SharedReader implements BodyReader {
  readonly #body: ReadableBody;
  readonly #end: number;
  /** Bytes still to be skipped before the first one that is wanted. */
  #skip: number;
  /** Chunks that were given out and may still be looked at. */
  readonly #lent: Buffer[] = [];
  #wake: (() => void) | undefined;
  #state: 'reading' | 'cut' | 'closed' = 'reading';
  /** Number of the chunk to be read next. */
  index: number;
  /** Position of the byte to be read next. */
  position: number;

  /** @param skip - Bytes of the chunk with number `index` that are before `start`. */
  constructor(body: ReadableBody, start: number, end: number, index: number, skip: number) {
    this.#body = body;
    this.#end = end;
    this.index = index;
    this.position = start;
    this.#skip = skip;
  }

  next(): Buffer | null | Promise<Buffer | null> {
    for (;;) {
      if (this.#state === 'cut') throw new LaggedError(this.position);
      if (this.#state === 'closed' || this.position >= this.#end) {
        this.close();
        return null;
      }
      const read = this.#body.read(this.index);
      if (read === 'ended') {
        this.close();
        return null;
      }
      if (read === 'pending') {
        return new Promise<void>((resolve) => {
          this.#wake = resolve;
        }).then(() => this.next());
      }
      this.index++;
      if (this.#skip >= read.length) {
        this.#skip -= read.length;
        this.#body.moved(this);
        continue;
      }
      const length = Math.min(read.length - this.#skip, this.#end - this.position);
      const piece = length === read.length ? read : read.subarray(this.#skip, this.#skip + length);
      this.#skip = 0;
      this.position += piece.length;
      this.#lend(read);
      this.#body.moved(this);
      return piece;
    }
  }

  #lend(chunk: Buffer): void {
    if (this.#lent.length === MAX_LENT) this.#lent.length = 0;
    if (retain(chunk)) this.#lent.push(chunk);
  }

  release(): void {
    for (const chunk of this.#lent) release(chunk);
    this.#lent.length = 0;
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#body.removeReader(this);
    this.wake();
  }

  wake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  cut(): void {
    this.#state = 'cut';
    this.#body.removeReader(this);
    this.wake();
  }
}
