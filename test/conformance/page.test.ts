import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { ARGUMENTS } from './arguments.ts';
import { renderPage } from './page.ts';
import { type RecordedScore, readScores } from './record.ts';
import { type Results, scoreResults } from './score.ts';
import { loadSuite } from './suite.ts';

const ROOT = join(import.meta.dirname, '../..');
const SUITE = await loadSuite(join(ROOT, 'node_modules/http-cache-tests'));

function recorded(way: RecordedScore['way'], results: Results): RecordedScore {
  const { total, groups, notPassed } = scoreResults(SUITE, results);
  return { suite: SUITE.name, revision: SUITE.revision, way, total, groups, notPassed };
}

const passing: Results = Object.fromEntries(SUITE.applicable.map(({ id }) => [id, true]));

test('docs/conformance.md matches the record (npm run conformance -- --update writes it)', async (t) => {
  t.equal(readFileSync(join(ROOT, 'docs/conformance.md'), 'utf8'), renderPage(readScores()));
});

test('a test that fails without an argument is called a gap', async (t) => {
  const page = renderPage([
    recorded('quick', {
      ...passing,
      'age-parse-float': ['Assertion', 'Response 2 comes from cache'],
      'vary-star': ['Assertion', 'Response 2 | comes from cache'],
    }),
  ]);
  // A table with a row wider than the page is a list, whose lines are broken where they are full.
  const text = page.replace(/\s+/g, ' ');
  t.match(
    text,
    /- `age-parse-float` \(kind: required; reason: Response 2 comes from cache\): on purpose: \[RFC 9111, section 5\.1\]/,
  );
  t.match(text, /- `vary-star` \(kind: required; reason: Response 2 \| comes from cache\): \*\*a gap\*\*/);
});

test('tests that fail on the whole path only have a section', async (t) => {
  const tiers = recorded('tiers', { ...passing, 'vary-star': ['Assertion', 'from cache'] });
  t.notMatch(renderPage([recorded('quick', passing), recorded('tiers', passing)]), /through the tiers only/);
  t.match(renderPage([recorded('quick', passing), tiers]), /## Not passed through the tiers only[^#]*`vary-star`/);
});

test('every argument names a test of the suite', async (t) => {
  const ids = Object.keys(ARGUMENTS).filter((id) => ARGUMENTS[id]?.suites.includes(SUITE.name));
  t.strictSame(
    ids.filter((id) => !SUITE.tests.has(id)),
    [],
  );
});
