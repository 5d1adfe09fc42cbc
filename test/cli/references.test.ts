import { readFileSync } from 'node:fs';
import { test } from 'tap';
import { referencePages } from '../../cli/references.ts';
import { API_ERRORS } from '../../control/errors.ts';
import { HTTP_ERRORS } from '../../http/errors.ts';
import { UPSTREAM_CAUSES } from '../../http/upstream-errors.ts';
import { JOURNAL_ERRORS } from '../../journal/errors.ts';

for (const { url, content } of referencePages()) {
  test(`${url.pathname.split('/').at(-1)} is what npm run docs:references writes`, async (t) => {
    t.equal(readFileSync(url, 'utf8'), content);
  });
}

test('the page of errors names every code, and no other', async (t) => {
  const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  const documented = [...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code);
  const tables = [HTTP_ERRORS, UPSTREAM_CAUSES, API_ERRORS, JOURNAL_ERRORS];
  const codes = tables.flatMap((table) => Object.keys(table));
  t.same(documented, [...codes, 'cli_usage', 'config_refused', 'cli_failure']);
});
