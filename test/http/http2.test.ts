/**
 * HTTP/2 at the edge, as a client of another make sees it: Node's own, and curl.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:http2';
import { promisify } from 'node:util';
import { test } from 'tap';
import { HttpError } from '../../http/errors.ts';
import { http2Headers, translateHead } from '../../http/http2/head-translation.ts';
import { startOrigin, startTcp, text } from '../support/origin.ts';
import { askHttp2, openHttp2, startSecureEdge } from '../support/secure-edge.ts';

const SITE = [{ name: 'site', hosts: ['site.test'] }];
const KEPT = { 'Cache-Control': 'max-age=60' };
const run = promisify(execFile);

test('a miss, a hit, HEAD and a 304 have no connection-specific fields', async (t) => {
  const origin = await startOrigin(
    text('hello', { ...KEPT, ETag: '"a"', Connection: 'keep-alive', 'Keep-Alive': 'timeout=5' }),
  );
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE);
  const session = openHttp2(t, edge);

  const miss = await askHttp2(session, '/a');
  t.match(miss, { status: 200, text: 'hello', headers: { 'cache-status': /fwd=uri-miss/, etag: '"a"' } });
  const hit = await askHttp2(session, '/a');
  t.match(hit, {
    status: 200,
    text: 'hello',
    headers: { 'cache-status': /"eu-1";\s?hit/, age: /^\d+$/, 'content-length': '5' },
  });
  t.equal(edge.node.answeredPrepared, 1);
  t.match(await askHttp2(session, '/a', { ':method': 'HEAD' }), {
    status: 200,
    text: '',
    headers: { 'content-length': '5' },
  });
  t.match(await askHttp2(session, '/a', { 'if-none-match': '"a"' }), { status: 304, text: '' });
  t.match(await askHttp2(session, '/a', { range: 'bytes=1-2' }), { status: 206, text: 'el' });
  t.match(await askHttp2(session, '/a', { 'if-none-match': '"b"' }), { status: 200, text: 'hello' });
  for (const { headers } of [miss, hit]) {
    for (const name of ['connection', 'keep-alive', 'transfer-encoding']) t.notOk(name in headers, name);
  }
  t.equal(origin.requests.length, 1);
  t.equal(await edge.count('seawall_requests_total', { listener: 'public' }), 6);
});

test('the origin sees Host, one Cookie, https and no pseudo-header fields', async (t) => {
  const origin = await startOrigin(text('hello'));
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE);
  await askHttp2(openHttp2(t, edge), '/a?b=1', { cookie: ['a=1', 'b=2'], te: 'trailers', 'x-own': 'é' });
  const [seen] = origin.requests;
  t.equal(seen?.url, '/a?b=1');
  t.match(seen?.headers, { host: 'site.test', cookie: 'a=1; b=2', 'x-forwarded-proto': 'https', 'x-own': /./ });
  t.notOk(Object.keys(seen?.headers ?? {}).some((name) => name.startsWith(':')));
});

test('bodies pass with a length, without one, and are refused when too large', async (t) => {
  const origin = await startOrigin((request, response) => request.pipe(response));
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, [
    { ...(SITE[0] as { name: string; hosts: string[] }), keys: { max_request_body: '200KiB' } },
  ]);
  const session = openHttp2(t, edge);
  const body = 'x'.repeat(100_000);
  t.match(await askHttp2(session, '/', { ':method': 'POST', 'content-length': 100_000 }, body), {
    status: 200,
    text: body,
  });
  t.match(await askHttp2(session, '/', { ':method': 'POST' }, body), { status: 200, text: body });
  const large = await askHttp2(session, '/', { ':method': 'POST', 'content-length': 300_000 }, 'x'.repeat(300_000));
  t.equal(large.status, 413);
  t.equal((await askHttp2(session, '/', { ':method': 'POST' }, body)).status, 200, 'the connection goes on');
});

test('trailers and interim responses are passed on', async (t) => {
  const origin = await startOrigin((_request, response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' });
    response.writeHead(200, { Trailer: 'X-Sum' });
    response.write('hello');
    response.addTrailers({ 'X-Sum': '42' });
    response.end();
  });
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE);
  const answer = await askHttp2(openHttp2(t, edge), '/');
  t.match(answer, {
    status: 200,
    text: 'hello',
    trailers: { 'x-sum': '42' },
    interim: [{ ':status': 103, link: /style/ }],
  });
});

for (const framing of ['Content-Length: 100\r\n\r\nhello', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n']) {
  test(`a body that breaks off is a broken message: ${framing.split(':')[0]}`, async (t) => {
    const origin = await startTcp((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\n${framing}`);
      setTimeout(() => socket.destroy(), 50); // after the head has reached the visitor
    });
    t.teardown(() => origin.close());
    const edge = await startSecureEdge(t, origin.url, SITE);
    const answer = await askHttp2(openHttp2(t, edge), '/');
    t.equal(answer.reset, constants.NGHTTP2_INTERNAL_ERROR);
    t.equal(answer.text, 'hello');
  });
}

test('the fetch is aborted when a visitor leaves', async (t) => {
  const origin = await startOrigin(() => undefined);
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE);
  const session = openHttp2(t, edge);
  const stream = session.request(
    { ':path': '/never', ':authority': 'site.test', ':method': 'POST' },
    { endStream: true },
  );
  stream.on('error', () => undefined);
  const asked = await origin.next();
  stream.close(constants.NGHTTP2_CANCEL);
  await new Promise<void>((resolve) => asked.once('close', resolve));
  t.pass('its connection is closed');
});

test('closing finishes requests in flight and refuses new ones', async (t) => {
  const release = Promise.withResolvers<void>();
  const origin = await startOrigin((_request, response) => {
    response.write('begun, ');
    void release.promise.then(() => response.end('done'));
  });
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE, { drain_timeout: '10s' });
  const session = openHttp2(t, edge);
  const goawayReceived = once(session, 'goaway');
  const answer = askHttp2(session, '/');
  await origin.next();
  const closed = edge.node.close();
  await goawayReceived;
  release.resolve();
  t.equal((await answer).text, 'begun, done');
  await closed;
});

test('idle connections are closed', async (t) => {
  const origin = await startOrigin(text('hello'));
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE, { keep_alive_timeout: '300ms' });
  const session = openHttp2(t, edge);
  await askHttp2(session, '/');
  await once(session, 'close');
  t.pass('closed');
});

test('ambiguous and unsupported requests are refused', async (t) => {
  const origin = await startOrigin(text('hello'));
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE);
  const session = openHttp2(t, edge);
  t.equal((await askHttp2(session, '/', { host: 'other.test' })).status, 400);
  t.equal((await askHttp2(session, '/', { host: 'SITE.test' })).status, 200);
  t.equal((await askHttp2(session, '/', { ':authority': 'unknown.test' })).status, 421);
  t.equal((await askHttp2(session, '/a/%2e%2e/b')).status, 400);
  const scheme = await askHttp2(session, '/', { ':scheme': 'http' });
  t.equal(scheme.status, 400);
  t.equal((await askHttp2(session, '/', { ':method': 'TRACE' })).status, 405);
  t.notOk(session.remoteSettings.enableConnectProtocol, 'websockets are for HTTP/1.1');
  t.equal((await askHttp2(session, '/')).status, 200);
});

test('curl speaks HTTP/2, and HTTP/1.1 to the same port', async (t) => {
  const origin = await startOrigin(text('hello', KEPT));
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE);
  for (const [flag, version] of [
    ['--http2', '2'],
    ['--http1.1', '1.1'],
  ] as const) {
    const to = ['--resolve', `site.test:${edge.port}:127.0.0.1`, `https://site.test:${edge.port}/`];
    const { stdout } = await run('curl', ['-sk', flag, '-w', ' %{http_version} %{http_code}', ...to]);
    t.equal(stdout, `hello ${version} 200`);
  }
});

const HEAD = [':method', 'GET', ':scheme', 'https', ':authority', 'a.test', ':path', '/'];

for (const { name, raw, body = false, is } of [
  { name: 'a plain one', raw: HEAD, is: ['Host', 'a.test'] },
  {
    name: 'cookies are one field again',
    raw: [...HEAD, 'cookie', 'a=1', 'cookie', 'b=2'],
    is: ['Host', 'a.test', 'cookie', 'a=1; b=2'],
  },
  { name: 'Host that says the same', raw: [...HEAD, 'host', 'A.test'], is: ['Host', 'a.test'] },
  {
    name: 'Host instead of the authority',
    raw: [...HEAD.slice(0, 4), ...HEAD.slice(6), 'host', 'b.test'],
    is: ['Host', 'b.test'],
  },
  { name: 'neither', raw: [...HEAD.slice(0, 4), ...HEAD.slice(6)], is: [] },
  { name: 'a body of unknown length', raw: HEAD, body: true, is: ['Host', 'a.test', 'transfer-encoding', 'chunked'] },
  {
    name: 'a body of known length',
    raw: [...HEAD, 'content-length', '3'],
    body: true,
    is: ['Host', 'a.test', 'content-length', '3'],
  },
]) {
  test(`RFC 9113 8.3: ${name}`, async (t) => {
    t.strictSame(translateHead(raw, body), { method: 'GET', target: '/', headers: is });
  });
}

test('RFC 9113 8.3.1: two hosts are malformed', async (t) => {
  t.throws(() => translateHead([...HEAD, 'host', 'b.test'], false), HttpError);
  t.throws(() => translateHead([...HEAD.slice(0, 4), ...HEAD.slice(6), 'host', 'a', 'host', 'b'], false), HttpError);
});

test('RFC 9113 8.2: connection-specific fields are not sent, and names are in lower case', async (t) => {
  t.strictSame(
    http2Headers(200, ['Connection', 'close', 'Set-Cookie', 'a', 'Set-Cookie', 'b', 'Transfer-Encoding', 'chunked']),
    [':status', '200', 'set-cookie', 'a', 'set-cookie', 'b'],
  );
});
