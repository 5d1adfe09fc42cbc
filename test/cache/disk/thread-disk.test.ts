/** The disk of a node of several threads: what one of them has replaced or removed, no other finds on disk. */
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { KeyFilter } from '../../../cache/disk/key-filter.ts';
import { SegmentDisk } from '../../../cache/disk/segment-disk.ts';
import { type FromDisk, ThreadChanges, ThreadDisk, ThreadDisks, type ToDisk } from '../../../cache/disk/thread-disk.ts';
import { attach, createSharedMemory, type SupervisedMemory } from '../../../cache/shared/shared-memory.ts';
import type { SharedStore } from '../../../cache/shared/shared-store.ts';
import type { Store } from '../../../cache/store/store.ts';
import { monotonicNow, wallNow } from '../../../lib/clock.ts';
import { ledger, storedResponse } from '../../support/stored-response.ts';
import { temporary } from './stores.ts';

const MEBIBYTE = 2 ** 20;
const THREADS = 3;
const KEYS = 4;
const keyOf = (number: number): string => `https://a.example/${number}`;

/** A thread, as it would be in another one: its messages wait until they are delivered. */
interface Thread {
  /** Number by which the thread that has the disk knows it. */
  readonly number: number;
  readonly token: number;
  readonly store: SharedStore;
  readonly disk: ThreadDisk;
  readonly toDisk: ToDisk[];
  readonly fromDisk: FromDisk[];
  /** Resolves when it ends: what it waits for does not come then. */
  readonly ended: PromiseWithResolvers<boolean>;
}

/** Moment at which a thread ends that changes what is stored: after what it has done last. */
const LAST_STEPS = ['counted', 'in memory', 'told'] as const;
type LastStep = (typeof LAST_STEPS)[number];

class Bench {
  readonly threads: Thread[] = [];
  readonly #memory: SupervisedMemory;
  readonly #owner: ThreadDisks;
  readonly #close: () => Promise<void>;
  #started = 0;
  /** Versions that may be found, by key; absent: none. */
  readonly latest = new Map<number, number>();
  #version = 0;

  /** @param storeOf - Makes the memory that the disk uses. */
  static async open(t: Test, storeOf: (store: SharedStore) => Store = (store) => store): Promise<Bench> {
    const memory = createSharedMemory({ maxBytes: 8 * MEBIBYTE, threads: THREADS + 1 });
    const store = storeOf(attach(memory.buffers, memory.addThread()));
    const changes = new ThreadChanges();
    const filter = KeyFilter.make(MEBIBYTE);
    const disk = await SegmentDisk.open({
      path: temporary(t),
      maxBytes: 16 * MEBIBYTE,
      writeBytesPerSecond: Number.MAX_SAFE_INTEGER,
      maxIndexBytes: MEBIBYTE,
      store,
      ledger,
      now: wallNow,
      monotonic: monotonicNow,
      events: { failed: t.fail, opened: () => undefined },
      changes: (key) => changes.of(key),
      filter,
    });
    const owner = new ThreadDisks({ disk, store, changes, filter });
    const bench = new Bench(memory, owner, () => disk.close());
    for (let i = 0; i < THREADS; i++) bench.threads.push(bench.#start());
    return bench;
  }

  private constructor(memory: SupervisedMemory, owner: ThreadDisks, close: () => Promise<void>) {
    this.#memory = memory;
    this.#owner = owner;
    this.#close = close;
  }

  #start(): Thread {
    const [toDisk, fromDisk]: [ToDisk[], FromDisk[]] = [[], []];
    const number = ++this.#started;
    const shared = this.#owner.add(number, (message) => fromDisk.push(message));
    const token = this.#memory.addThread();
    const store = attach(this.#memory.buffers, token);
    const disk = new ThreadDisk(shared, (one) => toDisk.push(one));
    return { number, token, store, disk, toDisk, fromDisk, ended: Promise.withResolvers() };
  }

  endOf(index: number): Promise<boolean> {
    return this.#thread(index).ended.promise;
  }

  /** Ends the thread, whose messages still arrive, and starts another one in its place. */
  end(index: number): void {
    const { number, token, toDisk, ended } = this.#thread(index);
    this.#memory.ended(token);
    ended.resolve(false);
    while (toDisk.length > 0) this.deliver(index);
    this.#owner.ended(number);
    this.threads[index] = this.#start();
  }

  close(): Promise<void> {
    return this.#close();
  }

  #thread(index: number): Thread {
    return this.threads[index] as Thread;
  }

  /** @param last - What the thread does before it ends; by default it goes on. */
  write(index: number, number: number, last?: LastStep): void {
    const { store, disk } = this.#thread(index);
    const version = ++this.#version;
    const bytes = Buffer.alloc(100, `${version} `);
    const writer = store.begin(bytes.length);
    writer?.append(bytes, true);
    const body = writer?.commit(0);
    if (body === undefined) throw new Error('the store has no room');
    const variants = [{ ...storedResponse(store, number, bytes.length, wallNow()), body }];
    disk.replacing(keyOf(number));
    if (last === 'counted') {
      writer?.abort();
      return;
    }
    store.set(keyOf(number), variants);
    this.latest.set(number, version);
    if (last !== 'in memory') disk.replace(keyOf(number), variants);
  }

  /** @param last - As above. */
  invalidate(index: number, number: number, last?: LastStep): void {
    const { store, disk } = this.#thread(index);
    disk.remove(keyOf(number));
    if (last === 'counted') return;
    store.delete(keyOf(number));
    this.latest.delete(number);
  }

  evict(number: number): void {
    this.#thread(0).store.delete(keyOf(number));
  }

  use(index: number, number: number): void {
    const { store, disk } = this.#thread(index);
    store.get(keyOf(number));
    disk.put(keyOf(number));
  }

  get bytesInUse(): number {
    return this.#memory.bytesInUse;
  }

  /** Delivers the next message of a thread, and the answers to it. */
  deliver(index: number): void {
    const thread = this.#thread(index);
    const message = thread.toDisk.shift();
    if (message !== undefined) this.#owner.onMessage(thread.number, message);
    this.#answer();
  }

  #answer(): void {
    for (const { disk, fromDisk } of this.threads) for (const message of fromDisk.splice(0)) disk.onMessage(message);
  }

  /** Delivers all, in the order of the threads, until nothing is under way. */
  async settle(lookups: readonly Promise<boolean>[]): Promise<void> {
    let isOver = false;
    const all = Promise.all(lookups).then(() => {
      isOver = true;
    });
    while (!isOver || this.threads.some(({ toDisk }) => toDisk.length > 0)) {
      for (const index of this.threads.keys()) this.deliver(index);
      await new Promise((resolve) => void setImmediate(resolve));
    }
    await all;
  }

  /** @returns Version that memory has. */
  versionOf(number: number): number | undefined {
    const [found] = this.#thread(0).store.get(keyOf(number));
    return found && Number.parseInt(String(found.body.open({ start: 0, end: found.length }).next()), 10);
  }

  /** @returns Keys whose responses in memory are older than they may be. */
  outdated(): number[] {
    return Array.from({ length: KEYS }, (_, number) => number).filter((number) => {
      const version = this.versionOf(number);
      return version !== undefined && version !== this.latest.get(number);
    });
  }
}

const thread = fc.nat(THREADS - 1);
const key = fc.nat(KEYS - 1);
const step = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), thread, key }),
  fc.record({ kind: fc.constant('invalidate' as const), thread, key }),
  fc.record({ kind: fc.constant('evict' as const), thread, key }),
  fc.record({ kind: fc.constant('use' as const), thread, key }),
  fc.record({ kind: fc.constant('lookup' as const), thread, key }),
  fc.record({ kind: fc.constant('deliver' as const), thread, key }),
  fc.record({ kind: fc.constant('turn' as const), thread, key }),
  fc.record({
    kind: fc.constant('end' as const),
    thread,
    key,
    during: fc.constantFrom(undefined, 'write' as const, 'invalidate' as const),
    last: fc.constantFrom(...LAST_STEPS),
  }),
);

type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

/** A response gets onto disk, its thread ends in a change, and another one finds what is on disk. */
const change = fc
  .record({
    thread,
    other: thread,
    key,
    during: fc.constantFrom('write' as const, 'invalidate' as const),
    last: fc.constantFrom(...LAST_STEPS),
    between: fc.array(step, { maxLength: 3 }),
  })
  .map(({ thread, other, key, during, last, between }): Step[] => [
    ...(['write', 'write', 'deliver', 'deliver'] as const).map((kind) => ({ kind, thread, key })),
    ...between,
    { kind: 'end', thread, key, during, last },
    { kind: 'evict', thread, key },
    { kind: 'lookup', thread: other, key },
  ]);

const scenes = fc.array(
  fc.oneof({ weight: 20, arbitrary: step.map((one) => [one]) }, { weight: 1, arbitrary: change }),
  {
    minLength: 20,
    maxLength: 100,
  },
);

test('nothing older than what was stored or removed last comes back, whatever the order of messages', async (t) => {
  await fc.assert(
    fc.asyncProperty(scenes, async (all) => {
      const steps = all.flat();
      const bench = await Bench.open(t);
      const lookups: Promise<boolean>[] = [];
      try {
        for (const step of steps) {
          const { kind, thread: index, key: number } = step;
          const { disk } = bench.threads[index] as Thread;
          if (kind === 'end') {
            if (step.during !== undefined) bench[step.during](index, number, step.last);
            bench.end(index);
          } else if (kind === 'write') bench.write(index, number);
          else if (kind === 'invalidate') bench.invalidate(index, number);
          else if (kind === 'evict') bench.evict(number);
          else if (kind === 'use') bench.use(index, number);
          else if (kind === 'deliver') bench.deliver(index);
          else if (kind === 'turn') await new Promise((resolve) => void setImmediate(resolve));
          else {
            const loading = disk.lookup(keyOf(number));
            if (loading !== undefined) lookups.push(Promise.race([loading, bench.endOf(index)]));
          }
          if (bench.outdated().length > 0) return false;
        }
        await bench.settle(lookups);
        return bench.outdated().length === 0;
      } finally {
        await bench.close();
      }
    }),
    { numRuns: 60 },
  );
});

for (const last of LAST_STEPS) {
  test(`a thread that ends in a write (${last}) leaves no older copy on disk`, async (t) => {
    const bench = await Bench.open(t);
    t.teardown(() => bench.close());
    for (let i = 0; i < 2; i++) bench.write(1, 1);
    await bench.settle([]);
    bench.write(1, 1, last);
    bench.end(1);
    bench.evict(1);
    const loading = bench.threads[2]?.disk.lookup(keyOf(1));
    await bench.settle(loading === undefined ? [] : [loading]);
    t.same(bench.outdated(), []);
  });
}

test('a response that another thread stores while one comes from disk stays', async (t) => {
  let meanwhile = (): void => undefined;
  const bench = await Bench.open(t, (store) => {
    const { begin } = store;
    return Object.assign(store, {
      begin: (bytes: number) => {
        meanwhile();
        return begin.call(store, bytes);
      },
    });
  });
  t.teardown(() => bench.close());
  for (let i = 0; i < 2; i++) bench.write(1, 1);
  await bench.settle([]);
  bench.evict(1);
  meanwhile = () => {
    bench.write(0, 1);
    bench.write(2, 1);
  };
  const loading = bench.threads[2]?.disk.lookup(keyOf(1));
  t.ok(loading);
  await bench.settle([loading as Promise<boolean>]);
  t.equal(bench.versionOf(1), bench.latest.get(1));
  const before = bench.bytesInUse;
  meanwhile = () => bench.write(0, 1);
  bench.evict(1);
  const again = bench.threads[2]?.disk.lookup(keyOf(1));
  await bench.settle(again === undefined ? [] : [again]);
  t.equal(bench.bytesInUse, before, 'what was read for nothing takes no memory');
});

test('what is on disk comes back into the memory of all threads', async (t) => {
  const bench = await Bench.open(t);
  t.teardown(() => bench.close());
  for (let i = 0; i < 2; i++) bench.write(1, 1); // a second time: it is worth to be on disk
  await bench.settle([]);
  bench.evict(1);
  const loading = bench.threads[2]?.disk.lookup(keyOf(1));
  t.ok(loading, 'the filter has the key');
  await bench.settle([loading as Promise<boolean>]);
  t.equal(await loading, true);
  t.equal(bench.versionOf(1), 2);
  t.equal(bench.threads[0]?.disk.lookup('https://a.example/other'), undefined, 'what is not there is known at once');
});

test('a lookup waits for the removal that another thread has made, and that thread may end', async (t) => {
  const changes = new ThreadChanges();
  const numbers = changes.add(7);
  const messages: ToDisk[] = [];
  const filter = KeyFilter.make(MEBIBYTE);
  const changing = new SharedArrayBuffer(32 * 1024);
  const disk = new ThreadDisk({ numbers, changing, filter: filter.shared }, (message) => messages.push(message));
  const before = changes.of('a');
  disk.remove('a');
  t.equal(changes.areReceived('a'), false);
  t.not(changes.of('a'), before);
  changes.received(7, 'a');
  t.equal(changes.areReceived('a'), true);
  disk.remove('a');
  const atEnd = changes.of('a');
  changes.ended(7);
  t.equal(changes.areReceived('a'), true, 'it sends nothing any more');
  t.equal(changes.of('a'), atEnd);
});
