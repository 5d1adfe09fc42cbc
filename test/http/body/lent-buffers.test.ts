import { test } from 'tap';
import { release, takeFromPool } from '../../../http/body/buffer-pool.ts';
import { LentBuffers } from '../../../http/body/lent-buffers.ts';

test('a buffer that was given out is used again once its reader is done, and no sooner', async (t) => {
  const lent = new LentBuffers();
  const buffer = takeFromPool();
  lent.add(buffer);
  release(buffer); // its writer has no need of it
  t.not(takeFromPool(), buffer);
  lent.release();
  t.equal(takeFromPool(), buffer);
});

test('of a reader that never says that it is done, buffers are left to the collector', async (t) => {
  const lent = new LentBuffers();
  const buffers = Array.from({ length: 5 }, () => takeFromPool());
  for (const buffer of buffers) {
    lent.add(buffer);
    release(buffer);
  }
  lent.release();
  t.equal(takeFromPool(), buffers[4]);
  t.notOk(buffers.slice(0, 4).includes(takeFromPool()));
});

test('what is not of the pool is not remembered', async (t) => {
  const lent = new LentBuffers();
  lent.add(Buffer.from('own'));
  t.doesNotThrow(() => lent.release());
});
