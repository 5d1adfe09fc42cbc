/** Several threads at one shared store, and threads that are ended while they write. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { test } from 'tap';
import { makeSharedMemory } from '../../../cache/shared/layout.ts';
import { SharedStore } from '../../../cache/shared/shared-store.ts';
import { KeyBytes } from '../../../cache/store/key-bytes.ts';
import type { HammerOptions, HammerResult } from './hammer.ts';
import { payloadOf, versionOf } from './payloads.ts';
import type { StoppingMessage, StoppingOptions } from './stopping.ts';

const STOPPING = new URL('stopping.ts', import.meta.url);
const HAMMER = new URL('hammer.ts', import.meta.url);
const MEBIBYTE = 1024 * 1024;
const KEYS = 300;
const OPERATIONS = 30_000;

function start(options: HammerOptions): Worker {
  return new Worker(HAMMER, { workerData: options });
}

async function resultOf(worker: Worker): Promise<HammerResult> {
  const { promise, resolve, reject } = Promise.withResolvers<HammerResult>();
  worker.on('message', (message: HammerResult | 'begun') => {
    if (message !== 'begun') resolve(message);
  });
  worker.on('error', reject);
  return promise;
}

for (const { title, maxBytes, hasRoom } of [
  { title: 'with room for everything each thread finds what it has stored', maxBytes: 8 * MEBIBYTE, hasRoom: true },
  {
    title: 'with evictions all the time no payload is torn, old or of another key',
    maxBytes: MEBIBYTE / 2,
    hasRoom: false,
  },
]) {
  test(`random operations of three threads: ${title}`, async (t) => {
    const memory = makeSharedMemory({ maxBytes, threads: 4 });
    const supervisor = new SharedStore(memory);
    const workers = [0, 1, 2].map((own) => {
      const token = supervisor.addThread();
      const worker = start({
        memory,
        token,
        seed: own + 1,
        keys: KEYS,
        own,
        writers: 3,
        operations: OPERATIONS,
        writes: 0.3,
        reportAt: -1,
        hasRoom,
      });
      return { token, worker };
    });
    const results = await Promise.all(workers.map(({ worker }) => resultOf(worker)));
    await Promise.all(workers.map(({ worker }) => worker.terminate()));
    for (const { token } of workers) supervisor.ended(token);
    t.same(
      results.map(({ error }) => error),
      [undefined, undefined, undefined],
    );
    t.ok(results.every(({ reads }) => reads > 1_000));
    t.same(supervisor.errors(), []);
  });
}

test('writers ended at any moment leave a whole index, and nothing that was stored before is lost', async (t) => {
  const memory = makeSharedMemory({ maxBytes: 2 * MEBIBYTE, threads: 4 });
  const supervisor = new SharedStore(memory);
  const own = new SharedStore(memory, supervisor.addThread());
  const key = new KeyBytes();
  const target = Buffer.alloc(8 * 1024);
  const PAST = 1_000; // keys that no thread writes any more
  for (let i = KEYS; i < KEYS + PAST; i++)
    t.ok(own.set(key.set(`https://a.example/${i}`), payloadOf(i, 1), { asOf: 1, epoch: i }));
  for (let round = 0; round < 24; round++) {
    const token = supervisor.addThread();
    const worker = start({
      memory,
      token,
      seed: round,
      keys: KEYS,
      own: 0,
      writers: 1,
      writes: 0.9,
      reportAt: 3_000 + 97 * round,
      hasRoom: false,
    });
    await once(worker, 'message');
    await worker.terminate();
    supervisor.ended(token);
    t.same(supervisor.errors(), []);
    for (let i = 0; i < KEYS + PAST; i++) {
      const length = own.read(key.set(`https://a.example/${i}`), target);
      if (length >= 0) versionOf(i, target.subarray(0, length));
      else if (i >= KEYS) t.fail(`key ${i} is lost`);
    }
  }
});

test('a lock of a thread that has ended is taken over by the next waiter', async (t) => {
  const memory = makeSharedMemory({ maxBytes: MEBIBYTE, threads: 2 });
  const supervisor = new SharedStore(memory);
  const endedThread = supervisor.addThread();
  const own = new SharedStore(memory, supervisor.addThread());
  const key = new KeyBytes().set('https://a.example/1');
  t.ok(own.set(key, payloadOf(1, 1), { asOf: 0, epoch: 0 }));
  const held = new SharedStore(memory, endedThread).lockAll();
  t.equal(held, memory.shape.shards);
  supervisor.ended(endedThread);
  t.ok(own.set(key, payloadOf(1, 2), { asOf: 0, epoch: 0 }));
  const target = Buffer.alloc(8 * 1024);
  t.equal(versionOf(1, target.subarray(0, own.read(key, target))), 2);
  t.same(supervisor.errors(), []);
});

for (const { at, nth } of [
  { at: 'add', nth: 1 },
  { at: 'add', nth: 700 },
  { at: 'remove', nth: 1 },
  { at: 'remove', nth: 90 },
  { at: 'victim', nth: 1 },
  { at: 'victim', nth: 40 },
  { at: 'copy', nth: 1 },
  { at: 'copy', nth: 1_500 },
] as const) {
  test(`a writer ended at its call number ${nth} of ${at} holds the lock; the next thread takes it over`, async (t) => {
    const memory = makeSharedMemory({ maxBytes: MEBIBYTE / 4, threads: 2 });
    const supervisor = new SharedStore(memory);
    const token = supervisor.addThread();
    const own = new SharedStore(memory, supervisor.addThread());
    const worker = new Worker(STOPPING, { workerData: { memory, token, at, nth } satisfies StoppingOptions });
    const [{ before }] = (await once(worker, 'message')) as [StoppingMessage];
    await worker.terminate();
    t.equal(supervisor.locksOf(token), 1);
    supervisor.ended(token);
    t.same(supervisor.errors(), []);
    const key = new KeyBytes();
    const target = Buffer.alloc(8 * 1024);
    const read = (i: number): number | undefined => {
      const length = own.read(key.set(`https://a.example/${i}`), target);
      return length < 0 ? undefined : versionOf(i, target.subarray(0, length));
    };
    // One key may be between two states: the one that was being stored, removed or evicted.
    t.ok(before.filter((i) => read(i) === undefined).length <= 1, 'what was stored is there');
    for (let i = 0; i < 2_000; i++)
      t.ok(own.set(key.set(`https://a.example/${i}`), payloadOf(i, 2), { asOf: 0, epoch: 0 }));
    t.equal(read(1_999), 2);
    t.same(supervisor.errors(), []);
  });
}
