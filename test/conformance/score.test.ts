import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { parseResults, type Results, scoreResults } from './score.ts';
import { loadSuite, type Suite, type SuiteTest } from './suite.ts';

const RELEASE = join(import.meta.dirname, '../../node_modules/http-cache-tests');
const FIXTURES = join(import.meta.dirname, 'fixtures');

function suiteOf(
  ...tests: readonly (Partial<SuiteTest> & { readonly id: string; readonly forBrowsers?: true })[]
): Suite {
  const all = tests.map((test) => ({ name: test.id, group: 'g', kind: 'required' as const, dependsOn: [], ...test }));
  return {
    ...{ name: 'test', revision: 'test', dir: '/', engineDir: '/', layout: 'package' },
    tests: new Map(all.map((test) => [test.id, test])),
    applicable: all.filter(({ forBrowsers }) => !forBrowsers),
  };
}

// nginx 1.22.1 through release 0.4.5, with one retry, one time-out, one missing and one unknown result put
// in by hand; the score is that of another scorer, which follows the table that the suite publishes.
test('scores agree with another scorer on the results of nginx', async (t) => {
  const suite = await loadSuite(RELEASE);
  const results = parseResults(readFileSync(join(FIXTURES, 'nginx-0.4.5.results.json'), 'utf8'));
  const { total, groups, unknown, passed, notPassed } = scoreResults(suite, results);
  t.strictSame({ total, groups, unknown }, JSON.parse(readFileSync(join(FIXTURES, 'nginx-0.4.5.score.json'), 'utf8')));
  t.equal(passed.length + notPassed.length, suite.applicable.length);
});

for (const { rule, results, verdict, reason } of [
  {
    rule: 'a failed assertion',
    results: { b: ['Assertion', 'came from cache'] },
    verdict: 'fail',
    reason: 'came from cache',
  },
  { rule: 'a failed precondition', results: { b: ['Setup', 'not 200'] }, verdict: 'setup', reason: 'not 200' },
  { rule: 'a second request at the origin', results: { b: ['Setup', 'retry'] }, verdict: 'retry', reason: 'retry' },
  { rule: 'no answer in time', results: { b: ['AbortError', 'aborted'] }, verdict: 'harness', reason: 'aborted' },
  { rule: 'a broken connection', results: { b: ['TypeError', 'terminated'] }, verdict: 'fail', reason: 'terminated' },
  { rule: 'an error without a message', results: { b: ['unknown'] }, verdict: 'fail', reason: 'unknown' },
  { rule: 'no result', results: {}, verdict: 'untested', reason: 'It did not run.' },
]) {
  test(`not passed: ${rule}`, async (t) => {
    const score = scoreResults(suiteOf({ id: 'b' }), results as unknown as Results);
    t.strictSame(score.notPassed, [{ id: 'b', group: 'g', kind: 'required', verdict, reason }]);
    t.match(score.total.required, { pass: 0, total: 1, [verdict]: 1 });
  });
}

test('a test passes only if every test it depends on, however far, passed', async (t) => {
  const suite = suiteOf(
    { id: 'a', kind: 'check' },
    { id: 'b', kind: 'optimal', dependsOn: ['a'] },
    { id: 'c', dependsOn: ['b'] },
  );
  t.strictSame(scoreResults(suite, { a: true, b: true, c: true }).passed, ['a', 'b', 'c']);

  const score = scoreResults(suite, { a: ['Assertion', 'no'], b: true, c: ['Setup', 'no'] });
  t.strictSame(
    score.notPassed.map(({ id, verdict, reason }) => [id, verdict, reason]),
    [
      ['a', 'fail', 'no'],
      ['b', 'dependency', 'It depends on a.'],
      ['c', 'dependency', 'It depends on b.'],
    ],
  );
});

test('a test for browsers is not counted, but others may depend on it', async (t) => {
  const suite = suiteOf({ id: 'browser', forBrowsers: true }, { id: 'b', dependsOn: ['browser'] });
  t.match(scoreResults(suite, { b: true }).notPassed, [{ id: 'b', verdict: 'dependency' }]);
  t.equal(scoreResults(suite, { b: true }).total.required.total, 1);
});

test('a suite that depends on a missing test is refused', async (t) => {
  t.throws(() => scoreResults(suiteOf({ id: 'b', dependsOn: ['x'] }), { b: true }), /depends on x/);
});

test('results of another shape are refused', async (t) => {
  t.throws(() => parseResults('[]'), /object/);
  t.throws(() => parseResults('{"a":false}'), /result of a/);
});
