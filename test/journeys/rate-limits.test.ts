/**
 * Rate limits of a site: who is refused, what the answer says, and that no field of a request gets a visitor around
 * them.
 */
import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Test, test } from 'tap';
import { type Network, type NetworkOptions, startNetwork } from '../support/network.ts';
import { startOrigin, text } from '../support/origin.ts';
import { ask, type Reply } from '../support/visitor.ts';

async function limited(t: Test, options: Partial<NetworkOptions> = {}): Promise<Network> {
  const origin = await startOrigin(text('page', { 'Cache-Control': 'max-age=60' }));
  const network = await startNetwork({
    origin: origin.url,
    regions: { eu: 1 },
    shields: 0,
    site: { rate_limits: [{ name: 'few', requests: 3, per: '10m' }] },
    ...options,
  });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  return network;
}

async function statuses(asked: Promise<Reply>[]): Promise<number[]> {
  return (await Promise.all(asked)).map(({ status }) => status);
}

for (const { what, target } of [
  { what: 'hits', target: () => '/same' },
  { what: 'misses', target: (i: number) => `/page/${i}` },
]) {
  test(`a visitor that is beyond a limit gets 429 for ${what}, with the fields that say why`, async (t) => {
    const network = await limited(t);
    const edge = network.at('eu-1');
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    t.teardown(() => agent.destroy());
    const replies: Reply[] = [];
    for (let i = 0; i < 6; i++) replies.push(await ask(edge, target(i), { agent }));
    t.strictSame(
      replies.map(({ status }) => status),
      [200, 200, 200, 429, 429, 429],
    );
    const { headers } = replies[3] as Reply;
    t.equal(headers['ratelimit-policy'], '"few";q=3;w=600');
    t.match(headers['ratelimit'], /^"few";r=0;t=(?:200|199)$/);
    t.match(headers['retry-after'], /^(?:200|199)$/);
    t.match(headers['cache-status'], /detail=rate_limited/);
    t.match(headers['cache-control'], 'no-store');
    const counted = { site: 'site', limit: 'few', action: 'refuse' };
    t.equal(await network.metric('eu-1', 'seawall_rate_limited_requests_total', counted), 3);
    const other = new Agent({ localAddress: '127.0.0.9' });
    t.equal((await ask(edge, '/same', { agent: other })).status, 200, 'another visitor is not limited');
  });
}

for (const [what, headers] of [
  ['X-Forwarded-For', (i: number) => ({ 'X-Forwarded-For': `192.0.2.${i}` })],
  ['Forwarded', (i: number) => ({ Forwarded: `for=192.0.2.${i}` })],
  ['X-Real-IP', (i: number) => ({ 'X-Real-IP': `192.0.2.${i}` })],
] as const) {
  test(`${what} of a visitor that is no trusted proxy changes nothing`, async (t) => {
    const edge = (await limited(t)).at('eu-1');
    const asked = Array.from({ length: 6 }, (_, i) => ask(edge, `/${i}`, { headers: headers(i) }));
    t.equal((await statuses(asked)).filter((status) => status === 200).length, 3);
  });
}

test('behind a trusted proxy each visitor has a limit of its own', async (t) => {
  const edge = (await limited(t, { trustedProxies: ['127.0.0.0/8'] })).at('eu-1');
  const asked = Array.from({ length: 12 }, (_, i) =>
    ask(edge, '/same', { headers: { 'X-Forwarded-For': `192.0.2.${i % 2}` } }),
  );
  t.equal((await statuses(asked)).filter((status) => status === 200).length, 6);
});

test('a limit that only logs answers as if there were none', async (t) => {
  const network = await limited(t, {
    site: { rate_limits: [{ name: 'few', requests: 3, per: '10m', action: 'log' }] },
  });
  const asked = Array.from({ length: 6 }, (_, i) => ask(network.at('eu-1'), `/${i % 2}`));
  t.ok((await statuses(asked)).every((status) => status === 200));
  const counted = { site: 'site', limit: 'few', action: 'log' };
  t.equal(await network.metric('eu-1', 'seawall_rate_limited_requests_total', counted), 3);
});

test('a limit of some paths goes by their normal form', async (t) => {
  const edge = (
    await limited(t, { site: { rate_limits: [{ name: 'login', path: '/login', requests: 1, per: '10m' }] } })
  ).at('eu-1');
  t.strictSame(await Promise.all(['/login', '/other'].map(async (path) => (await ask(edge, path)).status)), [200, 200]);
  for (const path of ['/login', '/LOGIN', '/%6cogin', '//login', '/login?x=1', '/login;a=1']) {
    t.equal((await ask(edge, path)).status, 429, path);
  }
  t.equal((await ask(edge, '/other')).status, 200);
});

test('the edges of a region count together', async (t) => {
  const requests = 100;
  const network = await limited(t, {
    regions: { eu: 2 },
    site: { rate_limits: [{ name: 'few', requests, per: '100m' }] },
  });
  const visit = async (edge: string): Promise<number> => (await ask(network.at(edge), '/same')).status;
  for (const used of ['eu-1', 'eu-2']) for (let i = 0; i < requests / 2 - 5; i++) t.equal(await visit(used), 200);
  let more = 0;
  while ((await visit('eu-1')) === 200 && more < requests) {
    more++;
    await sleep(200);
  }
  t.ok(more < 40, `${more} requests beyond ${requests - 10}`);
  t.equal(await visit('eu-1'), 429);
});
