/**
 * A stored response that may stand in for its origin does so within `stale_after`, whether the origin fails or hangs.
 */
import { test } from 'tap';
import { startNetwork } from '../../support/network.ts';
import { startOrigin, text } from '../../support/origin.ts';
import { startRelay } from '../../support/relay.ts';
import { ask } from '../../support/visitor.ts';

const STALE_AT_ONCE = { 'Cache-Control': 'max-age=0, stale-if-error=600', ETag: '"1"' };

/** A fifth of a second, and time for a machine with other things to do. */
const STALE_AFTER = '200ms';
const MOST_MS = 1_500;

for (const { origins, method } of [
  { origins: 1, method: 'GET' },
  { origins: 2, method: 'GET' },
  { origins: 2, method: 'HEAD' },
] as const) {
  test(`${method} with ${origins} origin servers that hang: the stale copy answers within stale_after`, async (t) => {
    const origin = await startOrigin(text('hello', STALE_AT_ONCE));
    const relays = await Promise.all(Array.from({ length: origins }, () => startRelay(new URL(origin.url).host)));
    const network = await startNetwork({
      origin: relays.map(({ url }) => url),
      regions: { eu: 1 },
      site: { stale_after: STALE_AFTER },
    });
    t.teardown(() => Promise.all([network.close(), ...relays.map((relay) => relay.close()), origin.close()]));
    t.match(await ask(network.at('eu-1'), '/page'), { status: 200, text: 'hello' });
    for (const relay of relays) relay.hang();
    for (let i = 0; i < 3; i++) {
      const since = performance.now();
      const replies = await Promise.all(Array.from({ length: 3 }, () => ask(network.at('eu-1'), '/page', { method })));
      for (const reply of replies) {
        t.match(reply, { status: 200, complete: true, headers: { 'cache-status': /stale-if-error/ } });
      }
      t.ok(performance.now() - since < MOST_MS, 'in time');
    }
  });
}

test('requests that come while the origin hangs do not wait anew, and its late answer is stored', async (t) => {
  const origin = await startOrigin(text('old', STALE_AT_ONCE));
  const network = await startNetwork({
    origin: origin.url,
    shields: 0,
    regions: { eu: 1 },
    site: { stale_after: STALE_AFTER },
  });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  t.match(await ask(network.at('eu-1'), '/page'), { text: 'old' });
  const { promise: asked, resolve } = Promise.withResolvers<() => void>();
  origin.script = (request, response) => {
    const kept = { 'Cache-Control': 'max-age=60' };
    resolve(() => text('new', kept)(request, response));
  };
  t.match(await ask(network.at('eu-1'), '/page'), { text: 'old' });
  const since = performance.now();
  for (let i = 0; i < 20; i++) t.match(await ask(network.at('eu-1'), '/page'), { text: 'old' });
  t.ok(performance.now() - since < 20 * 200, 'they join a request that has waited for long enough');
  // A response without a lifetime lets two requests go upstream at a time.
  const asking = origin.requests.length;
  t.ok(asking <= 3, 'which are few');
  const answer = await asked;
  answer();
  while ((await ask(network.at('eu-1'), '/page')).text !== 'new') t.equal(origin.requests.length, asking);
});

test('where no stale copy is allowed, the origin is waited for', async (t) => {
  const origin = await startOrigin(text('old', { 'Cache-Control': 'max-age=0, must-revalidate, stale-if-error=600' }));
  const network = await startNetwork({
    origin: origin.url,
    shields: 0,
    regions: { eu: 1 },
    site: { stale_after: '50ms' },
  });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  await ask(network.at('eu-1'), '/page');
  origin.script = (request, response) => void setTimeout(() => text('new')(request, response), 300);
  t.match(await ask(network.at('eu-1'), '/page'), { text: 'new' });
});
