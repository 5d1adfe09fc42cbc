/**
 * The fills that are under way. A thousand visitors whom a response that may not
 * be shared has released make a thousand for one key, so nothing here
 * looks through the fills of a key but an invalidation.
 * @module
 */
import type { Fill } from './fill.ts';
import { KeyMap } from './key-map.ts';

export class Fills {
  /** Fills that can be joined, by `fillKey`. */
  readonly #places = new KeyMap<Fill>();
  /** All of them by their key: also those that nobody joins, and those that another has taken the place of. */
  readonly #keys = new KeyMap<Set<Fill>>();
  /** Number of those whose head has not arrived, by the name that they are counted under. */
  readonly #awaited = new KeyMap<number>();

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

  /** Number of fills counted under this name whose head has not arrived. */
  awaited(name: string): number {
    return this.#awaited.get(name) ?? 0;
  }

  /** @param change - 1 when the request is sent, -1 when its head has arrived or it has failed. */
  countAwaited(name: string, change: 1 | -1): void {
    const count = this.awaited(name) + change;
    if (count > 0) this.#awaited.set(name, count);
    else this.#awaited.delete(name);
  }

  /** @param place - Taken from whoever has it; absent: nobody joins. */
  add(fill: Fill, key: string, place: string | undefined): void {
    if (place !== undefined) this.#places.set(place, fill);
    const fills = this.#keys.get(key);
    if (fills === undefined) this.#keys.set(key, new Set([fill]));
    else fills.add(fill);
  }

  /** Removes a fill, if it is registered. */
  delete(fill: Fill, key: string, place: string | undefined): void {
    if (place !== undefined && this.#places.get(place) === fill) this.#places.delete(place);
    const fills = this.#keys.get(key);
    if (fills?.delete(fill) && fills.size === 0) this.#keys.delete(key);
  }
}
