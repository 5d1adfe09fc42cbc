import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'tap';
import { Turns } from '../../../http/listener/turns.ts';
import { later, type MonotonicMs, monotonicMs } from '../../../lib/clock.ts';

/** Turns by a clock that goes on where a test says so. */
function started(): { turns: Turns; now: () => MonotonicMs; work: (ms: number) => void } {
  let at = monotonicMs(1_000);
  const now = (): MonotonicMs => at;
  return {
    turns: new Turns(now),
    now,
    work: (ms) => {
      at = later(at, ms);
    },
  };
}

test('connections that begin share one slice while others wait', async (t) => {
  const { turns, now, work } = started();
  t.ok(turns.sliceEnd() > now(), 'alone, it has a slice');
  t.equal(turns.sliceEnd(now()), turns.sliceEnd(), 'the time may be given');
  turns.later(() => t.ok(turns.sliceEnd() > now(), 'one that has waited has a slice'));
  const end = turns.sliceEnd();
  turns.later(() => undefined);
  t.equal(turns.sliceEnd(), end, 'from when the first was put off, however many are');
  work(2);
  t.ok(turns.sliceEnd() <= now(), 'it is used up');
  turns.hasRead(64 * 1024);
  t.ok(turns.sliceEnd() <= now(), 'a large read begins no other one');
  await nextTurn();
  t.ok(turns.sliceEnd() > now(), 'nobody waits any more');
});

test('connections that continue take a bounded part of a turn, one after the other', async (t) => {
  const { turns, work } = started();
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

test('large reads of one turn share one slice', async (t) => {
  const { turns, now, work } = started();
  turns.hasRead(100);
  work(2);
  t.ok(turns.sliceEnd() > now(), 'small ones have one each');
  turns.hasRead(64 * 1024);
  t.ok(turns.sliceEnd() > now());
  work(2);
  turns.hasRead(64 * 1024);
  t.ok(turns.sliceEnd() <= now(), 'it is used up');
  turns.later(() => undefined);
  t.ok(turns.sliceEnd() <= now(), 'also for those that come when it has been put off');
  await nextTurn();
  await nextTurn();
  t.ok(turns.sliceEnd() > now(), 'in the next turn there is another one');
});
