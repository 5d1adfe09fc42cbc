/**
 * Connections whose requests are answered with prepared bytes: they come back to that
 * after what takes longer, keep to all bounds, and are counted like others.
 */
import { on, once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'tap';
import { writeDirectly } from '../../http/node-internals/direct-writes.ts';
import { shareReads } from '../../http/node-internals/shared-reads.ts';
import { type Network, type NetworkOptions, startNetwork } from '../support/network.ts';
import { type Origin, type Script, startOrigin } from '../support/origin.ts';
import { dial, everything, until } from '../support/raw-client.ts';

const HOUR = { 'Cache-Control': 'max-age=3600' };
const BIG = Buffer.alloc(8 * 1024 * 1024, 'x');

const script: Script = (request, response) => {
  const body = request.url === '/big' ? BIG : Buffer.from('body');
  const fields = request.url?.startsWith('/never') ? { 'Cache-Control': 'no-store' } : HOUR;
  response.writeHead(200, { 'Content-Length': body.length, ...fields }).end(body);
};

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: site.test\r\n\r\n`;

interface Stage {
  readonly network: Network;
  readonly origin: Origin;
  readonly address: string;
  answered(): number;
}

async function staged(
  t: { teardown(end: () => unknown): void },
  limits: NetworkOptions['limits'] = {},
): Promise<Stage> {
  const origin = await startOrigin(script);
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, limits });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const answered = (): number => network.edge('eu-1').answeredPrepared;
  return { network, origin, address: network.at('eu-1'), answered };
}

async function ask(socket: Socket, path: string): Promise<string> {
  socket.write(get(path));
  return until(socket, /body$/);
}

/** A connection whose answer is on its way until `release`; what else is asked for comes at once. */
async function whileFetching(address: string, origin: Origin): Promise<{ socket: Socket; release: () => void }> {
  let release = (): void => undefined;
  origin.script = (request, response) => {
    release = () => script(request, response);
  };
  const socket = dial(address);
  const asked = origin.next();
  socket.write(get('/slow'));
  await asked;
  origin.script = script;
  return { socket, release: () => release() };
}

test('hits are answered with prepared bytes again after a miss, and after an uncacheable response', async (t) => {
  const { address, answered } = await staged(t);
  const socket = dial(address);
  for (const [path, count] of [
    ['/a', 0],
    ['/a', 1],
    ['/never', 1],
    ['/a', 2],
    ['/b', 2],
    ['/b', 3],
  ] as const) {
    t.match(await ask(socket, path), /^HTTP\/1\.1 200 OK/);
    t.equal(answered(), count, path);
  }
  socket.destroy();
});

test('requests that arrive during a response are answered after it', async (t) => {
  const { address, origin } = await staged(t);
  const warm = dial(address);
  await ask(warm, '/a');
  warm.destroy();
  const { socket, release } = await whileFetching(address, origin);
  socket.write(get('/a') + get('/a'));
  release();
  const text = await until(socket, /(?:body.*){3}/s);
  t.equal(text.match(/"eu-1"; ?fwd=uri-miss/g)?.length, 1);
  t.equal(text.match(/; ?hit/g)?.length, 2);
  t.ok(text.indexOf('uri-miss') < text.search(/; ?hit/), 'in their order');
  socket.destroy();
});

const post = (path: string): string => `POST ${path} HTTP/1.1\r\nHost: site.test\r\nContent-Length: 2\r\n\r\nhi`;

for (const { what, early, answers } of [
  { what: 'a miss', early: get('/b'), answers: 2 },
  { what: 'misses together', early: get('/b') + get('/c'), answers: 3 },
  { what: 'a request with a body', early: post('/b'), answers: 2 },
]) {
  test(`a connection continues after ${what} that arrived during a response`, async (t) => {
    const { address, origin } = await staged(t);
    const { socket, release } = await whileFetching(address, origin);
    socket.write(early);
    const other = dial(address);
    await ask(other, '/a'); // what was written before it has been read by now
    other.destroy();
    release();
    const text = await until(socket, new RegExp(`(?:body.*){${answers}}`, 's'));
    t.equal(text.match(/HTTP\/1\.1 200 OK/g)?.length, answers);
    t.match(await ask(socket, '/last'), /^HTTP\/1\.1 200 OK/);
    socket.destroy();
  });
}

test('a visitor that leaves during its fetch leaves nothing behind', async (t) => {
  const { address, origin } = await staged(t);
  origin.script = () => undefined;
  const asked = origin.next();
  const socket = dial(address);
  socket.write(get('/never-answered'));
  const request = await asked;
  const requestClosed = new Promise((resolve) => request.once('close', resolve));
  socket.resetAndDestroy();
  await requestClosed;
  origin.script = script;
  const other = dial(address);
  t.match(await ask(other, '/a'), /^HTTP\/1\.1 200 OK/);
  other.destroy();
});

test('a visitor that does not read a large hit is disconnected in time, and delays no other', async (t) => {
  const { address, answered, network } = await staged(t, { write_timeout: '1s' });
  const warm = dial(address);
  warm.write(get('/big'));
  let bytes = 0;
  for await (const chunk of warm) {
    bytes += (chunk as Buffer).length;
    if (bytes > BIG.length) break;
  }
  const idle = connect({ host: '127.0.0.1', port: Number(address.split(':')[1]) });
  idle.on('error', () => undefined); // reset, in the end
  idle.pause();
  idle.write(get('/big') + get('/big') + get('/big'));
  const reader = dial(address);
  reader.write(get('/big') + get('/big'));
  let read = 0;
  for await (const chunk of reader) {
    read += (chunk as Buffer).length;
    if (read > 2 * BIG.length) break;
  }
  t.ok(read > 2 * BIG.length, 'another one has all of it, twice');
  t.equal(answered(), 3);
  idle.on('close', () => t.pass('closed'));
  const closed = once(idle, 'close');
  const isOver = async (): Promise<boolean> =>
    (await network.metric('eu-1', 'seawall_requests_total', { listener: 'public', result: 'hit' })) === 3;
  while (!(await isOver())) await once(dial(address).end(get('/never')).resume(), 'close');
  idle.resume();
  await closed;
});

test('hits are counted with their bytes and their time', async (t) => {
  const { address, network } = await staged(t);
  const socket = dial(address);
  for (let i = 0; i < 4; i++) await ask(socket, '/a');
  socket.destroy();
  const metric = (name: string, labels = {}): Promise<number> =>
    network.metric('eu-1', name, { listener: 'public', ...labels });
  t.equal(await metric('seawall_requests_total', { result: 'hit', site: 'site' }), 3);
  t.equal(await metric('seawall_requests_total', { result: 'uri-miss', site: 'site' }), 1);
  t.equal(await metric('seawall_response_body_bytes_total', { site: 'site' }), 16);
  t.equal(await metric('seawall_request_duration_seconds_count'), 4);
});

test('closing ends idle connections at once; a request that has begun is the last one answered', async (t) => {
  const { address, network } = await staged(t);
  const [idle, fresh, half] = [dial(address), dial(address), dial(address)];
  half.write(get('/a').slice(0, -2));
  await once(fresh, 'connect');
  await ask(idle, '/a');
  await ask(idle, '/a'); // by now the others are accepted as well
  const closing = network.edge('eu-1').close();
  t.equal(await everything(idle), '');
  t.equal(await everything(fresh), '');
  half.write('\r\n');
  t.match(await everything(half), /Connection: close\r\n\r\nbody$/);
  await closing;
});

test('a reload takes effect from the next request, on open connections too', async (t) => {
  const { address, network, answered } = await staged(t);
  const socket = dial(address);
  await ask(socket, '/a');
  t.notMatch(await ask(socket, '/a'), /X-New/);
  network.reload({ response_headers: { set: { 'X-New': 'yes' } } });
  t.match(await ask(socket, '/a'), /X-New: yes/);
  t.equal(answered(), 2);
  socket.destroy();
});

test('this version of Node lets accepted connections share a buffer', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect(server.address() as { port: number });
  const [accepted] = (await once(server, 'connection')) as [Socket];
  let received = '';
  const receivedAll = new Promise<void>((resolve) => {
    const isShared = shareReads(accepted, (bytes, length) => {
      received += bytes.toString('latin1', 0, length);
      if (received === 'hello') resolve();
      return true;
    });
    t.ok(isShared, 'without it, a hit costs half as much again');
    accepted.resume();
    t.teardown(() => accepted.destroy());
  });
  client.write('hello');
  await receivedAll;
  client.destroy();
  server.close();
});

/** Both ends of a connection; the first one's process has written to one before. */
async function connected(t: { teardown(end: () => unknown): void }): Promise<{ server: Socket; client: Socket }> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const client = connect((listener.address() as { port: number }).port, '127.0.0.1');
  const [server] = (await once(listener, 'connection')) as [Socket];
  t.teardown(() => {
    client.destroy();
    server.destroy();
    listener.close();
  });
  for (let i = 0; i < 2; i++) if (writeDirectly(server, HELLO, () => undefined) === 'refused') server.write(HELLO);
  let come = 0;
  for await (const [chunk] of on(client, 'data')) {
    come += (chunk as Buffer).length;
    if (come === 2 * HELLO.length) break;
  }
  client.pause();
  return { server, client };
}

const HELLO = Buffer.from('hello');

test('this version of Node lets responses be written past the stream of a connection', async (t) => {
  const { server } = await connected(t);
  t.equal(
    writeDirectly(server, HELLO, () => undefined),
    'written',
    'without it, a hit costs a twentieth more',
  );
  server.cork();
  t.equal(
    writeDirectly(server, HELLO, () => undefined),
    'refused',
    'not before what the stream holds back',
  );
  server.uncork();
  server.end();
  t.equal(
    writeDirectly(server, HELLO, () => undefined),
    'refused',
    'not after its end',
  );
});

test('bytes written past a stream arrive whole and in order, at slow readers as well', async (t) => {
  const { server, client } = await connected(t);
  const pieces = Array.from({ length: 3_000 }, (_, i) => Buffer.alloc(1 + ((i * 7_919) % 16_384), String(i % 10)));
  const seen = { written: 0, pending: 0, refused: 0 };
  const received: Buffer[] = [];
  client.on('data', (chunk: Buffer) => {
    received.push(chunk);
    client.pause();
    setImmediate(() => client.resume());
  });
  const hasEnded = once(client, 'end');
  const writeFrom = (first: number): void => {
    for (let i = first; i < pieces.length; i++) {
      const piece = pieces[i] as Buffer;
      if (i % 100 === 99) {
        // The stream's own writes go in between.
        if (!server.write(piece)) {
          server.once('drain', () => writeFrom(i + 1));
          return;
        }
        continue;
      }
      const result = writeDirectly(server, piece, () => writeFrom(i + 1));
      seen[result]++;
      if (result === 'pending') {
        if (seen.pending === 1) client.resume();
        return;
      }
      if (result === 'refused' && !server.write(piece)) {
        server.once('drain', () => writeFrom(i + 1));
        return;
      }
    }
    server.end();
  };
  writeFrom(0);
  await hasEnded;
  t.ok(Buffer.concat(received).equals(Buffer.concat(pieces)));
  t.ok(seen.written > 100 && seen.pending > 10, JSON.stringify(seen));
});

test('a connection that breaks during a write past its stream is closed, without a callback', async (t) => {
  for (const breaks of ['client', 'server'] as const) {
    const { server, client } = await connected(t);
    server.on('error', () => undefined);
    const isClosed = new Promise<void>((resolve) => server.once('close', resolve));
    let called = 0;
    const large = Buffer.alloc(256 * 1024);
    while (writeDirectly(server, large, () => called++) === 'written');
    t.equal(server.writableLength, 0, 'it is not with the stream');
    if (breaks === 'client') client.resetAndDestroy();
    else server.destroy();
    await isClosed;
    t.equal(called, 0);
    t.equal(
      writeDirectly(server, HELLO, () => called++),
      'refused',
    );
  }
});
