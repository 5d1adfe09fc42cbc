/** Several threads at one shared store, and threads that are ended while they write. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { test } from 'tap';
import { SharedStore } from '../../../cache/shared/shared-store.ts';
import type { HammerOptions, HammerResult } from './hammer.ts';
import { openStore } from './open-store.ts';
import { store, versionIn } from './payloads.ts';
import type { StoppingMessage, StoppingOptions } from './stopping.ts';

const STOPPING = new URL('stopping.ts', import.meta.url);
const HAMMER = new URL('hammer.ts', import.meta.url);
const MEBIBYTE = 1024 * 1024;
const KEYS = 300;
const OPERATIONS = 4_000;

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
  { title: 'with room for everything each thread finds what it has stored', maxBytes: 16 * MEBIBYTE, hasRoom: true },
  {
    title: 'with evictions all the time no payload is torn, old or of another key',
    maxBytes: MEBIBYTE,
    hasRoom: false,
  },
]) {
  test(`random operations of three threads: ${title}`, async (t) => {
    const { memory, supervisor } = openStore(maxBytes, 4);
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
    t.ok(results.every(({ reads }) => reads > 500));
    t.same(supervisor.errors(), []);
  });
}

test('writers ended at any moment leave a whole index, and nothing that was stored before is lost', async (t) => {
  const { memory, supervisor, store: own } = openStore(16 * MEBIBYTE, 4);
  const PAST = 1_000; // keys that no thread writes any more
  for (let i = KEYS; i < KEYS + PAST; i++) store(own, i % 7 === 0 ? i + 1 : i, 1);
  for (let round = 0; round < 8; round++) {
    const token = supervisor.addThread();
    const worker = start({
      memory,
      token,
      seed: round,
      keys: KEYS,
      own: 0,
      writers: 1,
      writes: 0.9,
      reportAt: 300 + 37 * round,
      hasRoom: false,
    });
    await once(worker, 'message');
    await worker.terminate();
    supervisor.ended(token);
    t.same(supervisor.errors(), []);
    for (let i = 0; i < KEYS + PAST; i++) {
      if (versionIn(own, i) === undefined && i >= KEYS && i % 7 !== 0) t.fail(`key ${i} is lost`);
    }
  }
});

test('a lock of a thread that has ended is taken over by the next waiter', async (t) => {
  const { memory, supervisor, store: own } = openStore(MEBIBYTE, 2);
  const ended = supervisor.addThread();
  store(own, 1, 1);
  t.ok(new SharedStore(memory, ended).lockForTest());
  supervisor.ended(ended);
  t.equal(versionIn(own, 1), 1);
  store(own, 1, 2);
  t.equal(versionIn(own, 1), 2);
  t.same(supervisor.errors(), []);
});

for (const { at, nth } of [
  { at: 'add', nth: 1 },
  { at: 'add', nth: 300 },
  { at: 'remove', nth: 1 },
  { at: 'remove', nth: 90 },
  { at: 'victim', nth: 1 },
  { at: 'victim', nth: 40 },
  { at: 'copy', nth: 1 },
  { at: 'copy', nth: 500 },
] as const) {
  test(`a writer ended at its call number ${nth} of ${at} holds the lock; the next thread takes it over`, async (t) => {
    const { memory, supervisor, store: own } = openStore(MEBIBYTE, 2);
    const token = supervisor.addThread();
    const worker = new Worker(STOPPING, { workerData: { memory, token, at, nth } satisfies StoppingOptions });
    const [{ before }] = (await once(worker, 'message')) as [StoppingMessage];
    await worker.terminate();
    t.equal(supervisor.lockHolder, token);
    supervisor.ended(token);
    t.same(supervisor.errors(), []);
    // One key may be between two states: the one that was being stored, removed or evicted.
    const small = before.filter((i) => i % 7 !== 0);
    t.ok(small.filter((i) => versionIn(own, i) === undefined).length <= 1, 'what was stored is there');
    for (let i = 0; i < 1_000; i++) store(own, i, 2);
    t.equal(versionIn(own, 999), 2);
    t.same(supervisor.errors(), []);
  });
}
