import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'tap';
import { Turns } from '../../http/turns.ts';
import { monotonicNow } from '../../lib/clock.ts';

/** Milliseconds without end. */
function work(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test('while others wait, those that begin have one slice together', async (t) => {
  const turns = new Turns();
  t.ok(turns.sliceEnd() > monotonicNow(), 'alone, it has a slice');
  turns.later(() => t.ok(turns.sliceEnd() > monotonicNow(), 'one that has waited has a slice'));
  const end = turns.sliceEnd();
  turns.later(() => undefined);
  t.equal(turns.sliceEnd(), end, 'from when the first was put off, however many are');
  work(2);
  t.ok(turns.sliceEnd() <= monotonicNow(), 'it is used up');
  turns.hasRead(64 * 1024);
  t.ok(turns.sliceEnd() <= monotonicNow(), 'a large read begins no other one');
  await nextTurn();
  t.ok(turns.sliceEnd() > monotonicNow(), 'nobody waits any more');
});

test('what goes on takes a bounded part of a turn, one after the other', async (t) => {
  const turns = new Turns();
  const order: number[] = [];
  const left = [3, 3, 3, 3, 3, 3, 3, 3];
  const goOn = (id: number): void => {
    order.push(id);
    work(2);
    left[id] = (left[id] as number) - 1;
    if ((left[id] as number) > 0) turns.later(() => goOn(id));
  };
  for (const id of left.keys()) turns.later(() => goOn(id));
  let longest = 0;
  while (left.some((slices) => slices > 0)) {
    const before = order.length;
    await nextTurn();
    longest = Math.max(longest, order.length - before);
  }
  t.ok(longest <= 3, `${longest} slices of 2 ms in one turn`);
  t.strictSame(order, [...left.keys(), ...left.keys(), ...left.keys()], 'each has its slice before any has two');
});

test('large reads of one turn have one slice together', async (t) => {
  const turns = new Turns();
  turns.hasRead(100);
  work(2);
  t.ok(turns.sliceEnd() > monotonicNow(), 'small ones have one each');
  turns.hasRead(64 * 1024);
  t.ok(turns.sliceEnd() > monotonicNow());
  work(2);
  turns.hasRead(64 * 1024);
  t.ok(turns.sliceEnd() <= monotonicNow(), 'it is used up');
  turns.later(() => undefined);
  t.ok(turns.sliceEnd() <= monotonicNow(), 'also for those that come when it has been put off');
  await nextTurn();
  await nextTurn();
  t.ok(turns.sliceEnd() > monotonicNow(), 'in the next turn there is another one');
});
