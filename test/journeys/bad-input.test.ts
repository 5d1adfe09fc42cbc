import { once } from 'node:events';
import { Agent } from 'node:http';
import { test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { type Script, startOrigin, text } from '../support/origin.ts';
import { dial, everything, exchange, statuses, until } from '../support/raw-client.ts';
import { ask } from '../support/visitor.ts';

const HEAD = 'Host: site.test\r\nConnection: close\r\n';
const POST = `POST / HTTP/1.1\r\n${HEAD}`;
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
const LIMITS = { max_header: '8KiB', max_headers: 20 } as const;
const IMPATIENT = { ...LIMITS, header_timeout: '200ms', request_timeout: '300ms' } as const;

/** Bytes to send, and the status of the only answer. */
const REFUSED: readonly (readonly [rule: string, bytes: string, status: number])[] = [
  ['not HTTP at all', '\x16\x03\x01\x00\x05hello\r\n\r\n', 400],
  ['a method that is no token', `FOO( / HTTP/1.1\r\n${HEAD}\r\n`, 400],
  ['a method that nobody knows', `FOO! / HTTP/1.1\r\n${HEAD}\r\n`, 501],
  ['a method in lower case', `get / HTTP/1.1\r\n${HEAD}\r\n`, 501],
  ['HTTP/0.9', 'GET /\r\n\r\n', 505],
  ['HTTP/0.9 with headers', `GET / HTTP/0.9\r\n${HEAD}\r\n`, 505],
  ['HTTP/2.0 in a request line', `GET / HTTP/2.0\r\n${HEAD}\r\n`, 505],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ['a tab in the request line', `GET\t/ HTTP/1.1\r\n${HEAD}\r\n`, 400],
  ['a space in the target', `GET /a b HTTP/1.1\r\n${HEAD}\r\n`, 400],
  ['a backslash in the path', `GET /\\ HTTP/1.1\r\n${HEAD}\r\n`, 400],
  ['no Host', 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
  ['no Host in HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n', 400],
  ['an empty Host', 'GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n', 400],
  ['two Hosts', `GET / HTTP/1.1\r\nHost: site.test\r\n${HEAD}\r\n`, 400],
  ['a bad Host', 'GET / HTTP/1.1\r\nHost: site.test/x\r\nConnection: close\r\n\r\n', 400],
  ['an unknown host', 'GET / HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n', 421],
  ['an absolute target of an unknown host', `GET http://other.test/ HTTP/1.1\r\n${HEAD}\r\n`, 421],
  ['an absolute target with a user', `GET http://a@site.test/ HTTP/1.1\r\n${HEAD}\r\n`, 400],
  ['an absolute target of another scheme', `GET ftp://site.test/ HTTP/1.1\r\n${HEAD}\r\n`, 400],
  ['dot segments', `GET /a/../b HTTP/1.1\r\n${HEAD}\r\n`, 400],
  ['dot segments in disguise', `GET /a/%2e%2E/b HTTP/1.1\r\n${HEAD}\r\n`, 400],
  ['OPTIONS *', `OPTIONS * HTTP/1.1\r\n${HEAD}\r\n`, 405],
  ['TRACE', `TRACE / HTTP/1.1\r\n${HEAD}\r\n`, 405],
  ['CONNECT', `CONNECT site.test:443 HTTP/1.1\r\n${HEAD}\r\n`, 501],
  ['a body over the limit, as declared', `${POST}Content-Length: 2000\r\n\r\n${'x'.repeat(2000)}`, 413],
  ['the same, asking first', `${POST}Expect: 100-continue\r\nContent-Length: 2000\r\n\r\n`, 413],
  ['a body over the limit, in chunks', `${POST}${CHUNKED}\r\n7d0\r\n${'x'.repeat(2000)}\r\n0\r\n\r\n`, 413],
  ['a header section over the limit', `GET / HTTP/1.1\r\n${HEAD}X: ${'x'.repeat(9000)}\r\n\r\n`, 431],
  ['a target over the limit', `GET /${'x'.repeat(9000)} HTTP/1.1\r\n${HEAD}\r\n`, 431],
  ['too many header lines', `GET / HTTP/1.1\r\n${HEAD}${'X: y\r\n'.repeat(19)}\r\n`, 431],
  ['Content-Length and Transfer-Encoding', `${POST}Content-Length: 5\r\n${CHUNKED}\r\n0\r\n\r\n`, 400],
  ['Transfer-Encoding: gzip', `${POST}Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n`, 400],
  ['Transfer-Encoding: gzip, chunked', `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 400],
  ['the same in two lines', `${POST}Transfer-Encoding: gzip\r\n${CHUNKED}\r\n0\r\n\r\n`, 400],
  ['Transfer-Encoding: xchunked', `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, 400],
  ['chunks in HTTP/1.0', `POST / HTTP/1.0\r\n${HEAD}${CHUNKED}\r\n0\r\n\r\n`, 400],
  ['two Content-Lengths', `${POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`, 400],
  ['a list as Content-Length', `${POST}Content-Length: 5, 5\r\n\r\nhello`, 400],
  ['a signed Content-Length', `${POST}Content-Length: +5\r\n\r\nhello`, 400],
  ['a Content-Length that overflows', `${POST}Content-Length: 99999999999999999999\r\n\r\nhello`, 400],
  ['a chunk size that is no number', `${POST}${CHUNKED}\r\nzz\r\nhello\r\n0\r\n\r\n`, 400],
  ['a chunk size that overflows', `${POST}${CHUNKED}\r\nffffffffffffffffff\r\nhello\r\n0\r\n\r\n`, 400],
  ['chunks with bare LF', `${POST}${CHUNKED}\r\n5\nhello\n0\n\n`, 400],
  ['bare LF after the request line', `GET / HTTP/1.1\n${HEAD}\r\n`, 400],
  ['bare LF after a header', `GET / HTTP/1.1\r\nX: y\n${HEAD}\r\n`, 400],
  ['bare LF everywhere', 'GET / HTTP/1.1\nHost: site.test\n\n', 400],
  ['bare CR in a value', `GET / HTTP/1.1\r\n${HEAD}X: a\rb\r\n\r\n`, 400],
  ['NUL in a value', `GET / HTTP/1.1\r\n${HEAD}X: a\0b\r\n\r\n`, 400],
  ['NUL in the target', `GET /a\0b HTTP/1.1\r\n${HEAD}\r\n`, 400],
  ['a folded header', `GET / HTTP/1.1\r\n${HEAD}X: a\r\n b\r\n\r\n`, 400],
  ['a space before the colon', 'GET / HTTP/1.1\r\nHost : site.test\r\n\r\n', 400],
  ['a space before the first header', `GET / HTTP/1.1\r\n ${HEAD}\r\n`, 400],
  ['a header without colon', `GET / HTTP/1.1\r\n${HEAD}Foo\r\n\r\n`, 400],
  ['a header without name', `GET / HTTP/1.1\r\n${HEAD}: x\r\n\r\n`, 400],
  ['a head that stops', 'GET / HTTP/1.1\r\nHost: si', 408],
  ['a body that stops', `${POST}Content-Length: 10\r\n\r\nabc`, 408],
  ['no words at all', '', 408],
  ['a request that was here before', `GET / HTTP/1.1\r\n${HEAD}CDN-Loop: other, Seawall;x=1\r\n\r\n`, 508],
  [
    'a websocket for an unknown host',
    'GET / HTTP/1.1\r\nHost: x.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    421,
  ],
];

test('a request that cannot be served gets one clear answer, and the node keeps serving', async (t) => {
  const origin = await startOrigin((request, response) => {
    request.resume().once('end', () => response.end('fine')); // reads the body first
  });
  const options = { origin: origin.url, site: { max_request_body: '1KiB' } } as const;
  const network = await startNetwork({ ...options, limits: LIMITS });
  const impatient = await startNetwork({ ...options, limits: IMPATIENT });
  t.teardown(() => Promise.all([network.close(), impatient.close(), origin.close()]));
  const edge = network.at('eu-1');
  await Promise.all(
    REFUSED.map(async ([rule, bytes, status]) => {
      const answer = await exchange(status === 408 ? impatient.at('eu-1') : edge, bytes);
      t.strictSame(statuses(answer), [status], rule);
      t.match(answer, /[0-9a-f]{32}/, `${rule}: names the request`);
      t.notMatch(answer, /\.ts:|node:|file:|at \w+ \(/, `${rule}: no trace of the program`);
      t.equal(status === 405, /^Allow: GET, HEAD, /m.test(answer), `${rule}: Allow`);
    }),
  );
  t.equal(origin.requests.filter(({ method }) => method === 'GET').length, 0);
  t.equal((await ask(edge, '/')).text, 'fine');
});

for (const [rule, bytes] of [
  ['an empty line first', `\r\n\r\nGET / HTTP/1.1\r\n${HEAD}\r\n`],
  [
    'an absolute target, whatever Host says',
    'GET http://site.test/ HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n',
  ],
  ['just as many header lines as allowed', `GET / HTTP/1.1\r\n${HEAD}${'X: y\r\n'.repeat(18)}\r\n`],
  ['just as large a header section as allowed', `GET / HTTP/1.1\r\n${HEAD}X: ${'x'.repeat(8000)}\r\n\r\n`],
  ['chunk extensions', `${POST}${CHUNKED}\r\n5;a=b\r\nhello\r\n0\r\n\r\n`],
  ['HTTP/1.0', 'GET / HTTP/1.0\r\nHost: site.test\r\n\r\n'],
] as const) {
  test(`served: ${rule}`, async (t) => {
    const origin = await startOrigin(text('fine', { 'Cache-Control': 'no-store' }));
    const network = await startNetwork({ origin: origin.url, limits: LIMITS });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const answer = await exchange(network.at('eu-1'), bytes);
    t.strictSame(statuses(answer), [200]);
    t.match(answer, /\r\n\r\nfine$/);
    t.equal(origin.requests[0]?.headers.host, 'site.test');
    t.equal(origin.requests[0]?.url, '/');
  });
}

test('a malformed request after a good one is not answered in its place, and does not take its answer', async (t) => {
  const origin = await startOrigin(text('first', { 'Cache-Control': 'no-store' }));
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const answer = await exchange(network.at('eu-1'), `GET /1 HTTP/1.1\r\nHost: site.test\r\n\r\nFOO! HTTP/1.1\r\n\r\n`);
  t.strictSame(statuses(answer), [200]);
  t.match(answer, /Connection: close.*first$/s);
});

test('a malformed body does not put an error page into a response that has begun', async (t) => {
  const origin = await startOrigin((request, response) => {
    response.writeHead(200, { 'Content-Length': 1000 }).write('x');
    request.resume();
  });
  const asItArrives = { request_buffering: false }; // else the origin would not be asked before the body is whole
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, site: asItArrives });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const socket = dial(network.at('eu-1'));
  socket.write(`POST / HTTP/1.1\r\nHost: site.test\r\n${CHUNKED}\r\n5\r\nhello\r\n`);
  const head = await until(socket, /\r\n\r\nx/);
  t.strictSame(statuses(head), [200]);
  socket.write('zz\r\n');
  t.equal(await everything(socket), '');
});

test('a body that turns out malformed gets one clear answer, and its origin never sees it', async (t) => {
  const origin = await startOrigin(text('never asked'));
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const socket = dial(network.at('eu-1'));
  socket.write(`POST / HTTP/1.1\r\nHost: site.test\r\n${CHUNKED}\r\n5\r\nhello\r\n`);
  socket.write('zz\r\n');
  const answer = await everything(socket);
  t.strictSame(statuses(answer), [400]);
  t.match(answer, /^Connection: close\r\n/m);
  t.equal(origin.requests.length, 0);
});

/** Fields with which a request asks for another protocol, and is not given it where it has a body. */
const UPGRADES = {
  none: '',
  h2c: 'Connection: Upgrade\r\nUpgrade: h2c\r\n',
  websocket: 'Connection: Upgrade\r\nUpgrade: websocket\r\n',
  'not hop by hop': 'Upgrade: h2c\r\n',
};

const BROKEN_CHUNKS = {
  'a size that is no number': 'zz\r\nhello\r\n0\r\n\r\n',
  'a second size that is none': '5\r\nhello\r\nzz\r\n',
  'a chunk longer than its size': '5\r\nhelloX',
  'bare LF': '5\nhello\n0\n\n',
  'a broken trailer': '5\r\nhello\r\n0\r\nno colon\r\n\r\n',
};

for (const [upgrade, fields] of Object.entries(UPGRADES)) {
  test(`a body in broken chunks is refused at once, whatever the request upgrades to: ${upgrade}`, async (t) => {
    const origin = await startOrigin(text('never asked'));
    const network = await startNetwork({
      origin: origin.url,
      regions: { eu: 1 },
      limits: { request_timeout: '2s' }, // answered 408
    });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    for (const method of ['GET', 'POST']) {
      for (const [fault, body] of Object.entries(BROKEN_CHUNKS)) {
        const head = `${method} / HTTP/1.1\r\nHost: site.test\r\n${fields}${CHUNKED}\r\n`;
        t.strictSame(statuses(await exchange(network.at('eu-1'), head + body)), [400], `${method}, ${fault}`);
        const socket = dial(network.at('eu-1'));
        for (const byte of head + body) socket.write(byte);
        t.strictSame(statuses(await everything(socket)), [400], `${method}, ${fault}, byte by byte`);
      }
    }
    t.equal(origin.requests.length, 0);
  });
}

test('a visitor that is still sending can read the refusal', async (t) => {
  const origin = await startOrigin(text('never asked'));
  const network = await startNetwork({ origin: origin.url, site: { max_request_body: '1KiB' } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const socket = dial(network.at('eu-1'));
  socket.write('POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 50000000\r\n\r\n');
  socket.pause(); // sends all before it reads
  for (let sent = 0; sent < 8_000_000; sent += 100_000) {
    if (!socket.write(Buffer.alloc(100_000))) await once(socket, 'drain');
  }
  t.match(await everything(socket), /^HTTP\/1\.1 413 .*Connection: close.*body_too_large/s);
});

test('of pipelined requests 16 are served at a time, and all are answered in order', async (t) => {
  const held: (() => void)[] = [];
  const full = Promise.withResolvers<void>();
  const hold: Script = (request, response) => {
    held.push(() => answer(request, response));
    if (held.length === 16) full.resolve();
  };
  const answer: Script = (request, response) => {
    request.resume().once('end', () => response.end(`<${request.url}>`));
  };
  const origin = await startOrigin(hold);
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const paths = Array.from({ length: 2_000 }, (_, i) => `/${i}`);
  const empty = 'Host: site.test\r\nContent-Length: 0\r\n\r\n'; // not for the front
  const requests = paths.map((path) => `GET ${path} HTTP/1.1\r\n${empty}`).join('');
  const last = `POST /last HTTP/1.1\r\n${HEAD}Content-Length: 200000\r\n\r\n${'x'.repeat(200_000)}`;
  const answers = exchange(network.at('eu-1'), requests + last);
  await full.promise;
  origin.script = (request, response) => (request.url === '/other' ? answer : hold)(request, response);
  const agent = new Agent({ localAddress: '127.0.1.1' });
  for (let i = 0; i < 10; i++) await ask(network.at('eu-1'), '/other', { agent }); // others are served, and 16 it stays
  t.equal(held.length, 16);
  origin.script = answer;
  for (const release of held) release();
  const answered = [...(await answers).matchAll(/<(.*?)>/g)].map(([, path]) => path);
  t.strictSame(answered, [...paths, '/last']);
});

test('the tier listener serves nodes that know the secret, and no one else', async (t) => {
  const origin = await startOrigin(text('secret'));
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const [shield] = network.shields;
  for (const tier of [network.edge('eu-1').addresses.tier, shield?.addresses.tier as string]) {
    for (const field of [
      '',
      'Seawall-Tier: \r\n',
      'Seawall-Tier: secret="wrong-wrong-wrong-wrong", id="1", from="eu-2", proto=http, ask=shield\r\n',
      'Seawall-Tier: secret\r\n',
      'Seawall-Tier: ((((\r\n',
    ]) {
      const answer = await exchange(tier, `GET / HTTP/1.1\r\n${HEAD}${field}\r\n`);
      t.strictSame(statuses(answer), [403], field);
    }
    const upgrade = 'GET / HTTP/1.1\r\nHost: site.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n';
    t.strictSame(statuses(await exchange(tier, upgrade)), [403]);
  }
  t.equal(origin.requests.length, 0);
});

test('fields of the tier protocol and of proxies have no effect when a visitor sends them', async (t) => {
  const origin = await startOrigin(text('hello'));
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const lies = [
    ...['Seawall-Tier', 'secret="x"', 'Seawall-Error', 'internal', 'seawall_tier', 'x', 'Cache-Status', '"x"; hit'],
    ...[
      'X-Forwarded-For',
      '1.2.3.4',
      'X-Forwarded-Proto',
      'https',
      'X-Forwarded-Host',
      'evil',
      'X-Forwarded-Port',
      '1',
    ],
    ...['X_Forwarded_For', '1.2.3.4', 'Forwarded', 'for=1.2.3.4', 'X-Real-IP', '1.2.3.4', 'True-Client-IP', '1.2.3.4'],
    ...['X-Original-URL', '/admin', 'X-Rewrite-URL', '/admin', 'X-HTTP-Method-Override', 'GET', 'Proxy', 'evil'],
    ...['Connection', 'Via, Forwarded, X-Forwarded-For, CDN-Loop, Seawall-Tier', 'Surrogate-Capability', 'x'],
    ...['X-Request-Id', 'evil'],
  ];
  const reply = await ask(network.at('eu-1'), network.pathOf('eu-2', '/x'), {
    headers: ['Host', 'site.test', ...lies],
  });
  t.equal(reply.text, 'hello');
  const [request] = origin.requests;
  const { forwarded, via, host, connection, 'x-request-id': id, ...rest } = request?.headers ?? {};
  t.match(id, /^[0-9a-f]{32}$/);
  t.equal(forwarded, 'for=127.0.0.1;host=site.test;proto=http');
  t.equal(via, '1.1 seawall');
  t.equal(host, 'site.test');
  t.strictSame(rest, {
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'site.test',
    'cdn-loop': 'seawall',
  });
});
