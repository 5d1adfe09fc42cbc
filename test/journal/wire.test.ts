/** The journal on the wire: targets, appends and reports, read strictly. */
import fc from 'fast-check';
import { test } from 'tap';
import {
  appendedAnswer,
  journalTarget,
  readAppliedReport,
  readJournalTarget,
  readPurges,
  readRegistration,
} from '../../journal/wire.ts';

const PURGE = { site: 's', kind: 'tag', selector: 'x', soft: false, who: 'a', why: 'b' };

test('a position comes back from its target', async (t) => {
  const identity = fc.option(fc.stringMatching(/^[\w.-]{1,64}$/), { nil: undefined });
  fc.assert(
    fc.property(identity, fc.nat({ max: Number.MAX_SAFE_INTEGER }), (name, seq) => {
      t.strictSame(readJournalTarget(journalTarget({ identity: name, seq })), { identity: name, seq });
    }),
  );
});

test('a registration comes back from the target, beside the position', async (t) => {
  const name = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/);
  const optional = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined });
  const registration = fc.record(
    {
      role: optional(fc.constantFrom('edge' as const, 'shield' as const)),
      region: optional(name),
      leaseMs: optional(fc.nat({ max: Number.MAX_SAFE_INTEGER })),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(registration, fc.nat(), (given, seq) => {
      const target = journalTarget({ identity: 'j', seq }, given);
      t.strictSame(readRegistration(target), given);
      t.strictSame(readJournalTarget(target), { identity: 'j', seq });
    }),
  );
});

for (const { query, names } of [
  { query: 'role=', names: 'role' },
  { query: 'role=control', names: 'role' },
  { query: 'region=', names: 'region' },
  { query: 'region=a_b', names: 'region' },
  { query: `region=${'a'.repeat(64)}`, names: 'region' },
  { query: 'lease=', names: 'lease' },
  { query: 'lease=-1', names: 'lease' },
  { query: 'lease=1.5', names: 'lease' },
  { query: 'lease=9007199254740993', names: 'lease' },
]) {
  test(`a registration with ${query.slice(0, 20)} is refused for ${names}`, async (t) => {
    const read = () => readRegistration(`/v1/journal?after=1&${query}`);
    t.throws(read, { code: 'journal_bad_message', message: new RegExp(names) });
  });
}

for (const { target, names } of [
  { target: '/v1/journal', names: 'after' },
  { target: '/v1/journal?after=', names: 'after' },
  { target: '/v1/journal?after=-1', names: 'after' },
  { target: '/v1/journal?after=1e3', names: 'after' },
  { target: '/v1/journal?after=9007199254740993', names: 'after' },
  { target: '/v1/journal?after=00000000000000001', names: 'after' },
  { target: '/v1/journal?identity=&after=1', names: 'identity' },
  { target: '/v1/journal?identity=a%20b&after=1', names: 'identity' },
  { target: `/v1/journal?identity=${'a'.repeat(65)}&after=1`, names: 'identity' },
]) {
  test(`${target.slice(0, 50)} is refused for ${names}`, async (t) => {
    t.throws(() => readJournalTarget(target), { code: 'journal_bad_message', message: new RegExp(names) });
  });
}

for (const { what, purges, isRead } of [
  { what: 'one', purges: [PURGE], isRead: true },
  { what: 'several alike', purges: [PURGE, { ...PURGE, selector: 'y', site: 'z' }], isRead: true },
  { what: 'as many as one call may have', purges: Array(4_096).fill(PURGE), isRead: true },
  { what: 'more than one call may have', purges: Array(4_097).fill(PURGE), isRead: false },
  { what: 'none', purges: [], isRead: false },
  { what: 'no list', purges: PURGE, isRead: false },
  { what: 'a soft one behind a hard one', purges: [PURGE, { ...PURGE, soft: true }], isRead: false },
  { what: 'those of two callers', purges: [PURGE, { ...PURGE, who: 'c' }], isRead: false },
  { what: 'those with two reasons', purges: [PURGE, { ...PURGE, why: 'c' }], isRead: false },
  { what: 'one that is none behind one that is', purges: [PURGE, null], isRead: false },
  { what: 'one that is none in front', purges: [null, PURGE], isRead: false },
]) {
  test(`purges of one append: ${what} ${isRead ? 'are read' : 'are refused'}`, async (t) => {
    const read = () => readPurges({ purges });
    if (isRead) t.equal(read().length, (purges as unknown[]).length);
    else t.throws(read, { code: 'journal_bad_message' });
  });
}

const REPORT = { node: 'eu-1', identity: 'a', seq: 3 };
const ABOUT = { version: '1', config: 'c', since: '2026-01-01T00:00:00Z' };

for (const { report, names } of [
  { report: { ...REPORT, node: '' }, names: 'node' },
  { report: { ...REPORT, identity: undefined }, names: 'identity' },
  { report: { ...REPORT, seq: -1 }, names: 'seq' },
  { report: { ...REPORT, about: null }, names: 'object' },
  { report: { ...REPORT, about: { ...ABOUT, since: 'yesterday' } }, names: 'about' },
  { report: { ...REPORT, about: { ...ABOUT, version: 'x'.repeat(65) } }, names: 'about' },
  { report: { ...REPORT, about: { ...ABOUT, config: undefined } }, names: 'about' },
  { report: { ...REPORT, about: { ...ABOUT, revocations: 'z'.repeat(64) } }, names: 'about' },
  { report: null, names: 'object' },
]) {
  test(`the report ${JSON.stringify(report).slice(0, 60)} is refused for ${names}`, async (t) => {
    t.throws(() => readAppliedReport(report), { code: 'journal_bad_message', message: new RegExp(names) });
  });
}

test('a report is read with what is known of it, and nothing else', async (t) => {
  t.strictSame(readAppliedReport({ ...REPORT, more: 1 }), REPORT);
  t.strictSame(readAppliedReport({ ...REPORT, about: { ...ABOUT, more: 1 } }), { ...REPORT, about: ABOUT });
});

test('an append is answered with the term that gave out its last number', async (t) => {
  const terms = [
    { identity: 'a', after: -1 },
    { identity: 'b', after: 5 },
  ];
  t.match(appendedAnswer({ terms, floor: 0, newest: 9 }, { first: 6, last: 7 }), { first: 6, last: 7, identity: 'b' });
  t.match(appendedAnswer({ terms, floor: 0, newest: 9 }, { first: 5, last: 5 }), { identity: 'a' });
});
