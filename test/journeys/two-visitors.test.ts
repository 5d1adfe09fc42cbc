/**
 * Two visitors and one page: what was made for one must not reach the other, unless the origin or a rule
 * says that it is for both.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Test, test } from 'tap';
import { type NetworkOptions, startNetwork } from '../support/network.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { ask, type Reply } from '../support/visitor.ts';

type Fields = Readonly<Record<string, string>>;
type Rules = NetworkOptions['rules'];

const ALICE = { Cookie: 'session=alice' };
const BOB = { Cookie: 'session=bob' };
const NOBODY: Fields = {};

/** Greets by cookie or credentials; `/status/N` answers with that status. */
function greet(fields: Fields = {}): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const status = Number(/\/status\/(\d+)/.exec(request.url ?? '')?.[1] ?? 200);
    const { cookie, authorization } = request.headers;
    response.writeHead(status, { 'Content-Type': 'text/html', ...fields });
    response.end(status === 304 || status === 204 ? undefined : `hello ${authorization ?? cookie ?? 'nobody'}`);
  };
}

interface Stage {
  readonly origin: Origin;
  /** Asks an edge that does not own the path, unless another is named. */
  readonly as: (who: Fields, path: string, edge?: string) => Promise<Reply>;
}

async function play(t: Test, options: Partial<NetworkOptions> & { readonly fields?: Fields }): Promise<Stage> {
  const { fields = {}, ...rest } = options;
  const origin = await startOrigin(greet(fields));
  const network = await startNetwork({ origin: origin.url, shields: 1, ...rest });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  return {
    origin,
    as: (who, path, edge = network.owners(path)[1] ?? 'eu-1') => ask(network.at(edge), path, { headers: who }),
  };
}

const FAIL = (_: IncomingMessage, response: ServerResponse): void => void response.writeHead(500).end('broken');

for (const window of [{ stale_if_error: '1d' }, { stale_while_revalidate: '30s' }]) {
  for (const fields of [
    {},
    { 'Cache-Control': 'max-age=0' },
    { ETag: '"1"' },
    { Expires: 'Thu, 01 Jan 1970 00:00:00 GMT' },
  ]) {
    const what = `${JSON.stringify(window)}, ${JSON.stringify(fields)}`;
    test(`a rule’s window gives no page away: ${what}`, async (t) => {
      const { origin, as } = await play(t, { rules: [window], fields });
      const first = await as(ALICE, '/profile');
      t.equal(first.text, 'hello session=alice');
      t.notMatch(first.headers['cache-status'], /stored/);
      t.equal((await as(NOBODY, '/profile')).text, 'hello nobody', 'not at once');
      await as(NOBODY, '/profile');
      origin.script = FAIL;
      t.notMatch((await as(BOB, '/profile')).text, /alice|nobody/, 'nor when the origin fails');
      t.notMatch((await as(NOBODY, '/profile')).text, /alice/);
    });
  }
}

const TTL: Rules = [{ ttl: '1m', stale_while_revalidate: '1m', stale_if_error: '1d' }];

test('a rule’s ttl is for those without cookies', async (t) => {
  const { origin, as } = await play(t, { rules: TTL });
  const alices = await as(ALICE, '/post');
  t.equal(alices.text, 'hello session=alice');
  t.match(alices.tiers[0], /detail=cookies/, 'the answer says why');
  const first = await as(NOBODY, '/post');
  t.equal(first.text, 'hello nobody', 'a stranger does not get hers');
  t.match(first.tiers[0], /stored/);
  t.match((await as(NOBODY, '/post')).headers['cache-status'], /hit/);
  const again = await as(ALICE, '/post');
  t.equal(again.text, 'hello session=alice', 'nor does she get the stranger’s');
  t.match(again.tiers[0], /fwd=bypass/);
  t.equal((await as(BOB, '/post')).text, 'hello session=bob');
  t.match((await as(NOBODY, '/post')).headers['cache-status'], /hit/, 'and the stranger’s is still there');
  t.equal(origin.requests.length, 4);
});

test('a rule’s ttl is for those without Authorization, whatever the rule says of cookies', async (t) => {
  const { as } = await play(t, { rules: [{ ttl: '1m', cookies: 'ignore' }] });
  t.equal((await as({ Authorization: 'Basic YQ==' }, '/post')).text, 'hello Basic YQ==');
  t.equal((await as(NOBODY, '/post')).text, 'hello nobody');
  t.equal((await as({ Authorization: 'Basic YQ==' }, '/post')).text, 'hello Basic YQ==');
});

test('a lifetime that is guessed is for those without cookies', async (t) => {
  const { as } = await play(t, { fields: { 'Last-Modified': 'Thu, 01 Jan 2015 00:00:00 GMT' } });
  t.equal((await as(ALICE, '/post')).text, 'hello session=alice');
  t.equal((await as(NOBODY, '/post')).text, 'hello nobody');
  t.equal((await as(ALICE, '/post')).text, 'hello session=alice');
  t.match((await as(NOBODY, '/post')).headers['cache-status'], /hit/);
});

for (const fields of [
  { 'Cache-Control': 'public, max-age=60' },
  { 'Cache-Control': 'max-age=60' },
  { 'Cache-Control': 's-maxage=60' },
  { 'CDN-Cache-Control': 'max-age=60' },
  { 'Surrogate-Control': 'max-age=60' },
  { 'Cache-Control': 'public' },
]) {
  test(`what the origin declares shareable is for all: ${JSON.stringify(fields)}`, async (t) => {
    const { origin, as } = await play(t, { rules: TTL, fields });
    t.match((await as(ALICE, '/post')).tiers[0], /stored/);
    t.equal((await as(NOBODY, '/post')).text, 'hello session=alice');
    t.equal((await as(BOB, '/post')).text, 'hello session=alice');
    t.equal(origin.requests.length, 1);
  });
}

test('with `origin_headers: ignore` the origin declares nothing', async (t) => {
  const rules: Rules = [{ ttl: '1m', origin_headers: 'ignore' }];
  const { as } = await play(t, { rules, fields: { 'Cache-Control': 'public, max-age=60' } });
  t.equal((await as(ALICE, '/post')).text, 'hello session=alice');
  t.equal((await as(NOBODY, '/post')).text, 'hello nobody');
});

test('cookies that only scripts read make nobody personal', async (t) => {
  const { origin, as } = await play(t, { rules: TTL });
  const shopper = { Cookie: '_ga=GA1.1.1; _ga_XYZ=GS1.1; _gid=1; _fbp=fb.1; _pk_id.1.1fff=x; OptanonConsent=a=0&b=1' };
  await as(shopper, '/post');
  t.match((await as(NOBODY, '/post')).headers['cache-status'], /hit/);
  t.match((await as(shopper, '/post')).headers['cache-status'], /hit/);
  t.equal(origin.requests.length, 1);
  t.equal((await as({ Cookie: `${shopper.Cookie}; session=alice` }, '/post')).text.endsWith('session=alice'), true);
  for (const hidden of ['_ga=1 session=alice', '_ga=1, session=alice', '_ga="1"; "x"=session=alice']) {
    t.match((await as({ Cookie: hidden }, '/post')).text, /alice/, `${hidden}: a server may see another cookie in it`);
  }
  t.match((await as(NOBODY, '/post')).text, /_ga/);
});

test('a site’s own list takes the place of the default', async (t) => {
  const { as } = await play(t, { rules: TTL, site: { ignored_cookies: ['theme', 'ab_*'] } });
  t.equal((await as({ Cookie: '_ga=1' }, '/post')).text, 'hello _ga=1');
  t.equal((await as({ Cookie: 'theme=dark; ab_1=x' }, '/post')).text, 'hello theme=dark; ab_1=x');
  t.equal((await as({ Cookie: 'theme=light' }, '/post')).text, 'hello theme=dark; ab_1=x');
  t.equal((await as({ Cookie: 'Theme=light' }, '/post')).text, 'hello Theme=light', 'names have a case here');
});

test('`cookies: ignore` and `cookies: key`', async (t) => {
  const rules: Rules = [
    { path: '/ignored/*', ttl: '1m', cookies: 'ignore' },
    { path: '/keyed/*', ttl: '1m', cookies: 'key' },
  ];
  const { origin, as } = await play(t, { rules });
  await as(ALICE, '/ignored/a');
  t.equal((await as(BOB, '/ignored/a')).text, 'hello session=alice');
  t.equal((await as(NOBODY, '/ignored/a')).text, 'hello session=alice');
  for (const edge of ['eu-1', 'eu-2']) {
    for (const who of [ALICE, NOBODY, BOB, ALICE, NOBODY, BOB, { Cookie: '_ga=1; session=alice' }]) {
      const cookie = (who as Fields)['Cookie']?.replace('_ga=1; ', '') ?? 'nobody';
      t.equal((await as(who, '/keyed/a', edge)).text, `hello ${cookie}`);
    }
  }
  t.equal(origin.count('/keyed/a'), 3, 'one copy for each');
  t.equal((await as({ Cookie: 'b=2; a=1' }, '/keyed/b')).text, 'hello b=2; a=1');
  t.equal((await as({ Cookie: 'a=1; b=2' }, '/keyed/b')).text, 'hello b=2; a=1', 'their order is none');
});

test('patterns: these cookies make a request personal, others do not count', async (t) => {
  const rules: Rules = [{ ttl: '1m', cookies: { bypass: ['wordpress_logged_in_*', 'wp-postpass_*'] } }];
  const { as } = await play(t, { rules });
  await as({ Cookie: 'wp_lang=de' }, '/post');
  t.equal((await as(NOBODY, '/post')).text, 'hello wp_lang=de');
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
  t.equal((await as(NOBODY, '/post')).text, 'hello wp_lang=de');
});

test('`key.cookies` takes patterns', async (t) => {
  const { as } = await play(t, { rules: TTL, site: { key: { cookies: ['ab_*'] } } });
  await as({ Cookie: 'ab_1=x' }, '/post');
  t.equal((await as({ Cookie: 'ab_1=y' }, '/post')).text, 'hello ab_1=y');
  t.equal((await as(NOBODY, '/post')).text, 'hello nobody');
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
  const asked = Array.from({ length: 20 }, () => as(NOBODY, '/slow'));
  await arrived;
  const own = as(ALICE, '/slow');
  while (waiting.length < 2) await origin.next();
  for (const answer of waiting) answer();
  for (const reply of await Promise.all(asked)) t.equal(reply.text, 'hello nobody');
  t.equal((await own).text, 'hello session=alice');
  t.equal(origin.requests.length - before, 2);
});

test('a personal request’s error is nobody else’s', async (t) => {
  const { origin, as } = await play(t, { rules: TTL });
  const waiting: (() => void)[] = [];
  origin.script = (request, response) =>
    void waiting.push(() => response.writeHead(500).end(`trace of ${request.headers.cookie}`));
  const first = origin.next();
  const alices = as(ALICE, '/slow');
  await first;
  const bobs = as(BOB, '/slow');
  const nobodys = as(NOBODY, '/slow');
  while (waiting.length < 2) await origin.next();
  origin.script = (request, response) => response.writeHead(500).end(`trace of ${request.headers.cookie}`);
  for (const answer of waiting) answer();
  t.equal((await alices).text, 'trace of session=alice');
  t.equal((await bobs).text, 'trace of session=bob');
  t.equal((await nobodys).text, 'trace of undefined');
});

test('a personal request’s 304 and HEAD change nothing for others', async (t) => {
  const fields = { 'Cache-Control': 'public, max-age=60', ETag: '"1"' };
  const { origin, as } = await play(t, { rules: [{ request_directives: 'honour' }], fields });
  await as(NOBODY, '/post');
  origin.script = (_, response) => response.writeHead(304, { ETag: '"1"', 'X-User': 'alice' }).end();
  const alices = await as({ ...ALICE, 'Cache-Control': 'no-cache' }, '/post');
  t.equal(alices.headers['x-user'], 'alice');
  const later = await as(NOBODY, '/post');
  t.match(later.headers['cache-status'], /hit/);
  t.equal(later.headers['x-user'], undefined);
});

for (const status of [302, 303, 307, 400, 401, 403, 404, 429, 500, 503]) {
  test(`a ttl without status is not for ${status}`, async (t) => {
    const { as } = await play(t, { rules: [{ ttl: '1h', browser_ttl: '1h' }] });
    const first = await as(NOBODY, `/assets/status/${status}`);
    t.equal(first.status, status);
    t.equal(first.headers['cache-control'], undefined, 'nor for browsers');
    t.notMatch((await as(NOBODY, `/assets/status/${status}`)).headers['cache-status'], /hit|stored/);
  });
}

test('an error that one request brings about is nobody else’s', async (t) => {
  const { origin, as } = await play(t, { rules: [{ path: '/assets/*', ttl: '1h' }] });
  const greeting = greet();
  origin.script = (request, response) => {
    if (request.headers['x-junk'] === undefined) greeting(request, response);
    else response.writeHead(400).end('too long');
  };
  t.equal((await as({ 'X-Junk': 'a'.repeat(9_000) }, '/assets/app.js')).status, 400);
  t.equal((await as(NOBODY, '/assets/app.js')).status, 200);
});

test('an error takes the place of no good answer that may still be served', async (t) => {
  const rules: Rules = [
    { status: ['4xx', '5xx'], ttl: '1h' },
    { status: 200, ttl: '1h', stale_if_error: '1d', request_directives: 'honour' },
  ];
  const { origin, as } = await play(t, { rules });
  await as(NOBODY, '/app.js');
  for (const status of [400, 403, 429, 500, 503]) {
    origin.script = (_, response) => void response.writeHead(status).end('an error');
    await as({ 'Cache-Control': 'no-cache' }, '/app.js');
    t.equal((await as(NOBODY, '/app.js')).text, 'hello nobody', `after ${status}`);
  }
});

const DECEPTION: Rules = [
  { path: ['/account', '/account/*'], cache: 'never' },
  { path: '/*.css', ttl: '1h' },
];

for (const path of [
  '/account/x.css',
  '//account/x.css',
  '/account%2fx.css',
  '/account;x.css',
  '/Account/x.css',
  '/account%3fx.css',
  '/account%23x.css',
  '/account%0ax.css',
  '/account%5cx.css',
  '/%61ccount/x.css',
  '/account;x%2fy.css',
  '/account;/x.css',
  '/account%3bx.css',
]) {
  for (const type of ['text/html', 'text/css']) {
    test(`a rule that forbids is for all spellings of a path: ${path}, ${type}`, async (t) => {
      const { origin, as } = await play(t, { rules: DECEPTION, fields: { 'Content-Type': type } });
      t.notMatch((await as(ALICE, path)).headers['cache-status'], /stored/);
      t.equal((await as(NOBODY, path)).text, 'hello nobody');
      t.notMatch((await as(NOBODY, path)).headers['cache-status'], /stored|hit/);
      t.equal(origin.requests.length, 3);
    });
  }
}

test('a rule for an extension is for files with it, whatever cookies come along', async (t) => {
  const { origin, as } = await play(t, {
    rules: [{ path: '/*.css', ttl: '1h' }],
    fields: { 'Content-Type': 'text/css' },
  });
  await as(ALICE, '/site.css');
  t.match((await as(BOB, '/site.css')).headers['cache-status'], /hit/);
  t.match((await as(NOBODY, '/SITE.css')).tiers[0], /stored/, 'spelt otherwise it has a copy of its own');
  t.equal(origin.requests.length, 2);
});

test('a page at a path with an extension is none of its files', async (t) => {
  const { as } = await play(t, { rules: [{ path: '/*.css', ttl: '1h', browser_ttl: '1h' }] });
  const alices = await as(ALICE, '/profile/x.css');
  t.notMatch(alices.headers['cache-status'], /stored/);
  t.equal(alices.headers['cache-control'], undefined);
  t.equal((await as(NOBODY, '/profile/x.css')).text, 'hello nobody');
  t.equal((await as(ALICE, '/profile/x.css')).text, 'hello session=alice');
});

test('an error page at a path with an extension is for its visitor', async (t) => {
  const { as } = await play(t, { rules: [{ path: '/*.css', status: [200, 404], ttl: '1h' }] });
  t.equal((await as(ALICE, '/status/404/x.css')).text, 'hello session=alice');
  t.equal((await as(NOBODY, '/status/404/x.css')).text, 'hello nobody');
  t.match((await as(NOBODY, '/status/404/x.css')).headers['cache-status'], /hit/);
});

test('the guard can be off, and on for other rules', async (t) => {
  const rules: Rules = [
    { path: '/*.css', ttl: '1h', type_guard: false },
    { path: '/files/*', ttl: '1h', cookies: 'ignore', type_guard: true },
  ];
  const { as } = await play(t, { rules });
  await as(ALICE, '/x.css');
  t.equal((await as(NOBODY, '/x.css')).text, 'hello session=alice');
  await as(ALICE, '/files/x.png');
  t.equal((await as(NOBODY, '/files/x.png')).text, 'hello nobody');
});

/** Cookies as servers with an own idea of them read them, and what each takes as the currency. */
const READERS: Readonly<Record<string, (field: string) => string>> = {
  'the first of a name, trimmed (Node)': (field) => valuesOf(field.split(';'))[0] ?? 'none',
  'the last of a name, trimmed (Go, Rails)': (field) => valuesOf(field.split(';')).at(-1) ?? 'none',
  'spaces in names are underscores (PHP)': (field) => {
    const pairs = field.split(';').map((pair) => pair.trimStart());
    return pairs.find((pair) => pair.startsWith('currency='))?.slice(9) ?? 'none';
  },
  'quotes hold semicolons, spaces end values (Python)': (field) => {
    const pairs = field.match(/[^\s;,="]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*)/g) ?? [];
    return valuesOf(pairs).at(-1) ?? 'none';
  },
  'commas separate, too (old Java)': (field) => valuesOf(field.split(/[;,]/))[0] ?? 'none',
};

function valuesOf(pairs: readonly string[]): string[] {
  return pairs
    .map((pair) => [pair.slice(0, pair.indexOf('=')).trim(), pair.slice(pair.indexOf('=') + 1).trim()] as const)
    .filter(([name]) => name === 'currency')
    .map(([, value]) => value.replace(/^"(.*)"$/, '$1'));
}

const CURRENCIES = [
  ...['currency=USD', 'currency =USD', ' currency=USD', 'currency= USD', 'currency="USD"', 'currency=USD;', 'currency'],
  ...['currency=USD; currency=EUR', 'currency=EUR; currency=USD', 'a=1;currency=USD', 'x="; currency=EUR; "; a=1'],
  ...['x={"a":1}; currency=USD', 'currency=USD; x={"a":1}', 'a=1 currency=EUR', 'a=1, currency=EUR', 'Currency=GBP'],
  ...['x="a;currency=EUR"', 'currency=', 'a=b', 'currency=USD, currency=EUR', '=currency=EUR', 'currency\t=USD'],
];

for (const [reader, read] of Object.entries(READERS)) {
  test(`what the key holds of cookies is what the origin reads: ${reader}`, async (t) => {
    const { origin, as } = await play(t, { rules: [], site: { key: { cookies: ['currency'] } } });
    const asRead = (field: string | undefined): string => (field === undefined ? 'none' : read(field));
    origin.script = (request, response) => {
      response.writeHead(200, { 'Cache-Control': 'public, max-age=60' }).end(asRead(request.headers.cookie));
    };
    // What the cache answers is what the origin would have answered to the field that it would have been sent.
    const sent = await Promise.all(
      CURRENCIES.map(async (cookie, index) => (await as({ Cookie: cookie }, `/alone/${index}`)).text),
    );
    for (const order of [CURRENCIES, [...CURRENCIES].reverse()]) {
      const path = `/together/${order === CURRENCIES}`;
      for (const cookie of order) {
        t.equal((await as({ Cookie: cookie }, path)).text, sent[CURRENCIES.indexOf(cookie)], JSON.stringify(cookie));
      }
      t.equal((await as(NOBODY, path)).text, 'none');
    }
  });
}

test('a cookie that is spelt otherwise shares what is stored for the usual spelling', async (t) => {
  const { origin, as } = await play(t, {
    fields: { 'Cache-Control': 'public, max-age=60' },
    site: { key: { cookies: ['currency'] } },
  });
  for (const cookie of ['currency=USD', 'currency =USD', 'currency= USD', 'a=1; currency=USD']) {
    t.match((await as({ Cookie: cookie }, '/price')).text, /hello currency=USD/, cookie);
  }
  t.equal(origin.requests.length, 1);
  await as({ Cookie: 'currency="USD"' }, '/price');
  t.equal(origin.requests.length, 2, 'quotes are part of the value for some servers');
});

test('an answer that is encoded without Vary goes only to those who asked alike', async (t) => {
  const { origin, as } = await play(t, { rules: TTL });
  origin.script = (request, response) => {
    const coding = /br|gzip/.exec(request.headers['accept-encoding'] ?? '')?.[0];
    response.writeHead(200, coding === undefined ? {} : { 'Content-Encoding': coding }).end(coding ?? 'plain');
  };
  const [br, gzip, plain] = [{ 'Accept-Encoding': 'br' }, { 'Accept-Encoding': 'gzip' }, {}] as Fields[];
  for (const order of [
    [br, gzip, plain],
    [plain, gzip, br],
    [gzip, plain, br],
  ]) {
    const path = `/app/${order.map((one) => one?.['Accept-Encoding'] ?? 'plain').join()}`;
    for (let turn = 0; turn < 2; turn++) {
      for (const who of order) {
        const reply = await as(who as Fields, path);
        const coding = reply.headers['content-encoding'];
        t.ok(coding === undefined || coding === who?.['Accept-Encoding'], `${coding} for ${JSON.stringify(who)}`);
      }
    }
  }
  t.match((await as(br as Fields, '/app/br,gzip,plain')).headers['cache-status'], /hit/);
});

test('`identity` is no encoding', async (t) => {
  const { as } = await play(t, { rules: TTL, fields: { 'Content-Encoding': 'identity' } });
  await as({ 'Accept-Encoding': 'br' }, '/app');
  t.match((await as({ 'Accept-Encoding': 'gzip' }, '/app')).headers['cache-status'], /hit/);
});
