/**
 * Cache of recent lookups: a table of fixed size in which each address hashes to one slot and replaces the previous
 * entry there.
 *
 * An LRU insert costs about as much as a country lookup, and most visitors of an edge or resolvers of a DNS server come
 * back soon or never. `npm run bench:geo` measures repeated lookups.
 * @module
 */

/** A power of two. A megabyte or two, when all are taken. */
const SLOTS = 8_192;

export class LocationCache<T> {
  readonly #addresses: (string | undefined)[] = new Array<string | undefined>(SLOTS).fill(undefined);
  readonly #values: (T | undefined)[] = new Array<T | undefined>(SLOTS).fill(undefined);

  /** @returns Where `address` has its place: for `has`, `get` and `set`, which do not work it out again. */
  static slotOf(address: string): number {
    // FNV-1a; it need not be unpredictable: who makes addresses collide makes look-ups a microsecond slower.
    let hash = 0x811c9dc5;
    for (let i = 0; i < address.length; i += 1) hash = Math.imul(hash ^ address.charCodeAt(i), 0x01000193);
    return (hash ^ (hash >>> 15)) & (SLOTS - 1);
  }

  has(slot: number, address: string): boolean {
    return this.#addresses[slot] === address;
  }

  /** Returns the most recent value in the slot. */
  get(slot: number): T | undefined {
    return this.#values[slot];
  }

  set(slot: number, address: string, value: T | undefined): void {
    this.#addresses[slot] = address;
    this.#values[slot] = value;
  }

  clear(): void {
    this.#addresses.fill(undefined);
    this.#values.fill(undefined);
  }
}
