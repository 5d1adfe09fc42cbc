/**
 * Two visitors and one page: what was made for one must not reach the other, unless the origin or a rule
 * says that it is for both.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'tap';
import { ALICE, ANONYMOUS, BOB, type Fields, greet, play, type Rules } from '../support/two-visitors.ts';

const FAIL = (_: IncomingMessage, response: ServerResponse): void => void response.writeHead(500).end('broken');

for (const window of [{ stale_if_error: '1d' }, { stale_while_revalidate: '30s' }]) {
  for (const fields of [
    {},
    { 'Cache-Control': 'max-age=0' },
    { ETag: '"1"' },
    { Expires: 'Thu, 01 Jan 1970 00:00:00 GMT' },
  ]) {
    const what = `${JSON.stringify(window)}, ${JSON.stringify(fields)}`;
    test(`a rule’s stale window leaks no page: ${what}`, async (t) => {
      const { origin, as } = await play(t, { rules: [window], fields });
      const first = await as(ALICE, '/profile');
      t.equal(first.text, 'hello session=alice');
      t.notMatch(first.headers['cache-status'], /stored/);
      t.equal((await as(ANONYMOUS, '/profile')).text, 'hello nobody', 'not at once');
      await as(ANONYMOUS, '/profile');
      origin.script = FAIL;
      t.notMatch((await as(BOB, '/profile')).text, /alice|nobody/, 'nor when the origin fails');
      t.notMatch((await as(ANONYMOUS, '/profile')).text, /alice/);
    });
  }
}

const TTL: Rules = [{ ttl: '1m', stale_while_revalidate: '1m', stale_if_error: '1d' }];

test('a rule’s ttl is for requests without cookies', async (t) => {
  const { origin, as } = await play(t, { rules: TTL });
  const alices = await as(ALICE, '/post');
  t.equal(alices.text, 'hello session=alice');
  t.match(alices.tiers[0], /detail=cookies/, 'the answer says why');
  const first = await as(ANONYMOUS, '/post');
  t.equal(first.text, 'hello nobody', 'a stranger does not get hers');
  t.match(first.tiers[0], /stored/);
  t.match((await as(ANONYMOUS, '/post')).headers['cache-status'], /hit/);
  const again = await as(ALICE, '/post');
  t.equal(again.text, 'hello session=alice', 'nor does she get the stranger’s');
  t.match(again.tiers[0], /fwd=bypass/);
  t.equal((await as(BOB, '/post')).text, 'hello session=bob');
  t.match((await as(ANONYMOUS, '/post')).headers['cache-status'], /hit/, 'and the stranger’s is still there');
  t.equal(origin.requests.length, 4);
});

test('browsers are told that a personal response is private', async (t) => {
  const { as } = await play(t, { rules: [{ ttl: '1m', browser_ttl: '5m' }] });
  t.equal((await as(ALICE, '/post')).headers['cache-control'], 'private, max-age=300');
  t.equal((await as(ANONYMOUS, '/post')).headers['cache-control'], 'max-age=300');
  t.equal((await as(ALICE, '/post')).headers['cache-control'], 'private, max-age=300');
});

test('a request with more cookies than the limit is personal', async (t) => {
  const { as } = await play(t, { rules: [{ ttl: '1m', cookies: { bypass: ['session'] } }] });
  const many = { Cookie: Array.from({ length: 300 }, (_, i) => `_ga_${i}=1`).join('; ') };
  t.match((await as(many, '/post')).text, /_ga_299/);
  t.equal((await as(ANONYMOUS, '/post')).text, 'hello nobody');
  t.match((await as({ Cookie: `x=${'a,'.repeat(3_000)}` }, '/post')).text, /a,a,/, 'and so is one with long odd ones');
  t.equal((await as(ANONYMOUS, '/post')).text, 'hello nobody');
});

test('a rule’s ttl is for requests without Authorization, whatever the rule says of cookies', async (t) => {
  const { as } = await play(t, { rules: [{ ttl: '1m', cookies: 'ignore' }] });
  t.equal((await as({ Authorization: 'Basic YQ==' }, '/post')).text, 'hello Basic YQ==');
  t.equal((await as(ANONYMOUS, '/post')).text, 'hello nobody');
  t.equal((await as({ Authorization: 'Basic YQ==' }, '/post')).text, 'hello Basic YQ==');
});

test('a heuristic lifetime is for requests without cookies', async (t) => {
  const { as } = await play(t, { fields: { 'Last-Modified': 'Thu, 01 Jan 2015 00:00:00 GMT' } });
  t.equal((await as(ALICE, '/post')).text, 'hello session=alice');
  t.equal((await as(ANONYMOUS, '/post')).text, 'hello nobody');
  t.equal((await as(ALICE, '/post')).text, 'hello session=alice');
  t.match((await as(ANONYMOUS, '/post')).headers['cache-status'], /hit/);
});

for (const fields of [
  { 'Cache-Control': 'public, max-age=60' },
  { 'Cache-Control': 'max-age=60' },
  { 'Cache-Control': 's-maxage=60' },
  { 'CDN-Cache-Control': 'max-age=60' },
  { 'Surrogate-Control': 'max-age=60' },
  { 'Cache-Control': 'public' },
]) {
  test(`a response that the origin declares shareable is for all: ${JSON.stringify(fields)}`, async (t) => {
    const { origin, as } = await play(t, { rules: TTL, fields });
    t.match((await as(ALICE, '/post')).tiers[0], /stored/);
    t.equal((await as(ANONYMOUS, '/post')).text, 'hello session=alice');
    t.equal((await as(BOB, '/post')).text, 'hello session=alice');
    t.equal(origin.requests.length, 1);
  });
}

test('with `origin_headers: ignore` the origin declares nothing', async (t) => {
  const rules: Rules = [{ ttl: '1m', origin_headers: 'ignore' }];
  const { as } = await play(t, { rules, fields: { 'Cache-Control': 'public, max-age=60' } });
  t.equal((await as(ALICE, '/post')).text, 'hello session=alice');
  t.equal((await as(ANONYMOUS, '/post')).text, 'hello nobody');
});

test('cookies that only scripts read make no request personal', async (t) => {
  const { origin, as } = await play(t, { rules: TTL });
  const shopper = { Cookie: '_ga=GA1.1.1; _ga_XYZ=GS1.1; _gid=1; _fbp=fb.1; _pk_id.1.1fff=x; OptanonConsent=a=0&b=1' };
  await as(shopper, '/post');
  t.match((await as(ANONYMOUS, '/post')).headers['cache-status'], /hit/);
  t.match((await as(shopper, '/post')).headers['cache-status'], /hit/);
  t.equal(origin.requests.length, 1);
  t.equal((await as({ Cookie: `${shopper.Cookie}; session=alice` }, '/post')).text.endsWith('session=alice'), true);
  for (const hidden of ['_ga=1 session=alice', '_ga=1, session=alice', '_ga="1"; "x"=session=alice']) {
    t.match((await as({ Cookie: hidden }, '/post')).text, /alice/, `${hidden}: a server may see another cookie in it`);
  }
  t.equal((await as(ANONYMOUS, '/post')).text, 'hello nobody', 'the origin does not see them');
});

test('a site’s own list of cookies replaces the default', async (t) => {
  const { as } = await play(t, { rules: TTL, site: { ignored_cookies: ['theme', 'ab_*'] } });
  t.equal((await as({ Cookie: '_ga=1' }, '/post')).text, 'hello _ga=1');
  t.equal((await as({ Cookie: 'theme=dark; ab_1=x' }, '/post')).text, 'hello nobody');
  t.match((await as({ Cookie: 'theme=light' }, '/post')).headers['cache-status'], /hit/);
  t.equal((await as({ Cookie: 'Theme=light' }, '/post')).text, 'hello Theme=light', 'names have a case here');
});

test('`cookies: ignore` and `cookies: key` decide what is shared', async (t) => {
  const rules: Rules = [
    { path: '/ignored/*', ttl: '1m', cookies: 'ignore' },
    { path: '/keyed/*', ttl: '1m', cookies: 'key' },
  ];
  const { origin, as } = await play(t, { rules });
  await as(ALICE, '/ignored/a');
  t.equal((await as(BOB, '/ignored/a')).text, 'hello nobody');
  t.equal((await as(ANONYMOUS, '/ignored/a')).text, 'hello nobody');
  t.equal(origin.count('/ignored/a'), 1);
  for (const edge of ['eu-1', 'eu-2']) {
    for (const who of [ALICE, ANONYMOUS, BOB, ALICE, ANONYMOUS, BOB, { Cookie: '_ga=1; session=alice' }]) {
      const cookie = (who as Fields)['Cookie']?.replace('_ga=1; ', '') ?? 'nobody';
      t.equal((await as(who, '/keyed/a', edge)).text, `hello ${cookie}`);
    }
  }
  t.equal(origin.count('/keyed/a'), 3, 'one copy for each');
  t.equal((await as({ Cookie: 'b=2; a=1' }, '/keyed/b')).text, 'hello a=1; b=2');
  t.equal((await as({ Cookie: 'a=1; b=2' }, '/keyed/b')).text, 'hello a=1; b=2', 'their order is none');
  t.equal(origin.count('/keyed/b'), 1);
});

test('patterns decide which cookies make a request personal', async (t) => {
  const rules: Rules = [{ ttl: '1m', cookies: { bypass: ['wordpress_logged_in_*', 'wp-postpass_*'] } }];
  const { as } = await play(t, { rules });
  await as({ Cookie: 'wp_lang=de' }, '/post');
  t.match((await as(ANONYMOUS, '/post')).headers['cache-status'], /hit/);
  for (const cookie of [
    'wordpress_logged_in_1f=admin',
    'a=b; wp-postpass_1f=x',
    'wordpress.logged.in_1f=admin',
    'Wordpress_Logged_In_1f=admin',
    'wordpress%5Flogged_in_1f=admin',
    'x=1 wordpress_logged_in_1f=admin',
  ]) {
    t.equal((await as({ Cookie: cookie }, '/post')).text, `hello ${cookie}`);
  }
  t.equal((await as(ANONYMOUS, '/post')).text, 'hello nobody');
});

test('`key.cookies` takes patterns', async (t) => {
  const { as } = await play(t, { rules: TTL, site: { key: { cookies: ['ab_*'] } } });
  await as({ Cookie: 'ab_1=x' }, '/post');
  t.equal((await as({ Cookie: 'ab_1=y' }, '/post')).text, 'hello ab_1=y');
  t.equal((await as(ANONYMOUS, '/post')).text, 'hello nobody');
  t.equal((await as({ Cookie: 'ab_1=x' }, '/post')).headers['cache-status']?.includes('hit'), true);
  t.equal((await as({ Cookie: 'ab_1=x; session=alice' }, '/post')).text, 'hello ab_1=x; session=alice');
});

test('personal requests do not switch off collapsing for others', async (t) => {
  const { origin, as } = await play(t, { rules: TTL });
  for (let i = 0; i < 5; i++) await as(ALICE, '/slow');
  const greeting = greet();
  const waiting: (() => void)[] = [];
  origin.script = (request, response) => void waiting.push(() => greeting(request, response));
  const before = origin.requests.length;
  const arrived = origin.next();
  const asked = Array.from({ length: 20 }, () => as(ANONYMOUS, '/slow'));
  await arrived;
  const own = as(ALICE, '/slow');
  while (waiting.length < 2) await origin.next();
  for (const answer of waiting) answer();
  for (const reply of await Promise.all(asked)) t.equal(reply.text, 'hello nobody');
  t.equal((await own).text, 'hello session=alice');
  t.equal(origin.requests.length - before, 2);
});

test('an error of a personal request is not shared', async (t) => {
  const { origin, as } = await play(t, { rules: TTL });
  const waiting: (() => void)[] = [];
  origin.script = (request, response) =>
    void waiting.push(() => response.writeHead(500).end(`trace of ${request.headers.cookie}`));
  const first = origin.next();
  const alices = as(ALICE, '/slow');
  await first;
  const bobs = as(BOB, '/slow');
  const nobodys = as(ANONYMOUS, '/slow');
  while (waiting.length < 2) await origin.next();
  origin.script = (request, response) => response.writeHead(500).end(`trace of ${request.headers.cookie}`);
  for (const answer of waiting) answer();
  t.equal((await alices).text, 'trace of session=alice');
  t.equal((await bobs).text, 'trace of session=bob');
  t.equal((await nobodys).text, 'trace of undefined');
});

test('a 304 or HEAD of a personal request changes nothing for others', async (t) => {
  const fields = { 'Cache-Control': 'public, max-age=60', ETag: '"1"' };
  const { origin, as } = await play(t, { rules: [{ request_directives: 'honour' }], fields });
  await as(ANONYMOUS, '/post');
  origin.script = (_, response) => response.writeHead(304, { ETag: '"1"', 'X-User': 'alice' }).end();
  const alices = await as({ ...ALICE, 'Cache-Control': 'no-cache' }, '/post');
  t.equal(alices.headers['x-user'], 'alice');
  const later = await as(ANONYMOUS, '/post');
  t.match(later.headers['cache-status'], /hit/);
  t.equal(later.headers['x-user'], undefined);
  origin.script = (_, response) => response.writeHead(200, { ETag: '"2"', 'X-User': 'alice' }).end();
  const headed = await as({ ...ALICE, 'Cache-Control': 'no-cache' }, '/post', undefined, 'HEAD');
  t.equal(headed.headers['x-user'], 'alice');
  const last = await as(ANONYMOUS, '/post');
  t.match(last.headers['cache-status'], /hit/, 'it is not out of date for that');
  t.equal(last.headers['x-user'], undefined);
});

test('requests with cookies are collapsed for responses that the origin declares shareable', async (t) => {
  const { origin, as } = await play(t, { rules: TTL });
  let answer = (): void => undefined;
  origin.script = (_, response) => {
    answer = () => void response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end('for all');
  };
  const arrived = origin.next();
  const asked = Array.from({ length: 20 }, (_, i) => as({ Cookie: `session=${i}` }, '/slow', 'eu-1'));
  await arrived;
  await new Promise((resolve) => void setImmediate(resolve));
  answer();
  for (const reply of await Promise.all(asked)) t.equal(reply.text, 'for all');
  t.equal(origin.requests.length, 1);
});

for (const status of [302, 303, 307, 400, 401, 403, 404, 429, 500, 503]) {
  test(`a ttl without status is not for ${status}`, async (t) => {
    const { as } = await play(t, { rules: [{ ttl: '1h', browser_ttl: '1h' }] });
    const first = await as(ANONYMOUS, `/assets/status/${status}`);
    t.equal(first.status, status);
    t.equal(first.headers['cache-control'], undefined, 'nor for browsers');
    t.notMatch((await as(ANONYMOUS, `/assets/status/${status}`)).headers['cache-status'], /hit|stored/);
  });
}

test('an error that one request causes is not shared', async (t) => {
  const { origin, as } = await play(t, { rules: [{ path: '/assets/*', ttl: '1h' }] });
  const greeting = greet();
  origin.script = (request, response) => {
    if (request.headers['x-junk'] === undefined) greeting(request, response);
    else response.writeHead(400).end('too long');
  };
  t.equal((await as({ 'X-Junk': 'a'.repeat(9_000) }, '/assets/app.js')).status, 400);
  t.equal((await as(ANONYMOUS, '/assets/app.js')).status, 200);
});

test('an error does not replace a good response that may still be served', async (t) => {
  const rules: Rules = [
    { status: ['4xx', '5xx'], ttl: '1h' },
    { status: 200, ttl: '1h', stale_if_error: '1d', request_directives: 'honour' },
  ];
  const { origin, as } = await play(t, { rules });
  await as(ANONYMOUS, '/app.js');
  for (const status of [400, 403, 429, 500, 503]) {
    origin.script = (_, response) => void response.writeHead(status).end('an error');
    await as({ 'Cache-Control': 'no-cache' }, '/app.js');
    t.equal((await as(ANONYMOUS, '/app.js')).text, 'hello nobody', `after ${status}`);
  }
});
