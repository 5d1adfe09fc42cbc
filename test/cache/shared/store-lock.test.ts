/** Lock of writers, with holders that end while they have it. */
import { test } from 'tap';
import { SUPERVISOR } from '../../../cache/shared/store-lock.ts';
import { sharedParts } from './parts.ts';

test('one thread has it at a time', async (t) => {
  const shared = sharedParts();
  const [a, b] = [shared.thread(), shared.thread()];
  t.ok(a.lock.acquire(a.token));
  t.equal(b.lock.holder, a.token);
  t.notOk(b.lock.tryAcquire(b.token));
  t.notOk(a.lock.tryAcquire(a.token), 'nor twice by the same one');
  a.lock.release();
  t.ok(b.lock.acquire(b.token));
  t.equal(a.repairs() + b.repairs(), 0, 'what was released needs no repair');
});

test('from a thread that has ended with it, the lock is taken over, and repaired first, once', async (t) => {
  const shared = sharedParts();
  const [a, b] = [shared.thread(), shared.thread()];
  a.lock.acquire(a.token);
  t.notOk(b.lock.takeOver(a.token, b.token), 'not while it runs');
  shared.threads.end(a.token);
  t.ok(b.lock.acquire(b.token));
  t.equal(b.repairs(), 1);
  t.equal(b.lock.holder, b.token);
  b.lock.release();
  t.ok(b.lock.acquire(b.token));
  t.equal(b.repairs(), 1);
});

test('a thread that has the place of one that has ended is not taken for it', async (t) => {
  const shared = sharedParts(256 * 1024, 2);
  const [a, b] = [shared.thread(), shared.thread()];
  a.lock.acquire(a.token);
  shared.threads.end(a.token);
  const c = shared.thread();
  t.not(c.token, a.token);
  t.ok(b.lock.takeOver(a.token, b.token));
  b.lock.release();
  t.ok(c.lock.acquire(c.token));
  t.notOk(b.lock.takeOver(c.token, b.token));
});

test('a lock that is free, that of the supervisor, and one that has changed hands are not taken over', async (t) => {
  const shared = sharedParts();
  const [a, b] = [shared.thread(), shared.thread()];
  t.notOk(b.lock.takeOver(0, b.token));
  b.lock.acquire(SUPERVISOR);
  t.notOk(a.lock.takeOver(SUPERVISOR, a.token));
  b.lock.release();
  shared.threads.end(a.token);
  b.lock.acquire(b.token);
  t.notOk(b.lock.takeOver(a.token, b.token), 'it was seen before another one took it');
  t.equal(b.repairs(), 0);
});
