/**
 * The purge endpoints of others, called by their own clients.
 */
import { createRequire } from 'node:module';
import { type Test, test } from 'tap';
import { type Control, rejectionOf, startTestControl } from './control.ts';

const require = createRequire(import.meta.url);

/** The part of the clients that is used here; one of them has no types, and those of the other take seconds to read. */
interface CloudflareClient {
  readonly cache: { purge(body: object): Promise<{ id: string } | null> };
  /** For what the client has no method for; later ones have `cache.invalidate`, and four times the size. */
  post(path: string, options: { readonly body: object }): Promise<unknown>;
}
type CloudflareConstructor = new (options: object) => CloudflareClient;

interface FastlyClient {
  readonly ApiClient: new () => FastlyTransport;
  readonly PurgeApi: new (transport: FastlyTransport) => FastlyPurgeApi;
}
interface FastlyTransport {
  authenticate(token: string): void;
  /** @param args - The address to call is the last of them. */
  callApi(...args: readonly unknown[]): unknown;
}
type FastlyPurgeApi = Record<
  'purgeTag' | 'bulkPurgeTag' | 'purgeAll' | 'purgeSingleUrl',
  (options: object) => Promise<Record<string, string>>
>;

const Cloudflare = (require('cloudflare') as { default: CloudflareConstructor }).default;
const Fastly = require('fastly') as FastlyClient;

function cloudflare(control: Control, apiToken = control.token()): CloudflareClient {
  return new Cloudflare({ apiToken, baseURL: `${control.url}/client/v4`, maxRetries: 0 });
}

function fastly(control: Control, token = control.token()): FastlyPurgeApi {
  // Its own `basePath` does not count: each call names the maker's address (docs/purging.md).
  class SeawallClient extends Fastly.ApiClient {
    override callApi(...args: readonly unknown[]): unknown {
      return super.callApi(...args.with(-1, control.url));
    }
  }
  const transport = new SeawallClient();
  transport.authenticate(token);
  return new Fastly.PurgeApi(transport);
}

interface Recorded {
  kind: string;
  selector: string;
  site: string;
  soft: boolean;
}

/** Returns the journal's records, as a node receives them, after the calls. */
async function journalOf(t: Test, control: Control, last: number): Promise<Recorded[]> {
  const node = await control.follow('eu-1');
  await node.received(last);
  t.equal(node.records.size, last);
  return [...node.records.values()].map(({ kind, selector, site, soft }) => ({ kind, selector, site, soft }));
}

test('cloudflare: every kind of purge works', async (t) => {
  const control = await startTestControl(t);
  const client = cloudflare(control);
  const { cache } = client;
  const zone = { zone_id: 'shop' };
  const answer = await cache.purge({ ...zone, files: ['https://www.example.com/a'] });
  t.match(answer, { id: /^1-1-[0-9a-f]{16}$/ });
  await cache.purge({
    ...zone,
    files: [{ url: 'https://www.example.com/b', headers: { 'Accept-Language': 'de' } }],
  });
  await cache.purge({ ...zone, tags: ['one', 'two'] });
  await cache.purge({ ...zone, hosts: ['example.com'] });
  await cache.purge({ ...zone, prefixes: ['www.example.com/blog'] });
  await cache.purge({ ...zone, purge_everything: true });
  await client.post('/zones/shop/invalidate_cache', { body: { tags: ['three'] } });
  const hard = { site: 'shop', soft: false };
  t.strictSame(await journalOf(t, control, 8), [
    { kind: 'url', selector: '//www.example.com/a', ...hard },
    { kind: 'variant', selector: '{"url":"//www.example.com/b","headers":["accept-language","de"]}', ...hard },
    { kind: 'tag', selector: 'one', ...hard },
    { kind: 'tag', selector: 'two', ...hard },
    { kind: 'host', selector: 'example.com', ...hard },
    { kind: 'prefix', selector: '//www.example.com/blog', ...hard },
    { kind: 'site', selector: '', ...hard },
    { kind: 'tag', selector: 'three', site: 'shop', soft: true },
  ]);
});

for (const { wrong, scope, body, status, code, message } of [
  { wrong: 'a token of another site', scope: { sites: ['blog'] }, body: { tags: ['a'] }, status: 403, code: 9109 },
  { wrong: 'an unknown zone', body: { zone_id: 'nope', tags: ['a'] }, status: 404, code: 7003 },
  { wrong: 'nothing', body: {}, status: 400, code: 1012 },
  {
    wrong: 'a URL of another zone',
    body: { files: ['https://www.example.com/', 'https://blog.example.com/'] },
    status: 422,
    code: 1012,
    message: /of the site blog/,
  },
  { wrong: 'a key that is not Cloudflare’s', body: { tags: ['a'], soft: true }, status: 400, code: 1012 },
] as {
  wrong: string;
  scope?: object;
  body: object;
  status: number;
  code: number;
  message?: RegExp;
}[]) {
  test(`cloudflare: ${wrong} is an error in its format`, async (t) => {
    const control = await startTestControl(t);
    const { cache } = cloudflare(control, control.token(scope));
    t.match(await rejectionOf(cache.purge({ zone_id: 'shop', ...body })), {
      status,
      error: { success: false, errors: [{ code, message: message ?? String }], result: null },
    });
  });
}

test('cloudflare: a wrong token is an error in its format', async (t) => {
  const control = await startTestControl(t);
  const { cache } = cloudflare(control, 'wrong');
  t.match(await rejectionOf(cache.purge({ zone_id: 'shop', tags: ['a'] })), {
    status: 401,
    error: { errors: [{ code: 10000 }] },
  });
});

test('fastly: every kind of purge works', async (t) => {
  const control = await startTestControl(t);
  const api = fastly(control);
  const service = { service_id: 'shop' };
  t.match(await api.purgeTag({ ...service, surrogate_key: 'one' }), { status: 'ok', id: /^1-1-[0-9a-f]{16}$/ });
  await api.purgeTag({ ...service, surrogate_key: 'a/b', fastly_soft_purge: 1 });
  const batch = await api.bulkPurgeTag({ ...service, purge_response: { surrogate_keys: ['two', 'three'] } });
  t.match(batch, { two: /^3-2-/, three: /^3-2-/ });
  t.match(await api.bulkPurgeTag({ ...service, surrogate_key: 'four five', fastly_soft_purge: 1 }), {
    four: String,
    five: String,
  });
  t.match(await api.purgeAll(service), { status: 'ok' });
  t.match(await api.purgeSingleUrl({ cached_url: 'www.example.com/page' }), { status: 'ok', id: String });
  const shop = { site: 'shop', soft: false };
  t.strictSame(await journalOf(t, control, 8), [
    { kind: 'tag', selector: 'one', ...shop },
    { kind: 'tag', selector: 'a/b', site: 'shop', soft: true },
    { kind: 'tag', selector: 'two', ...shop },
    { kind: 'tag', selector: 'three', ...shop },
    { kind: 'tag', selector: 'four', site: 'shop', soft: true },
    { kind: 'tag', selector: 'five', site: 'shop', soft: true },
    { kind: 'site', selector: '', ...shop },
    { kind: 'url', selector: '//www.example.com/page', ...shop },
  ]);
});

for (const { wrong, token, call, status, body } of [
  {
    wrong: 'a wrong token',
    token: () => 'wrong',
    call: (api: FastlyPurgeApi) => api.purgeAll({ service_id: 'shop' }),
    status: 401,
    body: { msg: /token/ },
  },
  {
    wrong: 'an unknown service',
    token: (control: Control) => control.token(),
    call: (api: FastlyPurgeApi) => api.purgeTag({ service_id: 'nope', surrogate_key: 'a' }),
    status: 404,
    body: { msg: 'Record not found', detail: 'Cannot find service' },
  },
  {
    wrong: 'a kind that the token has not',
    token: (control: Control) => control.token({ kinds: ['tag'] }),
    call: (api: FastlyPurgeApi) => api.purgeAll({ service_id: 'shop' }),
    status: 403,
    body: { msg: String, detail: /everything/ },
  },
]) {
  test(`fastly: ${wrong} is an error in its format`, async (t) => {
    const control = await startTestControl(t);
    t.match(await rejectionOf(call(fastly(control, token(control)))), { status, response: { body } });
  });
}
