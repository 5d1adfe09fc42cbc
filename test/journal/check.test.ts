/** Checks of purges and of messages: what a journal can keep, field by field. */
import fc from 'fast-check';
import { test } from 'tap';
import {
  BEFORE_ALL,
  checkOnce,
  checkPurge,
  checkRecord,
  checkState,
  checkTerms,
  isIdentity,
  isNumber,
} from '../../journal/check.ts';
import { JournalError } from '../../journal/errors.ts';

const PURGE = { site: 'shop', kind: 'tag', selector: 'a', soft: false, who: 'me', why: '' };

/** Returns the field that a check refuses; `undefined`: none. */
function refused(check: () => void): string | undefined {
  try {
    check();
  } catch (error) {
    if (error instanceof JournalError) return error.message;
    throw error;
  }
  return undefined;
}

for (const { change, field } of [
  { change: {}, field: undefined },
  { change: { site: '' }, field: 'site' },
  { change: { site: 'x'.repeat(255) }, field: undefined },
  { change: { site: 'x'.repeat(256) }, field: 'site' },
  { change: { site: 'a\nb' }, field: 'site' },
  { change: { site: 7 }, field: 'site' },
  { change: { site: '*' }, field: 'site' },
  { change: { kind: 'everything', selector: '' }, field: 'site' },
  { change: { kind: 'everything', site: '*', selector: '' }, field: undefined },
  { change: { kind: 'everything', site: '*' }, field: 'selector' },
  { change: { kind: 'site', selector: '' }, field: undefined },
  { change: { kind: 'site' }, field: 'selector' },
  { change: { kind: 'url', selector: '' }, field: 'selector' },
  { change: { kind: 'constructor' }, field: 'kind' },
  { change: { kind: undefined }, field: 'kind' },
  { change: { selector: 'x'.repeat(16_384) }, field: undefined },
  { change: { selector: 'x'.repeat(16_385) }, field: 'selector' },
  { change: { selector: 'a\u007f' }, field: 'selector' },
  { change: { selector: '\ud800' }, field: 'selector' },
  { change: { soft: 'no' }, field: 'soft' },
  { change: { soft: undefined }, field: 'soft' },
  { change: { who: 'x'.repeat(256) }, field: 'who' },
  { change: { who: 'a\0' }, field: 'who' },
  { change: { why: 'two\nlines' }, field: undefined },
  { change: { why: 'x'.repeat(1_025) }, field: 'why' },
  { change: { why: null }, field: 'why' },
]) {
  const shown = JSON.stringify(change).slice(0, 60);
  test(`a purge with ${shown} (${JSON.stringify(change).length}) ${field === undefined ? 'is kept' : `is refused for its ${field}`}`, async (t) => {
    const message = refused(() => checkPurge({ ...PURGE, ...change }));
    if (field === undefined) t.equal(message, undefined);
    else t.match(message, new RegExp(`\\b${field}\\b`));
  });
}

test('what a journal keeps comes back from JSON as it was, and every other value is refused by code', async (t) => {
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 1 }),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constant(undefined),
  );
  const key = fc.constantFrom(...Object.keys(PURGE));
  fc.assert(
    fc.property(key, value, (name, given) => {
      const purge: unknown = { ...PURGE, [name]: given };
      if (refused(() => checkPurge(purge)) === undefined) t.same(JSON.parse(JSON.stringify(purge)), purge);
    }),
    { numRuns: 2_000 },
  );
  for (const none of [undefined, null, 'text', 7, []])
    t.not(
      refused(() => checkPurge(none)),
      undefined,
      JSON.stringify(none),
    );
});

for (const { key, isKept } of [
  { key: 'a', isKept: true },
  { key: 'ä'.repeat(512), isKept: true },
  { key: '', isKept: false },
  { key: 'a'.repeat(513), isKept: false },
  { key: 'a\0', isKept: false },
]) {
  test(`an idempotency key of ${key.length} characters is ${isKept ? 'kept' : 'refused'}`, async (t) => {
    t.equal(refused(() => checkOnce({ key, body: new Uint8Array(1) })) === undefined, isKept);
  });
}

for (const { change, isRecord } of [
  { change: {}, isRecord: true },
  { change: { seq: 0 }, isRecord: false },
  { change: { seq: -1 }, isRecord: false },
  { change: { seq: 1.5 }, isRecord: false },
  { change: { seq: 2 ** 53 }, isRecord: false },
  { change: { seq: '1' }, isRecord: false },
  { change: { time: -1 }, isRecord: false },
  { change: { time: 0 }, isRecord: true },
  { change: { kind: 'nothing' }, isRecord: false },
]) {
  test(`${JSON.stringify(change)} in a record is ${isRecord ? 'accepted' : 'a bad message'}`, async (t) => {
    const check = () => checkRecord({ ...PURGE, seq: 1, time: 1, ...change });
    if (isRecord) check();
    else t.throws(check, { code: 'journal_bad_message' });
  });
}

const term = (identity: string, after: number) => ({ identity, after });

for (const { what, terms, newest = 10, isHistory } of [
  { what: 'one term from the beginning', terms: [term('a', BEFORE_ALL)], isHistory: true },
  { what: 'a term that has given out nothing yet', terms: [term('a', BEFORE_ALL), term('b', 10)], isHistory: true },
  { what: 'a term above the newest number', terms: [term('a', 11)], isHistory: false },
  { what: 'two terms after one number', terms: [term('a', 3), term('b', 3)], isHistory: false },
  { what: 'terms that go back', terms: [term('a', 3), term('b', 2)], isHistory: false },
  { what: 'an identity twice', terms: [term('a', 1), term('b', 2), term('a', 3)], isHistory: false },
  { what: 'a term before the first', terms: [term('a', -2)], isHistory: false },
  { what: 'half a number', terms: [term('a', 0.5)], isHistory: false },
  { what: 'an identity with a space', terms: [term('a b', 0)], isHistory: false },
  { what: 'no term', terms: [], isHistory: false },
  {
    what: 'too many terms',
    terms: Array.from({ length: 1_001 }, (_, i) => term(`t${i}`, i)),
    newest: 9_999,
    isHistory: false,
  },
  {
    what: 'as many terms as are kept',
    terms: Array.from({ length: 1_000 }, (_, i) => term(`t${i}`, i)),
    newest: 9_999,
    isHistory: true,
  },
  { what: 'no list', terms: 'a' as never, isHistory: false },
  { what: 'something else in the list', terms: [null] as never, isHistory: false },
]) {
  test(`${what} ${isHistory ? 'is' : 'is not'} the history of a journal`, async (t) => {
    t.equal(refused(() => checkTerms(terms, newest)) === undefined, isHistory);
    t.equal(refused(() => checkState({ terms, floor: 0, newest })) === undefined, isHistory);
  });
}

test('a floor above the newest number is a bad message', async (t) => {
  const terms = [term('a', BEFORE_ALL)];
  checkState({ terms, floor: 3, newest: 3 });
  t.throws(() => checkState({ terms, floor: 4, newest: 3 }), { code: 'journal_bad_message' });
});

test('an identity stands in a URL and in a header as it is', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 66 }), (text) => {
      if (!isIdentity(text)) return;
      t.equal(encodeURIComponent(text), text);
      t.match(text, /^[\x21-\x7e]{1,64}$/);
    }),
    { numRuns: 3_000 },
  );
  t.ok(isIdentity('0b9c-_.Z'));
  for (const value of ['', 'x'.repeat(65), 'a/b', 'a%20', 7, undefined]) t.notOk(isIdentity(value), String(value));
});

test('a number is one that is counted exactly', async (t) => {
  for (const value of [0, 1, Number.MAX_SAFE_INTEGER]) t.ok(isNumber(value));
  for (const value of [-1, -0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, '1', null, 1n])
    t.notOk(isNumber(value), String(value));
});
