/** Explanations of an edge, before the cache: refusals, redirects, owners. */
import { test } from 'tap';
import { startExplained } from '../support/explained.ts';
import { HOST } from '../support/visitor.ts';

const HOUR = { 'Cache-Control': 'max-age=3600' };

test('what is refused before the cache is explained by its code', async (t) => {
  const { explain } = await startExplained(t, { origin: HOUR, site: { redirect: { https: true } } });
  t.match(await explain({ authority: 'other.test' }), { refused: { code: 'unknown_host', status: 421 }, lookup: null });
  t.match(await explain({ target: '/a/../b' }), { refused: { status: 400 }, lookup: null });
  t.match(await explain({ target: `/${'a'.repeat(20_000)}` }), { refused: { code: 'target_too_long' }, lookup: null });
  t.match(await explain({}), { refused: null, redirect: `https://${HOST}/page` });
});

test('the edge names the owners of the key, and fetches nothing for what it sends elsewhere', async (t) => {
  const { explain } = await startExplained(t, { origin: HOUR, site: { redirect: { host: 'www.site.test' } } });
  const explanation = await explain({ fetch: true });
  t.match(explanation, { owners: ['eu-1'], shields: [], redirect: 'http://www.site.test/page' });
  t.notOk('fetched' in explanation);
});
