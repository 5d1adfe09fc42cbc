/**
 * Counts of the most frequent keys in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi: "Efficient
 * computation of frequent and top-k elements in data streams", 2005).
 *
 * A key that is new takes the place, and the count, of the rarest one. So no count is too low, and none is too high by
 * more than the sum of all counts divided by the number of places.
 * @module
 */

export class SpaceSaving {
  readonly #places: number;
  readonly #counts = new Map<string, number>();

  constructor(places: number) {
    this.#places = places;
  }

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  add(key: string, count: number): void {
    const known = this.#counts.get(key);
    if (known !== undefined || this.#counts.size < this.#places) {
      this.#counts.set(key, (known ?? 0) + count);
      return;
    }
    let rarest = '';
    let least = Number.POSITIVE_INFINITY;
    for (const [other, amount] of this.#counts) {
      if (amount >= least) continue;
      rarest = other;
      least = amount;
    }
    this.#counts.delete(rarest);
    this.#counts.set(key, least + count);
  }

  /** @returns The most frequent keys with their counts, the first one first. */
  top(most: number): [key: string, count: number][] {
    return [...this.#counts].sort((one, other) => other[1] - one[1]).slice(0, most);
  }

  clear(): void {
    this.#counts.clear();
  }
}
