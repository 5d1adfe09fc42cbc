/** The simulated clock of the models. */
import { test } from 'tap';
import { Clock } from './clock.ts';

test('what was begun before has all its consequences before time passes', async (t) => {
  const clock = new Clock();
  const start = clock.now;
  const times: number[] = [];
  clock.after(90, () => undefined);
  // Several steps that need no time, as a call has that waits for another one, and then one of the clock.
  const calling = (async () => {
    for (let step = 0; step < 5; step += 1) await Promise.resolve();
    times.push(clock.now - start);
    await new Promise<void>((resolve) => void clock.after(20, resolve));
    times.push(clock.now - start);
  })();
  await clock.runUntil(start + 100);
  t.same(times, [0, 20]);
  await calling;
});

test('events happen in the order of their times, and of their planning where these are equal', async (t) => {
  const clock = new Clock();
  const happened: string[] = [];
  for (const ms of [30, 10, 20, 10, 0, 30]) clock.after(ms, () => happened.push(`${ms} as ${clock.elapsedMs}`));
  const cancelled = clock.after(5, () => happened.push('cancelled'));
  cancelled.cancel();
  await clock.runUntil(clock.now + 20);
  t.same(happened, ['0 as 0', '10 as 10', '10 as 10', '20 as 20']);
  t.equal(clock.elapsedMs, 20);
  await clock.runUntil(clock.now + 100);
  t.equal(happened.length, 6);
});
