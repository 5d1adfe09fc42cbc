import fc from 'fast-check';
import { test } from 'tap';
import { type MonotonicMs, monotonicMs } from '../../lib/clock.ts';
import { Breaker } from '../../tier/breaker.ts';

/** A moment of a test's clock. */
function at(ms: number): MonotonicMs {
  return monotonicMs(ms);
}

const OPTIONS = { failures: 3, firstPauseMs: 1_000, maxPauseMs: 5_000 };

/** A breaker whose last of `failures` failures in a row was at `now`. */
function opened(now: number): Breaker {
  const breaker = new Breaker(OPTIONS);
  for (let failure = 0; failure < OPTIONS.failures; failure += 1) breaker.failed(at(now));
  return breaker;
}

test('a target is used until it has failed often enough', async (t) => {
  const breaker = new Breaker(OPTIONS);
  breaker.failed(at(0));
  breaker.failed(at(1));
  t.notOk(breaker.open);
  t.ok(breaker.allows(at(2)));
  t.ok(breaker.allows(at(2)), 'as often as one likes');
  breaker.failed(at(2));
  t.ok(breaker.open);
  t.notOk(breaker.allows(at(2)));
});

test('only failures in a row count', async (t) => {
  const breaker = new Breaker(OPTIONS);
  for (let round = 0; round < 10; round += 1) {
    breaker.failed(at(round));
    breaker.failed(at(round));
    breaker.succeeded();
  }
  t.notOk(breaker.open);
});

test('one trial at a time is sent after the pause', async (t) => {
  const breaker = opened(0);
  t.notOk(breaker.allows(at(999)));
  t.ok(breaker.allows(at(1_000)));
  t.notOk(breaker.allows(at(1_000)));
  t.ok(breaker.open, 'still left out by everybody else');
});

test('a trial that succeeds closes the breaker and resets it', async (t) => {
  const breaker = opened(0);
  t.ok(breaker.allows(at(1_000)));
  breaker.succeeded();
  t.notOk(breaker.open);
  t.ok(breaker.allows(at(1_001)));
  breaker.failed(at(1_001));
  breaker.failed(at(1_001));
  t.notOk(breaker.open, 'failures are counted anew');
  breaker.failed(at(1_001));
  t.notOk(breaker.allows(at(2_000)));
  t.ok(breaker.allows(at(2_001)), 'the pause is the first one again');
});

test('the pause doubles with each trial that fails, up to its maximum', async (t) => {
  const breaker = opened(0);
  let now = 0;
  for (const pauseMs of [1_000, 2_000, 4_000, 5_000, 5_000]) {
    t.notOk(breaker.allows(at(now + pauseMs - 1)), `${pauseMs} ms are not over`);
    now += pauseMs;
    t.ok(breaker.allows(at(now)), `${pauseMs} ms are over`);
    breaker.failed(at(now));
  }
});

test('a first pause beyond the maximum is the maximum', async (t) => {
  const breaker = new Breaker({ failures: 1, firstPauseMs: 9_000, maxPauseMs: 5_000 });
  breaker.failed(at(0));
  t.ok(breaker.allows(at(5_000)));
});

test('a trial that never reports back blocks the next one for the first pause only', async (t) => {
  const breaker = opened(0);
  t.ok(breaker.allows(at(1_000)));
  breaker.failed(at(1_000));
  t.ok(breaker.allows(at(3_000)), 'the second pause was 2 s');
  t.notOk(breaker.allows(at(3_999)));
  t.ok(breaker.allows(at(4_000)));
  t.notOk(breaker.allows(at(4_000)));
});

test('failures of requests from before the pause do not prolong it', async (t) => {
  const breaker = opened(0);
  for (let straggler = 0; straggler < 100; straggler += 1) breaker.failed(at(900));
  t.ok(breaker.allows(at(1_000)));
});

test('a success of a request from before the pause ends it', async (t) => {
  const breaker = opened(0);
  breaker.succeeded();
  t.notOk(breaker.open);
  t.ok(breaker.allows(at(1)));
});

const event = fc.record({
  afterMs: fc.nat({ max: 3_000 }),
  what: fc.constantFrom('allows', 'failed', 'failed', 'failed', 'succeeded'),
});

test('under any history a target is tried again within the longest pause, and trials are a first pause apart', async (t) => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const breaker = new Breaker(OPTIONS);
      let now = 0;
      let lastTrialAt = Number.NEGATIVE_INFINITY;
      for (const { afterMs, what } of events) {
        now += afterMs;
        if (what === 'failed') breaker.failed(at(now));
        if (what === 'succeeded') {
          breaker.succeeded();
          lastTrialAt = Number.NEGATIVE_INFINITY;
        }
        if (what === 'allows' && breaker.open && breaker.allows(at(now))) {
          t.ok(now - lastTrialAt >= OPTIONS.firstPauseMs);
          lastTrialAt = now;
        }
      }
      t.ok(breaker.allows(at(now + OPTIONS.maxPauseMs)));
    }),
  );
});
