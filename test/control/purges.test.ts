import { test } from 'tap';
import type { Page, Receipt } from '../../control/schemas.ts';
import { type Control, type Refusal, regionOf, site, startTestControl } from './control.ts';

/** Returns the selectors in the journal, by reading the receipt. */
async function selectorsOf(control: Control, { id }: Receipt): Promise<string[]> {
  const { body } = await control.get<Receipt>(`/v1/purges/${id}`);
  return (body.selectors ?? []).map(({ kind, selector, site: of }) => `${of} ${kind} ${selector}`);
}

async function newest(control: Control): Promise<number> {
  const { body } = await control.get<{ journal: { newest: number } }>('/healthz');
  return body.journal.newest;
}

test('one call takes every kind of selector', async (t) => {
  const control = await startTestControl(t);
  const { status, body, headers } = await control.purge({
    site: 'shop',
    files: [
      'https://WWW.example.com:443/a%2fb?z=1&a=2#top',
      { url: 'http://www.example.com/v', headers: { 'Accept-Language': ' de ', Accept: 'text/html' } },
      'https://www.example.com/ä b'.replace(' ', '%20'),
    ],
    tags: ['product-17', ' two words '],
    prefixes: ['example.com/blog', 'https://example.com/%7Eme/'],
    hosts: ['Blue.Shop.example'],
    purge_everything: true,
    reason: 'price list',
  });
  t.equal(status, 202);
  t.equal(headers.get('location'), `/v1/purges/${body.id}`);
  t.match(body, {
    status: 'pending',
    first: 1,
    last: 9,
    soft: false,
    reason: 'price list',
    sites: ['shop'],
    who: /^test \([0-9a-f]{16}\)$/,
    kinds: { url: 2, variant: 1, tag: 2, prefix: 2, host: 1, site: 1 },
    nodes: [{ region: 'eu', name: 'eu-1', role: 'edge', connected: false, applied: false, after_ms: null }],
  });
  t.strictSame(await selectorsOf(control, body), [
    'shop url //www.example.com/a%2Fb?z=1&a=2',
    'shop variant {"url":"//www.example.com/v","headers":["accept","text/html","accept-language","de"]}',
    'shop url //www.example.com/%C3%A4%20b',
    'shop tag product-17',
    'shop tag two words',
    'shop prefix //example.com/blog',
    'shop prefix //example.com/~me/',
    'shop host blue.shop.example',
    'shop site ',
  ]);
});

for (const { what, body, selectors } of [
  {
    what: 'query rules and the one host of a site apply to URLs',
    body: { files: ['http://blog.example.com/p?utm_source=x&b=2&a=1'] },
    selectors: ['blog url //blog.example.com/p?a=1&b=2'],
  },
  {
    what: 'query rules do not apply to prefixes',
    body: { prefixes: ['blog.example.com/p?utm_source='] },
    selectors: ['blog prefix //blog.example.com/p?utm_source='],
  },
  {
    what: 'an unusual port counts',
    body: { files: ['http://www.example.com:8080/'] },
    selectors: ['shop url //www.example.com:8080/'],
  },
  {
    what: 'without a scheme the port of a prefix may be the usual one',
    body: { prefixes: ['www.example.com:443/'] },
    selectors: ['shop prefix //www.example.com:443/', 'shop prefix //www.example.com/'],
  },
  {
    what: 'the same thing twice is one record',
    body: { files: ['https://www.example.com/', 'http://www.example.com'] },
    selectors: ['shop url //www.example.com/'],
  },
  {
    what: 'a tag beyond ASCII is purged in both spellings that an origin may send',
    body: { site: 'shop', tags: ['é'] },
    selectors: ['shop tag Ã©', 'shop tag é'],
  },
  { what: 'everything of all sites', body: { purge_everything: true }, selectors: ['* everything '] },
]) {
  test(`selectors of a purge: ${what}`, async (t) => {
    const control = await startTestControl(t);
    const answer = await control.purge(body);
    t.equal(answer.status, 202);
    t.strictSame(await selectorsOf(control, answer.body), selectors);
  });
}

test('regions with different keys for one host are all purged', async (t) => {
  const control = await startTestControl(t);
  const other = regionOf({ region: 'us', sites: [site('shop', ['www.example.com'], { key: { query: 'none' } })] });
  control.reload([regionOf(), other]);
  const { body } = await control.purge({ files: ['https://www.example.com/?a=1'] });
  t.strictSame(await selectorsOf(control, body), ['shop url //www.example.com/?a=1', 'shop url //www.example.com/']);
});

const URL = 'https://www.example.com/';

/** As many members as a body has room for. */
function many(name: string): Record<string, string> {
  return Object.fromEntries(Array.from({ length: 200_000 }, (_, i) => [`${name}${i}`, '']));
}

for (const { wrong, body, status, code, errors } of [
  { wrong: 'not JSON', body: '{"files":', status: 400, code: 'malformed_json' },
  { wrong: 'nothing', body: '', status: 400, code: 'malformed_json' },
  { wrong: 'not an object', body: [], status: 400, code: 'invalid_request', errors: [{ pointer: '' }] },
  { wrong: 'nothing named', body: {}, status: 400, code: 'invalid_request', errors: [{ pointer: '' }] },
  { wrong: 'empty lists', body: { files: [], tags: [] }, status: 400, code: 'invalid_request' },
  {
    wrong: 'an unknown key',
    body: { file: [URL] },
    status: 400,
    code: 'invalid_request',
    errors: [{ pointer: '/file', detail: 'unknown key', fix: 'Did you mean `files`?' }],
  },
  {
    wrong: 'a key that every object has',
    body: '{"files":["https://www.example.com/"],"__proto__":{"soft":true}}',
    status: 400,
    code: 'malformed_json',
  },
  {
    wrong: 'types that nearly fit',
    body: { files: URL, soft: 'true', timeout_seconds: '1' },
    status: 400,
    code: 'invalid_request',
    errors: [{ pointer: '/files' }, { pointer: '/soft' }, { pointer: '/timeout_seconds' }],
  },
  {
    wrong: 'an item of another type',
    body: { files: [URL, 17, { url: URL, header: {} }] },
    status: 400,
    code: 'invalid_request',
    errors: [{ pointer: '/files/1' }, { pointer: '/files/2/header' }],
  },
  {
    wrong: 'a header with a line break',
    body: { files: [{ url: URL, headers: { accept: 'a\r\nb' } }] },
    status: 400,
    code: 'invalid_request',
    errors: [{ pointer: '/files/0/headers/accept' }],
  },
  {
    wrong: 'too many selectors',
    body: { site: 'shop', files: Array(600).fill(URL), tags: Array(401).fill('a') },
    status: 400,
    code: 'too_many_selectors',
    errors: [{ pointer: '/files' }, { pointer: '/tags' }],
  },
  {
    wrong: 'more headers than anybody has, none of which can be one',
    body: { files: [URL, { url: URL, headers: many('a header ') }] },
    status: 400,
    code: 'invalid_request',
    errors: [{ pointer: '/files/1/headers', detail: 'it has 200000 members' }],
  },
  {
    wrong: 'more keys than anybody knows',
    body: { files: [URL], ...many('key-') },
    status: 400,
    code: 'invalid_request',
    errors: [{ pointer: '', detail: 'it has 200001 members' }],
  },
  {
    wrong: 'a URL of an unknown site beside good ones',
    body: { files: [URL, 'https://nowhere.example/', URL] },
    status: 422,
    code: 'unpurgeable',
    errors: [{ pointer: '/files/1', detail: 'no site has the host nowhere.example', fix: String }],
  },
  {
    wrong: 'several at once',
    body: { files: ['www.example.com/'], prefixes: ['/blog', 'www.example.com', ''], hosts: ['*.example.com', 'a b'] },
    status: 422,
    code: 'unpurgeable',
    errors: [
      { pointer: '/files/0', fix: /scheme/ },
      { pointer: '/prefixes/0', detail: 'there is no host' },
      { pointer: '/prefixes/1', detail: 'there is no path' },
      { pointer: '/prefixes/2', detail: 'there is no host' },
      { pointer: '/hosts/0', detail: /wildcard/ },
      { pointer: '/hosts/1' },
    ],
  },
  {
    wrong: 'URLs that no edge answers',
    body: {
      files: [
        'https://user@www.example.com/',
        `${URL}a/../b`,
        `${URL}%2e%2e/`,
        `${URL}%00`,
        `${URL}%zz`,
        `${URL}a b`,
        `${URL}a\\b`,
        `${URL}\u0000`,
        `${URL}\ud800`,
        'https://www.example.com:99999/',
        'ftp://www.example.com/',
        'https://[::1/',
      ],
    },
    status: 422,
    code: 'unpurgeable',
    errors: Array.from({ length: 12 }, (_, i) => ({ pointer: `/files/${i}`, fix: String })),
  },
  {
    wrong: 'tags without a site',
    body: { tags: ['a'] },
    status: 422,
    code: 'unpurgeable',
    errors: [{ pointer: '/tags/0', fix: 'Add `site`.' }],
  },
  {
    wrong: 'tags that no response has',
    body: { site: 'shop', tags: ['', 'a,b', 'a\nb', 'x'.repeat(1_025)] },
    status: 422,
    code: 'unpurgeable',
    errors: [{ pointer: '/tags/0' }, { pointer: '/tags/1' }, { pointer: '/tags/2' }, { pointer: '/tags/3' }],
  },
  {
    wrong: 'an unknown site',
    body: { site: 'shpo', tags: ['a'] },
    status: 422,
    code: 'unpurgeable',
    errors: [{ pointer: '/site', fix: 'Did you mean shop?' }],
  },
  {
    wrong: 'a URL of another site than the one that is named',
    body: { site: 'shop', files: ['https://blog.example.com/'] },
    status: 422,
    code: 'unpurgeable',
    errors: [{ pointer: '/files/0', detail: 'it is of the site blog' }],
  },
  {
    wrong: 'a URL longer than the journal keeps',
    body: { files: [`${URL}${'ä'.repeat(3_000)}`] },
    status: 422,
    code: 'unpurgeable',
    errors: [{ pointer: '/files/0', fix: 'Purge a prefix of it.' }],
  },
  { wrong: 'a body over the limit', body: ' '.repeat(4 * 2 ** 20 + 1), status: 413, code: 'too_large' },
] as { wrong: string; body: unknown; status: number; code: string; errors?: object[] }[]) {
  test(`${wrong}: ${status} ${code}, and nothing is purged`, async (t) => {
    const control = await startTestControl(t);
    const answer = await control.purge<Refusal>(body);
    t.equal(answer.status, status);
    t.equal(answer.headers.get('content-type'), 'application/problem+json');
    t.match(answer.body, { status, code, type: `urn:seawall:problem:${code}`, title: String });
    if (errors) {
      t.match(answer.body.errors, errors);
      t.equal(answer.body.errors?.length, errors.length);
    }
    t.equal(await newest(control), 0);
  });
}

test('a body of another media type is refused', async (t) => {
  const control = await startTestControl(t);
  const answer = await control.purge<Refusal>('files=x', { 'content-type': 'application/x-www-form-urlencoded' });
  t.equal(answer.status, 415);
  t.match(answer.body, { code: 'unsupported_media_type' });
});

test('a receipt is complete when every node of the files has applied the purge', async (t) => {
  const control = await startTestControl(t, { edges: [undefined, undefined] });
  const [one, two] = [await control.follow('eu-1'), await control.follow('eu-2')];
  const waiting = control.purge({ files: [URL], wait: 'applied', timeout_seconds: 60 });
  await Promise.all([one.received(1), two.received(1)]);
  t.match(one.records.get(1), { kind: 'url', selector: '//www.example.com/', site: 'shop', soft: false });
  t.equal(await two.applied(1), 204);
  t.equal(await one.applied(1), 204);
  const { status, body } = await waiting;
  t.equal(status, 200);
  t.match(body, {
    status: 'applied',
    nodes: [
      { name: 'eu-1', connected: true, applied: true, after_ms: Number },
      { name: 'eu-2', connected: true, applied: true, after_ms: Number },
    ],
  });
  t.ok(body.nodes.every(({ after_ms: ms }) => ms !== null && ms > 0 && ms < 60_000));
  t.match(await control.get(`/v1/purges/${body.id}`), { status: 200, body: { ...body, selectors: [{ number: 1 }] } });
});

test('a wait that times out reports the state so far', async (t) => {
  const control = await startTestControl(t, { edges: [undefined, undefined] });
  const one = await control.follow('eu-1');
  await one.applied(1); // it says more than there is yet
  const call = { hosts: ['example.com'], wait: 'applied', timeout_seconds: 0 };
  const key = { 'idempotency-key': 'k' };
  t.match(await control.purge(call, key), { status: 202, body: { nodes: [{ applied: false }, { applied: false }] } });
  await one.applied(1);
  const { status, body } = await control.purge(call, key);
  t.equal(status, 202);
  t.match(body, {
    status: 'pending',
    nodes: [
      { name: 'eu-1', applied: true },
      { name: 'eu-2', applied: false },
    ],
  });
});

test('an idempotency key repeats its own call, and no other', async (t) => {
  const control = await startTestControl(t);
  const key = { 'idempotency-key': '5c1e' };
  const first = await control.purge({ files: [URL], soft: true }, key);
  const again = await control.purge('{ "soft": true, "files": ["https://www.example.com/"] }', key);
  t.equal(first.headers.get('idempotent-replayed'), null);
  t.equal(again.headers.get('idempotent-replayed'), 'true');
  t.strictSame(again.body, first.body);
  t.equal(again.status, first.status);

  const other = await control.purge<Refusal>({ files: [URL] }, key);
  t.equal(other.status, 422);
  t.match(other.body, { code: 'idempotency_conflict', errors: [{ header: 'idempotency-key' }] });
  t.equal(await newest(control), 1);

  const ofAnother = { ...key, authorization: `Bearer ${control.token()}` };
  t.equal((await control.purge({ files: [URL] }, ofAnother)).body.first, 2);
});

test('concurrent calls with one idempotency key are one purge', async (t) => {
  const control = await startTestControl(t);
  const calls = Array.from({ length: 20 }, () => control.purge({ files: [URL] }, { 'idempotency-key': 'k' }));
  const ids = new Set((await Promise.all(calls)).map(({ body }) => body.id));
  t.equal(ids.size, 1);
  t.equal(await newest(control), 1);
});

test('an idempotency key is known after a restart', async (t) => {
  const control = await startTestControl(t);
  const authorization = `Bearer ${control.token()}`;
  const headers = { authorization, 'idempotency-key': 'k' };
  const { body } = await control.purge({ files: [URL] }, headers);
  await control.close();
  const next = await control.restart();
  const again = await next.purge({ files: [URL] }, headers);
  t.equal(again.headers.get('idempotent-replayed'), 'true');
  t.strictSame(again.body, body);
});

for (const key of ['', 'ä', 'x'.repeat(256)]) {
  test(`the idempotency key ${JSON.stringify(key).slice(0, 20)} is refused`, async (t) => {
    const control = await startTestControl(t);
    const { status, body } = await control.purge<Refusal>({ files: [URL] }, { 'idempotency-key': key });
    t.equal(status, 400);
    t.match(body, { code: 'bad_idempotency_key', errors: [{ header: 'idempotency-key' }] });
  });
}

test('purges are listed page by page, newest first', async (t) => {
  const control = await startTestControl(t);
  const made: Receipt[] = [];
  for (const files of [[URL], [URL, `${URL}b`, `${URL}c`], [URL], [`${URL}d`, URL]]) {
    made.push((await control.purge({ files })).body);
  }
  const ids: string[] = [];
  let path = '/v1/purges?limit=3';
  for (;;) {
    const { body } = await control.get<Page>(path);
    ids.push(...body.purges.map(({ id }) => id));
    if (body.next === null) break;
    path = `/v1/purges?limit=3&cursor=${body.next}`;
  }
  t.strictSame(ids, made.map(({ id }) => id).reverse());
  await control.close();
  const next = await control.restart();
  t.equal((await next.get<Page>('/v1/purges', next.token())).body.purges.length, 4, 'after a restart too');
});

for (const query of ['limit=0', 'limit=101', 'limit=x', 'cursor=-1', 'page=2']) {
  test(`GET /v1/purges?${query} is refused`, async (t) => {
    const control = await startTestControl(t);
    const { status, body } = await control.get<Refusal>(`/v1/purges?${query}`);
    t.equal(status, 400);
    t.match(body, { code: 'invalid_request', errors: [{ parameter: query.split('=')[0] }] });
  });
}

for (const id of [
  '1-1-0000000000000000',
  '9-1-0123456789abcdef',
  'x',
  '0-1-0000000000000000',
  '1-99999-0123456789abcdef',
]) {
  test(`the purge ${id} is not found`, async (t) => {
    const control = await startTestControl(t);
    await control.purge({ files: [URL] });
    const { status, body } = await control.get<Refusal>(`/v1/purges/${id}`);
    t.equal(status, 404);
    t.match(body, { code: 'not_found' });
  });
}
