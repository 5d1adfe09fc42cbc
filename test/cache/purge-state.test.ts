/** Use of a stored response after purges (rules 4 to 6 of docs/purging.md). */
import { test } from 'tap';
import { isCurrent, isHardPurged, isNewEnough } from '../../cache/purge-state.ts';
import type { StoredResponse } from '../../cache/stored-response.ts';
import { Bench } from './engine/bench.ts';

async function stored() {
  const bench = new Bench();
  const headers = ['Cache-Control', 'max-age=60', 'Cache-Tag', 'sale'];
  await bench.fetched('/a', 200, headers, 'body');
  const [response] = bench.store.get(bench.keyOf('/a')) as readonly [StoredResponse];
  const request = bench.request('/a');
  const states = () => ({
    current: isCurrent(bench.engine, request, response),
    hard: isHardPurged(bench.engine, request, response),
    new: isNewEnough(bench.engine, request, response),
  });
  return { bench, response, request, states };
}

for (const { what, purge, current, hard } of [
  { what: 'another URL', purge: { kind: 'url', selector: '//shop.test/b', soft: false }, current: true, hard: false },
  { what: 'its URL', purge: { kind: 'url', selector: '//shop.test/a', soft: false }, current: false, hard: true },
  {
    what: 'its URL, softly',
    purge: { kind: 'url', selector: '//shop.test/a', soft: true },
    current: false,
    hard: false,
  },
  { what: 'its tag', purge: { kind: 'tag', selector: 'sale', soft: false }, current: false, hard: true },
] as const) {
  test(`after a purge of ${what} it is ${current ? '' : 'not '}current and ${hard ? '' : 'not '}hard-purged`, async (t) => {
    const { bench, states } = await stored();
    t.same(states(), { current: true, hard: false, new: true });
    bench.ledger.apply([{ seq: 1, site: 'shop', ...purge }]);
    t.same(states(), { current, hard, new: current });
  });
}

test('a purge of another site does not concern it', async (t) => {
  const { bench, states } = await stored();
  bench.ledger.apply([{ seq: 1, site: 'blog', kind: 'tag', selector: 'sale', soft: false }]);
  t.same(states(), { current: true, hard: false, new: true });
});

test('a soft purge after a hard one does not bring it back', async (t) => {
  const { bench, states } = await stored();
  const purge = { site: 'shop', kind: 'url', selector: '//shop.test/a' } as const;
  bench.ledger.apply([{ ...purge, seq: 1, soft: false }]);
  bench.ledger.apply([{ ...purge, seq: 2, soft: true }]);
  t.equal(states().hard, true);
});

test('a requester that goes by another journal does not get it (rules 5 and 9)', async (t) => {
  const { bench, request, response } = await stored();
  const other = { ...request, minPosition: { identity: 'another journal', seq: 1 } };
  t.notOk(isNewEnough(bench.engine, other, response));
});
