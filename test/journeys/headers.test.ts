import { test } from 'tap';
import { type NetworkOptions, startNetwork } from '../support/network.ts';
import { startOrigin, text, UNREACHABLE } from '../support/origin.ts';
import { type Asking, ask, type Reply } from '../support/visitor.ts';

interface Seen {
  readonly reply: Reply;
  /** Headers that the origin saw. */
  readonly headers: NodeJS.Dict<string | string[]>;
}

async function pass(
  options: Partial<NetworkOptions>,
  asking: Asking = {},
  fields: Readonly<Record<string, string>> = {},
): Promise<Seen> {
  const origin = await startOrigin(text('hello', fields));
  const network = await startNetwork({ origin: origin.url, ...options });
  const reply = await ask(network.at('eu-1'), network.pathOf('eu-2', '/headers/'), asking);
  await Promise.all([network.close(), origin.close()]);
  return { reply, headers: origin.requests[0]?.headers ?? {} };
}

test('a proxy that is not trusted counts as the visitor', async (t) => {
  const { headers } = await pass({}, { headers: { 'X-Forwarded-For': '192.0.2.1', Forwarded: 'for=192.0.2.1' } });
  t.equal(headers['x-forwarded-for'], '127.0.0.1');
  t.equal(headers['forwarded'], 'for=127.0.0.1;host=site.test;proto=http');
});

test('a trusted proxy is believed about addresses and the scheme', async (t) => {
  const { headers } = await pass(
    { trustedProxies: ['127.0.0.0/8'] },
    { headers: { 'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'https', 'X-Real-IP': '192.0.2.9' } },
  );
  t.equal(headers['x-forwarded-for'], '192.0.2.1, 127.0.0.1');
  t.equal(headers['forwarded'], 'for=192.0.2.1, for=127.0.0.1;host=site.test;proto=https');
  t.equal(headers['x-forwarded-proto'], 'https');
  t.equal(headers['x-real-ip'], undefined);
});

test('Via and CDN-Loop name the network once, after earlier proxies', async (t) => {
  const { headers } = await pass({}, { headers: { Via: '1.0 other', 'CDN-Loop': 'other' } });
  t.equal(headers.via, '1.0 other, 1.1 seawall');
  t.equal(headers['cdn-loop'], 'other, seawall');
});

test('a network in front of itself detects the loop', async (t) => {
  const origin = await startOrigin(text('never'));
  const inner = await startNetwork({ origin: origin.url });
  const outer = await startNetwork({ origin: `http://${inner.at('eu-1')}` });
  t.teardown(() => Promise.all([outer.close(), inner.close(), origin.close()]));
  t.equal((await ask(outer.at('eu-1'), '/')).status, 508);
  t.equal(origin.requests.length, 0);
});

for (const { mode, host } of [
  { mode: 'visitor', host: /^site\.test$/ },
  { mode: 'origin', host: /^127\.0\.0\.1:\d+$/ },
  { mode: 'fixed.test', host: /^fixed\.test$/ },
]) {
  test(`host_header: ${mode}`, async (t) => {
    const { headers } = await pass({ access: { host_header: mode } });
    t.match(headers.host, host);
    t.equal(headers['x-forwarded-host'], 'site.test');
  });
}

test('the site changes headers of requests and responses', async (t) => {
  const { reply, headers } = await pass(
    {
      site: {
        request_headers: { set: { 'X-Site': 'on', Cookie: 'fixed' }, remove: ['User-Agent'] },
        response_headers: { set: { 'X-Frame-Options': 'DENY', Server: 'seawall' }, remove: ['X-Powered-By'] },
      },
    },
    { headers: { Cookie: 'a=b', 'User-Agent': 'test' } },
    { Server: 'origin', 'X-Powered-By': 'origin' },
  );
  t.match(headers, { 'x-site': 'on', cookie: 'fixed', 'user-agent': undefined });
  t.match(reply.headers, { 'x-frame-options': 'DENY', server: 'seawall', 'x-powered-by': undefined });
});

test('redirects to the one host, and to https unless a trusted proxy took TLS off', async (t) => {
  const origin = await startOrigin(text('here'));
  const site = { hosts: ['site.test', 'www.site.test'], redirect: { https: true, host: 'www.site.test' } };
  const network = await startNetwork({ origin: origin.url, site, trustedProxies: ['127.0.0.1'] });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const first = await ask(network.at('eu-1'), '/a?b=c', { method: 'POST', body: 'x' });
  t.match(first, { status: 308, headers: { location: 'https://www.site.test/a?b=c' } });
  const second = await ask(network.at('eu-1'), '/a?b=c', {
    headers: { Host: 'www.site.test', 'X-Forwarded-Proto': 'https' },
  });
  t.match(second, { status: 200, text: 'here' });
});

test('cache_status: false hides the field from visitors, in error pages and redirects too', async (t) => {
  const { reply } = await pass({ site: { cache_status: false } });
  t.match(reply, { status: 200, headers: { 'cache-status': undefined } });
  const failed = await pass({ site: { cache_status: false }, origin: UNREACHABLE });
  t.match(failed.reply, { status: 502, headers: { 'cache-status': undefined } });
  const moved = await pass({ site: { cache_status: false, redirect: { https: true } } });
  t.match(moved.reply, { status: 308, headers: { 'cache-status': undefined } });
});

test('browser_ttl is added to the current age for browsers', async (t) => {
  const { reply } = await pass({ rules: [{ browser_ttl: '1m' }] }, {}, { 'Cache-Control': 'max-age=600', Age: '100' });
  const age = Number(reply.headers['age']);
  t.ok(age >= 100 && age < 110);
  t.equal(reply.headers['cache-control'], `max-age=${60 + age}`);
});

for (const field of ['Surrogate-Control', 'CDN-Cache-Control']) {
  test(`${field} takes precedence over Cache-Control at every tier`, async (t) => {
    const origin = await startOrigin(text('hello', { [field]: 'max-age=60', 'Cache-Control': 'no-store' }));
    const network = await startNetwork({ origin: origin.url, limits: { hot_after: 1 } });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const path = network.pathOf('eu-2', '/targeted/');
    const first = await ask(network.at('eu-1'), path);
    t.match(first.tiers, [/"shield-1".*stored/, /"eu-2".*stored/, /"eu-1".*stored/]);
    t.equal(first.headers['cache-control'], 'no-store');
    t.equal(first.headers['surrogate-control'], undefined);
    t.match((await ask(network.at('eu-1'), path)).tiers, [/"eu-1";hit/]);
    t.equal(origin.requests.length, 1);
  });
}

test('fields of the tier protocol do not reach visitors', async (t) => {
  const { reply } = await pass({}, {}, { 'Cache-Control': 'max-age=60' });
  t.strictSame(
    Object.keys(reply.headers).filter((name) => name.startsWith('seawall-')),
    [],
  );
});
