/** Changes by upstream of what is on disk, also where that is not in memory. */
import { type Test, test } from 'tap';
import { SegmentDisk } from '../../../cache/disk/segment-disk.ts';
import { explainLookup } from '../../../cache/explanation.ts';
import { epochMs, monotonicNow } from '../../../lib/clock.ts';
import { Bench, turn } from '../engine/bench.ts';
import { temporary } from './stores.ts';

const FRESH = ['Cache-Control', 'max-age=60'];

async function withDisk(t: Test): Promise<{ readonly bench: Bench; readonly disk: SegmentDisk }> {
  const bench = new Bench();
  const { store, ledger } = bench;
  const disk = await SegmentDisk.open({
    path: temporary(t),
    maxBytes: 256 * 1024 * 1024,
    writeBytesPerSecond: Number.MAX_SAFE_INTEGER,
    maxIndexBytes: 16 * 1024 * 1024,
    store,
    ledger,
    now: () => epochMs(bench.now),
    monotonic: monotonicNow,
    events: { failed: t.fail, opened: () => undefined },
  });
  t.teardown(() => disk.close());
  bench.engine.disk = disk;
  return { bench, disk };
}

for (const { rule, isOnDisk } of [
  { rule: 'a copy that the lookup has missed, as the disk was busy or still being read', isOnDisk: true },
  { rule: 'nothing: what is fetched a second time gets there', isOnDisk: false },
]) {
  test(`in the place of ${rule}`, async (t) => {
    const { bench, disk } = await withDisk(t);
    const { store } = bench;
    const key = bench.keyOf('/a');
    await bench.fetched('/a', 200, FRESH, 'first');
    const first = store.get(key);
    store.delete(key); // as memory does when it is full
    const asked = bench.ask('/a');
    await turn();
    if (isOnDisk) disk.put(key, first);
    bench.upstream.last.respond(200, FRESH, 'second');
    await asked.whole();
    store.delete(key);
    t.equal(await disk.lookup(key), true);
    const [found] = store.get(key);
    t.equal(String(found?.body.open({ start: 0, end: found.length }).next()), 'second');
  });
}

test('RFC 9111 4.3.5: a HEAD makes a response on disk fresh that memory has evicted meanwhile', async (t) => {
  const { bench, disk } = await withDisk(t);
  const { store, ledger } = bench;
  ledger.extend({ terms: [{ identity: 'journal', after: 0 }] });
  const key = bench.keyOf('/a');
  await bench.fetched('/a', 200, [...FRESH, 'ETag', '"1"', 'Date', bench.date], 'stored');
  disk.put(key, store.get(key));
  bench.pass(70);
  const asked = bench.ask('/a', { method: 'HEAD' });
  await turn();
  store.delete(key); // as memory does when it is full
  bench.upstream.last.respond(200, [...FRESH, 'ETag', '"1"', 'Content-Length', '6', 'Date', bench.date]);
  await asked.whole();
  store.delete(key);
  t.equal(await disk.lookup(key), true);
  t.equal(store.get(key)[0]?.responseTime, bench.now);
  const { cache, body } = await bench.ask('/a').whole();
  t.same([cache.hit, String(body)], [true, 'stored']);
});

test('a lookup of what is only on disk is explained as it then turns out', async (t) => {
  const { bench, disk } = await withDisk(t);
  const { store, ledger, engine } = bench;
  ledger.extend({ terms: [{ identity: 'journal', after: 0 }] });
  const key = bench.keyOf('/a');
  await bench.fetched('/a', 200, FRESH, 'stored');
  disk.put(key, store.get(key));
  store.delete(key); // as memory does when it is full
  const explain = async (target: string): Promise<unknown> => {
    const { outcome, from_disk, stored } = await explainLookup({ ...engine.options, disk }, bench.request(target));
    return [outcome, from_disk, stored.map(({ status, bytes }) => [status, bytes])];
  };
  t.same(await explain('/other'), ['none', false, []]);
  t.same(await explain('/a'), ['fresh', true, [[200, 6]]]);
  t.same(await explain('/a'), ['fresh', false, [[200, 6]]], 'and then in memory');
});
