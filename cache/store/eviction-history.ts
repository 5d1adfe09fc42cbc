/**
 * Remembers how often keys that were evicted had been used, so that one that
 * comes back soon is not new: the ghost queue of 2Q and S3-FIFO, as a table that
 * each key has one place in. A place holds 27 bits of a key's hash and 5 bits of
 * frequency; a newer key takes the place of an older one.
 * @module
 */

const FREQUENCY_BITS = 5;
const FREQUENCY_MASK = (1 << FREQUENCY_BITS) - 1;

/** Bytes of all memory for each key that the history remembers: four for each object of 2 KiB. */
const BYTES_PER_PLACE = 512;

/** @param maxBytes - Of all memory. @returns A power of two. */
export function historyPlaces(maxBytes: number): number {
  return Math.max(1, 2 ** Math.floor(Math.log2(maxBytes / BYTES_PER_PLACE)));
}

export class EvictionHistory {
  readonly #places: Int32Array;

  /** @param places - A power of two in number; zeros are an empty history. */
  constructor(places: Int32Array) {
    this.#places = places;
  }

  get size(): number {
    return this.#places.length;
  }

  /** @param hash - 32 bits, as random as a keyed hash is. @returns 0 for a key that is not remembered. */
  frequencyOf(hash: number): number {
    const place = this.#places[this.#placeOf(hash)] as number;
    return ((place ^ hash) & ~FREQUENCY_MASK) === 0 ? place & FREQUENCY_MASK : 0;
  }

  /** @param frequency - 1 to 31. */
  remember(hash: number, frequency: number): void {
    this.#places[this.#placeOf(hash)] = (hash & ~FREQUENCY_MASK) | frequency;
  }

  #placeOf(hash: number): number {
    return (Math.imul(hash, 0x9e3779b1) >>> 5) & (this.#places.length - 1);
  }
}
