/**
 * The ledger: what it says of a response after purges, journals and floors
 * (docs/purging.md, rules 2 to 10).
 */
import fc from 'fast-check';
import { test } from 'tap';
import { Ledger, NOTHING_KNOWN, type PurgeRecord, type StampedResponse, uncheckedStamp } from '../../cache/ledger.ts';
import type { Term } from '../../journal/terms.ts';
import { epochMs, monotonicMs } from '../../lib/clock.ts';
import { instant } from '../support/instant.ts';

const NOW = 1_000_000;
const PAGE = { site: 'shop', host: 'shop.test', authority: 'shop.test:8080', target: '/a/b?c=1' };
const URL = '//shop.test:8080/a/b?c=1';

function ledgerAt(seq: number): Ledger {
  const ledger = new Ledger({ leaseMs: 60_000 });
  ledger.restart({ terms: line('one'), newest: 0, floor: 0 });
  ledger.apply(nothings(0, seq));
  return ledger;
}

/** A term, and what came after it: each one's name and the number that it begins after. */
function line(first: string, later: Readonly<Record<string, number>> = {}): Term[] {
  return Object.entries({ [first]: -1, ...later }).map(([identity, after]) => ({ identity, after }));
}

/** Records that name nothing that is asked about here, up to `last`. */
function nothings(after: number, last: number): PurgeRecord[] {
  return Array.from({ length: last - after }, (_, i) => purge(after + i + 1, { kind: 'tag', selector: 'nothing' }));
}

function purge(seq: number, what: Partial<PurgeRecord>): PurgeRecord {
  return { seq, site: 'shop', kind: 'url', selector: URL, soft: false, ...what };
}

function stored(ledger: Ledger, tags: readonly string[] = []): StampedResponse {
  return { stamp: ledger.stampNow(NOTHING_KNOWN), tags };
}

for (const { what, record, tags = [], verdict } of [
  { what: 'its URL', record: {}, verdict: 'hard' },
  { what: 'its URL, softly', record: { soft: true }, verdict: 'soft' },
  { what: 'another URL', record: { selector: `${URL}&d` }, verdict: 'current' },
  { what: 'its host', record: { kind: 'host', selector: 'shop.test' }, verdict: 'hard' },
  { what: 'another host', record: { kind: 'host', selector: 'test' }, verdict: 'current' },
  { what: 'a prefix', record: { kind: 'prefix', selector: '//shop.test:8080/a/' }, verdict: 'hard' },
  { what: 'the whole URL as a prefix', record: { kind: 'prefix', selector: URL }, verdict: 'hard' },
  { what: 'a longer prefix', record: { kind: 'prefix', selector: `${URL}2` }, verdict: 'current' },
  { what: 'a prefix elsewhere', record: { kind: 'prefix', selector: '//shop.test:8080/b' }, verdict: 'current' },
  { what: 'a tag it has', record: { kind: 'tag', selector: 't' }, tags: ['s', 't'], verdict: 'hard' },
  { what: 'a tag it has not', record: { kind: 'tag', selector: 'u' }, tags: ['s', 't'], verdict: 'current' },
  {
    what: 'its tag in another site',
    record: { kind: 'tag', selector: 't', site: 'x' },
    tags: ['t'],
    verdict: 'current',
  },
  { what: 'its site', record: { kind: 'site', selector: '' }, verdict: 'hard' },
  { what: 'another site', record: { kind: 'site', selector: '', site: 'x' }, verdict: 'current' },
  { what: 'everything', record: { kind: 'everything', selector: '', site: '*' }, verdict: 'hard' },
  { what: 'a variant that nobody can read', record: { kind: 'variant', selector: '{' }, verdict: 'hard' },
] as const) {
  test(`a purge of ${what} leaves it ${verdict}`, async (t) => {
    const ledger = ledgerAt(5);
    const before = stored(ledger, tags);
    t.equal(ledger.check(before, PAGE), 'current');
    ledger.apply([purge(6, record)]);
    t.equal(ledger.check(before, PAGE), verdict);
    t.equal(ledger.check(stored(ledger, tags), PAGE), 'current', 'what is asked for afterwards is new');
  });
}

test('a purge of a variant counts for what Vary selects; repeating it adds no second mark', async (t) => {
  const ledger = ledgerAt(0);
  const de = { ...stored(ledger), vary: [{ name: 'accept-language', value: 'de' }] };
  const en = { ...stored(ledger), vary: [{ name: 'accept-language', value: 'en' }] };
  const selector = JSON.stringify({ url: URL, headers: ['Accept-Language', 'de'] });
  ledger.apply(Array.from({ length: 100 }, (_, i) => purge(i + 1, { kind: 'variant', selector })));
  t.equal(ledger.check(de, PAGE), 'hard');
  t.equal(ledger.check(en, PAGE), 'current');
  t.equal(ledger.check(stored(ledger), PAGE), 'current');
  t.equal(ledger.size, 1);
  for (let i = 0; i < 40; i++) {
    const other = JSON.stringify({ url: URL, headers: ['Accept-Language', `x${i}`] });
    ledger.apply([purge(101 + i, { kind: 'variant', selector: other })]);
  }
  t.equal(ledger.check(en, PAGE), 'hard', 'a URL with many variants purged one by one counts as purged whole');
});

test('rule 9: another journal, or an older copy, leaves nothing verified', async (t) => {
  const ledger = ledgerAt(7);
  const before = stored(ledger);
  ledger.restart({ terms: line('two'), newest: 0, floor: 0 });
  t.equal(ledger.check(before, PAGE), 'unverified');
  t.equal(ledger.check(stored(ledger), PAGE), 'current');
  const foreign = { stamp: ledger.stampOf({ identity: 'one', seq: 99 }), tags: [] };
  t.equal(ledger.check(foreign, PAGE), 'unverified');
});

test('rule 10: responses older than the floor count as purged, and their marks are dropped', async (t) => {
  const ledger = ledgerAt(0);
  const old = stored(ledger);
  ledger.apply([purge(1, { selector: '//shop.test/x' }), purge(2, { kind: 'tag', selector: 'y' })]);
  const newer = stored(ledger);
  t.equal(ledger.size, 2);
  ledger.skipTo(50);
  t.equal(ledger.size, 0);
  t.equal(ledger.bytes, 0);
  t.equal(ledger.applied, 50);
  t.equal(ledger.check(old, PAGE), 'hard');
  t.equal(ledger.check(newer, PAGE), 'hard');
  t.equal(ledger.check(stored(ledger), PAGE), 'current');
});

function holdsLease(ledger: Ledger, wallMs: number, monotonic: number = wallMs): boolean {
  return ledger.holdsLease(epochMs(wallMs), monotonicMs(monotonic));
}

test('rule 7: the lease runs from the last time that the journal had nothing newer', async (t) => {
  const ledger = ledgerAt(3);
  t.notOk(holdsLease(ledger, NOW), 'a node that has not heard of the journal yet has none');
  ledger.onHeartbeat(3, instant(NOW));
  t.ok(holdsLease(ledger, NOW + 60_000));
  t.notOk(holdsLease(ledger, NOW + 60_001));
  ledger.onHeartbeat(9, instant(NOW + 50_000));
  t.notOk(holdsLease(ledger, NOW + 60_001), 'hearing of numbers that are not applied is no news to go by');
  ledger.onHeartbeat(3, instant(NOW + 50_000));
  t.ok(holdsLease(ledger, NOW + 110_000));
});

test('rule 7: a clock that is set back does not prolong a lease', async (t) => {
  const ledger = ledgerAt(3);
  ledger.onHeartbeat(3, instant(NOW));
  t.ok(holdsLease(ledger, NOW - 3_600_000, NOW + 60_000));
  t.notOk(holdsLease(ledger, NOW - 3_600_000, NOW + 60_001));
  ledger.onHeartbeat(3, instant(NOW - 3_600_000, NOW + 70_000));
  t.ok(holdsLease(ledger, NOW - 3_600_000, NOW + 70_000), 'it is heard of again');
});

test('rule 7: after the clock was set back, no age shows that the origin was asked within the lease', async (t) => {
  const ledger = ledgerAt(0);
  ledger.withoutJournal = 'validate';
  const at = (wall: number): boolean => {
    ledger.holdsLease(epochMs(wall), monotonicMs(1_000_000));
    return ledger.leaseCovers(1_000, epochMs(wall));
  };
  t.ok(at(NOW));
  t.ok(at(NOW - 500), 'set right by less than a second');
  t.notOk(at(NOW - 3_600_000));
  t.notOk(at(NOW), 'it is where it was: what was stored then is an hour old');
  t.notOk(at(NOW + 59_999));
  t.ok(at(NOW + 60_000), 'a lease further');
});

test('rule 7: a lease has run out after the machine slept for longer than it', async (t) => {
  const ledger = ledgerAt(3);
  ledger.onHeartbeat(3, instant(NOW));
  t.notOk(holdsLease(ledger, NOW + 60_001, NOW + 1_000));
});

test('rule 5: a requester with a higher position gets nothing older', async (t) => {
  const ledger = ledgerAt(3);
  const { stamp } = stored(ledger);
  t.ok(ledger.isNewEnough(stamp, { identity: 'one', seq: 3 }));
  t.notOk(ledger.isNewEnough(stamp, { identity: 'one', seq: 4 }));
  t.notOk(ledger.isNewEnough(stamp, { identity: 'two', seq: 1 }), 'numbers of another journal cannot be compared');
  const asked = ledger.stampNow({ identity: 'one', seq: 4 });
  t.equal(asked.asOf, 4, 'what is fetched because of that request is at least as new');
  ledger.apply([purge(4, {})]);
  t.equal(ledger.check({ stamp: asked, tags: [] }, PAGE), 'current');
});

test('reopening the journal changes no verdict, nor between nodes of which one has not seen the new term', async (t) => {
  const [ledger, other] = [ledgerAt(7), ledgerAt(7)];
  ledger.onHeartbeat(7, instant(NOW));
  const named = stored(ledger);
  t.equal(ledger.check(named, PAGE), 'current');
  const before = ledger.positionFor(NOTHING_KNOWN);
  ledger.extend({ terms: line('one', { two: 7 }) });
  t.ok(ledger.isStillCurrent(named.stamp), 'it is not even compared again');
  t.ok(holdsLease(ledger, NOW));
  t.same(ledger.positionFor(NOTHING_KNOWN), before);
  t.same(ledger.positionOf(stored(ledger).stamp), other.positionOf(stored(other).stamp));
  for (const [asking, asked] of [
    [ledger, other],
    [other, ledger],
  ] as const) {
    const { stamp } = stored(asked);
    t.ok(asked.isNewEnough(stamp, asking.positionFor(NOTHING_KNOWN)));
    t.equal(asking.check({ stamp: asking.stampOf(asked.positionOf(stamp)), tags: [] }, PAGE), 'current');
  }
  ledger.apply([purge(8, {})]);
  t.notOk(other.isNewEnough(stored(other).stamp, ledger.position), 'the first purge since is news');
  t.same(other.positionFor(ledger.position), { identity: 'two', seq: 8 }, 'which is passed on as it is');
});

for (const { what, position, comparable } of [
  { what: 'a number of an earlier term', position: { identity: 'one', seq: 5 }, comparable: true },
  {
    what: 'a number that an earlier term gave out, and lost',
    position: { identity: 'one', seq: 6 },
    comparable: false,
  },
  { what: 'a number of this term', position: { identity: 'two', seq: 8 }, comparable: true },
  {
    what: 'a number of this term that has not been heard of',
    position: { identity: 'two', seq: 80 },
    comparable: true,
  },
  { what: 'a number of another term', position: { identity: 'three', seq: 6 }, comparable: false },
  { what: 'the beginning of another journal', position: { identity: 'three', seq: 0 }, comparable: false },
]) {
  test(`rule 9: ${what} is ${comparable ? 'compared' : 'not compared'}`, async (t) => {
    const ledger = new Ledger({ leaseMs: 60_000 });
    ledger.restart({ terms: line('one', { two: 5 }), newest: 8, floor: 0 });
    ledger.apply(nothings(0, 8));
    const own = ledger.stampNow(NOTHING_KNOWN);
    const named = { stamp: ledger.stampOf(position), tags: [] };
    t.equal(ledger.check(named, PAGE), comparable ? 'current' : 'unverified');
    t.same(ledger.positionOf(named.stamp), comparable ? position : { identity: undefined, seq: position.seq });
    t.equal(ledger.isNewEnough(own, position), comparable && position.seq < 80);
    t.same(ledger.positionFor(position), comparable ? ledger.latestKnown : position);
    t.equal(ledger.stampNow(position).asOf, comparable && position.seq === 80 ? 80 : 8);
  });
}

for (const [what, tell] of Object.entries<(ledger: Ledger) => unknown>({
  'the journal': (ledger) => ledger.onHeartbeat(9, instant(NOW)),
  'a node that asks': (ledger) => ledger.stampNow({ identity: 'one', seq: 9 }),
  'a node that asks on': (ledger) => ledger.positionFor({ identity: 'one', seq: 9 }),
  'a node that answers': (ledger) => ledger.stampOf({ identity: 'one', seq: 9 }),
})) {
  test(`a position that ${what} has announced is known, applied or not`, async (t) => {
    const ledger = ledgerAt(7);
    t.same(ledger.latestKnown, { identity: 'one', seq: 7 });
    tell(ledger);
    t.same(ledger.latestKnown, { identity: 'one', seq: 9 });
    t.same(ledger.position, { identity: 'one', seq: 7 });
    ledger.stampOf({ identity: 'two', seq: 12 });
    ledger.stampNow({ identity: 'two', seq: 12 });
    t.same(ledger.latestKnown, { identity: 'one', seq: 9 }, 'unless it is of another line');
    ledger.restart({ terms: line('two'), newest: 3, floor: 0 });
    t.same(ledger.latestKnown, { identity: 'two', seq: 3 });
  });
}

test('a node without a journal counts its own purges', async (t) => {
  const ledger = new Ledger({ leaseMs: Number.POSITIVE_INFINITY });
  t.equal(ledger.stampNow({ identity: undefined, seq: 4 }).asOf, 4, 'who asks gets what is as new as that');
  ledger.stampOf({ identity: undefined, seq: 4 });
  const named = stored(ledger);
  ledger.apply([purge(1, {})]);
  t.equal(ledger.check(named, PAGE), 'hard', 'the first purge is one for what was stored before');
});

for (const { what, pad } of [
  { what: 'short', pad: '' },
  { what: 'long', pad: '-'.repeat(1_000) },
]) {
  const target = `${PAGE.target}${pad}`;
  const selectors: Record<string, readonly string[]> = {
    url: [`${URL}${pad}`, `//shop.test/1${pad}`, `//shop.test/2${pad}`],
    tag: [`${pad}0`, `${pad}1`, `${pad}2`],
    host: ['shop.test', 'a', 'b'],
    site: ['', '', ''],
    prefix: [`//shop.test:8080/a/b?c=1${pad.slice(1)}`, `//shop.test:8080/b${pad}`, '//x/'],
    everything: ['', '', ''],
  };
  test(`a verdict equals that of comparing with every applied record (${what} selectors)`, async (t) => {
    const kinds = fc.constantFrom('url', 'tag', 'host', 'site', 'prefix', 'everything' as const);
    const records = fc.array(fc.record({ kind: kinds, which: fc.nat(2), soft: fc.boolean() }), { maxLength: 20 });
    const agrees = fc.check(
      fc.property(records, fc.nat(20), fc.array(fc.nat(2), { maxLength: 3 }), (list, at, numbers) => {
        const ledger = ledgerAt(0);
        const page = { ...PAGE, target };
        const tags = numbers.map((number) => `${pad}${number}`);
        const named = { stamp: ledger.stampNow(NOTHING_KNOWN), tags };
        let expected = 'current';
        const apply = (from: number, to: number, counts: boolean): void => {
          for (const [i, { kind, which, soft }] of list.slice(from, to).entries()) {
            const selector = (selectors[kind] as readonly string[])[which] as string;
            ledger.apply([
              purge(from + i + 1, { kind, selector, soft, site: kind === 'site' && which > 0 ? 'x' : 'shop' }),
            ]);
            const hits = kind === 'tag' ? tags.includes(selector) : kind === 'everything' || which === 0;
            if (counts && hits) expected = soft && expected !== 'hard' ? 'soft' : soft ? expected : 'hard';
          }
        };
        apply(0, at, false);
        const later = { ...named, stamp: ledger.stampNow(NOTHING_KNOWN) };
        apply(Math.min(at, list.length), list.length, true);
        return ledger.check(later, page) === expected && ledger.check(later, page) === expected;
      }),
    );
    t.notOk(agrees.failed, fc.defaultReportMessage(agrees) ?? 'agrees');
  });
}

test('long selectors take no more memory than short ones', async (t) => {
  const ledger = ledgerAt(0);
  const long = (i: number): string => `${i}`.padStart(16_384, '-');
  const variant = (i: number): string => JSON.stringify({ url: `//a/${long(i)}`, headers: ['A', long(i)] });
  let seq = 1;
  for (let i = 0; i < 100; i++) {
    for (const kind of ['url', 'tag', 'prefix'] as const) ledger.apply([purge(seq++, { kind, selector: long(i) })]);
    ledger.apply([purge(seq++, { kind: 'variant', selector: variant(i) })]);
  }
  t.equal(ledger.size, 400);
  t.ok(ledger.bytes < 400 * 500, `${ledger.bytes} bytes`);
  const seen = { stamp: ledger.stampNow(NOTHING_KNOWN), tags: [long(7)] };
  ledger.apply([purge(seq++, { kind: 'tag', selector: long(8) })]);
  t.equal(ledger.check(seen, PAGE), 'current');
  ledger.apply([purge(seq, { kind: 'tag', selector: long(7) })]);
  t.equal(ledger.check(seen, PAGE), 'hard');
});

test('a variant with too many or too long fields is purged as its whole URL', async (t) => {
  const ledger = ledgerAt(0);
  const de = { ...stored(ledger), vary: [{ name: 'accept-language', value: 'de' }] };
  ledger.apply([
    purge(1, {
      kind: 'variant',
      selector: JSON.stringify({ url: URL, headers: ['Accept-Language', 'x'.repeat(2_000)] }),
    }),
  ]);
  t.equal(ledger.check(de, PAGE), 'hard', 'more than what was said, never less');
});

test('a ledger that went on with the state of another one, and then follows another journal, compares nothing older', async (t) => {
  const first = new Ledger({ leaseMs: 60_000 });
  first.restart({ terms: [{ identity: 'first', after: 0 }], newest: 5, floor: 0 });
  const copy = new Ledger({ leaseMs: 60_000 });
  copy.restore(first.state);
  const { asOf, epoch } = copy.stampNow(NOTHING_KNOWN);
  for (const ledger of [first, copy]) {
    ledger.restart({ terms: [{ identity: 'second', after: 0 }], newest: 2, floor: 0 });
    t.equal(ledger.check({ stamp: uncheckedStamp(asOf, epoch), tags: [] }, {} as never), 'unverified');
  }
  t.equal(first.epoch, copy.epoch, 'threads that share a store have the same numbers');
});
