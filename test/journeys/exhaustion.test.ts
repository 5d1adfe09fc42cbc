/**
 * Visitors that hold what belongs to all: connections to the origin that their
 * slow reading or sending keeps busy, connections to the edge, requests. The
 * others go on being served.
 */
import { once } from 'node:events';
import { Agent, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { pino } from 'pino';
import { type Test, test } from 'tap';
import { limitFiles } from '../support/file-limit.ts';
import { startNetwork } from '../support/network.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { openHttp2, startSecureEdge } from '../support/secure-edge.ts';
import { ask, HOST, open, type Reply } from '../support/visitor.ts';

/** More than the system takes for a reader that does not read. */
const LARGE = Buffer.alloc(16_000_000, 'large ');

/** Request whose body never arrives. */
function post(path: string, length = 1_000): string {
  return `POST ${path} HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${length}\r\n\r\n`;
}

/** An origin with a large page that is nobody else's, small ones, and a form. */
function startShop(): Promise<Origin> {
  return startOrigin((request, response) => {
    response.setHeader('Cache-Control', 'private');
    if (request.url?.startsWith('/large')) response.end(LARGE);
    else if (request.url === '/echo') request.pipe(response);
    else request.resume().on('end', () => response.end('small'));
  });
}

/** Opens a connection from this address of loopback and sends this on it; what comes back is not read. */
async function hold(t: Test, edge: string, from: string, text: string): Promise<Socket> {
  const [host, port] = edge.split(':') as [string, string];
  const socket = connect({ host, port: Number(port), localAddress: from });
  socket.on('error', () => undefined);
  t.teardown(() => socket.destroy());
  socket.pause();
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
}

function from(address: string): Agent {
  return new Agent({ keepAlive: false, localAddress: address });
}

/** Reads so many bytes a second. @returns All bytes that came. */
async function readAtPace(t: Test, response: IncomingMessage, bytesPerSecond: number): Promise<number> {
  let bytes = 0;
  const pace = setInterval(() => {
    for (let left = bytesPerSecond / 10; left > 0; ) {
      const piece = response.read(Math.min(left, response.readableLength)) as Buffer | null;
      if (piece === null) break;
      bytes += piece.length;
      left -= piece.length;
    }
  }, 100);
  t.teardown(() => clearInterval(pace));
  response.on('error', () => undefined); // broken off
  await new Promise((resolve) => void response.once('close', resolve));
  return bytes;
}

async function misses(edge: string, count: number, address = '127.0.0.1'): Promise<Reply[]> {
  const replies: Reply[] = [];
  for (let i = 0; i < count; i++) replies.push(await ask(edge, `/page?${i}`, { agent: from(address) }));
  return replies;
}

function isServed({ status, text }: Reply): boolean {
  return status === 200 && text === 'small';
}

for (const { what, shields, edges } of [
  { what: 'an edge that asks the origin', shields: 0, edges: 1 },
  { what: 'a shield, by both edges of the region', shields: 1, edges: 2 },
]) {
  test(`with readers that read nothing, at ${what}, the misses of other visitors are served`, async (t) => {
    const origin = await startShop();
    const network = await startNetwork({
      origin: origin.url,
      access: { max_connections: 16, max_waiting: 100, connect_timeout: '3s' },
      shields,
      regions: { eu: edges },
    });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const first = network.at('eu-1');
    for (let i = 0; i < 20; i++) {
      for (let j = 0; j < 6; j++) await hold(t, first, `127.0.1.${i + 1}`, get(`/large?${i}.${j}`));
    }
    for (const { name } of network.edges) {
      const replies = await misses(network.at(name), 20);
      t.ok(replies.every(isServed), `${name}: ${replies.map(({ status }) => status)}`);
    }
  });
}

for (const method of ['GET', 'POST']) {
  test(`of 50 concurrent ${method}s with a body, one visitor has its share of the origin at a time`, async (t) => {
    let inFlight = 0;
    let most = 0;
    const origin = await startOrigin((request, response) => {
      most = Math.max(most, ++inFlight);
      request.resume().on('end', () => {
        setTimeout(() => {
          inFlight--;
          response.setHeader('Cache-Control', 'max-age=60');
          response.end('small');
        }, 30);
      });
    });
    const network = await startNetwork({
      origin: origin.url,
      access: { max_connections: 16, max_waiting: 1_000, connect_timeout: '20s' },
      shields: 0,
      regions: { eu: 1 },
    });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const asking = { method, body: 'x', headers: { 'Content-Length': '1' }, agent: from('127.0.1.1') };
    const replies = Array.from({ length: 50 }, () => ask(network.at('eu-1'), '/page', asking));
    t.ok((await misses(network.at('eu-1'), 3)).every(isServed), 'others are served meanwhile');
    t.ok((await Promise.all(replies)).every(isServed));
    t.equal(origin.requests.filter((request) => request.method === method && request.url === '/page').length, 50);
    t.ok(most <= 4 + 1, `${most} at a time: a quarter of 16, and one of the other visitor`);
  });
}

test('a slow reader above min_read_rate gets all of its body while others wait', async (t) => {
  const origin = await startShop();
  const network = await startNetwork({
    origin: origin.url,
    access: { max_connections: 2, min_read_rate: '1MiB' },
    shields: 0,
    regions: { eu: 1 },
  });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const edge = network.at('eu-1');
  const stalled = await hold(t, edge, '127.0.1.1', get('/large?stalled'));
  const slow = await open(edge, '/large?slow', { agent: from('127.0.1.2') });
  const bytes = readAtPace(t, slow, 10_000_000);
  const others = misses(edge, 10);
  t.equal(await bytes, LARGE.length);
  t.ok((await others).every(isServed));
  stalled.resume();
  if (!stalled.destroyed) await once(stalled, 'close'); // cut off, as it was too slow while others waited
});

test('fast readers are not cut off although they hold all connections and another visitor waits', async (t) => {
  const origin = await startShop();
  const network = await startNetwork({
    origin: origin.url,
    access: { max_connections: 2, min_read_rate: '1MiB', connect_timeout: '30s' },
    shields: 0,
    regions: { eu: 1 },
  });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const edge = network.at('eu-1');
  const readers = await Promise.all([1, 2].map((i) => open(edge, `/large?${i}`, { agent: from(`127.0.1.${i}`) })));
  const other = misses(edge, 1);
  const bytes = await Promise.all(readers.map((reader) => readAtPace(t, reader, 5_000_000)));
  t.strictSame(bytes, [LARGE.length, LARGE.length]);
  t.ok((await other).every(isServed));
});

test('connections_per_address: further connections are closed at once, and other visitors are not affected', async (t) => {
  const origin = await startShop();
  const network = await startNetwork({ origin: origin.url, limits: { connections_per_address: 3 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const edge = network.at('eu-1');
  const held: Socket[] = [];
  for (let i = 0; i < 3; i++) held.push(await hold(t, edge, '127.0.1.1', ''));
  const more = await hold(t, edge, '127.0.1.1', '');
  more.resume();
  await once(more, 'close');
  t.ok(held.every(({ destroyed }) => !destroyed));
  t.ok((await misses(edge, 3, '127.0.1.2')).every(isServed));
  const refused = { reason: 'too_many_connections' };
  t.equal(await network.metric('eu-1', 'seawall_connections_refused_total', refused), 1);
  held[0]?.destroy();
  for (;;) {
    const again = await hold(t, edge, '127.0.1.1', get('/page?again'));
    const [bytes] = (await Promise.race([once(again, 'data', {}), once(again.resume(), 'close')])) as [unknown];
    if (Buffer.isBuffer(bytes)) break; // the edge has noticed that one has gone
  }
});

test('connections_per_address: a trusted proxy is exempt', async (t) => {
  const origin = await startShop();
  const network = await startNetwork({
    origin: origin.url,
    limits: { connections_per_address: 1 },
    trustedProxies: ['127.0.1.0/24'],
  });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const edge = network.at('eu-1');
  for (let i = 0; i < 5; i++) await hold(t, edge, '127.0.1.1', '');
  t.ok((await misses(edge, 3, '127.0.1.1')).every(isServed));
});

test('requests_per_address: further requests are 429, by the visitor’s own address behind a trusted proxy', async (t) => {
  const origin = await startOrigin((request, response) => {
    if (request.url === '/page') response.end('small'); // all others are answered never
  });
  const network = await startNetwork({
    origin: origin.url,
    limits: { requests_per_address: 4 },
    trustedProxies: ['127.0.0.1'],
    shields: 0,
    regions: { eu: 1 },
  });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const edge = network.at('eu-1');
  const visitor = (address: string) => ({ 'X-Forwarded-For': address });
  for (let i = 0; i < 4; i++) {
    const arrived = origin.next();
    await hold(t, edge, '127.0.0.1', get(`/${i}`).replace('\r\n\r\n', '\r\nX-Forwarded-For: 2001:db8::1\r\n\r\n'));
    await arrived;
  }
  const otherSite = await ask(edge, '/page', { headers: visitor('2001:db8::2') });
  t.equal(otherSite.status, 429, 'of the same /64');
  t.equal(otherSite.headers['retry-after'], '1');
  t.match(otherSite.headers['cache-status'], /too_many_requests/);
  for (const other of ['2001:db8:0:1::1', '203.0.113.1']) {
    t.equal((await ask(edge, '/page', { headers: visitor(other) })).status, 200);
  }
  t.equal(await network.metric('eu-1', 'seawall_requests_total', { result: 'too_many_requests' }), 1);
});

for (const { what, sent } of [
  { what: 'nothing', sent: '' },
  { what: 'a byte', sent: 'x' },
  { what: 'all but a byte', sent: 'x'.repeat(999) },
]) {
  test(`POSTs that send ${what} of their bodies take no connection to the origin`, async (t) => {
    const origin = await startShop();
    const network = await startNetwork({
      origin: origin.url,
      access: { max_connections: 4, connect_timeout: '500ms' },
    });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const edge = network.at('eu-1');
    for (let i = 0; i < 30; i++) await hold(t, edge, `127.0.1.${1 + (i % 5)}`, post(`/form?${i}`) + sent);
    t.ok((await misses(edge, 10)).every(isServed));
    t.equal(origin.requests.length, 10);
    const [body, agent] = [Buffer.alloc(1_000_000, 'form '), from('127.0.1.9')];
    t.ok(
      (await ask(edge, '/echo', { method: 'POST', body, agent })).body.equals(body),
      'one that is sent is passed on',
    );
  });
}

test('HTTP/2: 128 silent POSTs on each of two connections take no connection to the origin', async (t) => {
  const origin = await startShop();
  t.teardown(() => origin.close());
  const access = { max_connections: 16, connect_timeout: '500ms', servers: [{ url: origin.url }] };
  const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: [HOST], keys: { origin: access } }]);
  for (let i = 0; i < 2; i++) {
    const session = openHttp2(t, edge);
    for (let j = 0; j < 128; j++) {
      const stream = session.request({ ':method': 'POST', ':path': `/form?${i}.${j}`, ':authority': HOST });
      stream.on('error', () => undefined);
    }
    await new Promise((resolve) => session.ping(resolve));
  }
  t.ok((await misses(edge.node.addresses.listen, 10)).every(isServed));
  t.equal(origin.requests.length, 10);
});

test('request_buffering: false: the origin gets a body as it arrives, and its connection back when it stalls', async (t) => {
  const origin = await startShop();
  const network = await startNetwork({
    origin: origin.url,
    site: { request_buffering: false },
    access: { max_connections: 1, connect_timeout: '10s' },
    limits: { body_timeout: '300ms' },
    shields: 0,
    regions: { eu: 1 },
  });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const edge = network.at('eu-1');
  const arrived = origin.next();
  const socket = await hold(t, edge, '127.0.1.1', `${post('/form')}first`);
  await arrived;
  const answer = once(socket, 'data');
  socket.resume();
  const [reply] = await misses(edge, 1);
  t.ok(isServed(reply as Reply));
  t.match(String((await answer)[0]), /^HTTP\/1.1 408 .*request_timeout/s);
});

test('a full disk: 503 for a body that needs it, a log line that names the place, and other requests are served', async (t) => {
  const origin = await startShop();
  const lines: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });
  const network = await startNetwork({ origin: origin.url, log, spool: { folder: '/var/tmp' } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const edge = network.at('eu-1');
  const upload = () =>
    ask(edge, '/echo', { method: 'POST', body: Buffer.alloc(3_000_000, 'form '), agent: from('127.0.1.9') });
  const lift = limitFiles(t, 1_000_000);
  t.match(await upload(), { status: 503, text: /spool_full/ });
  t.match(JSON.parse(lines[0] ?? ''), {
    code: 'spool_full',
    detail: /spool\.folder \/var\/tmp: .*(EFBIG|ENOSPC|no space)/,
  });
  t.ok((await misses(edge, 3)).every(isServed));
  t.equal((await ask(edge, '/form', { method: 'POST', body: Buffer.alloc(50_000) })).text, 'small');
  t.equal(origin.requests.filter(({ url }) => url === '/echo').length, 0);
  lift();
  t.equal((await upload()).body.length, 3_000_000, 'as soon as there is room');
});

test('no room for a body: 503 by name, and other requests are served', async (t) => {
  const origin = await startShop();
  const network = await startNetwork({ origin: origin.url, spool: { memory: '256KiB', file: '1MiB' } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const edge = network.at('eu-1');
  const reply = await ask(edge, '/form', { method: 'POST', body: Buffer.alloc(3_000_000) });
  t.match(reply, { status: 503, text: /spool_full/ });
  t.ok((await misses(edge, 2)).every(isServed));
  t.equal((await ask(edge, '/form', { method: 'POST', body: Buffer.alloc(200_000) })).text, 'small');
});
