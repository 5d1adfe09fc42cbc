import fc from 'fast-check';
import { test } from 'tap';
import { announcedIdleMs, isRepeatable, KeepAlive } from '../../../http/upstream/keep-alive.ts';
import { monotonicMs } from '../../../lib/clock.ts';

const at = monotonicMs;

test('only requests without effects and without a body are sent again', async (t) => {
  const request = { target: '/', headers: [], body: undefined };
  for (const method of ['GET', 'HEAD', 'OPTIONS']) {
    t.ok(isRepeatable({ ...request, method }));
    t.notOk(isRepeatable({ ...request, method, upgrade: 'websocket' }));
    t.notOk(isRepeatable({ ...request, method, body: process.stdin }));
  }
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PURGE', 'get']) {
    t.notOk(isRepeatable({ ...request, method }), method);
  }
});

for (const { seconds, ms } of [
  { seconds: 0, ms: -1_000 },
  { seconds: 1, ms: 0 },
  { seconds: 2, ms: 1_000 },
  { seconds: 5, ms: 4_000 },
  { seconds: 65, ms: 60_000 },
  { seconds: 999_999_999, ms: 60_000 },
]) {
  test(`Keep-Alive: timeout=${seconds} stands for ${ms} ms`, async (t) => {
    t.equal(announcedIdleMs(seconds), ms);
  });
}

test('an announced time is trusted from the first request on', async (t) => {
  const known = new KeepAlive();
  t.ok(known.isSafe(4_000, 4_000, at(0)));
  t.notOk(known.isSafe(4_001, 4_000, at(0)));
});

test('a server that announces nothing is trusted with what was seen, of a second at most', async (t) => {
  const known = new KeepAlive();
  t.notOk(known.isSafe(1, undefined, at(0)));
  known.stayedOpen(400, at(0));
  t.ok(known.isSafe(400, undefined, at(0)));
  t.notOk(known.isSafe(401, undefined, at(0)));
  known.stayedOpen(3_000, at(0));
  t.ok(known.isSafe(1_000, undefined, at(0)));
  t.notOk(known.isSafe(1_001, undefined, at(0)));
});

test('a server that closes early is trusted with half of that for a minute, whatever it announces', async (t) => {
  const known = new KeepAlive();
  known.stayedOpen(1_000, at(0));
  known.closed(100, at(0));
  known.stayedOpen(90, at(1));
  for (const announced of [undefined, 4_000]) {
    t.ok(known.isSafe(50, announced, at(59_999)));
    t.notOk(known.isSafe(51, announced, at(59_999)));
  }
  t.ok(known.isSafe(4_000, 4_000, at(60_000)));
  t.notOk(known.isSafe(51, undefined, at(60_000)));
  known.stayedOpen(900, at(60_000));
  t.ok(known.isSafe(900, undefined, at(60_000)));
});

test('no request goes out at a moment at which a server of any timeout may close', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 3_000 }),
      fc.array(fc.record({ idleMs: fc.integer({ min: 0, max: 4_000 }), passedMs: fc.nat(100_000) })),
      (timeoutMs, uses) => {
        const known = new KeepAlive();
        let now = 0;
        for (const { idleMs, passedMs } of uses) {
          now += passedMs;
          if (known.isSafe(idleMs, undefined, at(now)) && idleMs >= timeoutMs) return false;
          if (idleMs < timeoutMs) known.stayedOpen(idleMs, at(now));
          else known.closed(timeoutMs, at(now));
        }
        return true;
      },
    ),
  );
  t.pass('for each timeout and order of uses');
});
