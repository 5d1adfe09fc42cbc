/**
 * Connections that are answered before HTTP is parsed: they come back to that
 * after what takes longer, keep to all bounds, and are counted like others.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'tap';
import { shareReads } from '../../http/shared-reads.ts';
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
  const answered = (): number => network.edge('eu-1').answeredFast;
  return { network, origin, address: network.at('eu-1'), answered };
}

async function ask(socket: Socket, path: string): Promise<string> {
  socket.write(get(path));
  return until(socket, /body$/);
}

test('a connection comes back after a miss, and after what is never stored', async (t) => {
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

test('what is asked for while an answer is on its way is answered after it', async (t) => {
  const { address, origin } = await staged(t);
  const warm = dial(address);
  await ask(warm, '/a');
  warm.destroy();
  let release: (() => void) | undefined;
  origin.script = (request, response) => {
    release = () => script(request, response);
  };
  const socket = dial(address);
  const asked = origin.next();
  socket.write(get('/slow'));
  await asked;
  socket.write(get('/a') + get('/a'));
  release?.();
  const text = await until(socket, /(?:body.*){3}/s);
  t.equal(text.match(/"eu-1"; ?fwd=uri-miss/g)?.length, 1);
  t.equal(text.match(/; ?hit/g)?.length, 2);
  t.ok(text.indexOf('uri-miss') < text.search(/; ?hit/), 'in their order');
  socket.destroy();
});

test('a visitor who leaves while its answer is fetched leaves no trace', async (t) => {
  const { address, origin } = await staged(t);
  origin.script = () => undefined;
  const asked = origin.next();
  const socket = dial(address);
  socket.write(get('/never-answered'));
  const request = await asked;
  const gone = new Promise((resolve) => request.once('close', resolve));
  socket.destroy();
  await gone;
  origin.script = script;
  const other = dial(address);
  t.match(await ask(other, '/a'), /^HTTP\/1\.1 200 OK/);
  other.destroy();
});

test('who reads nothing of a large hit is closed in time, and holds nobody back', async (t) => {
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
  while (!(await isOver())) await once(dial(address).end(get('/never')), 'close');
  idle.resume();
  await closed;
});

test('hits are counted like any others, with their bytes and their time', async (t) => {
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

test('closing: idle connections go at once; half a request becomes one, and its answer is the last', async (t) => {
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

test('a reload counts from the next request on, on open connections too', async (t) => {
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
  let heard = '';
  const heardAll = new Promise<void>((resolve) => {
    const isShared = shareReads(accepted, (bytes, length) => {
      heard += bytes.toString('latin1', 0, length);
      if (heard === 'hello') resolve();
      return true;
    });
    t.ok(isShared, 'without it, a hit costs half as much again');
    accepted.resume();
    t.teardown(() => accepted.destroy());
  });
  client.write('hello');
  await heardAll;
  client.destroy();
  server.close();
});
