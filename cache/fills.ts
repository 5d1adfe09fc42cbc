/**
 * The fills that are under way. A thousand visitors whom a response that may not
 * be shared has released make a thousand for one key, so nothing here
 * looks through the fills of a key but an invalidation.
 * @module
 */
import type { Fill } from './fill.ts';
import { KeyMap } from './key-map.ts';

export class Fills {
  /** Those that others may join, by what they find them by (`fillKey`). */
  readonly #places = new KeyMap<Fill>();
  /** All of them by their key: also those that nobody joins, and those that another has taken the place of. */
  readonly #keys = new KeyMap<Set<Fill>>();

  /** Keys that are being fetched. */
  get size(): number {
    return this.#keys.size;
  }

  keys(): Iterable<string> {
    return this.#keys.keys();
  }

  at(place: string): Fill | undefined {
    return this.#places.get(place);
  }

  of(key: string): ReadonlySet<Fill> | undefined {
    return this.#keys.get(key);
  }

  /** @param place - Taken from whoever has it; absent: nobody joins. */
  add(fill: Fill, key: string, place: string | undefined): void {
    if (place !== undefined) this.#places.set(place, fill);
    const fills = this.#keys.get(key);
    if (fills === undefined) this.#keys.set(key, new Set([fill]));
    else fills.add(fill);
  }

  /** What is not there is left alone. */
  delete(fill: Fill, key: string, place: string | undefined): void {
    if (place !== undefined && this.#places.get(place) === fill) this.#places.delete(place);
    const fills = this.#keys.get(key);
    if (fills?.delete(fill) && fills.size === 0) this.#keys.delete(key);
  }
}
