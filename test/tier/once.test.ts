import { test } from 'tap';
import { once } from '../../tier/once.ts';

test('an action runs once, and every caller gets its result', async (t) => {
  let runs = 0;
  const run = once(async () => ++runs);
  t.strictSame(await Promise.all([run(), run()]), [1, 1]);
  t.equal(await run(), 1);
});

test('an action that failed has failed for every caller', async (t) => {
  const run = once(() => Promise.reject(new Error('no')));
  await t.rejects(run(), { message: 'no' });
  await t.rejects(run(), { message: 'no' });
});
