import fc from 'fast-check';
import { test } from 'tap';
import { EvictionQueues } from '../../../cache/store/eviction.ts';
import { EvictionHistory, historyPlaces } from '../../../cache/store/eviction-history.ts';
import { HASH, NO_ROW, Rows, STATE } from '../../../cache/store/rows.ts';
import { seededRandom } from '../../support/random.ts';

/** Queues over rows that bytes of memory are counted for, as a store would. */
function cacheOf(maxBytes: number) {
  const rows = new Rows();
  const queues = new EvictionQueues(rows, new EvictionHistory(new Int32Array(historyPlaces(maxBytes))));
  const stored = new Map<number, { readonly row: number; readonly bytes: number }>();
  const keyOf = new Map<number, number>();
  let inUse = 0;
  const remove = (key: number, isEvicted = false): void => {
    const { row, bytes } = stored.get(key) as { row: number; bytes: number };
    queues.remove(row, isEvicted);
    rows.release(row);
    stored.delete(key);
    keyOf.delete(row);
    inUse -= bytes;
  };
  return {
    queues,
    stored,
    remove,
    keyOf: (row: number) => keyOf.get(row),
    /** @returns Whether it was a hit. */
    access(key: number, bytes: number): boolean {
      const known = stored.get(key);
      if (known !== undefined) {
        queues.use(known.row);
        return true;
      }
      const row = rows.take();
      rows.set(row, HASH, Math.imul(key + 1, 0x9e3779b1));
      rows.set(row, STATE, 0);
      queues.add(row, bytes);
      stored.set(key, { row, bytes });
      keyOf.set(row, key);
      inUse += bytes;
      while (inUse > maxBytes) remove(keyOf.get(queues.victim(row)) as number, true);
      return false;
    },
  };
}

test('in any order of adding, using and removing a victim is a stored key, until none is left', async (t) => {
  const step = fc.tuple(fc.constantFrom('access', 'remove', 'victim'), fc.nat(60), fc.nat(1_000_000));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
      const cache = cacheOf(4_000_000);
      for (const [what, key, bytes] of steps) {
        if (what === 'access') cache.access(key, bytes + 1);
        else if (what === 'remove' && cache.stored.has(key)) cache.remove(key);
        else if (what === 'victim' && cache.stored.size > 0) {
          const victim = cache.keyOf(cache.queues.victim());
          if (victim === undefined || !cache.stored.has(victim)) throw new Error('a victim that is not stored');
        }
      }
      for (let left = cache.stored.size; left > 0; left--) {
        cache.remove(cache.keyOf(cache.queues.victim()) as number);
      }
      return cache.stored.size === 0 && cache.queues.victim() === NO_ROW;
    }),
    { numRuns: 100 },
  );
  t.pass();
});

test('of equal keys the first is evicted first, a used one later', async (t) => {
  const cache = cacheOf(4_000);
  for (const key of [1, 2, 3, 4]) cache.access(key, 1_000);
  cache.access(1, 1_000);
  cache.access(5, 1_000);
  t.same([...cache.stored.keys()], [1, 3, 4, 5]);
});

test('an excepted row is never the victim', async (t) => {
  const cache = cacheOf(10_000);
  cache.access(1, 9_000);
  const { row } = cache.stored.get(1) as { row: number };
  t.equal(cache.queues.victim(row), NO_ROW);
  cache.access(2, 10);
  t.equal(cache.keyOf(cache.queues.victim(row)), 2);
});

test('a crawler that walks a million pages once leaves popular responses in the store', async (t) => {
  const popular = 1_000;
  const cache = cacheOf(3 * popular * 2_000);
  for (let round = 0; round < 4; round++) for (let key = 0; key < popular; key++) cache.access(key, 2_000);
  const random = seededRandom(7);
  let [asked, hits] = [0, 0];
  for (let page = 0; page < 1_000_000; page++) {
    cache.access(popular + page, 2_000);
    if (page % 10 !== 0) continue; // one visitor’s request among ten of the crawler’s
    asked++;
    if (cache.access(Math.floor(random() * popular), 2_000)) hits++;
  }
  t.ok(hits / asked > 0.97, `${hits} of ${asked}`);
});

test('one eviction does bounded work although every key was used', async (t) => {
  // The least of some: a collection of garbage may fall into one of them.
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    const cache = cacheOf(100_000_000);
    for (let key = 0; key < 50_000; key++) cache.access(key, 2_000);
    for (let key = 0; key < 50_000; key++) cache.access(key, 2_000);
    const before = process.threadCpuUsage();
    cache.access(1_000_000, 2_000);
    least = Math.min(least, process.threadCpuUsage(before).user);
  }
  t.ok(least < 5_000, `${least} µs`);
});
