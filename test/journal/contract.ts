/**
 * Contract of every journal.
 * @module
 */
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { checkState } from '../../journal/check.ts';
import {
  type AuditedJournal,
  type Journal,
  type JournalRecord,
  MAX_ONCE_KEY_LENGTH,
  MAX_TERMS,
  ONCE_RETENTION_MS,
  type Purge,
} from '../../journal/journal.ts';
import { identityOf, isInHistory, type JournalPosition } from '../../journal/terms.ts';

export interface Opened {
  readonly journal: AuditedJournal;
  /** Closes it and opens it again, as a new process does. */
  reopen(): Promise<Opened>;
  /** Opens a copy of it as it is now; both go on. */
  copy(): Promise<Opened>;
}

/** Makes a new, empty journal that goes by the clock; all that it took is gone after the test. */
export type Open = (t: Test, now: () => number) => Promise<Opened>;

const START = Date.UTC(2026, 0, 1);
const DAY = 86_400_000;

export function aPurge(changes: Partial<Purge> = {}): Purge {
  const purge = { site: 'shop', kind: 'tag', selector: 'sale', soft: false, who: 'token:ci', why: 'deploy 7' } as const;
  return { ...purge, ...changes };
}

/** So many purges, each of a tag of its own. */
export function purges(count: number, name = 'tag'): Purge[] {
  return Array.from({ length: count }, (_, index) => aPurge({ selector: `${name}-${index}` }));
}

const EVERY_KIND: readonly Purge[] = [
  aPurge({ kind: 'url', selector: 'https://shop.example/a?b=c&d=%20' }),
  aPurge({ kind: 'tag', selector: 'größe/☃/😀' }),
  aPurge({ kind: 'prefix', selector: 'https://shop.example/a', soft: true }),
  aPurge({ kind: 'host', selector: 'shop.example' }),
  aPurge({ kind: 'site', selector: '', why: 'two\nlines "quoted" \\ \u2028' }),
  aPurge({ kind: 'everything', site: '*', selector: '', who: '', why: '' }),
  aPurge({ selector: 'x'.repeat(16_384), why: '\u0001'.repeat(1_024), site: 's'.repeat(255), who: 'w'.repeat(255) }),
];

const REFUSED: readonly (readonly [string, unknown])[] = [
  ['no object', null],
  ['no site', aPurge({ site: '' })],
  ['a site that is no string', { ...aPurge(), site: 7 }],
  ['a kind that is none', { ...aPurge(), kind: 'regex' }],
  ['a kind of every object', { ...aPurge(), kind: 'constructor' }],
  ['a tag without the tag', aPurge({ selector: '' })],
  ['a site with a selector', aPurge({ kind: 'site', selector: 'x' })],
  ['everything, of one site', aPurge({ kind: 'everything', selector: '' })],
  ['a tag of every site', aPurge({ site: '*' })],
  ['soft that is no boolean', { ...aPurge(), soft: 1 }],
  ['a newline in a selector', aPurge({ selector: 'a\nb' })],
  ['half a character', aPurge({ selector: '\ud83d' })],
  ['a NUL', aPurge({ why: 'a\0b' })],
  ['a selector that is too long', aPurge({ selector: 'x'.repeat(16_385) })],
  ['a reason that is too long', aPurge({ why: 'x'.repeat(1_025) })],
];

/** @param runs - Histories of each property; fewer where each step is a call to another process. */
export function contract(name: string, open: Open, runs = { branching: 40, steps: 30 }): void {
  test(`${name}: a new journal is empty and has an identity of its own`, async (t) => {
    const { journal } = await open(t, () => START);
    const { terms, floor, newest } = journal.state();
    t.doesNotThrow(() => checkState(journal.state()));
    t.same(begins(journal), [-1]);
    t.same([floor, newest], [0, 0]);
    t.same(await journal.read(0, 10), []);
    const other = (await open(t, () => START)).journal;
    t.notOk(isOn(other, { identity: identityOf(terms, 0), seq: 0 }), 'not even their beginnings are the same');
  });

  test(`${name}: appended records are read back, numbered from 1, with their time`, async (t) => {
    const { journal } = await open(t, () => START + 5);
    t.match(await journal.append(EVERY_KIND), { first: 1, last: EVERY_KIND.length });
    t.equal(journal.state().newest, EVERY_KIND.length);
    const expected = EVERY_KIND.map((purge, index) => ({ seq: index + 1, time: START + 5, ...purge }));
    t.same(await journal.read(0, 100), expected);
    t.match(await journal.append([aPurge()]), { first: EVERY_KIND.length + 1, last: EVERY_KIND.length + 1 });
  });

  for (const [what, purge] of REFUSED) {
    test(`${name}: ${what} is refused, with the rest of its call`, async (t) => {
      const { journal } = await open(t, () => START);
      await t.rejects(journal.append([aPurge(), purge as Purge, aPurge()]), { code: 'journal_bad_purge' });
      t.equal(journal.state().newest, 0);
      t.match(await journal.append([aPurge()]), { first: 1, last: 1 }, 'no number was used');
    });
  }

  test(`${name}: an append of nothing is refused`, async (t) => {
    const { journal } = await open(t, () => START);
    await t.rejects(journal.append([]), { code: 'journal_bad_purge' });
  });

  test(`${name}: concurrent appends get contiguous numbers, in the order of the calls`, async (t) => {
    const { journal } = await open(t, () => START);
    const sizes = [3, 1, 7, 2, 5];
    const refused = journal.append([aPurge({ site: '' })]).catch(() => undefined);
    const numbers = await Promise.all(sizes.map((size, index) => journal.append(purges(size, `call-${index}`))));
    await refused;
    t.match(numbers, [
      { first: 1, last: 3 },
      { first: 4, last: 4 },
      { first: 5, last: 11 },
      { first: 12, last: 13 },
      { first: 14, last: 18 },
    ]);
    const expected = sizes.flatMap((size, index) => purges(size, `call-${index}`).map(({ selector }) => selector));
    t.same(selectors(await journal.read(0, 100)), expected);
  });

  test(`${name}: later changes by the caller do not change a record`, async (t) => {
    const { journal } = await open(t, () => START);
    const purge = { ...aPurge() };
    const list = [purge];
    const appended = journal.append(list);
    purge.selector = 'another';
    list.push(aPurge());
    t.match(await appended, { first: 1, last: 1 });
    t.same(selectors(await journal.read(0, 10)), ['sale']);
  });

  test(`${name}: a read starts after a number and has a limit`, async (t) => {
    const { journal } = await open(t, () => START);
    await journal.append(purges(10));
    t.same(numbersOf(await journal.read(3, 4)), [4, 5, 6, 7]);
    t.same(numbersOf(await journal.read(8, 100)), [9, 10]);
    t.same(await journal.read(10, 100), []);
    t.same(await journal.read(11, 100), []);
    t.same(await journal.read(0, 0), []);
  });

  test(`${name}: record times never go back, whatever the clock does`, async (t) => {
    let now = START;
    const { journal, reopen } = await open(t, () => now);
    await journal.append([aPurge()]);
    now -= DAY;
    await journal.append([aPurge()]);
    const again = (await reopen()).journal;
    await again.append([aPurge()]);
    now = START + 1.5;
    await again.append([aPurge()]);
    t.same(
      (await again.read(0, 10)).map(({ time }) => time - START),
      [0, 0, 0, 1],
    );
  });

  test(`${name}: a subscriber gets every append in order, once it can be read`, async (t) => {
    const { journal } = await open(t, () => START);
    const heads: number[] = [];
    const readable: Promise<readonly JournalRecord[]>[] = [];
    const all = Promise.withResolvers<void>();
    const stop = journal.subscribe((newest) => {
      heads.push(newest);
      t.equal(journal.state().newest, newest);
      readable.push(journal.read(newest - 1, 1));
      if (newest === 9) all.resolve();
    });
    for (const size of [2, 3, 4]) await journal.append(purges(size));
    await all.promise;
    t.same(heads, [2, 5, 9]);
    t.same((await Promise.all(readable)).map(numbersOf), [[2], [5], [9]]);
    stop();
    const other = Promise.withResolvers<void>();
    journal.subscribe(() => other.resolve());
    await journal.append([aPurge()]);
    await other.promise;
    t.same(heads, [2, 5, 9], 'not after it has stopped');
  });

  test(`${name}: compaction removes old records and raises the floor`, async (t) => {
    let now = START;
    const { journal, reopen } = await open(t, () => now);
    for (let day = 0; day < 5; day += 1) {
      now = START + day * DAY;
      await journal.append(purges(2, `day-${day}`));
    }
    await journal.compact(START);
    t.equal(journal.state().floor, 0, 'nothing is older');
    await journal.compact(START + 2 * DAY);
    t.same([journal.state().floor, journal.state().newest], [4, 10]);
    await t.rejects(journal.read(3, 10), { code: 'journal_gap', floor: 4 });
    t.same(numbersOf(await journal.read(4, 100)), [5, 6, 7, 8, 9, 10]);
    await journal.compact(START);
    t.equal(journal.state().floor, 4, 'the floor never goes down');
    await t.rejects(journal.compact(Number.NaN), RangeError);
    await journal.compact(Number.POSITIVE_INFINITY);
    t.same([journal.state().floor, journal.state().newest], [10, 10]);
    t.same(await journal.read(10, 10), []);
    const again = (await reopen()).journal;
    t.same([again.state().floor, again.state().newest], [10, 10]);
    t.match(await again.append([aPurge()]), { first: 11, last: 11 }, 'no number is given out twice');
  });

  test(`${name}: a reopened journal has the same records and history`, async (t) => {
    const first = await open(t, () => START);
    await first.journal.append(EVERY_KIND);
    const [state, records] = [first.journal.state(), await first.journal.read(0, 100)];
    const second = await first.reopen();
    t.match(second.journal.state(), { floor: state.floor, newest: state.newest });
    t.same(await second.journal.read(0, 100), records);
    await second.journal.append(purges(3));
    const third = await second.reopen();
    t.equal(third.journal.state().newest, EVERY_KIND.length + 3);
    for (const { seq } of [{ seq: 0 }, ...records]) {
      t.ok(isOn(third.journal, { identity: identityOf(state.terms, seq), seq }), `${seq} is where it was`);
    }
  });

  test(`${name}: each opening that assigns numbers is a term, and no other is`, async (t) => {
    let opened = await open(t, () => START);
    const drawn: (string | undefined)[] = [];
    for (const count of [2, 0, 0, 1, 0, 3]) {
      if (count > 0) {
        await opened.journal.append(purges(count));
        const { terms, newest } = opened.journal.state();
        drawn.push(identityOf(terms, newest));
      }
      opened = await opened.reopen();
    }
    const { terms } = opened.journal.state();
    t.same(begins(opened.journal), [-1, 0, 2, 3]);
    t.same(
      terms.slice(1, 4).map(({ identity }) => identity),
      drawn,
    );
    t.equal(new Set(terms.map(({ identity }) => identity)).size, terms.length, 'none is drawn twice');
    t.same(
      [0, 1, 2, 3, 4, 6].map((seq) => terms.findIndex((term) => term.identity === identityOf(terms, seq))),
      [0, 1, 1, 2, 3, 3],
    );
  });

  test(`${name}: terms that end below the floor are removed`, async (t) => {
    let now = START;
    let opened = await open(t, () => now);
    for (let day = 0; day < 4; day += 1) {
      now = START + day * DAY;
      await opened.journal.append(purges(2));
      opened = await opened.reopen();
    }
    t.same(begins(opened.journal), [-1, 0, 2, 4, 6]);
    await opened.journal.compact(START + 2 * DAY);
    t.same(begins(opened.journal), [2, 4, 6], 'the floor itself is still of a term');
    opened = await opened.reopen();
    t.same(begins(opened.journal), [2, 4, 6]);
    await opened.journal.compact(Number.POSITIVE_INFINITY);
    t.same(begins(opened.journal), [6]);
    opened = await opened.reopen();
    await opened.journal.append(purges(1));
    t.same(begins((await opened.reopen()).journal), [6, 8]);
  });

  test(`${name}: the newest terms are kept, up to the maximum`, async (t) => {
    let opened = await open(t, () => START);
    const first = opened.journal.state();
    for (let opening = 1; opening <= MAX_TERMS + 5; opening += 1) {
      await opened.journal.append(purges(1));
      opened = await opened.reopen();
      if (opening < MAX_TERMS - 2) continue;
      const state = opened.journal.state();
      t.doesNotThrow(() => checkState(state));
      t.ok(Math.abs(state.terms.length - Math.min(opening + 1, MAX_TERMS)) <= 1, `${state.terms.length} terms`);
      t.equal(begins(opened.journal).at(-1), opening - 1);
      t.ok(
        isOn(opened.journal, { identity: identityOf(state.terms, 1), seq: 1 }),
        'what it says itself is on its line',
      );
    }
    t.notOk(isOn(opened.journal, { identity: identityOf(first.terms, 1), seq: 1 }), 'of a term that is forgotten');
  });

  test(`${name}: two journals that agree on a number have the same records up to it`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(branching, { maxLength: 30 }), async (steps) => {
        const logs = [await open(t, () => START)];
        let made = 0;
        for (const { what, which, count } of steps) {
          const at = which % logs.length;
          const log = logs[at] as Opened;
          if (what === 'append') await log.journal.append(purges(count, `step-${made++}`));
          else if (what === 'reopen') logs[at] = await log.reopen();
          else if (logs.length < 6) logs.push(await log.copy());
        }
        for (const one of logs) for (const other of logs) await checkAgreement(t, one.journal, other.journal);
        for (const { journal } of logs) await journal.close();
      }),
      { numRuns: runs.branching },
    );
  });

  test(`${name}: the current state has everything that was acknowledged`, async (t) => {
    const { journal } = await open(t, () => START);
    await journal.append(purges(3));
    t.same(await journal.current(), journal.state());
    await journal.close();
    await t.rejects(journal.current(), { code: 'journal_closed' });
  });

  test(`${name}: an append with an idempotency key is made once, whatever repeats it`, async (t) => {
    let now = START;
    const { journal, reopen } = await open(t, () => now);
    const once = { key: 'token/key', body: Buffer.from('body') };
    await journal.append(purges(2));
    const made = await journal.append([aPurge({ why: 'first' }), aPurge({ why: 'second' })], once);
    t.same(made, { first: 3, last: 4, time: START, why: 'first', repeated: false });
    now += 1_000;
    const repeated = { ...made, repeated: true };
    t.same(await journal.append(purges(7), once), repeated);
    await t.rejects(journal.append(purges(1), { ...once, body: Buffer.from('other') }), {
      code: 'journal_key_conflict',
    });
    t.match(await journal.append(purges(1), { ...once, key: 'token/other' }), { first: 5, repeated: false });
    const again = (await reopen()).journal;
    t.same(await again.append(purges(1), once), repeated);
    await again.compact(Number.POSITIVE_INFINITY);
    t.same(await again.append(purges(1), once), repeated, 'also when the records are gone');
    t.equal(again.state().newest, 5);
    now = START + ONCE_RETENTION_MS - 1;
    t.match(await again.append(purges(1), once), { first: 3, repeated: true });
    now += 1;
    t.match(await again.append(purges(1), once), { first: 6, repeated: false });
    t.match(await again.append(purges(1), once), { first: 6, repeated: true });
  });

  test(`${name}: concurrent appends with one key make one, and refusals of a key refuse nothing else`, async (t) => {
    const { journal } = await open(t, () => START);
    const once = { key: 'k', body: Buffer.from('b') };
    const other = { key: 'k', body: Buffer.from('another') };
    const outcomes = await Promise.allSettled([
      journal.append(purges(2, 'a'), once),
      journal.append(purges(3, 'b'), once),
      journal.append(purges(1, 'c'), other),
      journal.append(purges(1, 'd')),
      journal.append(purges(4, 'e'), once),
    ]);
    t.match(outcomes, [
      { value: { first: 1, last: 2, repeated: false } },
      { value: { first: 1, last: 2, repeated: true } },
      { status: 'rejected', reason: { code: 'journal_key_conflict' } },
      { value: { first: 3, last: 3 } },
      { value: { first: 1, last: 2, repeated: true } },
    ]);
    t.same(selectors(await journal.read(0, 10)), ['a-0', 'a-1', 'd-0']);
  });

  for (const key of ['', 'x'.repeat(MAX_ONCE_KEY_LENGTH + 1)]) {
    test(`${name}: an idempotency key of ${key.length} characters is refused`, async (t) => {
      const { journal } = await open(t, () => START);
      await t.rejects(journal.append(purges(1), { key, body: Buffer.of() }), { code: 'journal_bad_purge' });
      t.match(await journal.append(purges(1), { key: `x${key.slice(2)}`, body: Buffer.of() }), { first: 1 });
    });
  }

  test(`${name}: an audit entry is written with its append, knows its numbers, and not with a repetition`, async (t) => {
    const { journal, reopen } = await open(t, () => START);
    const once = { key: 'k', body: Buffer.from('b') };
    const noteOf = (what: string) => (appended: { first: number; last: number }) => ({
      what,
      first: appended.first,
      last: appended.last,
    });
    await Promise.all([
      journal.append(purges(2), once, noteOf('made')),
      journal.append(purges(2), once, noteOf('repeated at once')),
      journal.note({ what: 'alone', quoted: '"\u2028' }),
    ]);
    await journal.append(purges(3), once, noteOf('repeated later'));
    await journal.append(purges(3), undefined, noteOf('more'));
    await t.rejects(journal.append(purges(1), { ...once, body: Buffer.from('other') }, noteOf('refused')));
    await t.rejects(journal.append([aPurge({ site: '' })], undefined, noteOf('refused')));
    const expected = [
      { what: 'more', first: 3, last: 5 },
      { what: 'alone', quoted: '"\u2028' },
      { what: 'made', first: 1, last: 2 },
    ];
    t.same(await entriesOf(journal), expected);
    const again = (await reopen()).journal;
    t.same(await entriesOf(again), expected);
    t.equal(again.state().newest, 5, 'an entry has no number');
  });

  test(`${name}: audit entries are read page by page, newest first, and the oldest are forgotten`, async (t) => {
    let now = START;
    const { journal } = await open(t, () => now);
    for (let round = 0; round < 4; round += 1) {
      await Promise.all([0, 1, 2].map((index) => journal.note({ entry: 3 * round + index })));
      now += round === 1 ? -DAY : 1; // whatever the clock does
      await journal.append(purges(1));
    }
    const all = Array.from({ length: 12 }, (_, index) => 11 - index);
    for (const limit of [1, 2, 5, 12, 100]) {
      const seen: unknown[] = [];
      for (let before: string | undefined; ; ) {
        const page = await journal.notes(before, limit);
        if (page.length === 0) break;
        t.ok(page.length <= limit);
        seen.push(...page.map(({ entry }) => entry['entry']));
        before = page.at(-1)?.id;
      }
      t.same(seen, all, `pages of ${limit}`);
    }
    await journal.compact(Number.NEGATIVE_INFINITY, 2);
    const left = await entriesOf(journal);
    t.ok(left.length >= 2 && left.length <= 6, `${left.length} entries, of two transactions at most`);
    t.match(left, [{ entry: 11 }, { entry: 10 }]);
    await journal.compact(Number.NEGATIVE_INFINITY, 0);
    t.same(await entriesOf(journal), []);
    await journal.note({ entry: 'next' });
    t.same(await entriesOf(journal), [{ entry: 'next' }]);
  });

  test(`${name}: closing finishes accepted appends and refuses further ones`, async (t) => {
    const { journal, reopen } = await open(t, () => START);
    const appended = journal.append(purges(3));
    await Promise.all([journal.close(), journal.close()]);
    t.match(await appended, { first: 1, last: 3 });
    await t.rejects(journal.append([aPurge()]), { code: 'journal_closed' });
    t.equal((await reopen()).journal.state().newest, 3);
  });

  test(`${name}: under any history a journal is a list with its front cut off`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        let now = START;
        let opened = await open(t, () => now);
        let kept: JournalRecord[] = [];
        let newest = 0;
        for (const { what, count, forMs } of steps) {
          const { journal } = opened;
          if (what === 'append') {
            const added = purges(count, `at-${newest}`);
            t.match(await journal.append(added), { first: newest + 1, last: newest + count });
            kept.push(...added.map((purge) => ({ seq: ++newest, time: now, ...purge })));
          } else if (what === 'compact') {
            await journal.compact(now - forMs);
            kept = kept.filter(({ time }) => time >= now - forMs);
          } else if (what === 'reopen') {
            opened = await opened.reopen();
          } else {
            now += forMs;
          }
          const floor = newest - kept.length;
          t.match(opened.journal.state(), { floor, newest });
          t.doesNotThrow(() => checkState(opened.journal.state()));
          t.same(await opened.journal.read(floor, 1_000), kept);
        }
        await opened.journal.close();
      }),
      { numRuns: runs.steps },
    );
  });
}

const branching = fc.record({
  what: fc.constantFrom('append', 'append', 'append', 'reopen', 'copy'),
  which: fc.nat({ max: 11 }),
  count: fc.integer({ min: 1, max: 3 }),
});

/** Numbers that the terms begin after which have given out any. */
function begins(journal: Journal): number[] {
  const { terms, newest } = journal.state();
  return terms.map(({ after }) => after).filter((after) => after < newest);
}

/** Checks that positions of `one` are in the history of `other` exactly as far as the two agree. */
async function checkAgreement(t: Test, one: Journal, other: Journal): Promise<void> {
  const { terms, newest } = one.state();
  const [mine, theirs] = [selectors(await one.read(0, 1_000)), selectors(await other.read(0, 1_000))];
  let agreed = 0;
  while (agreed < newest && mine[agreed] === theirs[agreed]) agreed += 1;
  for (let seq = 0; seq <= newest; seq += 1) {
    const isThere = isOn(other, { identity: identityOf(terms, seq), seq });
    if (isThere !== seq <= agreed) t.fail(`${seq} of ${newest}, of which ${agreed} are the same: ${isThere}`);
  }
}

function isOn(journal: Journal, position: JournalPosition): boolean {
  const { terms, newest } = journal.state();
  return isInHistory(terms, newest, position);
}

const step = fc.record({
  what: fc.constantFrom('append', 'append', 'pass', 'compact', 'reopen'),
  count: fc.integer({ min: 1, max: 6 }),
  forMs: fc.nat({ max: 5_000 }),
});

async function entriesOf(journal: AuditedJournal): Promise<unknown[]> {
  return (await journal.notes(undefined, 100)).map(({ entry }) => entry);
}

function numbersOf(records: readonly JournalRecord[]): number[] {
  return records.map(({ seq }) => seq);
}

function selectors(records: readonly JournalRecord[]): string[] {
  return records.map(({ selector }) => selector);
}
