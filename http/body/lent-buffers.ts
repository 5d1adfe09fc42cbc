/**
 * Buffers of the pool that a reader has given out, and that may still be looked at.
 * @module
 */
import { release, retain } from './buffer-pool.ts';

/**
 * Buffers that a reader remembers to have given out; of one that never says that they are done with, the collector
 * takes care.
 */
const MAX_LENT = 4;

export class LentBuffers {
  #buffers: Buffer[] | undefined;

  add(buffer: Buffer): void {
    if (!retain(buffer)) return;
    this.#buffers ??= [];
    if (this.#buffers.length === MAX_LENT) this.#buffers.length = 0;
    this.#buffers.push(buffer);
  }

  /** They are not looked at any more. */
  release(): void {
    if (this.#buffers === undefined) return;
    for (const buffer of this.#buffers) release(buffer);
    this.#buffers.length = 0;
  }
}
