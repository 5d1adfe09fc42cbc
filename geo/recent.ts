/**
 * A map of bounded size that forgets what was not asked for of late: two
 * generations, of which the older one goes as a whole.
 *
 * An LRU has a write for each read, and a microsecond for each key that makes
 * room for another; here it has to be faster than finding the value anew.
 * @module
 */
export class Recent<K, V> {
  readonly #half: number;
  #young = new Map<K, V>();
  #old = new Map<K, V>();

  /** @param max - Entries that are kept at most; at least half as many are. */
  constructor(max: number) {
    this.#half = max / 2;
  }

  get(key: K): V | undefined {
    const value = this.#young.get(key);
    if (value !== undefined || this.#old.size === 0) return value;
    const older = this.#old.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  set(key: K, value: V): void {
    if (this.#young.size >= this.#half) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}
