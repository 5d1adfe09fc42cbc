import fc from 'fast-check';
import { test } from 'tap';
import {
  earlierOf,
  epochMs,
  later,
  laterOf,
  millisecondsOf,
  monotonicMs,
  monotonicNow,
  mostBetween,
  msBetween,
  msSince,
  wallClock,
  wallNow,
} from '../../lib/clock.ts';
import { instant } from '../support/instant.ts';

const anyMs = fc.integer({ min: -1e12, max: 1e12 });

test('moments of the monotonic clock are ordered and subtracted like numbers', async (t) => {
  fc.assert(
    fc.property(anyMs, anyMs, (a, b) => {
      const [first, second] = [monotonicMs(a), monotonicMs(b)];
      return (
        first < second === a < b &&
        msBetween(first, second) === b - a &&
        millisecondsOf(later(first, b)) === a + b &&
        millisecondsOf(earlierOf(first, second)) === Math.min(a, b) &&
        millisecondsOf(laterOf(first, second)) === Math.max(a, b)
      );
    }),
  );
  const before = monotonicNow();
  t.ok(msSince(before) >= 0);
  t.ok(before <= monotonicNow());
});

test('of two clocks the one that has advanced further counts', async (t) => {
  fc.assert(
    fc.property(fc.nat(1e9), fc.nat(1e9), (passed, moved) => {
      const since = instant(0);
      const setBack = mostBetween(since, instant(passed - moved, passed)) === passed;
      const asleep = mostBetween(since, instant(passed + moved, passed)) === passed + moved;
      return setBack && asleep;
    }),
  );
  t.pass();
});

test('a reading of the wall clock is used for a millisecond, and not for an earlier moment', async (t) => {
  const steps = fc.array(fc.record({ passed: fc.double({ min: -5, max: 5, noNaN: true }), moved: fc.integer() }));
  fc.assert(
    fc.property(steps, (all) => {
      let [wall, at, reads] = [0, 0, 0];
      let read = { at: Number.NEGATIVE_INFINITY, wall: 0 };
      const clock = wallClock(() => {
        reads++;
        return epochMs(wall);
      });
      return all.every(({ passed, moved }) => {
        at += passed;
        wall += moved;
        const isUsedAgain = at >= read.at && at - read.at < 1;
        const readsBefore = reads;
        if (!isUsedAgain) read = { at, wall };
        return clock(monotonicMs(at)) === epochMs(read.wall) && reads === readsBefore + (isUsedAgain ? 0 : 1);
      });
    }),
  );
  const clock = wallClock();
  t.ok(Math.abs(clock(monotonicNow()) - wallNow()) < 60_000);
});

test('the types of the two clocks do not mix', async (t) => {
  const monotonic = monotonicNow();
  const wall = wallNow();
  // Each line fails to compile; `npm run types` reports one that no longer does.
  // @ts-expect-error -- a comparison of the two clocks
  t.type(monotonic < wall, 'boolean');
  // @ts-expect-error -- a difference of the two clocks
  t.type(wall - monotonic, 'number');
  // @ts-expect-error -- a number is no moment of the monotonic clock
  t.type(msBetween(monotonic, 5), 'number');
  // @ts-expect-error -- a moment of the wall clock is none of the monotonic clock
  t.type(msSince(wall), 'number');
  // @ts-expect-error -- a duration is no moment of the wall clock
  const moment: typeof wall = 60_000;
  t.equal(moment, epochMs(60_000));
});
