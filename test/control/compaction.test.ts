import { test } from 'tap';
import { compact } from '../../control/compaction.ts';
import { epochMs } from '../../lib/clock.ts';
import { ORDER, openParts } from './purge-parts.ts';

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
