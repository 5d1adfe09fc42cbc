/** The dashboard: who may see what, what forms do, and what hostile texts and pages cannot do. */
import { type Test, test } from 'tap';
import { Sessions } from '../../control/dashboard/sessions.ts';
import type { NewToken } from '../../control/tokens.ts';
import { TIER_FIELD } from '../../http/fields/tier-field.ts';
import { formatNodeField, JOURNAL_CONTENT_TYPE, TRAFFIC_PATH } from '../../journal/wire.ts';
import type { MonotonicMs } from '../../lib/clock.ts';
import type { Traffic } from '../../lib/traffic.ts';
import { type Control, SECRET, startTestControl } from './control.ts';

const ATTACK = '<img src=x onerror=alert(1)>"\'</script>';

/** A browser as far as it is needed here. */
class Client {
  readonly #control: Control;
  cookie = '';

  constructor(control: Control) {
    this.#control = control;
  }

  async get(path: string, headers: Record<string, string> = {}) {
    return this.#send(path, { headers });
  }

  async post(path: string, fields: Record<string, string>, headers: Record<string, string> = {}) {
    return this.#send(path, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(fields).toString(),
    });
  }

  /** @returns The answer, whose body is open. */
  open(path: string): Promise<Response> {
    return fetch(`${this.#control.url}/dashboard${path}`, { headers: { cookie: this.cookie } });
  }

  /** @returns The secret of the forms of this session. */
  async csrf(): Promise<string> {
    const { text } = await this.get('/');
    return /name="csrf" value="([\w-]+)"/.exec(text)?.[1] ?? '';
  }

  async #send(path: string, { headers, ...options }: RequestInit & { headers: Record<string, string> }) {
    const response = await fetch(`${this.#control.url}/dashboard${path}`, {
      redirect: 'manual',
      ...options,
      headers: { ...(this.cookie !== '' && { cookie: this.cookie }), ...headers },
    });
    const set = response.headers.get('set-cookie');
    if (set !== null) this.cookie = set.split(';')[0] ?? '';
    return { status: response.status, headers: response.headers, text: await response.text(), set };
  }
}

async function signedIn(control: Control, scope: Partial<NewToken> = {}) {
  const client = new Client(control);
  const token = control.token(scope);
  await client.post('/sign-in', { token });
  return { client, token };
}

async function report(control: Control, traffic: Traffic): Promise<void> {
  const headers = { [TIER_FIELD]: formatNodeField('eu-1', SECRET), 'content-type': JOURNAL_CONTENT_TYPE };
  const body = `${JSON.stringify(traffic)}\n`;
  const { status } = await fetch(`${control.url}${TRAFFIC_PATH}`, { method: 'POST', headers, body });
  if (status !== 204) throw new Error(`the report was answered ${status}`);
}

function trafficOf(site: string, url = `${site}.example.com/`): Traffic {
  return {
    sites: [
      {
        site,
        answers: [
          ['hit', 2, 90, 900],
          ['uri-miss', 5, 10, 100],
        ],
        durations: [90, 10],
        origin: 4,
      },
    ],
    urls: [[url, site, 90]],
    misses: [[url, site, 'uri-miss', 10]],
  };
}

const PAGES = ['/', '/network', '/traffic', '/purges', '/jobs', '/explain'];

test('without a session pages lead to the sign-in, and nothing else is told', async (t) => {
  const control = await startTestControl(t);
  const client = new Client(control);
  for (const page of PAGES) {
    const { status, headers, text } = await client.get(page);
    t.match([status, headers.get('location'), text], [303, '/dashboard/sign-in', '']);
  }
  t.equal((await client.get('/live?page=overview')).text, 'event: end\ndata: \n\n');
  for (const form of ['/purges', '/regions', '/sign-out']) t.equal((await client.post(form, {})).status, 401, form);
  t.equal((await client.get('/sign-in')).status, 200);
});

test('a token that may read begins a session: its text is in no cookie, page or address', async (t) => {
  const control = await startTestControl(t);
  const client = new Client(control);
  t.equal((await client.post('/sign-in', { token: 'swt_0123456789abcdef_wrong' })).status, 401);
  t.equal((await client.post('/sign-in', { token: control.token({ read: false }) })).status, 403);
  t.equal(client.cookie, '');
  const token = control.token();
  const { status, headers, set } = await client.post('/sign-in', { token });
  t.match([status, headers.get('location')], [303, '/dashboard/']);
  t.match(set, /^seawall-session=[\w-]{43}; Path=\/dashboard; HttpOnly; SameSite=Strict$/);
  const https = await new Client(control).post('/sign-in', { token }, { 'x-forwarded-proto': 'https' });
  t.match(https.set, /; Secure$/);
  for (const page of PAGES) {
    const { status: answered, text } = await client.get(page);
    t.equal(answered, 200, page);
    t.notMatch(text, token.split('_')[2] as string);
  }
  t.match((await control.get<string>('/v1/audit')).body, { entries: [] as unknown[] });
});

test('a session id that the browser was given by another is worth nothing', async (t) => {
  const control = await startTestControl(t);
  const { client } = await signedIn(control);
  const planted = client.cookie;
  const victim = new Client(control);
  victim.cookie = planted;
  await victim.post('/sign-in', { token: control.token() });
  t.not(victim.cookie, planted);
  t.equal((await client.get('/')).status, 303, 'the planted one has ended');
  t.equal((await victim.get('/')).status, 200);
});

test('forms of other pages, and of other sessions, are refused', async (t) => {
  const control = await startTestControl(t);
  const { client } = await signedIn(control);
  const { client: other } = await signedIn(control);
  const csrf = await client.csrf();
  const form = { kind: 'tags', names: 'news', site: 'shop' };
  t.equal((await client.post('/purges', form)).status, 403, 'without the secret');
  t.equal((await client.post('/purges', { ...form, csrf: await other.csrf() })).status, 403, 'of another session');
  t.equal((await client.post('/purges', { ...form, csrf: 'ä'.repeat(43) })).status, 403);
  for (const headers of [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ] as Record<string, string>[]) {
    t.equal((await client.post('/purges', { ...form, csrf }, headers)).status, 403, JSON.stringify(headers));
    t.equal((await new Client(control).post('/sign-in', { token: control.token() }, headers)).status, 403);
  }
  const { body } = await control.get<{ purges: unknown[] }>('/v1/purges');
  t.strictSame(body.purges, [], 'nothing was purged');
  t.equal((await client.post('/purges', { ...form, csrf }, { origin: control.url })).status, 200);
});

test('a name that another page has pointed here is not answered', async (t) => {
  const control = await startTestControl(t);
  const { request } = await import('node:http');
  const status = await new Promise((resolve, reject) => {
    request(`${control.url}/dashboard/sign-in`, { headers: { host: 'evil.example' } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
  t.equal(status, 421);
});

test('every answer forbids scripts and styles of others, frames, and guessing of types', async (t) => {
  const control = await startTestControl(t);
  const { client } = await signedIn(control);
  for (const path of [
    ...PAGES,
    '/sign-in',
    '/nothing',
    '/assets/style.css',
    '/assets/browser/main.js',
    '/purges?a=%zz',
  ]) {
    const { headers, text } = await client.get(path);
    const policy = headers.get('content-security-policy') ?? '';
    t.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'/, path);
    t.match(policy, "frame-ancestors 'none'");
    t.notMatch(policy, 'unsafe');
    t.equal(headers.get('x-frame-options'), 'DENY');
    t.equal(headers.get('x-content-type-options'), 'nosniff');
    if (text.startsWith('<!doctype'))
      t.notMatch(text, /<script(?![^>]*src=)|<style|\sstyle=|\son\w+=/, 'nothing inline');
  }
});

test('files are what pages need, and nothing else of the machine', async (t) => {
  const control = await startTestControl(t);
  const client = new Client(control);
  const { status, headers, text } = await client.get('/assets/browser/main.js');
  t.equal(status, 200);
  t.match(text, "from '/dashboard/assets/packages/preact.js'");
  for (const [, path] of text.matchAll(/from '(\/dashboard\/assets\/[^']+)'/g)) {
    t.equal((await client.get(String(path).slice('/dashboard'.length))).status, 200, String(path));
  }
  const etag = headers.get('etag') ?? '';
  t.equal((await client.get('/assets/browser/main.js', { 'if-none-match': etag })).status, 304);
  for (const path of [
    '/assets/',
    '/assets/../routes.ts',
    '/assets/%2e%2e/routes.ts',
    '/assets/__proto__',
    '/assets/package.json',
  ]) {
    t.equal((await client.get(path)).status, 404, path);
  }
});

test('texts of visitors and nodes are shown as texts', async (t) => {
  const control = await startTestControl(t);
  const { client } = await signedIn(control);
  const url = `shop.example/${ATTACK}`;
  await report(control, { ...trafficOf('shop', url), failures: [[ATTACK, ATTACK, 3]], certificates: [[ATTACK, 5]] });
  await report(control, { sites: [{ site: ATTACK, answers: [[ATTACK, 5, 4, 4]], durations: [4], origin: 0 }] });
  const csrf = await client.csrf();
  const reason = ATTACK.repeat(3);
  await client.post('/purges', { csrf, kind: 'tags', names: ATTACK.replaceAll(' ', ''), site: 'shop', reason });
  for (const page of [...PAGES, `/explain?url=${encodeURIComponent(ATTACK)}`, `/?site=${encodeURIComponent(ATTACK)}`]) {
    const { text } = await client.get(page);
    t.notMatch(text, /<img|onerror=alert\(1\)>"/, page);
  }
  t.match((await client.get('/traffic')).text, '&lt;img src=x onerror=alert(1)');
});

test('the overview shows what nodes have reported, for the chosen site', async (t) => {
  const control = await startTestControl(t);
  const { client } = await signedIn(control);
  await report(control, trafficOf('shop'));
  await report(control, trafficOf('blog'));
  const { text } = await client.get('/');
  t.match(text, 'shop');
  t.match(text, '90.0 %', 'hit ratio');
  t.match(text, '96.0 %', 'offload');
  t.notMatch((await client.get('/?site=blog&window=day')).text, /<th scope="row"[^>]*>shop/);
});

test('a token of one site sees that site only', async (t) => {
  const control = await startTestControl(t);
  const { client } = await signedIn(control, { sites: ['blog'] });
  await report(control, trafficOf('shop', 'secret.example/'));
  await report(control, trafficOf('blog'));
  await report(control, { sites: [{ site: '', answers: [['unknown_host', 4, 7, 7]], durations: [7], origin: 0 }] });
  await control.purge({ site: 'shop', tags: ['confidential'] });
  for (const page of PAGES) {
    const { text } = await client.get(page);
    t.notMatch(text, /secret\.example|confidential|>shop</, page);
  }
  const { text } = await client.get('/traffic');
  t.match(text, 'blog.example.com/');
  t.notMatch(text, 'unknown_host');
});

test('a purge by the form has its receipt, and is made once', async (t) => {
  const control = await startTestControl(t);
  const { client } = await signedIn(control);
  const csrf = await client.csrf();
  const form = {
    csrf,
    kind: 'files',
    names: 'https://www.example.com/a\r\nhttps://www.example.com/b',
    once: 'x1',
    reason: 'why',
  };
  t.match((await client.post('/purges', form)).text, /is in the journal: 0 of \d+ nodes have applied it/);
  t.match((await client.post('/purges', form)).text, 'It was sent before, and is purged once.');
  const { body } = await control.get<{ purges: { reason: string; who: string }[] }>('/v1/purges');
  t.equal(body.purges.length, 1);
  t.match(body.purges[0], { reason: 'why', who: /^test \(/ });
  const refused = await client.post('/purges', { csrf, kind: 'files', names: 'https://elsewhere.example/' });
  t.match([refused.status, refused.text], [422, 'elsewhere.example']);
  t.match((await client.post('/purges', { csrf, kind: 'purge_everything', names: 'x' })).status, 400);
  t.match(
    (await client.post('/purges', { csrf, kind: '__proto__' })).status,
    200,
    'everything, as the form says no list',
  );
});

test('forms are there for tokens that may use them, and the API decides', async (t) => {
  const control = await startTestControl(t);
  const { client } = await signedIn(control, { kinds: ['tag'] });
  const csrf = await client.csrf();
  t.match((await client.get('/purges')).text, /<option value="tags">/);
  t.notMatch((await client.get('/purges')).text, /<option value="files">/);
  t.notMatch((await client.get('/network')).text, 'Drain eu');
  t.equal((await client.post('/purges', { csrf, kind: 'hosts', names: 'www.example.com' })).status, 403);
  t.equal((await client.post('/regions', { csrf, region: 'eu', action: 'drain' })).status, 403);
  const { client: operator } = await signedIn(control, { kinds: ['drain'] });
  const form = { csrf: await operator.csrf(), region: 'eu' };
  t.match(
    (await operator.post('/regions', { ...form, action: 'drain', reason: ATTACK })).text,
    'Region eu is drained.',
  );
  const { body } = await control.get<{ regions: { state: string }[] }>('/v1/regions');
  t.match(body.regions, [{ state: 'drained', drain: { reason: ATTACK } }]);
  t.match((await operator.post('/regions', { ...form, action: 'undrain' })).text, 'Visitors come back to region eu.');
  t.equal((await operator.post('/regions', { ...form, region: '__proto__', action: 'drain' })).status, 404);
});

test('a revoked token ends its sessions', async (t) => {
  const control = await startTestControl(t);
  const { client, token } = await signedIn(control);
  control.revoke(token);
  t.equal((await client.get('/')).status, 303);
});

test('sign-out ends the session', async (t) => {
  const control = await startTestControl(t);
  const { client } = await signedIn(control);
  const { cookie } = client;
  const { set } = await client.post('/sign-out', { csrf: await client.csrf() });
  t.match(set, /^seawall-session=; .*Max-Age=0$/);
  client.cookie = cookie;
  t.equal((await client.get('/')).status, 303);
});

/** @returns The data of the first events, as long as they come. */
async function events(t: Test, response: Response, most: number): Promise<unknown[]> {
  const found: unknown[] = [];
  let text = '';
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  t.teardown(() => reader?.cancel().catch(() => undefined));
  while (reader !== undefined && found.length < most) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
      if (data) found.push(JSON.parse(data));
      text = text.slice(end + 2);
    }
  }
  return found;
}

test('an open page gets its data each second, until its token is revoked', async (t) => {
  const control = await startTestControl(t);
  const { client, token } = await signedIn(control);
  const response = await client.open('/live?page=overview');
  t.match(response.headers.get('content-type'), 'text/event-stream');
  const reading = events(t, response, 100);
  await report(control, trafficOf('shop'));
  control.revoke(token);
  const all = await reading;
  t.ok(all.length >= 2 && all.length < 100, `${all.length} events, then the end`);
  t.match(all.at(-1), { page: 'overview', sites: [{ site: 'shop', region: 'eu' }] });
});

test('open pages are bounded: of a session, and of a control node', async (t) => {
  const control = await startTestControl(t);
  const { client } = await signedIn(control);
  const opened = await Promise.all(Array.from({ length: 8 }, () => client.open('/live?page=network')));
  t.ok(opened.every(({ status }) => status === 200));
  const beyond = await client.open('/live?page=network');
  t.match([beyond.status, beyond.headers.get('retry-after')], [429, '15']);
  await Promise.all([...opened, beyond].map((response) => response.body?.cancel()));
  t.equal((await client.open('/live?page=nothing')).status, 404);
});

test('sessions end by their age and without use, and are bounded', async (t) => {
  let now = 0;
  const sessions = new Sessions(() => now as unknown as MonotonicMs);
  const first = sessions.begin('a');
  now += 3_599_000;
  t.equal(sessions.find(first.id, false)?.id, first.id, 'looked at');
  now += 2_000;
  t.equal(sessions.find(first.id), undefined, 'an hour without use');
  const used = sessions.begin('a');
  for (let i = 0; i < 24; i++) {
    now += 1_799_000;
    sessions.find(used.id);
  }
  now += 30_000;
  t.equal(sessions.find(used.id), undefined, 'twelve hours');
  const many = Array.from({ length: 12 }, () => sessions.begin('b'));
  t.equal(sessions.find(many[1]?.id), undefined, 'ten of a token');
  t.ok(sessions.find(many[2]?.id));
  for (let i = 0; i < 1_000; i++) sessions.begin(`t${i}`);
  t.equal(sessions.size, 500);
  t.equal(sessions.find('__proto__'), undefined);
});
