/** Fields of a visitor that reach an origin, and requests that ask for another method. */
import { type Test, test } from 'tap';
import { type Network, type NetworkOptions, startNetwork } from '../support/network.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { exchange } from '../support/raw-client.ts';
import { ask, HOST } from '../support/visitor.ts';

const LOCAL = ['127.0.0.0/8'];

async function start(t: Test, options: Partial<NetworkOptions> = {}): Promise<{ network: Network; origin: Origin }> {
  const origin = await startOrigin((request, response) => {
    const fields = { 'Cache-Control': 'max-age=60', 'Content-Type': 'application/json' };
    request.resume().once('end', () => {
      response.writeHead(200, fields).end(JSON.stringify({ method: request.method, seen: request.headers }));
    });
  });
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, ...options });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  return { network, origin };
}

const FOLDED = {
  geo: { headers: { country: 'CDN-Visitor-Country' } },
  request_headers: { set: { 'X-Edge-Secret': 'own', X_Tenant: 'own' }, remove: ['X-Debug'] },
} satisfies NetworkOptions['site'];

for (const name of [
  ...[
    'CDN_Visitor_Country',
    'cdn.visitor.country',
    'CDN-Visitor-Country',
    'X_Edge_Secret',
    'X-Edge-Secret',
    'X-Tenant',
  ],
  ...['X_Debug', 'Content_Length', 'Transfer_Encoding', 'Accept_Language', 'Cache_Control', 'If_None_Match', 'X_Theme'],
  ...['X-Forwarded', 'Proxy-Client-IP', 'WL-Proxy-Client-IP', 'X-HTTP-Host', 'X-Backend-Host', 'X-Original-Method'],
  ...['X-Accel-Redirect', 'X-Sendfile-Type', 'X-Middleware-Rewrite', 'Remote-User', 'Client-Cert', 'Client-Cert-Chain'],
]) {
  test(`an origin does not get to see a visitor's ${name}`, async (t) => {
    const { network, origin } = await start(t, { site: FOLDED });
    const address = network.at('eu-1');
    const reply = await exchange(address, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n${name}: 6\r\nConnection: close\r\n\r\n`);
    t.match(reply, /^HTTP\/1\.1 200 /);
    const seen = origin.requests[0]?.headers ?? {};
    t.notOk(Object.values(seen).includes('6'), JSON.stringify(seen));
    t.match(seen, { 'x-edge-secret': 'own', x_tenant: 'own' });
  });
}

test('a method override in a field is refused, by name, where the site does not allow it', async (t) => {
  const { network, origin } = await start(t);
  const address = network.at('eu-1');
  for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', 'x_http_method_override']) {
    for (const method of ['POST', 'GET', 'HEAD']) {
      const reply = await ask(address, '/', { method, headers: { [name]: 'DELETE' } });
      t.equal(reply.status, 400, `${method} ${name}`);
      t.match(reply.headers['cache-status'], /detail=method_override_refused/);
    }
  }
  t.equal(origin.requests.length, 0);
  t.equal((await ask(address, '/', { method: 'POST', headers: { 'X-HTTP-Method-Override': 'POST' } })).status, 200);
  t.equal(origin.requests[0]?.headers['x-http-method-override'], undefined);
});

test('an allowed method override passes, and is never answered from or put into the store', async (t) => {
  const site = { request_headers: { allow: ['X-HTTP-Method-Override', 'X_Api_Key'] } };
  const { network, origin } = await start(t, { site, regions: { eu: 2 } });
  const address = network.at('eu-1');
  const override = { 'X-HTTP-Method-Override': 'DELETE' };
  await ask(address, '/post', { method: 'POST', headers: override, body: 'x' });
  t.match(origin.requests.at(-1)?.headers, { 'x-http-method-override': 'DELETE' });
  await ask(address, '/page');
  for (const method of ['GET', 'HEAD', 'GET']) {
    const before = origin.requests.length;
    const reply = await ask(address, '/page', { method, headers: override });
    t.match(reply.headers['cache-status'], /"eu-1";fwd=request/);
    t.notMatch(reply.headers['cache-status'], /stored|hit/);
    t.equal(origin.requests.length, before + 1, `${method} reaches the origin`);
    await ask(address, '/page', { headers: { X_Api_Key: '1' } });
    t.equal(origin.requests.length, before + 2, 'so does a name that only this site lets through');
  }
  const others = await Promise.all(Array.from({ length: 5 }, () => ask(address, '/alone', { headers: override })));
  t.equal(origin.count('/alone'), others.length, 'and nothing is collapsed');
  const before = origin.requests.length;
  t.match((await ask(address, '/page')).headers['cache-status'], /hit/);
  t.equal(origin.requests.length, before);
  t.equal(
    (await ask(address, '/page', { headers: { 'X-Method-Override': 'DELETE' } })).status,
    400,
    'not its relatives',
  );
});

const VICTIM = '198.51.100.7';

for (const { rule, options, fields, forwarded, from } of [
  {
    rule: 'behind a proxy that writes X-Forwarded-For',
    options: { trustedProxies: LOCAL },
    fields: `Forwarded: for=6.6.6.6;host=evil.test\r\nX-Forwarded-For: ${VICTIM}\r\n`,
    forwarded: `for=${VICTIM}, for=127.0.0.1;host=${HOST};proto=http`,
    from: `${VICTIM}, 127.0.0.1`,
  },
  {
    rule: 'behind a proxy that writes Forwarded, as the config says',
    options: { trustedProxies: LOCAL, clientAddress: { header: 'Forwarded' } },
    fields: `Forwarded: for=${VICTIM};proto=http\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n`,
    forwarded: `for=${VICTIM};proto=http, for=127.0.0.1;host=${HOST};proto=http`,
    from: `${VICTIM}, 127.0.0.1`,
  },
  {
    rule: 'behind a proxy that writes a field of its own',
    options: { trustedProxies: LOCAL, clientAddress: { header: 'X-Real-IP' } },
    fields: `X-Real-IP: ${VICTIM}\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=7.7.7.7\r\n`,
    forwarded: `for=${VICTIM}, for=127.0.0.1;host=${HOST};proto=http`,
    from: `${VICTIM}, 127.0.0.1`,
  },
  {
    rule: 'where only connections count',
    options: { trustedProxies: LOCAL, clientAddress: 'connection' },
    fields: 'X-Forwarded-For: 6.6.6.6\r\nForwarded: for=7.7.7.7\r\n',
    forwarded: `for=127.0.0.1;host=${HOST};proto=http`,
    from: '127.0.0.1',
  },
  {
    rule: 'of a visitor behind PROXY whose own address is trusted',
    options: { trustedProxies: [...LOCAL, '10.0.0.0/8'], clientAddress: 'proxy-protocol' },
    fields: `X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nForwarded: for=7.7.7.7;proto=https\r\n`,
    forwarded: `for=10.1.2.3;host=${HOST};proto=http`,
    from: '10.1.2.3',
  },
] as readonly {
  rule: string;
  options: Partial<NetworkOptions>;
  fields: string;
  forwarded: string;
  from: string;
}[]) {
  test(`Forwarded and X-Forwarded-For agree ${rule}`, async (t) => {
    const { network, origin } = await start(t, options);
    const first = 'PROXY TCP4 10.1.2.3 192.0.2.1 1 2\r\n';
    const preface = options.clientAddress === 'proxy-protocol' ? first : '';
    const head = `GET / HTTP/1.1\r\nHost: ${HOST}\r\n${fields}Connection: close\r\n\r\n`;
    t.match(await exchange(network.at('eu-1'), preface + head), /^HTTP\/1\.1 200 /);
    t.match(origin.requests[0]?.headers, { forwarded, 'x-forwarded-for': from, 'x-forwarded-proto': 'http' });
  });
}
