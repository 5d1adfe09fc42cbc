import { join } from 'node:path';
import { test } from 'tap';
import { compareWithPassed, readPassed, readScores, withoutChance, writePassed, writeScore } from './record.ts';
import { scoreResults } from './score.ts';
import { loadSuite } from './suite.ts';

const RELEASE = join(import.meta.dirname, '../../node_modules/http-cache-tests');

test('losses and gains since the last record are reported', async (t) => {
  const suite = await loadSuite(RELEASE);
  const score = scoreResults(suite, { 'freshness-none': true, 'freshness-max-age': ['Assertion', 'from cache'] });
  const { lost, removed, gained } = compareWithPassed(['freshness-max-age', 'of-another-revision'], score);
  t.match(lost, [{ id: 'freshness-max-age', verdict: 'fail', reason: 'from cache' }]);
  t.strictSame(removed, ['of-another-revision']);
  t.strictSame(gained, ['freshness-none']);
});

test('a recorded test that passes or fails by chance is neither lost nor gained', async (t) => {
  const suite = await loadSuite(RELEASE);
  const before = ['freshness-max-age', 'freshness-none'];
  const isByChance = (id: string): boolean => id === 'freshness-max-age';
  for (const result of [true as const, ['Assertion', 'from cache'] as const]) {
    const score = scoreResults(suite, { 'freshness-none': true, 'freshness-max-age': result });
    const { lost, gained } = compareWithPassed(before, score, isByChance);
    t.strictSame([lost, gained], [[], []]);
  }
});

test('a written record is read again', async (t) => {
  const dir = t.testdir({});
  const suite = await loadSuite(RELEASE);
  const score = scoreResults(suite, { 'freshness-none': true });
  t.equal(readPassed(suite.name, dir), undefined);
  writePassed(suite.name, score.passed, dir);
  t.strictSame(readPassed(suite.name, dir), ['freshness-none']);

  writeScore(suite, 'tiers', score, dir);
  writeScore({ ...suite, name: 'newest' }, 'quick', score, dir);
  writeScore(suite, 'quick', score, dir);
  t.strictSame(
    readScores(dir).map(({ suite, way }) => [suite, way]),
    [
      ['newest', 'quick'],
      ['0.4.5', 'quick'],
      ['0.4.5', 'tiers'],
    ],
  );
  t.strictSame(readScores(dir)[1]?.total, score.total);
});

test('a recorded reason is the same in every run', async (t) => {
  t.equal(
    withoutChance('Response body is "abb6ea3d-972c-4410-9b57-270ef6275d0f", not ""'),
    'Response body is "(the test’s id)", not ""',
  );
  t.equal(
    withoutChance('header Date is "Sun, 22 Nov 2026 19:23:57 GMT" at 127.0.0.1:4021'),
    'header Date is "(a date)" at (an address)',
  );
});
