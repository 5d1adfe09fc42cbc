/** Stamps of stored responses mean the same to the ledgers of all threads (purge rules 4 and 9). */
import { test } from 'tap';
import { Ledger, NOTHING_KNOWN, type Stamp, uncheckedStamp } from '../../../cache/ledger.ts';
import { SharedStore } from '../../../cache/shared/shared-store.ts';
import type { Term } from '../../../journal/terms.ts';
import { openStore } from './open-store.ts';

const RESPONSE = { prefix: 'http://shop.test', authority: 'shop.test', target: '/a', site: 'shop' } as never;

/** @returns Makes the ledger of a thread that has just started, and follows this journal. */
function threads(): (terms: readonly Term[], newest: number) => Ledger {
  const { memory, supervisor } = openStore(2 ** 20, 8);
  return (terms, newest) => {
    const { epochs } = new SharedStore(memory, supervisor.addThread());
    const ledger = new Ledger({ leaseMs: 60_000, epochs });
    ledger.restart({ terms, newest, floor: 0 });
    return ledger;
  };
}

/** The stamp as another thread reads it out of the store. */
const read = ({ asOf, epoch }: Stamp): Stamp => uncheckedStamp(asOf, epoch);
const verdict = (ledger: Ledger, stamp: Stamp): string => ledger.check({ stamp: read(stamp), tags: [] }, RESPONSE);

const FIRST = { identity: 'first', after: 0 };

test('what one thread has stored, another one can use that started later', async (t) => {
  const start = threads();
  const one = start([FIRST], 3);
  const stamp = one.stampNow(NOTHING_KNOWN);
  t.equal(verdict(start([FIRST], 3), stamp), 'current');
  const terms = [FIRST, { identity: 'second', after: 5 }];
  one.extend({ terms });
  const later = start(terms, 5);
  t.equal(verdict(later, stamp), 'current', 'the journal has been started again meanwhile, and goes on');
  t.equal(verdict(one, later.stampNow(NOTHING_KNOWN)), 'current');
});

test('of a journal that was restored from an older copy nothing is current for a thread that starts then', async (t) => {
  const start = threads();
  const stamp = start([FIRST, { identity: 'second', after: 5 }], 9).stampNow(NOTHING_KNOWN);
  const restored = [FIRST, { identity: 'restored', after: 4 }];
  const later = start(restored, 4);
  t.equal(verdict(later, stamp), 'unverified');
  t.equal(verdict(start(restored, 4), later.stampNow(NOTHING_KNOWN)), 'current');
});

test('of two ledgers, the one that is behind takes over the number of the other', async (t) => {
  const start = threads();
  const one = start([FIRST], 3);
  const terms = [FIRST, { identity: 'second', after: 5 }];
  const other = start(terms, 5);
  one.extend({ terms });
  t.equal(verdict(one, other.stampNow(NOTHING_KNOWN)), 'current');
  t.equal(verdict(other, one.stampNow(NOTHING_KNOWN)), 'current');
});

test('terms beyond those that there is room for have numbers of their own', async (t) => {
  const start = threads();
  const ledger = start([FIRST], 0);
  const epochs = new Set<number>();
  for (let i = 0; i < 600; i++) {
    ledger.restart({ terms: [{ identity: `term-${i}`, after: 0 }], newest: 0, floor: 0 });
    epochs.add(ledger.epoch);
  }
  t.equal(epochs.size, 600);
});
