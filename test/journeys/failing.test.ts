import type { ServerResponse } from 'node:http';
import { test } from 'tap';
import { type NetworkOptions, startNetwork } from '../support/network.ts';
import { startOrigin, startTcp, type TcpServer, text } from '../support/origin.ts';
import { freeAddress } from '../support/ports.ts';
import { ask } from '../support/visitor.ts';

const KEPT = { 'Cache-Control': 'max-age=60' };

/** The nodes and the origin that do answer have to do so within it, on a busy machine, too. */
const PATIENCE = '2s';

/** Ways for a node to be broken at once. */
const BROKEN: readonly (readonly [rule: string, start: () => Promise<TcpServer>])[] = [
  ['resets', () => startTcp((socket) => socket.resetAndDestroy())],
  ['closes', () => startTcp((socket) => socket.end())],
  ['speaks another protocol', () => startTcp((socket) => socket.write('220 mail.test ESMTP\r\n'))],
  ['answers half a head', () => startTcp((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-'))],
  [
    'does not know the secret',
    () =>
      startTcp((socket) =>
        socket.write('HTTP/1.1 403 No\r\nSeawall-Error: unauthorised_tier\r\nContent-Length: 0\r\n\r\n'),
      ),
  ],
  [
    'does not know the site',
    () =>
      startTcp((socket) => socket.write('HTTP/1.1 421 No\r\nSeawall-Error: unknown_host\r\nContent-Length: 0\r\n\r\n')),
  ],
  [
    'has too much to do',
    () =>
      startTcp((socket) => socket.write('HTTP/1.1 503 No\r\nSeawall-Error: overloaded\r\nContent-Length: 0\r\n\r\n')),
  ],
];

for (const [rule, start] of BROKEN) {
  test(`an owner ${rule}: the shield is asked, and the edge stores the answer`, async (t) => {
    const [origin, broken] = await Promise.all([startOrigin(text('hello', KEPT)), start()]);
    const network = await startNetwork({ origin: origin.url, brokenEdge: broken.address });
    t.teardown(() => Promise.all([network.close(), origin.close(), broken.close()]));
    const path = network.pathOf('eu-2', '/owner/');
    const reply = await ask(network.at('eu-1'), path);
    t.match(reply, { status: 200, text: 'hello', complete: true });
    t.match(reply.tiers, [/^"shield-1"/, /^"eu-1".*stored/]);
    t.match((await ask(network.at('eu-1'), path)).tiers, [/^"eu-1";hit/]);
    t.ok(broken.connections >= 1);
  });

  test(`a shield ${rule}: the next one is asked, then the origin itself`, async (t) => {
    const [origin, broken] = await Promise.all([startOrigin(text('hello', KEPT)), start()]);
    const common: NetworkOptions = { origin: origin.url, regions: { eu: 1 }, brokenShields: [broken.address] };
    const [two, one] = await Promise.all([startNetwork(common), startNetwork({ ...common, shields: 0 })]);
    t.teardown(() => Promise.all([two.close(), one.close(), origin.close(), broken.close()]));
    for (let i = 0; i < 8; i++) {
      t.match(await ask(two.at('eu-1'), `/shield/${i}`), { status: 200, tiers: [/^"shield-1"/, /^"eu-1"/] });
      t.match(await ask(one.at('eu-1'), `/direct/${i}`), { status: 200, tiers: [/^"eu-1"/] });
    }
    t.ok(broken.connections >= 1);
  });
}

test('without the owner the next edge serves, and a POST passes with its body', async (t) => {
  const origin = await startOrigin((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => response.end(Buffer.concat(chunks)));
  });
  const network = await startNetwork({ origin: origin.url, brokenEdge: await freeAddress() });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const path = network.pathOf('eu-2', '/gone/');
  const sent = 'x'.repeat(300_000);
  for (let i = 0; i < 5; i++) {
    const reply = await ask(network.at('eu-1'), path, { method: 'POST', body: sent });
    t.equal(reply.status, 200);
    t.equal(reply.text, sent);
  }
  t.equal(origin.requests.length, 5);
});

test('a node that accepts and stays silent costs one timeout, and is then left out', async (t) => {
  const [origin, hung] = await Promise.all([startOrigin(text('hello', KEPT)), startTcp(() => undefined)]);
  const network = await startNetwork({
    origin: origin.url,
    brokenEdge: hung.address,
    access: { first_byte_timeout: PATIENCE },
  });
  t.teardown(() => Promise.all([network.close(), origin.close(), hung.close()]));
  const paths = Array.from({ length: 4 }, (_, i) => network.pathOf('eu-2', `/hung/${i}/`));
  const replies = await Promise.all(paths.map((path) => ask(network.at('eu-1'), path)));
  for (const reply of replies) t.match(reply, { status: 200, text: 'hello' });
  const before = hung.connections;
  t.match(await ask(network.at('eu-1'), network.pathOf('eu-2', '/then/')), { status: 200 });
  t.equal(hung.connections, before, 'it is not asked again');
});

test('a silent shield is noticed by the owner, and the owner is not blamed', async (t) => {
  const [origin, hung] = await Promise.all([startOrigin(text('hello', KEPT)), startTcp(() => undefined)]);
  const network = await startNetwork({
    origin: origin.url,
    shields: 0,
    brokenShields: [hung.address],
    access: { first_byte_timeout: PATIENCE },
  });
  t.teardown(() => Promise.all([network.close(), origin.close(), hung.close()]));
  const reply = await ask(network.at('eu-1'), network.pathOf('eu-2', '/hung-shield/'));
  t.match(reply, { status: 200, text: 'hello', tiers: [/^"eu-2".*stored/, /^"eu-1"/] });
  t.equal(origin.requests.length, 1);
});

test('an origin at its maximum of connections is not asked past its shield', async (t) => {
  const held: ServerResponse[] = [];
  const origin = await startOrigin((_request, response) => void held.push(response));
  const access = { max_connections: 1, connect_timeout: '200ms', first_byte_timeout: '10s' } as const;
  const network = await startNetwork({ origin: origin.url, access });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const asked = origin.next();
  const first = ask(network.at('eu-1'), '/first');
  await asked;
  const others = ['/a', '/b', '/c'].flatMap((path) => ['eu-1', 'eu-2'].map((edge) => ask(network.at(edge), path)));
  for (const reply of await Promise.all(others)) t.match(reply, { status: 503, text: /origin_overloaded/ });
  t.equal(origin.requests.length, 1);
  held[0]?.end('late');
  t.match(await first, { status: 200, text: 'late' });
});

test('a node whose queue for the origin is full is not retried without end', async (t) => {
  let asked = 0;
  const abandoning = await startTcp((socket) => {
    // What goes on without end is ended here, so that it fails.
    if (++asked > 100) socket.destroy();
    else socket.write('HTTP/1.1 503 No\r\nSeawall-Error: client_closed\r\nContent-Length: 0\r\n\r\n');
  });
  const network = await startNetwork({
    origin: 'http://127.0.0.1:9',
    regions: { eu: 1 },
    shields: 0,
    brokenShields: [abandoning.address],
  });
  t.teardown(() => Promise.all([network.close(), abandoning.close()]));
  const replies = await Promise.all([ask(network.at('eu-1'), '/'), ask(network.at('eu-1'), '/')]);
  for (const reply of replies) t.match(reply, { status: 503, text: /client_closed/ });
  t.ok(asked <= 4, `asked ${asked} times`);
});

test('without a shield, where edges may not ask the origin, 502 names the request', async (t) => {
  const origin = await startOrigin(text('hello', KEPT));
  const network = await startNetwork({
    origin: origin.url,
    shields: 0,
    brokenShields: [await freeAddress()],
    site: { direct_to_origin: false },
  });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const reply = await ask(network.at('eu-1'), '/');
  t.match(reply, { status: 502, text: /origin_unreachable.*[0-9a-f]{32}/s, tiers: [/detail=origin_unreachable/] });
  t.equal(origin.requests.length, 0);
});

test('with the origin down, unstored pages are 502 and stored ones are served stale', async (t) => {
  let status = 200;
  const origin = await startOrigin((_request, response) => {
    response.writeHead(status, { 'Cache-Control': 'max-age=0, stale-if-error=600' }).end('kept');
  });
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => network.close());
  const path = network.pathOf('eu-2', '/down/');
  t.match(await ask(network.at('eu-1'), path), { status: 200, text: 'kept' });
  status = 503;
  t.match(await ask(network.at('eu-1'), path), {
    status: 200,
    text: 'kept',
    headers: { 'cache-status': /stale-if-error/ },
  });
  await origin.close();
  t.match(await ask(network.at('eu-1'), path), {
    status: 200,
    text: 'kept',
    headers: { 'cache-status': /stale-if-error/ },
  });
  t.match(await ask(network.at('eu-1'), `${path}/other`), { status: 502, text: /origin_unreachable/ });
});

test('Cache-Status of a 304 by which the shield passes on a stale copy says so, and why', async (t) => {
  let isBroken = false;
  const origin = await startOrigin((_request, response) => {
    const kept = { 'Cache-Control': 'max-age=0, stale-if-error=600', ETag: '"a"' };
    if (isBroken) response.writeHead(503).end('broken');
    else response.writeHead(200, kept).end('kept');
  });
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  t.match(await ask(network.at('eu-1'), '/'), { status: 200, text: 'kept' });
  isBroken = true;
  const { text: body, tiers } = await ask(network.at('eu-1'), '/');
  t.equal(body, 'kept');
  t.match(tiers, [
    /^"shield-1";fwd=stale;fwd-status=503;.*detail=stale-if-error$/,
    /^"eu-1";fwd=stale;fwd-status=304;/,
  ]);
});

test('with all shields down an edge serves its stale copies', async (t) => {
  const origin = await startOrigin(text('kept', { 'Cache-Control': 'max-age=0, stale-if-error=600', ETag: '"a"' }));
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, site: { direct_to_origin: false } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  t.match(await ask(network.at('eu-1'), '/'), { status: 200, text: 'kept' });
  await network.shields[0]?.close();
  t.match(await ask(network.at('eu-1'), '/'), { status: 200, text: 'kept', tiers: [/^"eu-1".*stale-if-error/] });
});

for (const [rule, end] of [
  ['closes', (socket: import('node:net').Socket) => socket.end()],
  ['resets', (socket: import('node:net').Socket) => socket.resetAndDestroy()],
] as const) {
  test(`an origin ${rule} a kept connection just as the next request arrives: it is retried once`, async (t) => {
    const heads: string[] = [];
    const origin = await startTcp((socket, head) => {
      heads.push(head.split(' ', 2).join(' '));
      // Every connection serves one request, and ends when it gets a second one.
      if (served.has(socket)) end(socket);
      else socket.write('HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 2\r\n\r\nok');
      served.add(socket);
    });
    const served = new WeakSet();
    const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    for (let i = 0; i < 6; i++) t.match(await ask(network.at('eu-1'), `/${i}`), { status: 200, text: 'ok' });
    t.strictSame(heads.slice(0, 3), ['GET /0', 'GET /1', 'GET /1']);
    const post = await ask(network.at('eu-1'), '/post', { method: 'POST', body: 'once' });
    t.equal(heads.filter((head) => head === 'POST /post').length, 1, 'a POST is not repeated');
    t.ok([200, 502].includes(post.status));
  });
}

test('an origin that closes idle connections between requests loses no GET', async (t) => {
  const origin = await startOrigin(text('ok', { 'Cache-Control': 'no-store' }));
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  for (let i = 0; i < 20; i++) {
    t.equal((await ask(network.at('eu-1'), `/${i}`)).status, 200);
    origin.closeIdle();
  }
});

test('connections to the origin are reused', async (t) => {
  const origin = await startOrigin(text('ok', { 'Cache-Control': 'no-store' }));
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  for (let i = 0; i < 20; i++) await ask(network.at('eu-1'), `/${i}`);
  t.equal(origin.requests.length, 20);
  t.equal(origin.connections, 1);
});

test('with one of several origin servers down, another one answers', async (t) => {
  const origin = await startOrigin(text('ok', { 'Cache-Control': 'no-store' }));
  const network = await startNetwork({ origin: [`http://${await freeAddress()}`, origin.url], regions: { eu: 1 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  for (let i = 0; i < 6; i++) {
    t.equal((await ask(network.at('eu-1'), `/${i}`)).status, 200);
    t.equal((await ask(network.at('eu-1'), `/${i}`, { method: 'POST', body: 'x' })).status, 200);
  }
});
