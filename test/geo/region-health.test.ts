import fc from 'fast-check';
import { test } from 'tap';
import { RegionHealth } from '../../geo/region-health.ts';
import { millisecondsOf, monotonicMs } from '../../lib/clock.ts';

const SECOND = 1_000;
const RULES = { minHealth: 0.5, recoveryMs: 10 * SECOND };

function states(health: RegionHealth, times: readonly number[]): string {
  return times.map((at) => health.state(monotonicMs(at * SECOND))).join(' ');
}

test('a region that was never seen down is healthy at once', async (t) => {
  const health = new RegionHealth(RULES);
  t.equal(health.state(monotonicMs(0)), 'healthy');
  health.update([true, true], monotonicMs(0));
  t.equal(health.state(monotonicMs(0)), 'healthy');
});

for (const [edges, minHealth, state] of [
  [[true, false], 0.5, 'healthy'],
  [[true, false, false], 0.5, 'down'],
  [[true, false, false], 0, 'healthy'],
  [[false, false], 0, 'down'],
  [[true, false], 1, 'down'],
  [[], 0, 'down'],
] as const) {
  test(`${edges.filter(Boolean).length} of ${edges.length} edges, ${minHealth} wanted: ${state}`, async (t) => {
    const health = new RegionHealth({ ...RULES, minHealth });
    health.update(edges, monotonicMs(0));
    t.equal(health.state(monotonicMs(0)), state);
  });
}

test('a region that is down at the first check, while its network starts, is healthy as soon as it is up', async (t) => {
  const health = new RegionHealth(RULES);
  health.update([false], monotonicMs(0));
  t.equal(health.state(monotonicMs(0)), 'down');
  health.update([true], monotonicMs(2 * SECOND));
  t.equal(health.state(monotonicMs(2 * SECOND)), 'healthy');
  health.update([false], monotonicMs(200 * SECOND));
  health.update([true], monotonicMs(201 * SECOND));
  t.equal(states(health, [201, 210.9, 211]), 'recovering recovering healthy', 'from then on it has to recover');
});

test('a region is down at once, and back after the recovery time', async (t) => {
  const health = new RegionHealth(RULES);
  health.update([true], monotonicMs(0));
  health.update([false], monotonicMs(100 * SECOND));
  t.equal(health.state(monotonicMs(100 * SECOND)), 'down');
  health.update([true], monotonicMs(105 * SECOND));
  t.equal(states(health, [105, 114.9, 115, 200]), 'recovering recovering healthy healthy');
});

test('each early relapse doubles the recovery time, up to sixteen times; a healthy period resets it', async (t) => {
  const health = new RegionHealth(RULES);
  health.update([true], monotonicMs(0));
  const waits: number[] = [];
  let now = 1_000 * SECOND;
  for (let i = 0; i < 8; i += 1) {
    health.update([false], monotonicMs(now));
    now += SECOND;
    health.update([true], monotonicMs(now));
    waits.push((millisecondsOf(health.healthyAt) - now) / SECOND);
    now = millisecondsOf(health.healthyAt) + SECOND;
  }
  t.strictSame(waits, [10, 20, 40, 80, 160, 160, 160, 160]);
  now += 3_600 * SECOND;
  health.update([false], monotonicMs(now));
  health.update([true], monotonicMs(now));
  t.equal((millisecondsOf(health.healthyAt) - now) / SECOND, 10);
});

test('a flapping region comes back at most once in each recovery time', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30 * SECOND }), { minLength: 2, maxLength: 60 }), (pauses) => {
      const health = new RegionHealth(RULES);
      health.update([true], monotonicMs(0));
      let now = 0;
      let isUp = true;
      const returns: number[] = [];
      let before = health.state(monotonicMs(now));
      for (const pause of pauses) {
        for (const at of [now + pause / 2, now + pause]) {
          const state = health.state(monotonicMs(at));
          if (state === 'healthy' && before !== 'healthy') returns.push(at);
          before = state;
        }
        now += pause;
        isUp = !isUp;
        health.update([isUp], monotonicMs(now));
        before = health.state(monotonicMs(now));
        if (!isUp && before !== 'down') return false;
      }
      return returns.every((at, index) => index === 0 || at - (returns[index - 1] as number) >= RULES.recoveryMs / 2);
    }),
  );
  t.pass();
});
