/**
 * Fills in flight. A thousand visitors that an unshareable response
 * has released make a thousand for one key, so nothing here looks through the
 * fills of a key but an invalidation.
 * @module
 */
import { FewSet } from '../lib/few-set.ts';
import type { JoinableFill } from './fill.ts';
import { KeyMap } from './key-map.ts';

/** Fills by one name: mostly a single one, found, kept and counted by the key of its request. */
interface Entry {
  /** The one that others may join (`fillKey`). */
  joinable: JoinableFill | undefined;
  /** All of this key: also those that cannot be joined, and superseded ones. */
  readonly all: FewSet<JoinableFill>;
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
  at(place: string): JoinableFill | undefined {
    return this.#entries.get(place)?.joinable;
  }

  /** Number of fills of the key. */
  count(key: string): number {
    return this.#entries.get(key)?.all.size ?? 0;
  }

  /** Returns the fills of the key. */
  of(key: string): readonly JoinableFill[] {
    return [...(this.#entries.get(key)?.all.values() ?? [])];
  }

  /** Number of fills counted under this name whose head has not arrived. */
  awaited(name: string): number {
    return this.#entries.get(name)?.awaited ?? 0;
  }

  /**
   * Counts a fill whose request is about to be sent.
   *
   * @param key - Key of its request.
   * @param place - Name under which others join it; taken from the fill that has it. Absent: it cannot be joined.
   * @param countedAs - Name under which it is counted until its head has arrived.
   */
  begin(key: string, place: string | undefined, countedAs: string): Registration {
    const counted = this.#entryOf(countedAs);
    counted.awaited++;
    return new Registration(this.#registrations, { key, place, countedAs, counted });
  }

  readonly #registrations: Entries = {
    entryOf: (name) => this.#entryOf(name),
    tidy: (name, entry) => this.#tidy(name, entry),
    count: (change) => {
      this.#size += change;
    },
  };

  #entryOf(name: string): Entry {
    const known = this.#entries.get(name);
    if (known !== undefined) return known;
    const entry = { joinable: undefined, all: new FewSet<JoinableFill>(), awaited: 0 };
    this.#entries.set(name, entry);
    return entry;
  }

  #tidy(name: string, entry: Entry): void {
    if (entry.awaited === 0 && entry.joinable === undefined && entry.all.size === 0) this.#entries.delete(name);
  }
}

interface Entries {
  entryOf(name: string): Entry;
  tidy(name: string, entry: Entry): void;
  /** @param change - Of the number of keys that are being fetched. */
  count(change: 1 | -1): void;
}

interface Names {
  readonly key: string;
  readonly place: string | undefined;
  readonly countedAs: string;
  readonly counted: Entry;
}

/** One fill in the registry. It keeps its entries: each is in the registry for as long as the fill is in it. */
export class Registration {
  readonly #entries: Entries;
  readonly #names: Names;
  #isAwaited = true;
  #fill: JoinableFill | undefined;
  #keyed: Entry | undefined;
  #placed: Entry | undefined;

  constructor(entries: Entries, names: Names) {
    this.#entries = entries;
    this.#names = names;
  }

  add(fill: JoinableFill): void {
    const { key, place } = this.#names;
    const keyed = this.#entry(key);
    if (keyed.all.size === 0) this.#entries.count(1);
    keyed.all.add(fill);
    this.#fill = fill;
    this.#keyed = keyed;
    if (place === undefined) return;
    this.#placed = place === key ? keyed : this.#entry(place);
    this.#placed.joinable = fill;
  }

  #entry(name: string): Entry {
    const { countedAs, counted } = this.#names;
    return this.#isAwaited && name === countedAs ? counted : this.#entries.entryOf(name);
  }

  /** The head has arrived, or the fill has failed. Idempotent. */
  settled(): void {
    if (!this.#isAwaited) return;
    this.#isAwaited = false;
    const { countedAs, counted } = this.#names;
    counted.awaited--;
    this.#entries.tidy(countedAs, counted);
  }

  /** The fill has ended. Idempotent. */
  delete(): void {
    this.settled();
    const [fill, keyed, placed] = [this.#fill, this.#keyed, this.#placed];
    if (fill === undefined || keyed === undefined) return;
    this.#fill = undefined;
    const { key, place } = this.#names;
    if (placed?.joinable === fill) {
      placed.joinable = undefined;
      if (placed !== keyed) this.#entries.tidy(place as string, placed);
    }
    if (keyed.all.delete(fill) && keyed.all.size === 0) this.#entries.count(-1);
    this.#entries.tidy(key, keyed);
  }
}
