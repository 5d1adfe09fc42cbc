/** Purging at a node whose config changes. */
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'tap';
import { Ledger, NOTHING_KNOWN } from '../../cache/ledger.ts';
import type { RegionConfig } from '../../config/schema.ts';
import type { NetworkEntry } from '../../control/node-list.ts';
import { epochMs, instantNow, later } from '../../lib/clock.ts';
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

test('a shorter lease holds at once, a longer one once the control node has it registered', async (t) => {
  const control = await startTestControl(t);
  const withLease = (lease: number): RegionConfig => {
    const { purges, ...rest } = regionOf();
    return { ...rest, control: undefined, purges: { ...purges, lease, journal: [control.url] } };
  };
  const ledger = new Ledger({ leaseMs: 0 });
  const purging = followPurges({ member: 'eu-1', ledger, log }, withLease(2_000));
  t.teardown(() => purging.close());
  const holdsFor = (ms: number): boolean => {
    const { wall, monotonic } = instantNow();
    return ledger.holdsLease(epochMs(wall + ms), later(monotonic, ms));
  };
  const registeredMs = async () => {
    const { regions } = (await (await fetch(`${control.url}/v1/nodes`)).json()) as NetworkEntry;
    return regions[0]?.nodes[0]?.lease_ms;
  };
  await purging.purge([tag('a')]);
  await ledger.whenUpToDate;
  t.ok(holdsFor(0));
  t.notOk(holdsFor(2_100));

  purging.reload(withLease(100_000));
  while (!holdsFor(50_000)) {
    t.notOk(holdsFor(2_100), 'not before');
    await turn();
  }
  t.equal(await registeredMs(), 100_000);

  purging.reload(withLease(200_000));
  purging.reload(withLease(1_500)); // before the longer one is registered
  t.notOk(holdsFor(1_600), 'at once');
  while ((await registeredMs()) !== 200_000) await turn();
  await purging.purge([tag('b')]);
  t.notOk(holdsFor(1_600), 'the last one counts');

  await control.close();
  purging.reload(withLease(1_000_000));
  for (let i = 0; i < 100; i++) {
    t.notOk(holdsFor(250_000), 'a node that is cut off cannot make its lease longer');
    await turn();
  }
});
