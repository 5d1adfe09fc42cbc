import { mock } from 'node:test';
import { test } from 'tap';
import { Shedding } from '../../../http/upstream/shedding.ts';
import { later, monotonicMs } from '../../../lib/clock.ts';

test('refused requests are one episode, which is over when none was refused for five seconds', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] });
  t.teardown(() => mock.timers.reset());
  let now = monotonicMs(0);
  const pass = (ms: number): void => {
    now = later(now, ms);
    mock.timers.tick(ms);
  };
  const events: string[] = [];
  const shedding = new Shedding(
    {
      shed: (reason, priority) => events.push(`${reason} ${priority}`),
      began: () => events.push('began'),
      ended: (count, ms) => events.push(`ended ${count} ${ms}`),
    },
    () => now,
  );
  for (let i = 0; i < 3; i++) {
    shedding.note('full', 'normal');
    pass(4_000);
  }
  t.strictSame(events, ['full normal', 'began', 'full normal', 'full normal']);
  pass(10_000);
  t.strictSame(events.slice(4), ['ended 3 8000']);
  pass(60_000);
  t.equal(events.length, 5, 'it ends once');
  shedding.note('waited', 'navigation');
  t.strictSame(events.slice(5), ['waited navigation', 'began']);
});

test('nothing is counted where there is no receiver', async (t) => {
  const shedding = new Shedding(undefined, () => monotonicMs(0));
  t.doesNotThrow(() => shedding.note('full', 'normal'));
});
