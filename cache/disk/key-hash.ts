/**
 * Hash of a key on disk: SipHash of 64 bits with the folder's own secret, so that it is the same after a restart, and
 * no visitor can choose keys that have the same.
 * @module
 */
import { SipHash } from '../../lib/siphash.ts';
import type { Word64 } from './format.ts';

const FIRST_BYTES = 4 * 1024;

export class KeyHash {
  readonly #hash: SipHash;
  #bytes: Buffer = Buffer.alloc(0);
  #words: Int32Array = new Int32Array(0);

  constructor(secret: Uint8Array) {
    this.#hash = new SipHash(secret, { compression: 1, finalization: 3 });
    this.#allocate(FIRST_BYTES);
  }

  of(key: string): Word64 {
    // A character takes 3 bytes at most, and zeros follow up to a multiple of four.
    if (key.length * 3 + 4 > this.#bytes.length) this.#allocate(key.length * 3 + 4);
    const length = this.#bytes.write(key, 'utf8');
    this.#bytes.fill(0, length, length + 4);
    return { low: this.#hash.hash(this.#words, length), high: this.#hash.high };
  }

  #allocate(bytes: number): void {
    this.#words = new Int32Array(Math.ceil(bytes / 4));
    this.#bytes = Buffer.from(this.#words.buffer);
  }
}
