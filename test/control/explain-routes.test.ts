/** The address that explains a request: what it takes, and what it refuses. */
import { test } from 'tap';
import { type Control, type Refusal, startTestControl } from './control.ts';

interface Explained {
  readonly region: string;
  readonly nodes: readonly { readonly name: string; readonly explanation: unknown; readonly problem: string | null }[];
}

const OF = (url: string, more = ''): string => `/v1/explain?url=${encodeURIComponent(url)}${more}`;
const SHOP = 'https://www.example.com/news';

test('a node that does not answer is named with the reason', async (t) => {
  const control = await startTestControl(t);
  const { status, body } = await control.get<Explained>(OF(SHOP));
  t.equal(status, 200);
  t.match(body, {
    region: 'eu',
    nodes: [{ name: 'eu-1', explanation: null, problem: /^it (did not answer|answered \d+)$/ }],
  });
});

const REFUSED: readonly (readonly [query: string, parameter: string, detail: RegExp])[] = [
  ['/v1/explain', 'url', /./],
  [OF('news'), 'url', /expected a URL, found "news"/],
  [OF('ftp://www.example.com/'), 'url', /expected a URL/],
  [OF('https://www.example.com/a b'), 'url', /expected a URL/],
  [OF('https://other.test/'), 'url', /no region file has a site for "other.test"/],
  [OF(SHOP, '&address=nowhere'), 'address', /expected an IP address/],
  [OF(SHOP, '&region=us'), 'region', /"us" is no region with this site/],
  [OF(SHOP, '&method=POST'), 'method', /./],
  [OF(SHOP, '&header=a'), 'header', /"a" is no field/],
  [OF(SHOP, '&header=a%0d%0ab:%20c'), 'header', /is no field/],
  [OF(SHOP, '&header=Host:%20x'), 'header', /is no field/],
  [OF(SHOP, '&fetch=true'), 'fetch', /unknown/],
];

for (const [query, parameter, detail] of REFUSED) {
  test(`refused by the name of its parameter: ${query}`, async (t) => {
    const control = await startTestControl(t);
    const { status, body } = await control.get<Refusal>(query);
    t.equal(status, 400);
    t.match(body.errors?.[0], { parameter, detail, fix: /./ });
  });
}

test('fields can be repeated, and are those of the request', async (t) => {
  const control = await startTestControl(t);
  const { status } = await control.get(OF(SHOP, '&header=Accept:%20a&header=Accept-Language:%20de'));
  t.equal(status, 200);
});

async function post(control: Control, token: string, body: unknown): Promise<{ status: number; body: Refusal }> {
  const response = await fetch(`${control.url}/v1/explain`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Refusal };
}

test('a body is refused by the place in it', async (t) => {
  const control = await startTestControl(t);
  const token = control.token();
  t.match(await post(control, token, { url: SHOP, fetch: 'yes' }), {
    status: 400,
    body: { errors: [{ pointer: '/fetch' }] },
  });
  t.match(await post(control, token, { url: SHOP, headers: ['x'] }), {
    status: 400,
    body: { errors: [{ pointer: '/headers' }] },
  });
  t.match(await post(control, token, {}), { status: 400, body: { errors: [{ pointer: '/url' }] } });
  t.match(await post(control, token, { url: SHOP, fetch: true }), { status: 200 });
});

test('only tokens that may read, of the site, are told', async (t) => {
  const control = await startTestControl(t);
  for (const [scope, expected] of [
    [{ sites: ['shop'], read: true }, 200],
    [{ sites: ['shop'], read: false }, 403],
    [{ sites: ['blog'], read: true }, 403],
  ] as const) {
    t.equal((await control.get(OF(SHOP), control.token(scope))).status, expected, JSON.stringify(scope));
  }
  t.equal((await fetch(`${control.url}${OF(SHOP)}`)).status, 401);
});
