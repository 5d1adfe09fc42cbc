/**
 * What is kept under keys of requests, for as long as it is of use: found by the
 * hash of a key, so that V8 does not keep every key that is asked for (see
 * store/key-bytes.ts).
 * @module
 */
import { LRUCache } from 'lru-cache';
import { KeyBytes } from './store/key-bytes.ts';

interface Entry<T> {
  readonly key: string;
  readonly value: T;
  /** Another key of the same hash. */
  readonly next: Entry<T> | undefined;
}

/** As a Map. */
export class KeyMap<T> {
  readonly #entries = new Map<number, Entry<T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): T | undefined {
    let entry = this.#entries.get(hashOf(key));
    while (entry !== undefined && entry.key !== key) entry = entry.next;
    return entry?.value;
  }

  set(key: string, value: T): void {
    this.delete(key);
    const hash = hashOf(key);
    this.#entries.set(hash, { key, value, next: this.#entries.get(hash) });
    this.#size++;
  }

  delete(key: string): void {
    const hash = hashOf(key);
    const before = this.#entries.get(hash);
    const rest = without(key, before);
    if (rest === before) return;
    this.#size--;
    if (rest === undefined) this.#entries.delete(hash);
    else this.#entries.set(hash, rest);
  }

  *keys(): IterableIterator<string> {
    for (const entry of this.#entries.values()) {
      for (let at: Entry<T> | undefined = entry; at !== undefined; at = at.next) yield at.key;
    }
  }
}

/** As an LRU cache, of which a key of the same hash may be forgotten earlier. */
export class KeyLru<T> {
  readonly #entries: LRUCache<number, Omit<Entry<T>, 'next'>>;

  /** @param max - Keys. */
  constructor(max: number) {
    this.#entries = new LRUCache({ max });
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(hashOf(key));
    return entry?.key === key ? entry.value : undefined;
  }

  set(key: string, value: T): void {
    this.#entries.set(hashOf(key), { key, value });
  }

  delete(key: string): void {
    if (this.get(key) !== undefined) this.#entries.delete(hashOf(key));
  }
}

function without<T>(key: string, entry: Entry<T> | undefined): Entry<T> | undefined {
  if (entry === undefined) return undefined;
  if (entry.key === key) return entry.next;
  const next = without(key, entry.next);
  return next === entry.next ? entry : { ...entry, next };
}

const sought = new KeyBytes();

function hashOf(key: string): number {
  return sought.set(key).hash;
}
