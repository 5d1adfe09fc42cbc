import { EventEmitter, once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'tap';
import { later, monotonicNow, msBetween } from '../../lib/clock.ts';
import type { Probe } from '../../tier/prober.ts';
import type { TargetHealth, Waiting } from '../../tier/target-health.ts';
import { Targets } from '../../tier/targets.ts';

const OPTIONS = { name: 'a', failures: 3, firstPauseMs: 1_000, maxPauseMs: 5_000 };

test('a request that waits for longer than nearly all is overdue, once; others are not', async (t) => {
  const targets = new Targets();
  const health = targets.add(OPTIONS);
  for (let i = 0; i < 200; i++) health.headMs.observe(10);
  const seen = new EventEmitter();
  let reviews = 0;
  const one = (agoMs: number, onOverdue: () => void): Waiting => ({
    since: later(monotonicNow(), -agoMs),
    onSilence: () => undefined,
    onLate: () => undefined,
    onOverdue,
    isReviewed: false,
    before: undefined,
    after: undefined,
  });
  health.waits(
    one(1_000, () => {
      reviews++;
      seen.emit('reviewed');
    }),
  );
  health.waits(one(-60_000, () => t.fail('it has only begun')));
  const keepAlive = setInterval(() => undefined, 1_000); // reviews keep no process alive
  await once(seen, 'reviewed');
  await pause(150);
  clearInterval(keepAlive);
  t.equal(reviews, 1);
  targets.remove(health);
});

/** Answers `answers` heartbeats, then none until it is told to. */
function heartbeats(answers: number): { probe: Probe; sent: () => number; answer: () => void } {
  let sent = 0;
  let pending: ((isGood: boolean) => void) | undefined;
  return {
    probe: (done) => {
      if (++sent <= answers) setImmediate(done, true);
      else pending = done;
      return () => undefined;
    },
    sent: () => sent,
    answer: () => pending?.(true),
  };
}

function nodeOf(targets: Targets, probe: Probe, intervalMs: number): TargetHealth {
  const probing = {
    probe,
    begins: 'at-once',
    intervalMs: () => intervalMs,
    timeoutMs: () => 2_000,
    unhealthyAfter: 1,
    healthyAfter: 2,
  } as const;
  return targets.add({ ...OPTIONS, probing });
}

function waitingOne(onLate: () => void): Waiting {
  return {
    since: monotonicNow(),
    onSilence: () => undefined,
    onLate,
    onOverdue: () => undefined,
    isReviewed: false,
    before: undefined,
    after: undefined,
  };
}

test('a node whose heartbeat takes longer than they do is late, without being left out, until it answers', async (t) => {
  const targets = new Targets();
  const { probe, answer } = heartbeats(5);
  const health = nodeOf(targets, probe, 5);
  const late = new Promise<void>((resolve) => health.waits(waitingOne(resolve)));
  const keepAlive = setInterval(() => undefined, 1_000);
  await late;
  t.ok(health.isLate);
  t.notOk(health.isLeftOut);
  answer();
  t.notOk(health.isLate);
  clearInterval(keepAlive);
  targets.remove(health);
});

test('a node that answers requests is neither late nor silent, however long its heartbeat takes', async (t) => {
  const targets = new Targets();
  const { probe } = heartbeats(5);
  const probing = {
    probe,
    begins: 'at-once',
    intervalMs: () => 5,
    timeoutMs: () => 500,
    unhealthyAfter: 1,
    healthyAfter: 2,
  } as const;
  const health = targets.add({ ...OPTIONS, probing });
  // As a node does that has much to do: now and then a response, while its heartbeat waits with the rest.
  for (const end = performance.now() + 1_500; performance.now() < end; await pause(20)) {
    health.succeeded(monotonicNow());
    t.notOk(health.isLate);
    t.notOk(health.isLeftOut);
  }
  while (!health.isLeftOut) await pause(20);
  t.equal(health.cause, 'silent', 'once it answers nothing any more, it is left out');
  targets.remove(health);
});

test('a request that waits for a node has a heartbeat sent, long before the next one is due', async (t) => {
  const targets = new Targets();
  const { probe, sent } = heartbeats(1);
  const health = nodeOf(targets, probe, 60_000);
  const keepAlive = setInterval(() => undefined, 1_000);
  const since = monotonicNow();
  health.waits(waitingOne(() => undefined));
  while (sent() < 1) await pause(5);
  t.ok(msBetween(since, monotonicNow()) < 1_000);
  clearInterval(keepAlive);
  targets.remove(health);
});

test('a node that has never answered is not late: nothing is known of its way', async (t) => {
  const targets = new Targets();
  const { probe } = heartbeats(0);
  const health = nodeOf(targets, probe, 1);
  health.waits(waitingOne(() => t.fail('it is late')));
  await pause(500);
  t.notOk(health.isLate);
  targets.remove(health);
});
