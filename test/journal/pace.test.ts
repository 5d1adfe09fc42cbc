/** Pace of transactions: what comes soon after the last one waits. */
import { setTimeout as timeout } from 'node:timers/promises';
import { test } from 'tap';
import { paced } from '../../journal/pace.ts';

/** Returns whether a transaction is made in this turn of the event loop, and when. */
async function made(defer: (flush: () => void) => void): Promise<{ isAtOnce: boolean; at: number }> {
  const flushed = new Promise<{ isAtOnce: boolean; at: number }>((resolve) => {
    let isAtOnce = true;
    defer(() => resolve({ isAtOnce, at: performance.now() }));
    setImmediate(() => {
      isAtOnce = false;
    });
  });
  return flushed;
}

test('the first transaction is made at once, and each of the next ones 10 ms after the one before', async (t) => {
  const defer = paced();
  let before = await made(defer);
  t.ok(before.isAtOnce);
  for (let i = 0; i < 4; i += 1) {
    const next = await made(defer);
    t.notOk(next.isAtOnce);
    t.ok(next.at - before.at >= 8, 'a timer may be two milliseconds early');
    before = next;
  }
  await timeout(15);
  t.ok((await made(defer)).isAtOnce, 'after a pause');
});

test('two journals have a pace each', async (t) => {
  const [one, two] = [paced(), paced()];
  t.ok((await made(one)).isAtOnce);
  t.ok((await made(two)).isAtOnce);
});
