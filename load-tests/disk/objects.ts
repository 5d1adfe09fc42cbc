/**
 * Objects of the disk benchmark: bytes that do not compress, which each process can make by itself.
 * @module
 */
import { seededRandom } from '../../test/support/random.ts';

/** Objects that begin at different bytes of the noise. */
const STARTS = 4_096;

export class Objects {
  readonly bytes: number;
  readonly #noise: Buffer;

  constructor(bytes: number) {
    this.bytes = bytes;
    this.#noise = Buffer.alloc(bytes + STARTS);
    const random = seededRandom(1);
    for (let i = 0; i < this.#noise.length; i++) this.#noise[i] = random() * 256;
  }

  /** Numbers of so many objects. */
  keys(count: number): IterableIterator<number> {
    return Array.from({ length: count }, (_, index) => index).values();
  }

  body(index: number): Buffer {
    const start = index % STARTS;
    return this.#noise.subarray(start, start + this.bytes);
  }
}
