/**
 * Map from request keys to values, by the hash of a key, so that V8 does not keep every requested key (see
 * store/key-bytes.ts).
 * @module
 */
import { LRUCache } from 'lru-cache';
import { LinearBuckets } from '../lib/linear-hashing.ts';
import { KeyBytes } from './store/key-bytes.ts';

interface Entry<T> {
  readonly key: string;
  readonly hash: number;
  value: T;
  /** Another key of the same bucket. */
  next: Entry<T> | undefined;
}

const FIRST_BUCKETS = 64;

/**
 * As a Map, in no order. It grows by a bucket with each key, and never makes itself a new table, as a Map does each few
 * dozen keys that come and go: those that it leaves, in the old generation, would keep alive what was in them until the
 * next full collection.
 */
export class KeyMap<T> {
  readonly #buckets: (Entry<T> | undefined)[] = new Array(FIRST_BUCKETS).fill(undefined);
  readonly #linear = new LinearBuckets(FIRST_BUCKETS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): T | undefined {
    if (this.#size === 0) return undefined;
    const hash = hashOf(key);
    return this.#find(this.#linear.bucketOf(hash), key)?.value;
  }

  set(key: string, value: T): void {
    const hash = hashOf(key);
    const bucket = this.#linear.bucketOf(hash);
    const known = this.#find(bucket, key);
    if (known !== undefined) {
      known.value = value;
      return;
    }
    this.#buckets[bucket] = { key, hash, value, next: this.#buckets[bucket] };
    if (++this.#size > this.#buckets.length) this.#split();
  }

  delete(key: string): void {
    const bucket = this.#linear.bucketOf(hashOf(key));
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
    for (const [key] of this.entries()) yield key;
  }

  /** Iterates over all entries. Entries may be deleted during iteration, but not added. */
  *entries(): IterableIterator<readonly [key: string, value: T]> {
    for (const first of this.#buckets) {
      for (let entry = first; entry !== undefined; entry = entry.next) yield [entry.key, entry.value];
    }
  }

  #find(bucket: number, key: string): Entry<T> | undefined {
    let entry = this.#buckets[bucket];
    while (entry !== undefined && entry.key !== key) entry = entry.next;
    return entry;
  }

  /** Splits one bucket in two. */
  #split(): void {
    const from = this.#linear.next;
    let entry = this.#buckets[from];
    let [stays, goes] = [undefined, undefined] as [Entry<T> | undefined, Entry<T> | undefined];
    while (entry !== undefined) {
      const { next }: Entry<T> = entry;
      if (!this.#linear.goes(entry.hash)) {
        entry.next = stays;
        stays = entry;
      } else {
        entry.next = goes;
        goes = entry;
      }
      entry = next;
    }
    this.#buckets[from] = stays;
    this.#buckets.push(goes);
    this.#linear.grow();
  }
}

/** As an LRU cache, of which a key of the same hash may be forgotten earlier. */
export class KeyLru<T> {
  readonly #max: number;
  /** Made with the first key: its arrays have room for all keys, and many a node never has one to remember. */
  #entries: LRUCache<number, { readonly key: string; readonly value: T }> | undefined;

  /** @param max - Keys. */
  constructor(max: number) {
    this.#max = max;
  }

  get(key: string): T | undefined {
    if (this.#entries === undefined || this.#entries.size === 0) return undefined;
    const entry = this.#entries.get(hashOf(key));
    return entry?.key === key ? entry.value : undefined;
  }

  set(key: string, value: T): void {
    this.#entries ??= new LRUCache({ max: this.#max });
    this.#entries.set(hashOf(key), { key, value });
  }

  delete(key: string): void {
    if (this.#entries === undefined || this.#entries.size === 0) return;
    const hash = hashOf(key);
    if (this.#entries.peek(hash)?.key === key) this.#entries.delete(hash);
  }
}

const sought = new KeyBytes();

function hashOf(key: string): number {
  return sought.set(key).hash;
}
