/**
 * Replays a trace against a cache and counts hits.
 * @module
 */
import { LRUCache } from 'lru-cache';
import { makeSharedMemory } from '../../cache/shared/layout.ts';
import { SharedStore } from '../../cache/shared/shared-store.ts';
import { MemoryStore } from '../../cache/store/memory-store.ts';
import type { Store } from '../../cache/store/store.ts';
import { storedResponse } from '../../test/support/stored-response.ts';
import type { Trace } from './traces.ts';

/** Shares of requests, and of bytes, that the cache answered. */
export interface HitRatio {
  readonly objects: number;
  readonly bytes: number;
}

/** A cache in a replay. */
interface Replayed {
  /** @returns Whether it had the object; if not, it stores it. */
  access(object: number, size: number): boolean;
}

/** `memory`: the store that nodes use; `shared`: the one that threads share (ADR 19). */
export const STORES = ['memory', 'shared'] as const;
export type StoreKind = (typeof STORES)[number];

function openStore(kind: StoreKind, memoryBytes: number): Store {
  if (kind === 'memory') return new MemoryStore(memoryBytes);
  const memory = makeSharedMemory({ maxBytes: memoryBytes, threads: 1 });
  return new SharedStore(memory, SharedStore.supervise(memory, memoryBytes).addThread());
}

/** A store, with real records and bodies. @param memoryBytes - As the key `memory` of a config. */
export function seawallStore(kind: StoreKind, memoryBytes: number): Replayed {
  const store = openStore(kind, memoryBytes);
  const now = Date.now();
  return {
    access(object, size) {
      const key = `http://www.example.com/${object}`;
      if (store.get(key).length > 0) return true;
      if (size < memoryBytes / 2) store.set(key, [storedResponse(store, object, size, now)]);
      return false;
    },
  };
}

/** Least recently used first to go; only bodies count as memory. */
export function lru(memoryBytes: number): Replayed {
  const cache = new LRUCache<number, number>({ maxSize: memoryBytes, sizeCalculation: (size) => Math.max(1, size) });
  return {
    access(object, size) {
      if (cache.get(object) !== undefined) return true;
      cache.set(object, size);
      return false;
    },
  };
}

export function replay({ objects, sizes }: Trace, cache: Replayed): HitRatio {
  let [hits, hitBytes, bytes] = [0, 0, 0];
  for (let at = 0; at < objects.length; at++) {
    const size = sizes[at] as number;
    bytes += size;
    if (!cache.access(objects[at] as number, size)) continue;
    hits++;
    hitBytes += size;
  }
  return { objects: hits / objects.length, bytes: hitBytes / bytes };
}
