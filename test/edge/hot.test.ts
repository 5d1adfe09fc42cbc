import fc from 'fast-check';
import { test } from 'tap';
import { HotKeys } from '../../edge/hot.ts';
import { type MonotonicMs, monotonicMs } from '../../lib/clock.ts';

/** A moment of a test's clock. */
function at(ms: number): MonotonicMs {
  return monotonicMs(ms);
}

const WINDOW_MS = 8_000;
/** Part of the window that certainly counts. */
const SURE_MS = (WINDOW_MS * 7) / 8;

test('a key is hot from the request that reaches the threshold', async (t) => {
  const hot = new HotKeys({ after: 3, windowMs: WINDOW_MS, maxKeys: 10 });
  t.notOk(hot.note('key', at(0)));
  t.notOk(hot.note('key', at(1)));
  t.ok(hot.note('key', at(2)));
  t.ok(hot.note('key', at(3)), 'and stays so');
});

test('keys are counted separately', async (t) => {
  const hot = new HotKeys({ after: 2, windowMs: WINDOW_MS, maxKeys: 10 });
  t.notOk(hot.note('a', at(0)));
  t.notOk(hot.note('b', at(0)));
  t.ok(hot.note('a', at(0)));
});

test('with after: 1 every key is hot at once', async (t) => {
  t.ok(new HotKeys({ after: 1, windowMs: WINDOW_MS, maxKeys: 1 }).note('key', at(0)));
});

test('requests before the window do not count', async (t) => {
  const hot = new HotKeys({ after: 2, windowMs: WINDOW_MS, maxKeys: 10 });
  t.notOk(hot.note('key', at(0)));
  t.notOk(hot.note('key', at(WINDOW_MS)));
  t.notOk(hot.note('key', at(10 * WINDOW_MS)), 'nor after a long silence');
  t.ok(hot.note('key', at(10 * WINDOW_MS + SURE_MS)));
});

test('a key with steady requests stays hot across windows', async (t) => {
  const hot = new HotKeys({ after: 4, windowMs: WINDOW_MS, maxKeys: 10 });
  const answers = Array.from({ length: 50 }, (_, nth) => hot.note('key', at(nth * (WINDOW_MS / 8))));
  t.same(answers.slice(0, 3), [false, false, false]);
  t.ok(answers.slice(3).every(Boolean));
});

test('above maxKeys the least recently requested key is forgotten', async (t) => {
  const hot = new HotKeys({ after: 2, windowMs: WINDOW_MS, maxKeys: 2 });
  hot.note('a', at(0));
  hot.note('b', at(1));
  t.ok(hot.note('a', at(2)));
  t.notOk(hot.note('c', at(3)), 'takes the place of b');
  t.ok(hot.note('a', at(4)));
  t.notOk(hot.note('b', at(5)));
});

const request = fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), afterMs: fc.nat({ max: WINDOW_MS / 4 }) });
const requests = fc.array(request, { maxLength: 200 });
const after = fc.integer({ min: 1, max: 12 });

/** Feeds the requests, and tells of each how often its key was asked for lately, itself included. */
function replay(hot: HotKeys, given: readonly { readonly key: string; readonly afterMs: number }[]) {
  const seen: { readonly key: string; readonly at: number }[] = [];
  let now = 0;
  return given.map(({ key, afterMs }) => {
    now += afterMs;
    seen.push({ key, at: now });
    const within = (ms: number) => seen.filter((request) => request.key === key && now - request.at < ms).length;
    return { isHot: hot.note(key, at(now)), inWindow: within(WINDOW_MS), surely: within(SURE_MS) };
  });
}

test('below the threshold a key is never hot; at the threshold it is, in the certain part of the window', async () => {
  fc.assert(
    fc.property(requests, after, (given, after) =>
      replay(new HotKeys({ after, windowMs: WINDOW_MS, maxKeys: 4 }), given).every(({ isHot, inWindow, surely }) =>
        isHot ? inWindow >= after : surely < after,
      ),
    ),
  );
});

test('below the threshold a key is never hot, also without room for all keys', async () => {
  fc.assert(
    fc.property(requests, after, fc.integer({ min: 1, max: 3 }), (given, after, maxKeys) =>
      replay(new HotKeys({ after, windowMs: WINDOW_MS, maxKeys }), given).every(
        ({ isHot, inWindow }) => !isHot || inWindow >= after,
      ),
    ),
  );
});
