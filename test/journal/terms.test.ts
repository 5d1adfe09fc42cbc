import fc from 'fast-check';
import { test } from 'tap';
import { identityOf, isInHistory, type Term, termsFrom } from '../../journal/terms.ts';

const TERMS: readonly Term[] = [
  { identity: 'a', after: 0 },
  { identity: 'b', after: 10 },
  { identity: 'c', after: 20 },
];

for (const { seq, identity } of [
  { seq: 0, identity: 'a' },
  { seq: 10, identity: 'a' },
  { seq: 11, identity: 'b' },
  { seq: 20, identity: 'b' },
  { seq: 21, identity: 'c' },
]) {
  test(`number ${seq} was assigned by term ${identity}`, async (t) => {
    t.equal(identityOf(TERMS, seq), identity);
  });
}

test('a journal without terms has assigned nothing', async (t) => {
  t.equal(identityOf([], 0), undefined);
});

for (const { rule, identity, seq, isIn } of [
  { rule: 'a number that the term assigned', identity: 'b', seq: 15, isIn: true },
  { rule: 'the last number of a term', identity: 'b', seq: 20, isIn: true },
  { rule: 'a number that the term assigned in another copy', identity: 'b', seq: 21, isIn: false },
  { rule: 'the newest number', identity: 'c', seq: 25, isIn: true },
  { rule: 'a number that is not there yet', identity: 'c', seq: 26, isIn: false },
  { rule: 'a term of another journal', identity: 'd', seq: 5, isIn: false },
  { rule: 'no term', identity: undefined, seq: 0, isIn: false },
]) {
  test(`rule 9: ${rule} is ${isIn ? 'in' : 'not in'} the history`, async (t) => {
    t.equal(isInHistory(TERMS, 25, { identity, seq }), isIn);
  });
}

test('property: every number of a journal is in its history under the term that assigned it', async (t) => {
  const ends = fc.uniqueArray(fc.integer({ min: 1, max: 50 }), { maxLength: 6 });
  fc.assert(
    fc.property(ends, fc.nat({ max: 60 }), (afters, seq) => {
      const terms = [0, ...afters.sort((a, b) => a - b)].map((after): Term => ({ identity: `t${after}`, after }));
      const identity = identityOf(terms, seq);
      t.ok(isInHistory(terms, 60, { identity, seq }));
      const kept = termsFrom(terms, seq);
      t.ok(kept.length > 0);
      t.equal(identityOf(kept, seq), identity, 'what is forgotten assigned none from the floor on');
    }),
    { numRuns: 200 },
  );
});
