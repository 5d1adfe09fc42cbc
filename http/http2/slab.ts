/**
 * Memory that frames are laid out in on their way to a socket. It is used again
 * when what was in it has been written: taking new memory for every write
 * costs more than filling it.
 *
 * Another thing than the slabs of cache/store/slabs.ts, which hold records for
 * long, move them, and are written from one place: here a part lives for one
 * write, never moves, and the operating system says when it is over.
 * @module
 */

const SLAB_BYTES = 64 * 1024;

/**
 * Room for the largest answer, with its head and its body in one frame each; an answer that does not fit waits for the
 * next write.
 */
const LARGEST_BYTES = 40 * 1024;

/** Slabs that are kept, all connections together. */
const MAX_FREE = 16;

const free: Slab[] = [];

export class Slab {
  readonly bytes = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Offset of the free part. */
  end = 0;
  /** Parts that sockets have not written yet. */
  #writing = 0;
  #isHeld = true;
  /** True if a socket failed while writing a part of it, and may still refer to it. */
  #hasFailed = false;

  /** @returns One with room for the largest answer. */
  static take(): Slab {
    const slab = free.pop() ?? new Slab();
    slab.#isHeld = true;
    return slab;
  }

  /** Marks the slab as not being written to at the moment. */
  release(): void {
    this.#isHeld = false;
    if (this.#writing === 0 && !this.#hasFailed) this.end = 0;
    if (SLAB_BYTES - this.end >= LARGEST_BYTES && free.length < MAX_FREE) free.push(this);
  }

  /** @returns What is laid out from there on, for a socket that calls `onWritten`. */
  cut(start: number): Buffer {
    this.#writing++;
    return this.bytes.subarray(start, this.end);
  }

  readonly onWritten = (error?: Error | null): void => {
    if (error) this.#hasFailed = true;
    this.#writing--;
    if (this.#writing > 0 || this.#isHeld || this.#hasFailed) return;
    const isKept = SLAB_BYTES - this.end >= LARGEST_BYTES && free.includes(this);
    this.end = 0;
    if (!isKept && free.length < MAX_FREE) free.push(this);
  };
}
