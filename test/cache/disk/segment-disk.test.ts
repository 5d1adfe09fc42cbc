/** Fetched responses take the place of what is on disk, also where that has not come into memory. */
import { test } from 'tap';
import { SegmentDisk } from '../../../cache/disk/segment-disk.ts';
import { epochMs, monotonicNow } from '../../../lib/clock.ts';
import { Bench, turn } from '../engine/bench.ts';
import { temporary } from './stores.ts';

const FRESH = ['Cache-Control', 'max-age=60'];

for (const { rule, isOnDisk } of [
  { rule: 'a copy that the lookup has missed, as the disk was busy or still being read', isOnDisk: true },
  { rule: 'nothing: what is fetched a second time gets there', isOnDisk: false },
]) {
  test(`in the place of ${rule}`, async (t) => {
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
