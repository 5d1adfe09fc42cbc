/**
 * Cache of bounded weight that drops what was not asked for lately: two
 * generations, of which the older one goes as a whole when the younger one is
 * full. A lookup that finds an entry in the older one moves it.
 *
 * An LRU writes on each read, and takes a microsecond for each entry that
 * makes room for another one. Here a lookup of a young entry is one of a map.
 *
 * Weights are of the caller's choice: entries, bytes, characters. Up to twice
 * `generationWeight` is held. One entry that weighs more is a generation of
 * its own.
 * @module
 */
export interface TwoGenerationOptions<K, V> {
  /** Weight at which a generation is full. */
  readonly generationWeight: number;
  /** Weight of an entry, which must not change while it is held. By default 1: entries are counted. */
  readonly weightOf?: (key: K, value: V) => number;
  /** Called with each key that goes because there is no room; not for `delete` and `clear`. */
  readonly onDropped?: (key: K) => void;
}

export class TwoGenerationCache<K, V> {
  generationWeight: number;
  readonly #weightOf: ((key: K, value: V) => number) | undefined;
  readonly #onDropped: ((key: K) => void) | undefined;
  #young = new Map<K, V>();
  #old = new Map<K, V>();
  #youngWeight = 0;
  #oldWeight = 0;

  constructor({ generationWeight, weightOf, onDropped }: TwoGenerationOptions<K, V>) {
    this.generationWeight = generationWeight;
    this.#weightOf = weightOf;
    this.#onDropped = onDropped;
  }

  /** Weight of all entries. */
  get weight(): number {
    return this.#youngWeight + this.#oldWeight;
  }

  get(key: K): V | undefined {
    const value = this.#young.get(key);
    if (value !== undefined || this.#old.size === 0) return value;
    const older = this.#old.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  /** Adds an entry, or replaces it. @param value - Anything but `undefined`. */
  set(key: K, value: V): void {
    this.delete(key);
    const weight = this.#weigh(key, value);
    if (this.#youngWeight + weight > this.generationWeight) this.#turn();
    this.#young.set(key, value);
    this.#youngWeight += weight;
  }

  delete(key: K): void {
    const young = this.#young.get(key);
    if (young !== undefined) {
      this.#young.delete(key);
      this.#youngWeight -= this.#weigh(key, young);
      return;
    }
    const old = this.#old.get(key);
    if (old === undefined) return;
    this.#old.delete(key);
    this.#oldWeight -= this.#weigh(key, old);
  }

  clear(): void {
    this.#young = new Map();
    this.#old = new Map();
    this.#youngWeight = 0;
    this.#oldWeight = 0;
  }

  #weigh(key: K, value: V): number {
    return this.#weightOf === undefined ? 1 : this.#weightOf(key, value);
  }

  #turn(): void {
    if (this.#onDropped !== undefined) for (const key of this.#old.keys()) this.#onDropped(key);
    this.#old = this.#young;
    this.#oldWeight = this.#youngWeight;
    this.#young = new Map();
    this.#youngWeight = 0;
  }
}
