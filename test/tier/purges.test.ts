/** Purging at a node whose config changes. */
import { test } from 'tap';
import { Ledger, NOTHING_KNOWN } from '../../cache/ledger.ts';
import type { RegionConfig } from '../../config/schema.ts';
import { followPurges } from '../../tier/purges.ts';
import { log, regionOf, startTestControl } from '../control/control.ts';
import { instant } from '../support/instant.ts';

const tag = (selector: string) => ({ site: 'shop', kind: 'tag', selector, soft: false, who: 'test', why: '' }) as const;

test('a node that was without the journal for a while does not confuse its own numbers with the journal’s', async (t) => {
  const control = await startTestControl(t);
  const without: RegionConfig = { ...regionOf(), control: undefined };
  const withJournal = { ...without, purges: { ...without.purges, journal: [control.url] } };
  const ledger = new Ledger({ leaseMs: 0 });
  const purging = followPurges({ member: 'eu-1', ledger, log }, withJournal);
  t.teardown(() => purging.close());
  await purging.purge([tag('first')]);
  const keyed = { site: 'shop', host: 'a.test', authority: 'a.test', target: '/' };
  const before = { stamp: ledger.stampNow(NOTHING_KNOWN), tags: ['second'] };

  purging.reload(without);
  t.equal(ledger.check(before, keyed), 'current', 'what is stored stays');
  ledger.onHeartbeat(5, instant(0)); // the journal had told of numbers that did not come any more
  const fetched = { stamp: ledger.stampNow(NOTHING_KNOWN), tags: ['own'] };
  await purging.purge([tag('own')]);
  t.equal(ledger.check(fetched, keyed), 'hard', 'its own purges count');
  const between = { stamp: ledger.stampNow(NOTHING_KNOWN), tags: ['second'] };
  t.equal((await control.purge({ site: 'shop', tags: ['second'] })).status, 202);

  purging.reload(withJournal);
  await purging.purge([tag('third')]);
  for (const stored of [before, between])
    t.not(ledger.check(stored, keyed), 'current', 'number 2 is that of the journal');
});
