import fc from 'fast-check';
import { test } from 'tap';
import { type MonotonicMs, monotonicMs } from '../../lib/clock.ts';
import { type HealthEvents, TargetHealth, type TargetHealthOptions, type Waiting } from '../../tier/target-health.ts';

/** A moment of a test's clock. */
function at(ms: number): MonotonicMs {
  return monotonicMs(ms);
}

const OPTIONS: TargetHealthOptions = { name: 'a', failures: 3, firstPauseMs: 1_000, maxPauseMs: 5_000 };

test('a target is asked until it has failed often enough in a row', async (t) => {
  const health = new TargetHealth(OPTIONS);
  for (let round = 0; round < 10; round++) {
    health.failed(at(round));
    health.failed(at(round));
    t.notOk(health.isLeftOut);
    health.succeeded(at(round));
  }
  for (let i = 0; i < 3; i++) health.failed(at(20));
  t.ok(health.isLeftOut);
  t.equal(health.cause, 'failures');
});

test('no passing of time makes a target that was left out one to ask: only an answer does', async (t) => {
  const health = new TargetHealth(OPTIONS);
  for (let i = 0; i < 3; i++) health.failed(at(0));
  for (const ms of [1, 1_000, 5_000, 3_600_000]) {
    health.failed(at(ms));
    t.ok(health.isLeftOut);
  }
  health.succeeded(at(3_600_001));
  t.notOk(health.isLeftOut);
});

test('an answer that comes late from a silent target says nothing about the next request', async (t) => {
  const health = new TargetHealth(OPTIONS);
  health.leaveOut('silent', at(0));
  health.succeeded(at(1));
  t.ok(health.isLeftOut);
});

test('each change is reported once', async (t) => {
  const seen: string[] = [];
  const events: HealthEvents = {
    leftOut: (target, cause) => seen.push(`${target} left out: ${cause}`),
    readmitted: (target, cause, afterMs) => seen.push(`${target} after ${afterMs} ms of ${cause}`),
    hedged: () => undefined,
    retried: () => undefined,
    shed: () => undefined,
    sheddingBegan: () => undefined,
    sheddingEnded: () => undefined,
  };
  const health = new TargetHealth(OPTIONS, () => events);
  for (let i = 0; i < 5; i++) health.failed(at(i));
  health.succeeded(at(10));
  health.succeeded(at(11));
  t.strictSame(seen, ['a left out: failures', 'a after 8 ms of failures']);
});

for (const { what, before, isNew } of [
  { what: 'has not answered since the process started', before: () => undefined, isNew: true },
  { what: 'has answered before', before: (health: TargetHealth) => health.succeeded(at(0)), isNew: false },
]) {
  test(`a target that ${what} is ${isNew ? '' : 'not '}reported as new`, async (t) => {
    const seen: boolean[] = [];
    const events: HealthEvents = {
      leftOut: (_target, _cause, _detail, isNewOne) => seen.push(isNewOne),
      readmitted: () => undefined,
      hedged: () => undefined,
      retried: () => undefined,
      shed: () => undefined,
      sheddingBegan: () => undefined,
      sheddingEnded: () => undefined,
    };
    const health = new TargetHealth(OPTIONS, () => events);
    before(health);
    health.leaveOut('unreachable', at(1), 'refused');
    t.strictSame(seen, [isNew]);
  });
}

interface Request extends Waiting {
  readonly id: number;
}

test('property: those that wait are moved once, in order, when the target falls silent; those that were answered are not', async () => {
  const steps = fc.array(fc.oneof(fc.constant('begin' as const), fc.nat(20)), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (history) => {
      const health = new TargetHealth(OPTIONS);
      const moved: number[] = [];
      let waiting: Request[] = [];
      let id = 0;
      for (const step of history) {
        if (step === 'begin') {
          const one: Request = {
            id: id++,
            since: at(id),
            onSilence: () => void moved.push(one.id),
            onLate: () => undefined,
            onOverdue: () => undefined,
            isReviewed: false,
            before: undefined,
            after: undefined,
          };
          waiting.push(one);
          health.waits(one);
        } else {
          const one = waiting[step];
          if (one === undefined) continue;
          health.settled(one);
          health.settled(one); // idempotent
          waiting = waiting.filter((other) => other !== one);
        }
      }
      health.leaveOut('silent', at(1_000));
      return JSON.stringify(moved) === JSON.stringify(waiting.map((one) => one.id));
    }),
  );
});
