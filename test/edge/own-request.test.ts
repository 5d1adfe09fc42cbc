/** Requests that an edge makes itself: through the cache, as a visitor's. */
import { test } from 'tap';
import { type ExplainedSite, startExplained } from '../support/explained.ts';
import { ask } from '../support/visitor.ts';

const HOUR = { 'Cache-Control': 'max-age=3600' };

/** Reasons of the refusals that a fetch shows. */
const REFUSED: Readonly<Record<string, ExplainedSite & { readonly request?: Readonly<Record<string, string>> }>> = {
  'no-store': { origin: { 'Cache-Control': 'no-store' } },
  private: { origin: { 'Cache-Control': 'private, max-age=60' } },
  'set-cookie': { origin: { ...HOUR, 'Set-Cookie': 'a=b' } },
  'vary-star': { origin: { ...HOUR, Vary: '*' } },
  status: { status: 418, origin: {} },
  'no-freshness': { origin: {} },
  'too-large': { origin: { ...HOUR, 'Content-Length': '3000' }, body: 'x'.repeat(3_000), site: { max_object: '1KiB' } },
  authorization: { rules: [{ ttl: '5m' }], request: { Authorization: 'Basic eDp5' } },
  cookies: { rules: [{ ttl: '5m' }], request: { Cookie: 'session=1' } },
  'rule-never': { origin: HOUR, rules: [{ cache: 'never' }] },
};

for (const [refusal, one] of Object.entries(REFUSED)) {
  test(`a fetch is explained as it turned out: not stored because of ${refusal}`, async (t) => {
    const { network, explain } = await startExplained(t, one);
    const headers = one.request ?? {};
    const { fetched } = await explain({ headers: Object.entries(headers).flat(), fetch: true });
    t.equal(fetched?.status, one.status ?? 200);
    const [member] = fetched?.members ?? [];
    t.match(member?.text, `detail=${refusal}`);
    t.ok(member?.meanings.at(-1), 'and what it means');
    const answer = await ask(network.at('eu-1'), '/page', { headers });
    t.match(answer.headers['cache-status'], `detail=${refusal}`, 'a visitor gets the same');
  });
}

test('a fetch through the cache is stored, and shows in the next explanation', async (t) => {
  const { network, explain } = await startExplained(t, { origin: HOUR });
  const { fetched } = await explain({ fetch: true });
  t.match(fetched?.members[0]?.text, /^"eu-1";fwd=uri-miss;ttl=\d+;stored$/);
  t.equal((await explain({})).lookup?.outcome, 'fresh');
  t.match((await ask(network.at('eu-1'), '/page')).headers['cache-status'], /^"eu-1";hit/);
});
