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
  value: T;
  /** Another key of the same bucket. */
  next: Entry<T> | undefined;
}

/** For some thousand keys at a time; ten times as many take a little longer. */
const BUCKETS = 4_096;

/**
 * As a Map, for keys that come and go. A Map makes itself a new table each few
 * dozen keys, and the tables that it has left, which lie in the old
 * generation, keep alive what was in them until the next full collection.
 */
export class KeyMap<T> {
  readonly #buckets = new Array<Entry<T> | undefined>(BUCKETS).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): T | undefined {
    let entry = this.#buckets[bucketOf(key)];
    while (entry !== undefined && entry.key !== key) entry = entry.next;
    return entry?.value;
  }

  set(key: string, value: T): void {
    const bucket = bucketOf(key);
    const first = this.#buckets[bucket];
    let entry = first;
    while (entry !== undefined && entry.key !== key) entry = entry.next;
    if (entry !== undefined) {
      entry.value = value;
      return;
    }
    this.#buckets[bucket] = { key, value, next: first };
    this.#size++;
  }

  delete(key: string): void {
    const bucket = bucketOf(key);
    let before: Entry<T> | undefined;
    let entry = this.#buckets[bucket];
    while (entry !== undefined && entry.key !== key) {
      before = entry;
      entry = entry.next;
    }
    if (entry === undefined) return;
    if (before === undefined) this.#buckets[bucket] = entry.next;
    else before.next = entry.next;
    this.#size--;
  }

  *keys(): IterableIterator<string> {
    for (const first of this.#buckets) {
      for (let entry = first; entry !== undefined; entry = entry.next) yield entry.key;
    }
  }
}

/** As an LRU cache, of which a key of the same hash may be forgotten earlier. */
export class KeyLru<T> {
  readonly #entries: LRUCache<number, { readonly key: string; readonly value: T }>;

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

const sought = new KeyBytes();

function hashOf(key: string): number {
  return sought.set(key).hash;
}

function bucketOf(key: string): number {
  return hashOf(key) & (BUCKETS - 1);
}
