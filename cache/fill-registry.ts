/**
 * Fills in flight. A thousand visitors that an unshareable response
 * has released make a thousand for one key, so nothing here looks through the
 * fills of a key but an invalidation.
 * @module
 */
import { FewSet } from '../lib/few-set.ts';
import type { Fill } from './fill.ts';
import { KeyMap } from './key-map.ts';

/** Fills by one name: mostly a single one, found, kept and counted by the key of its request. */
interface Entry {
  /** The one that others may join (`fillKey`). */
  joinable: Fill | undefined;
  /** All of this key: also those that cannot be joined, and superseded ones. */
  readonly all: FewSet<Fill>;
  /** Number of those that are counted under this name and whose head has not arrived. */
  awaited: number;
}

export class FillRegistry {
  readonly #entries = new KeyMap<Entry>();
  #size = 0;

  /** Keys that are being fetched. */
  get size(): number {
    return this.#size;
  }

  *keys(): IterableIterator<string> {
    for (const [name, entry] of this.#entries.entries()) if (entry.all.size > 0) yield name;
  }

  /** Returns the fill that may be joined in this place. */
  at(place: string): Fill | undefined {
    return this.#entries.get(place)?.joinable;
  }

  /** Number of fills of the key. */
  count(key: string): number {
    return this.#entries.get(key)?.all.size ?? 0;
  }

  /** Returns the fills of the key. */
  of(key: string): readonly Fill[] {
    return [...(this.#entries.get(key)?.all.values() ?? [])];
  }

  /** Number of fills counted under this name whose head has not arrived. */
  awaited(name: string): number {
    return this.#entries.get(name)?.awaited ?? 0;
  }

  /** @param change - 1 when the request is sent, -1 when its head has arrived or it has failed. */
  countAwaited(name: string, change: 1 | -1): void {
    const entry = this.#entryOf(name);
    entry.awaited = Math.max(0, entry.awaited + change);
    this.#tidy(name, entry);
  }

  /** @param place - Taken from the fill that has it; absent: it cannot be joined. */
  add(fill: Fill, key: string, place: string | undefined): void {
    const entry = this.#entryOf(key);
    if (entry.all.size === 0) this.#size++;
    entry.all.add(fill);
    if (place !== undefined) this.#entryOf(place).joinable = fill;
  }

  /** Does nothing for a fill that is not there. */
  delete(fill: Fill, key: string, place: string | undefined): void {
    const at = place === undefined ? undefined : this.#entries.get(place);
    if (at?.joinable === fill) {
      at.joinable = undefined;
      if (place !== key) this.#tidy(place as string, at);
    }
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    if (entry.all.delete(fill) && entry.all.size === 0) this.#size--;
    this.#tidy(key, entry);
  }

  #entryOf(name: string): Entry {
    const known = this.#entries.get(name);
    if (known !== undefined) return known;
    const entry = { joinable: undefined, all: new FewSet<Fill>(), awaited: 0 };
    this.#entries.set(name, entry);
    return entry;
  }

  #tidy(name: string, entry: Entry): void {
    if (entry.awaited === 0 && entry.joinable === undefined && entry.all.size === 0) this.#entries.delete(name);
  }
}
