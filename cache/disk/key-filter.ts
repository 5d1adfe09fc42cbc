/**
 * Keys that may be on disk, for threads that do not have the index: counters in shared memory, by the hash of the key.
 * The thread that has the disk writes them. Where the counter is 0, the key is not on disk; where it is not, it may be.
 *
 * A counter that has reached 255 stays there until the filter is begun anew.
 * @module
 */
import { KEY_BYTES } from '../../lib/siphash.ts';
import type { Word64 } from './format.ts';
import { KeyHash } from './key-hash.ts';

/** Counters for each entry that the index has room for. */
const COUNTERS_PER_ENTRY = 2;
const ENTRY_BYTES = 16;
const FULL = 255;

/** The version of the secret comes first, then the secret, then the counters. */
const HEAD_BYTES: number = 4 + KEY_BYTES;

export class KeyFilter {
  readonly shared: SharedArrayBuffer;
  readonly #version: Int32Array;
  readonly #secret: Uint8Array;
  readonly #counters: Uint8Array;
  #hash: KeyHash | undefined;
  #known = 0;

  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#version = new Int32Array(shared, 0, 1);
    this.#secret = new Uint8Array(shared, 4, KEY_BYTES);
    this.#counters = new Uint8Array(shared, HEAD_BYTES);
  }

  /** Makes one for an index of so many bytes. */
  static make(indexBytes: number): KeyFilter {
    const counters = 2 ** Math.ceil(Math.log2(Math.max(ENTRY_BYTES, indexBytes / ENTRY_BYTES) * COUNTERS_PER_ENTRY));
    return new KeyFilter(new SharedArrayBuffer(HEAD_BYTES + counters));
  }

  /** Begins anew, for an empty index whose hashes have this secret. */
  begin(secret: Uint8Array): void {
    Atomics.add(this.#version, 0, 1); // odd: the secret is being changed
    this.#secret.set(secret);
    this.#counters.fill(0);
    Atomics.add(this.#version, 0, 1);
  }

  add({ low }: Word64): void {
    const at = low & (this.#counters.length - 1);
    const count = this.#counters[at] as number;
    if (count < FULL) Atomics.store(this.#counters, at, count + 1);
  }

  remove({ low }: Word64): void {
    const at = low & (this.#counters.length - 1);
    const count = this.#counters[at] as number;
    if (count > 0 && count < FULL) Atomics.store(this.#counters, at, count - 1);
  }

  clear(): void {
    this.#counters.fill(0);
  }

  /** Returns whether the key may be on disk; in any thread. */
  has(key: string): boolean {
    const version = Atomics.load(this.#version, 0);
    if ((version & 1) !== 0) return true;
    if (this.#hash === undefined || version !== this.#known) {
      const hash = new KeyHash(Uint8Array.from(this.#secret));
      if (Atomics.load(this.#version, 0) !== version) return true;
      this.#hash = hash;
      this.#known = version;
    }
    return Atomics.load(this.#counters, this.#hash.of(key).low & (this.#counters.length - 1)) > 0;
  }
}
