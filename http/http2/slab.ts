/**
 * Memory that frames are laid out in on their way to a socket. It is used again
 * when what was in it has been written: taking new memory for every write
 * costs more than filling it.
 * @module
 */

const SLAB_BYTES = 64 * 1024;

/** What the largest answer needs, with its head and its body in one frame each; one with less room waits until it is written. */
const LARGEST_BYTES = 40 * 1024;

/** Slabs that are kept, all connections together. */
const MAX_FREE = 16;

const free: Slab[] = [];

export class Slab {
  readonly bytes = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Where it is free. */
  end = 0;
  /** Parts that sockets have not written yet. */
  #writing = 0;
  #isHeld = true;
  /** Whether a socket broke with a part of it, and may still have it. */
  #isSpoilt = false;

  /** @returns One with room for the largest answer. */
  static take(): Slab {
    const slab = free.pop() ?? new Slab();
    slab.#isHeld = true;
    return slab;
  }

  /** Whoever took it lays out no more in it for now. */
  release(): void {
    this.#isHeld = false;
    if (this.#writing === 0 && !this.#isSpoilt) this.end = 0;
    if (SLAB_BYTES - this.end >= LARGEST_BYTES && free.length < MAX_FREE) free.push(this);
  }

  /** @returns What is laid out from there on, for a socket that calls `onWritten`. */
  cut(start: number): Buffer {
    this.#writing++;
    return this.bytes.subarray(start, this.end);
  }

  readonly onWritten = (error?: Error | null): void => {
    if (error) this.#isSpoilt = true;
    this.#writing--;
    if (this.#writing > 0 || this.#isHeld || this.#isSpoilt) return;
    const isKept = SLAB_BYTES - this.end >= LARGEST_BYTES && free.includes(this);
    this.end = 0;
    if (!isKept && free.length < MAX_FREE) free.push(this);
  };
}
