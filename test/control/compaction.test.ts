/** Removal of records: by age and by number, and never a part of a purge. */
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { compact } from '../../control/compaction.ts';
import { type PurgeOrder, Purges } from '../../control/purges.ts';
import { openEmbeddedJournal } from '../../journal/embedded.ts';
import { type EpochMs, epochMs, monotonicMs, wallNow } from '../../lib/clock.ts';

const ORDER: PurgeOrder = {
  selectors: [
    { kind: 'url', selector: '//www.example.com/', site: 'shop' },
    { kind: 'tag', selector: 'a', site: 'shop' },
  ],
  soft: false,
  who: 'test',
  reason: '',
  startedAt: monotonicMs(0),
};

function openParts(t: Test, now: () => EpochMs = wallNow) {
  const folder = t.testdir({});
  const journal = openEmbeddedJournal(join(folder, 'journal.sqlite'), { now });
  t.teardown(() => journal.close());
  return { journal, purges: new Purges({ journal, appended: () => undefined }) };
}

test('compaction by age and by number never splits a purge', async (t) => {
  let now = 0;
  const { journal, purges } = openParts(t, () => epochMs(now));
  for (; now < 100; now += 1) await purges.make(ORDER);
  const options = { journal, retentionMs: 1_000, maxRecords: 1_000, now: () => epochMs(now) };
  await compact(options);
  t.equal(journal.state().floor, 0);
  await compact({ ...options, retentionMs: 90 });
  t.equal(journal.state().floor, 20);
  await compact({ ...options, maxRecords: 51 });
  t.equal(journal.state().floor, 148, 'the purge that would be cut stays whole');
  t.equal((await purges.list(undefined, 100, () => true)).purges.length, 26);
});
