/** Responses that come back from disk meet the purges of the meantime (rules 4, 9 and 10 of docs/purging.md). */
import { test } from 'tap';
import { contentOf, responsesOf } from '../../../cache/disk/response-bytes.ts';
import { Ledger } from '../../../cache/ledger.ts';
import { MemoryStore } from '../../../cache/store/memory-store.ts';
import { wallNow } from '../../../lib/clock.ts';
import { responseOf } from './responses.ts';

const URL_KEYED = { site: 'site', authority: 'a.test', target: '/x', key: 'http://a.test/x' };
const TERM = { identity: 'term-1', after: 0 };

function ledgerAt(terms: readonly { identity: string; after: number }[], newest: number, floor = 0): Ledger {
  const ledger = new Ledger({ leaseMs: 60_000 });
  ledger.restart({ terms, newest, floor });
  for (let seq = floor + 1; seq <= newest; seq++) {
    const selector = seq === 3 ? '//a.test/x' : '//a.test/other';
    ledger.apply([{ seq, site: 'site', kind: 'url', selector, soft: false } as never]);
  }
  return ledger;
}

/** @returns Verdict on a response that was stored at the number of the first ledger, in the second. */
function verdict(before: Ledger, after: Ledger): string {
  const store = new MemoryStore(1024 * 1024);
  const stamp = before.stampNow({ identity: undefined, seq: 0 });
  const stored = { ...responseOf(store, 'k', 100), stamp };
  const content = contentOf('k', [stored], before);
  const body = content && [Buffer.concat(content.body)];
  const read = content && responsesOf({ ...content, body: body ?? [] }, { store, ledger: after, now: wallNow() });
  const [found] = read?.variants ?? [];
  return found === undefined ? 'lost' : after.check(found, URL_KEYED as never);
}

for (const { rule, before, after, expected } of [
  { rule: '4: not named since', before: ledgerAt([TERM], 3), after: ledgerAt([TERM], 5), expected: 'current' },
  { rule: '4: purged since', before: ledgerAt([TERM], 2), after: ledgerAt([TERM], 5), expected: 'hard' },
  {
    rule: '9: another journal',
    before: ledgerAt([TERM], 3),
    after: ledgerAt([{ identity: 'other', after: 0 }], 5),
    expected: 'unverified',
  },
  {
    rule: '9: a journal that was restored from before that number',
    before: ledgerAt([TERM], 4),
    after: ledgerAt([TERM, { identity: 'term-2', after: 3 }], 5),
    expected: 'unverified',
  },
  { rule: '10: older than the floor', before: ledgerAt([TERM], 1), after: ledgerAt([TERM], 9, 4), expected: 'hard' },
  {
    rule: '9: no journal when it was stored',
    before: new Ledger({ leaseMs: Number.POSITIVE_INFINITY }),
    after: ledgerAt([TERM], 5),
    expected: 'unverified',
  },
  {
    rule: '9: no journal any more',
    before: ledgerAt([TERM], 3),
    after: new Ledger({ leaseMs: Number.POSITIVE_INFINITY }),
    expected: 'unverified',
  },
  {
    rule: '9: no journal, before and after',
    before: new Ledger({ leaseMs: Number.POSITIVE_INFINITY }),
    after: new Ledger({ leaseMs: Number.POSITIVE_INFINITY }),
    expected: 'unverified',
  },
] as const) {
  test(`rule ${rule}: ${expected}`, async (t) => {
    t.equal(verdict(before, after), expected);
  });
}

test('what comes back says the same as what was stored', async (t) => {
  const store = new MemoryStore(1024 * 1024);
  const ledger = ledgerAt([TERM], 5);
  const stored = { ...responseOf(store, 'k', 30_000), stamp: ledger.stampNow({ identity: undefined, seq: 0 }) };
  const content = contentOf('k', [stored], ledger);
  if (content === undefined) throw new Error('it cannot be read');
  const given = { ...content, body: [Buffer.concat(content.body)] };
  const [found] = responsesOf(given, { store, ledger, now: wallNow() })?.variants ?? [];
  const { body: _a, stamp: _b, facts: _c, prepared: _d, ...rest } = found ?? ({} as typeof stored);
  const { body: _e, stamp: _f, facts: _g, prepared: _h, ...expected } = stored;
  t.same(JSON.parse(JSON.stringify(rest)), JSON.parse(JSON.stringify(expected)));
  const reader = found?.body.open({ start: 0, end: 30_000 });
  const pieces: Buffer[] = [];
  for (let piece = reader?.next(); piece instanceof Buffer; piece = reader?.next()) pieces.push(piece);
  t.ok(Buffer.concat(pieces).equals(Buffer.alloc(30_000, 'k ')));
});

test('a response from the future is not used: its age cannot be told', async (t) => {
  const store = new MemoryStore(1024 * 1024);
  const ledger = ledgerAt([TERM], 5);
  const content = contentOf('k', [responseOf(store, 'k', 10)], ledger);
  if (content === undefined) throw new Error('it cannot be read');
  const now = (wallNow() - 120_000) as ReturnType<typeof wallNow>;
  t.equal(responsesOf(content, { store, ledger, now }), undefined);
});
