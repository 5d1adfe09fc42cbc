/**
 * Paths, cookies and encodings that servers read differently. For each reading the right rule and key apply, or nothing
 * is stored. The rule that counts, and the key, are right for each of them, or nothing is kept.
 */
import { test } from 'tap';
import { ALICE, ANONYMOUS, BOB, type Fields, play, type Rules } from '../support/two-visitors.ts';

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
    test(`a rule that forbids storing counts for every spelling of a path: ${path}, ${type}`, async (t) => {
      const { origin, as } = await play(t, { rules: DECEPTION, fields: { 'Content-Type': type } });
      t.notMatch((await as(ALICE, path)).headers['cache-status'], /stored/);
      t.equal((await as(ANONYMOUS, path)).text, 'hello nobody');
      t.notMatch((await as(ANONYMOUS, path)).headers['cache-status'], /stored|hit/);
      t.equal(origin.requests.length, 3);
    });
  }
}

test('a rule for an extension counts for files with it, whatever cookies are sent', async (t) => {
  const { origin, as } = await play(t, {
    rules: [{ path: '/*.css', ttl: '1h' }],
    fields: { 'Content-Type': 'text/css' },
  });
  await as(ALICE, '/site.css');
  t.match((await as(BOB, '/site.css')).headers['cache-status'], /hit/);
  t.match((await as(ANONYMOUS, '/SITE.css')).tiers[0], /stored/, 'spelt otherwise it has a copy of its own');
  t.equal(origin.requests.length, 2);
});

test('a page at a path with an extension is not treated as a file and keeps its cookies', async (t) => {
  const { as } = await play(t, { rules: [{ path: '/*.css', ttl: '1h', browser_ttl: '1h' }] });
  const alices = await as(ALICE, '/profile/x.css');
  t.notMatch(alices.headers['cache-status'], /stored/);
  t.equal(alices.headers['cache-control'], undefined);
  t.equal(alices.text, 'hello nobody');
  const nobodys = await as(ANONYMOUS, '/profile/x.css');
  t.equal(nobodys.text, 'hello nobody');
  t.notMatch(nobodys.headers['cache-status'], /hit/);
});

test('an error page at a path with an extension does not leak a session', async (t) => {
  const { as } = await play(t, { rules: [{ path: '/*.css', status: [200, 404], ttl: '1h' }] });
  t.equal((await as(ALICE, '/status/404/x.css')).text, 'hello nobody');
  t.equal((await as(ANONYMOUS, '/status/404/x.css')).text, 'hello nobody');
  t.match((await as(ANONYMOUS, '/status/404/x.css')).headers['cache-status'], /hit/);
});

test('the type guard can be off, and on for other rules', async (t) => {
  const rules: Rules = [
    { path: '/*.css', ttl: '1h', type_guard: false },
    { path: '/files/*', ttl: '1h', cookies: 'ignore', type_guard: true },
  ];
  const { as } = await play(t, { rules });
  await as(ALICE, '/x.css');
  const shared = await as(ANONYMOUS, '/x.css');
  t.match(shared.headers['cache-status'], /hit/);
  t.equal(shared.text, 'hello nobody', 'what is for all is made without cookies');
  await as(ALICE, '/files/x.png');
  t.equal((await as(ANONYMOUS, '/files/x.png')).text, 'hello nobody');
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
  test(`cookies in the key are read as the origin reads them: ${reader}`, async (t) => {
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
      t.equal((await as(ANONYMOUS, path)).text, 'none');
    }
  });
}

test('another spelling of a cookie shares the stored response', async (t) => {
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

test('an encoded response without Vary is shared only by requests with the same Accept-Encoding', async (t) => {
  const { origin, as } = await play(t, { rules: [{ ttl: '1m' }] });
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

test('`identity` is not an encoding', async (t) => {
  const { as } = await play(t, { rules: [{ ttl: '1m' }], fields: { 'Content-Encoding': 'identity' } });
  await as({ 'Accept-Encoding': 'br' }, '/app');
  t.match((await as({ 'Accept-Encoding': 'gzip' }, '/app')).headers['cache-status'], /hit/);
});
