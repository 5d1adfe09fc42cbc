/**
 * Keys that were stored in memory lately: one that is fetched again is used a second time. A table in which each key
 * has one place, of 32 bits of its hash; a newer key takes the place of an older one.
 * @module
 */
import type { Word64 } from './format.ts';

const PLACES = 1 << 18;

export class SeenKeys {
  readonly #places = new Int32Array(PLACES);

  /** @returns Whether it was there. */
  add({ low, high }: Word64): boolean {
    const place = high & (PLACES - 1);
    const mark = low === 0 ? 1 : low;
    const wasThere = this.#places[place] === mark;
    this.#places[place] = mark;
    return wasThere;
  }
}
