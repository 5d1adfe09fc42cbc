/** The memory of a store as a supervisor makes it, and threads that are started with it one after the other. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { test } from 'tap';
import { attach, createSharedMemory } from '../../../cache/shared/shared-memory.ts';
import { checked, store, versionIn } from './payloads.ts';

const ATTACHED = new URL('attached.ts', import.meta.url);
const ADDING = new URL('adding.ts', import.meta.url);
const MEBIBYTE = 1024 * 1024;

test('threads that are started with the memory find what others have stored, also those that have ended', async (t) => {
  const memory = createSharedMemory({ maxBytes: 4 * MEBIBYTE, threads: 2 });
  const own = attach(memory.buffers, memory.addThread());
  store(own, 1, 1);
  for (let round = 1; round <= 3; round++) {
    const token = memory.addThread();
    t.throws(() => memory.addThread(), RangeError, 'no more threads than the memory was made for');
    const worker = new Worker(ATTACHED, { workerData: { buffers: memory.buffers, token } });
    const [found] = await once(worker, 'message');
    t.equal(found, round);
    await worker.terminate();
    memory.ended(token);
    t.equal(versionIn(own, 1), round + 1);
  }
  t.same(memory.errors(), []);
  t.equal(memory.size, 1);
});

test('no response is lost when threads add theirs to the same key at the same time', async (t) => {
  const memory = createSharedMemory({ maxBytes: 8 * MEBIBYTE, threads: 4 });
  const own = attach(memory.buffers, memory.addThread());
  const count = 30;
  const workers = [0, 1, 2].map((i) => {
    const workerData = { buffers: memory.buffers, token: memory.addThread(), first: i * count, count };
    return new Worker(ADDING, { workerData });
  });
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const versions = own.get('https://a.example/1').map((stored) => checked(1, stored));
  t.same(
    versions.sort((a, b) => a - b),
    Array.from({ length: 3 * count }, (_, i) => i),
  );
  t.same(memory.errors(), []);
  await Promise.all(workers.map((worker) => worker.terminate()));
});

test('a thread can be said to have ended while another one ends with the lock', async (t) => {
  const memory = createSharedMemory({ maxBytes: 4 * MEBIBYTE, threads: 4 });
  const own = attach(memory.buffers, memory.addThread());
  store(own, 1, 1);
  const [first, second] = [memory.addThread(), memory.addThread()];
  attach(memory.buffers, second).lockForTest();
  memory.ended(first);
  memory.ended(second);
  t.same(memory.errors(), []);
  t.equal(versionIn(own, 1), 1);
  store(own, 1, 2);
  t.equal(versionIn(own, 1), 2);
});

test('that a thread has ended can be said twice, and does no harm to the thread in its place', async (t) => {
  const memory = createSharedMemory({ maxBytes: MEBIBYTE, threads: 2 });
  const own = attach(memory.buffers, memory.addThread());
  const first = memory.addThread();
  memory.ended(first);
  const second = memory.addThread();
  const other = attach(memory.buffers, second);
  store(own, 7, 1);
  const reader = other.get('https://a.example/7')[0]?.body.open({ start: 0, end: 20_000 });
  memory.ended(first);
  own.delete('https://a.example/7');
  for (let i = 0; i < 400; i++) store(own, 7 * i, 2);
  const bytes = reader?.next();
  t.ok(Buffer.isBuffer(bytes) && bytes.readInt32LE(0) === 7, 'what it reads is still pinned');
  reader?.close();
});
