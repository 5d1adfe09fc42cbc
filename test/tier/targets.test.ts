import { EventEmitter, once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'tap';
import { later, monotonicNow } from '../../lib/clock.ts';
import type { Waiting } from '../../tier/target-health.ts';
import { Targets } from '../../tier/targets.ts';

const OPTIONS = { name: 'a', failures: 3, firstPauseMs: 1_000, maxPauseMs: 5_000 };

test('a request that waits for longer than nearly all is reviewed until nothing is left to do; others are not', async (t) => {
  const targets = new Targets();
  const health = targets.add(OPTIONS);
  for (let i = 0; i < 200; i++) health.headMs.observe(10);
  const seen = new EventEmitter();
  let reviews = 0;
  const one = (agoMs: number, onOverdue: () => boolean): Waiting => ({
    since: later(monotonicNow(), -agoMs),
    onSilence: () => undefined,
    onOverdue,
    isReviewed: false,
    before: undefined,
    after: undefined,
  });
  health.waits(
    one(1_000, () => {
      if (++reviews === 2) seen.emit('reviewed');
      return reviews === 2;
    }),
  );
  health.waits(one(-60_000, () => t.fail('it has only begun')));
  const keepAlive = setInterval(() => undefined, 1_000); // reviews keep no process alive
  await once(seen, 'reviewed');
  await pause(150);
  clearInterval(keepAlive);
  t.equal(reviews, 2);
  targets.remove(health);
});
