/** A site that knows where its visitors are: what its origin is told, what is stored for whom, who is let in. */
import { type Test, test } from 'tap';
import { type Network, type NetworkOptions, startNetwork } from '../support/network.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { ask, type Reply } from '../support/visitor.ts';

/** Addresses of root servers and registries, which do not move. */
const GERMANY = '141.1.1.1';
const UNITED_STATES = '8.8.8.8';
const PRIVATE = '10.1.2.3';

async function open(
  t: Test,
  site: NonNullable<NetworkOptions['site']>,
  fields: Readonly<Record<string, string>> = {},
): Promise<{
  network: Network;
  origin: Origin;
  from: (ip: string, path: string, headers?: Record<string, string>) => Promise<Reply>;
}> {
  const origin = await startOrigin((request, response) => {
    response.writeHead(200, { 'Cache-Control': 'max-age=60', ...fields });
    response.end(`for ${request.headers['cdn-visitor-country'] ?? 'nobody'}`);
  });
  const network = await startNetwork({ origin: origin.url, site, trustedProxies: ['127.0.0.0/8'] });
  t.teardown(async () => {
    await network.close();
    await origin.close();
  });
  const from = (ip: string, path: string, headers: Record<string, string> = {}) =>
    ask(network.at('eu-1'), path, { headers: { 'X-Forwarded-For': ip, ...headers } });
  return { network, origin, from };
}

test('with the country in the key each country has its own response, through all tiers', async (t) => {
  const { from, origin, network } = await open(t, { key: { geo: 'country' } });
  for (const owner of ['eu-1', 'eu-2']) {
    const path = network.pathOf(owner, '/key/');
    const before = origin.requests.length;
    for (let i = 0; i < 2; i++) {
      t.equal((await from(GERMANY, path)).text, 'for DE');
      t.equal((await from(UNITED_STATES, path)).text, 'for US');
      t.equal((await from(PRIVATE, path)).text, 'for nobody');
    }
    t.equal(origin.requests.length - before, 3);
  }
  const reply = await from(GERMANY, '/key/', { 'CDN-Visitor-Country': 'US' });
  t.equal(reply.text, 'for DE', 'what a visitor makes up does not count');
  t.equal(reply.headers['cache-control'], 'private, no-cache, max-age=60');
});

test('Vary by country is respected', async (t) => {
  const vary = { Vary: 'CDN-Visitor-Country' };
  const { from, origin } = await open(t, { geo: { headers: { country: true } } }, vary);
  for (let i = 0; i < 3; i++) {
    t.equal((await from(GERMANY, '/vary')).text, 'for DE');
    const reply = await from(UNITED_STATES, '/vary');
    t.equal(reply.text, 'for US');
    t.equal(reply.headers['vary'], undefined, 'which no browser could go by');
  }
  t.equal(origin.requests.length, 2);
});

test('a response that does not vary is stored once', async (t) => {
  const { from, origin } = await open(t, { geo: { headers: { country: true } } });
  await from(GERMANY, '/one');
  t.equal((await from(UNITED_STATES, '/one')).text, 'for DE');
  t.equal(origin.requests.length, 1);
});

test('a blocked visitor gets the page of the site, and no stored response', async (t) => {
  const refusal = { status: 451, body: '<p>Not here.</p>', blocked_by: 'https://example.com/law' } as const;
  const { from, origin, network } = await open(t, { geo: { deny: { countries: ['US'] }, refusal } });
  t.equal((await from(GERMANY, '/page')).status, 200);
  const reply = await from(UNITED_STATES, '/page');
  t.match(reply, {
    status: 451,
    text: '<p>Not here.</p>',
    headers: { 'cache-control': 'no-store', link: '<https://example.com/law>; rel="blocked-by"' },
  });
  t.equal(origin.requests.length, 1);
  t.equal(await network.metric('eu-1', 'seawall_requests_total', { result: 'legal_block' }), 1);
  network.reload({ geo: { allow: { continents: ['EU'] } } });
  t.equal((await from(UNITED_STATES, '/page')).status, 403);
  t.equal((await from(PRIVATE, '/page')).status, 403, 'nobody knows where it is');
  t.equal((await from(GERMANY, '/page')).status, 200);
});

test('a site can start to use geography while it runs', async (t) => {
  const { from, network } = await open(t, {});
  t.equal((await from(UNITED_STATES, '/later')).status, 200);
  network.reload({ geo: { deny: { countries: ['US'] } } });
  for (;;) if ((await from(UNITED_STATES, '/later')).status === 403) break;
  t.equal((await from(GERMANY, '/later')).status, 200);
});
