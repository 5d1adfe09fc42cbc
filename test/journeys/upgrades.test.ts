import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'tap';
import { WebSocket, WebSocketServer } from 'ws';
import { startNetwork } from '../support/network.ts';
import { startTcp, UNREACHABLE } from '../support/origin.ts';
import { dial, everything, exchange, statuses, until } from '../support/raw-client.ts';

const UPGRADE = 'GET /ws HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';

async function startEcho(): Promise<{ url: string; sockets: WebSocketServer; server: Server; close(): Promise<void> }> {
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sockets,
    server,
    close: async () => {
      for (const socket of sockets.clients) socket.terminate();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function speak(address: string): WebSocket {
  return new WebSocket(`ws://${address}/ws`, { headers: { Host: 'site.test' }, perMessageDeflate: false });
}

test('a websocket passes text, bytes, large frames and close codes, both ways', async (t) => {
  const origin = await startEcho();
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const socket = speak(network.at('eu-1'));
  await once(socket, 'open');
  for (const sent of [Buffer.from('hello'), Buffer.alloc(0), Buffer.alloc(5_000_000, 'ab')]) {
    socket.send(sent);
    const [data, isBinary] = (await once(socket, 'message')) as [Buffer, boolean];
    t.equal(isBinary, true);
    t.ok(data.equals(sent), `${sent.length} bytes`);
  }
  socket.send('text');
  t.equal(String((await once(socket, 'message'))[0]), 'text');
  const [other] = origin.sockets.clients;
  const closed = once(socket, 'close');
  other?.close(4001, 'enough');
  const [code, reason] = (await closed) as [number, Buffer];
  t.equal(code, 4001);
  t.equal(reason.toString(), 'enough');
  t.equal(await network.metric('eu-1', 'seawall_requests_total', { result: 'upgrade', site: 'site' }), 1);
  t.equal(await network.metric('shield-1', 'seawall_requests_total', { result: 'upgrade', site: 'site' }), 1);
});

test('when either side closes, the other is closed', async (t) => {
  const origin = await startEcho();
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const visitor = speak(network.at('eu-1'));
  const [[atOrigin]] = await Promise.all([once(origin.sockets, 'connection'), once(visitor, 'open')]);
  const originClosed = once(atOrigin as WebSocket, 'close');
  visitor.terminate();
  await originClosed;
  const second = speak(network.at('eu-1'));
  const [[other]] = await Promise.all([once(origin.sockets, 'connection'), once(second, 'open')]);
  const closed = once(second, 'close');
  (other as WebSocket).terminate();
  await closed;
});

test('an origin that declines an upgrade has its own response passed on, whole', async (t) => {
  const origin = await startTcp((socket) => {
    socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\nX-Why: members\r\n\r\nmembers');
  });
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const answer = await exchange(network.at('eu-1'), `${UPGRADE}\r\n`);
  t.strictSame(statuses(answer), [403]);
  t.match(answer, /X-Why: members.*\r\n\r\nmembers$/s);
});

test('an origin that is down, or breaks off during an upgrade: 502 names the request', async (t) => {
  const breaking = await startTcp((socket) => socket.resetAndDestroy());
  for (const url of [breaking.url, UNREACHABLE]) {
    const network = await startNetwork({ origin: url });
    const answer = await exchange(network.at('eu-1'), `${UPGRADE}\r\n`);
    await network.close();
    t.strictSame(statuses(answer), [502]);
    t.match(answer, /origin_(unreachable|bad_response).*[0-9a-f]{32}/s);
  }
  await breaking.close();
});

test('bytes sent before one side ended arrive, at the pace of a slow reader', async (t) => {
  const size = 6_000_000;
  const origin = await startTcp((socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    socket.end(Buffer.alloc(size, 'x'));
  });
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const socket = dial(network.at('eu-1'));
  socket.write(`${UPGRADE}\r\n`);
  const head = await until(socket, /\r\n\r\n/);
  socket.pause();
  for (let turn = 0; turn < 500; turn++) await new Promise((resolve) => setImmediate(resolve));
  const rest = await everything(socket);
  t.equal(head.length + rest.length - head.indexOf('\r\n\r\n') - 4, size);
});

test('closing a node cuts websockets off after the configured time', async (t) => {
  const origin = await startEcho();
  const network = await startNetwork({ origin: origin.url, limits: { drain_timeout: '100ms' } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const socket = speak(network.at('eu-1'));
  await once(socket, 'open');
  const closed = once(socket, 'close');
  await network.edge('eu-1').close();
  await closed;
});

for (const drains of ['eu-1', 'shield-1'] as const) {
  test(`when ${drains} drains, a websocket is told to go with 1001, behind what was sent before`, async (t) => {
    const origin = await startEcho();
    const network = await startNetwork({ origin: origin.url });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const visitor = speak(network.at('eu-1'));
    const [[atOrigin]] = await Promise.all([once(origin.sockets, 'connection'), once(visitor, 'open')]);
    const messages: string[] = [];
    visitor.on('message', (data) => messages.push(String(data)));
    const closed = once(visitor, 'close') as Promise<[number, Buffer]>;
    const originClosed = once(atOrigin as WebSocket, 'close') as Promise<[number, Buffer]>;
    visitor.send('hello');
    await once(visitor, 'message');
    const node = drains === 'eu-1' ? network.edge('eu-1') : network.shields[0];
    const since = performance.now();
    await node?.close();
    t.equal((await closed)[0], 1001);
    t.equal((await originClosed)[0], 1001, 'the answer of the visitor reaches the origin');
    t.ok(performance.now() - since < 900, 'long before the limit of the drain');
    t.strictSame(messages, ['hello']);
  });
}
