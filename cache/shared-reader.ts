/**
 * One reader of a body on its way (shared-body.ts): its position, the pieces that it has given out, and its wait for
 * the next one.
 * @module
 */
import { LentBuffers } from '../http/body/lent-buffers.ts';
import type { BodyReader } from '../http/message.ts';

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
  /**
   * Returns the chunk with number `index`, the end, or that it is pending.
   *
   * @param start - Position of its first byte.
   * @throws when the body broke off.
   */
  read(index: number, start: number): Buffer | 'ended' | 'pending';
  /** True if all of it is there. */
  readonly isWhole: boolean;
  /** The reader has read a chunk, of which it has a reference if it needs one, and is at its `index` now. */
  moved(reader: SharedReader, chunk: Buffer): void;
  removeReader(reader: SharedReader): void;
}

export class SharedReader implements BodyReader {
  readonly #body: ReadableBody;
  readonly #end: number;
  /** Bytes still to be skipped before the first one that is wanted. */
  #skip: number;
  readonly #lent = new LentBuffers();
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

  get isWhole(): boolean {
    return this.#body.isWhole;
  }

  next(): Buffer | null | Promise<Buffer | null> {
    for (;;) {
      if (this.#state === 'cut') throw new LaggedError(this.position);
      if (this.#state === 'closed' || this.position >= this.#end) {
        this.close();
        return null;
      }
      const read = this.#body.read(this.index, this.position - this.#skip);
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
        this.#body.moved(this, read);
        continue;
      }
      const length = Math.min(read.length - this.#skip, this.#end - this.position);
      const piece = length === read.length ? read : read.subarray(this.#skip, this.#skip + length);
      this.#skip = 0;
      this.position += piece.length;
      this.#lent.add(read);
      this.#body.moved(this, read);
      return piece;
    }
  }

  release(): void {
    this.#lent.release();
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
