/**
 * One reader of a body on its way (shared-body.ts): its position, the pieces that it has given out, and its wait for
 * the next one.
 * @module
 */
import { bytesForReader, release } from '../http/body/buffer-pool.ts';
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
   * Returns the chunk with number `index`, or its length if it is to be read by `copy`; the end, or that it is pending.
   *
   * @throws when the body broke off.
   */
  read(index: number): Buffer | number | 'ended' | 'pending';
  /** Returns a copy of bytes that are not held, with one reference. */
  copy(start: number, end: number): Buffer;
  /** True if all of it is there. */
  readonly isWhole: boolean;
  /** The reader has read a part of a chunk. */
  advanced(reader: SharedReader): void;
  /** The reader has read a chunk, of which it has a reference if it needs one, and is at its `index` now. */
  moved(reader: SharedReader): void;
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
      const chunkBytes = typeof read === 'number' ? read : read.length;
      if (this.#skip < chunkBytes) return this.#take(read, chunkBytes);
      this.#skip -= chunkBytes;
      this.#pass();
    }
  }

  /** Reads a chunk, or of one that has to be copied as much as a reader is given at a time. */
  #take(chunk: Buffer | number, chunkBytes: number): Buffer {
    const start = this.#skip;
    const left = Math.min(chunkBytes - start, this.#end - this.position);
    let piece: Buffer;
    if (typeof chunk === 'number') {
      piece = this.#body.copy(this.position, this.position + Math.min(left, bytesForReader()));
      this.#lent.add(piece);
      release(piece); // from here on those that look at it have references
    } else {
      piece = left === chunkBytes ? chunk : chunk.subarray(start, start + left);
      this.#lent.add(chunk);
    }
    this.position += piece.length;
    this.#skip = start + piece.length;
    if (this.#skip < chunkBytes && this.position < this.#end) this.#body.advanced(this);
    else {
      this.#skip = 0;
      this.#pass();
    }
    return piece;
  }

  #pass(): void {
    this.index++;
    this.#body.moved(this);
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
