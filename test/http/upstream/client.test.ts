import { once } from 'node:events';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'tap';
import type { HttpError } from '../../../http/errors.ts';
import type { Flow, UpstreamRequest } from '../../../http/message.ts';
import { UpstreamClient, type UpstreamOptions } from '../../../http/upstream/client.ts';
import { ConcurrencyLimit } from '../../../http/upstream/concurrency-limit.ts';
import { requestHead } from '../../../http/upstream/request.ts';
import { startTcp, type TcpServer } from '../../support/origin.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

function request(target: string, others: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return { method: 'GET', target, headers: ['Host', 'a.test'], body: undefined, ...others };
}

interface Sent {
  readonly flow: Flow;
  /** The body, or the code of the error. */
  readonly done: Promise<string>;
  readonly received: () => number;
}

function send(client: UpstreamClient, target: string, others?: Partial<UpstreamRequest>): Sent {
  const { promise, resolve } = Promise.withResolvers<string>();
  let body = '';
  let bytes = 0;
  const flow = client.send(request(target, others), {
    onInterim: () => undefined,
    onHead: () => undefined,
    onData: (chunk) => {
      bytes += chunk.length;
      if (bytes < 10_000) body += chunk.toString('latin1');
    },
    onEnd: () => resolve(body),
    onError: (error: HttpError) => resolve(error.code),
  });
  return { flow, done: promise, received: () => bytes };
}

function clientOf(server: TcpServer, options: Partial<UpstreamOptions> = {}): UpstreamClient {
  return new UpstreamClient({
    url: server.url,
    connectTimeoutMs: 5_000,
    firstByteTimeoutMs: 5_000,
    idleTimeoutMs: 5_000,
    maxConnections: 10,
    maxWaiting: 10,
    busyCode: 'overloaded',
    ...options,
  });
}

/**
 * A server that answers at once, but for `/slow`: whoever asks for that gets nothing, and `slowly` is its connection.
 */
function holding() {
  const { promise: slowly, resolve } = Promise.withResolvers<Socket>();
  const onHead = (socket: Socket, head: string): void => {
    if (head.startsWith('GET /slow')) resolve(socket);
    else socket.write(OK);
  };
  return { onHead, slowly };
}

async function using(
  onHead: (socket: Socket, head: string) => void,
  use: (client: UpstreamClient, server: TcpServer) => Promise<void>,
  options?: Partial<UpstreamOptions>,
): Promise<void> {
  const server = await startTcp(onHead);
  const client = clientOf(server, options);
  await use(client, server);
  await client.destroy();
  await server.close();
}

test('a connection serves requests one after the other', async (t) => {
  await using(
    (socket) => socket.write(OK),
    async (client, server) => {
      for (let i = 0; i < 5; i++) t.equal(await send(client, `/${i}`).done, 'ok');
      t.equal(server.connections, 1);
      t.equal(client.inFlight, 0);
    },
  );
});

for (const [rule, answer] of Object.entries({
  'says that it closes': OK.replace('\r\n\r\n', '\r\nConnection: x , CLOSE\r\n\r\n'),
  'speaks HTTP/1.0': OK.replace('1.1', '1.0'),
  'says more than it should': `${OK}${OK}`,
  'keeps it for no time': OK.replace('\r\n\r\n', '\r\nKeep-Alive: timeout=1\r\n\r\n'),
})) {
  test(`a connection is not reused when the server ${rule}`, async (t) => {
    await using(
      (socket) => socket.write(answer),
      async (client, server) => {
        for (let i = 0; i < 3; i++) t.equal(await send(client, `/${i}`).done, 'ok');
        t.equal(server.connections, 3);
      },
    );
  });
}

for (const { rule, method, hasLimit, body, counts } of [
  { rule: 'counts until its response begins', method: 'GET', hasLimit: true, body: false, counts: true },
  { rule: 'that has no body counts, whatever its method', method: 'POST', hasLimit: true, body: false, counts: true },
  {
    rule: 'with a body, which may be incomplete, does not count',
    method: 'POST',
    hasLimit: true,
    body: true,
    counts: false,
  },
  {
    rule: 'does not count where there is no limit to learn',
    method: 'GET',
    hasLimit: false,
    body: false,
    counts: false,
  },
]) {
  test(`a request whose client has gone ${rule}`, async (t) => {
    const arrived = Promise.withResolvers<Socket>();
    await using(
      (socket) => {
        socket.allowHalfOpen = counts; // works on, as most servers do
        arrived.resolve(socket);
      },
      async (client) => {
        const given = body ? { method, body: Readable.from(['ab']) } : { method };
        const { flow } = send(client, '/', given);
        const socket = await arrived.promise;
        const [ended, closed] = [once(socket, 'end'), once(socket, 'close')];
        flow.abort();
        if (counts) await ended;
        t.equal(client.inFlight, counts ? 1 : 0);
        if (counts) socket.end(OK);
        await closed;
        while (client.inFlight > 0) await sleep(5);
      },
      hasLimit ? { limit: new ConcurrencyLimit(10) } : {},
    );
  });
}

test('a request whose client has gone, and whose server has closed, counts for as long as requests take', async (t) => {
  const arrived: Socket[] = [];
  const shapes: string[] = [];
  await using(
    (socket, head) => {
      shapes.push(head.slice(0, 9));
      if (head.startsWith('GET /ok')) setTimeout(() => socket.write(OK), 30);
      else arrived.push(socket);
    },
    async (client) => {
      t.equal(await send(client, '/ok').done, 'ok');
      const { flow } = send(client, '/hangs');
      while (arrived.length === 0) await sleep(5);
      const closed = once(arrived[0] as Socket, 'close');
      const began = performance.now();
      flow.abort();
      await closed;
      t.equal(client.inFlight, 1);
      while (client.inFlight > 0 && performance.now() - began < 8_000) await sleep(5);
      t.equal(client.inFlight, 0);
      t.equal(client.shares.heldBy('a visitor'), 0);
      t.strictSame(shapes, ['GET /ok H', 'GET /hang'], 'it is not sent again');
    },
    { limit: new ConcurrencyLimit(10) },
  );
});

test('a visitor that leaves keeps its share of the connections taken', async (t) => {
  await using(
    (socket, head) => {
      if (head.startsWith('GET /ok')) socket.write(OK);
    },
    async (client) => {
      t.equal(await send(client, '/ok').done, 'ok');
      for (let i = 0; i < 2; i++) {
        const { flow } = send(client, '/hangs', { visitor: 'one' });
        await sleep(50);
        flow.abort();
      }
      const began = performance.now();
      while (client.inFlight > 0 && performance.now() - began < 8_000) await sleep(5);
      t.equal(client.inFlight, 0);
      t.equal(client.shares.heldBy('one'), 2);
    },
    { limit: new ConcurrencyLimit(10) },
  );
});

test('while others wait for the server, it is not told: its response shows what it can take', async (t) => {
  const arrived: Socket[] = [];
  let isNotified = false;
  await using(
    (socket) => {
      socket.on('end', () => {
        isNotified = true;
      });
      arrived.push(socket);
    },
    async (client) => {
      const first = send(client, '/first');
      const second = send(client, '/second');
      while (arrived.length === 0) await sleep(5);
      first.flow.abort();
      t.equal(client.inFlight, 2);
      await sleep(100);
      t.notOk(isNotified);
      (arrived[0] as Socket).write(OK);
      while (arrived.length < 2) await sleep(5);
      (arrived[1] as Socket).write(OK);
      t.equal(await second.done, 'ok');
      t.equal(client.inFlight, 0);
    },
    { limit: new ConcurrencyLimit(1), maxConnections: 1 },
  );
});

const MAX_AGE_MS = 300;

for (const method of ['GET', 'POST']) {
  test(`a connection in constant use is replaced in time: the name may have a new address (${method})`, async (t) => {
    await using(
      (socket) => socket.write(OK.replace('\r\n\r\n', '\r\nKeep-Alive: timeout=60\r\n\r\n')),
      async (client, server) => {
        const began = performance.now();
        let requests = 0;
        for (; server.connections < 3; requests++) {
          t.equal(await send(client, `/${requests}`, { method }).done, 'ok');
          await sleep(20);
        }
        const tookMs = performance.now() - began;
        t.ok(tookMs >= 2 * MAX_AGE_MS, `${tookMs} ms for two connections and ${requests} requests`);
      },
      { maxAgeMs: MAX_AGE_MS },
    );
  });
}

test('unsolicited bytes of a server are never a response', async (t) => {
  const sockets: Socket[] = [];
  await using(
    (socket, head) => {
      sockets.push(socket);
      socket.write(head.startsWith('GET /first') ? OK : OK.replace('ok', 'OK'));
    },
    async (client, server) => {
      t.equal(await send(client, '/first').done, 'ok');
      const closed = once(sockets[0] as Socket, 'close');
      sockets[0]?.write(OK.replace('ok', 'no'));
      await closed;
      t.equal(await send(client, '/second').done, 'OK');
      t.equal(server.connections, 2);
    },
  );
});

test('a request that a kept connection swallowed is retried once on a fresh one', async (t) => {
  const served = new Map<Socket, number>();
  await using(
    (socket, head) => {
      const before = served.get(socket) ?? 0;
      served.set(socket, before + 1);
      if (before > 0 || head.startsWith('GET /never')) socket.destroy();
      else socket.write(OK);
    },
    async (client, server) => {
      await Promise.all([send(client, '/a').done, send(client, '/b').done]);
      t.equal(await send(client, '/c').done, 'ok');
      t.equal(server.connections, 3);
      t.equal(await send(client, '/never').done, 'origin_bad_response');
      t.equal(client.inFlight, 0);
    },
  );
});

test('a fresh connection that closes without a response is not retried', async (t) => {
  await using(
    (socket) => socket.end(),
    async (client, server) => {
      t.equal(await send(client, '/').done, 'origin_bad_response');
      t.equal(server.connections, 1);
    },
  );
});

test('requests above the number of connections wait, and too many are refused', async (t) => {
  const waiting: Socket[] = [];
  let most = 0;
  await using(
    (socket) => {
      waiting.push(socket);
      most = Math.max(most, waiting.length);
    },
    async (client, server) => {
      const sent = Array.from({ length: 6 }, (_, i) => send(client, `/${i}`));
      t.equal(client.inFlight, 5);
      t.equal(await sent[5]?.done, 'overloaded');
      sent[3]?.flow.abort(); // while it waits
      t.equal(client.inFlight, 4);
      const results = Promise.all([0, 1, 2, 4].map((i) => sent[i]?.done));
      const answering = setInterval(() => waiting.shift()?.write(OK), 5);
      t.strictSame(await results, ['ok', 'ok', 'ok', 'ok']);
      clearInterval(answering);
      t.equal(most, 2);
      t.equal(server.connections, 2);
      t.equal(client.inFlight, 0);
    },
    { maxConnections: 2, maxWaiting: 3 },
  );
});

test('a request that waits too long for a connection is refused, and those behind it have their own time', async (t) => {
  const { onHead, slowly } = holding();
  await using(
    onHead,
    async (client, server) => {
      const slow = send(client, '/slow');
      const first = send(client, '/a');
      t.equal(await first.done, 'origin_overloaded');
      t.equal(client.inFlight, 1);
      const second = send(client, '/b');
      (await slowly).write(OK);
      t.strictSame([await slow.done, await second.done], ['ok', 'ok']);
      t.equal(server.connections, 1);
      t.equal(client.inFlight, 0);
    },
    { maxConnections: 1, maxWaitMs: 100, busyCode: 'origin_overloaded' },
  );
});

test('requests with and without a body share the bound', async (t) => {
  const waiting: Socket[] = [];
  const heads: string[] = [];
  await using(
    (socket, head) => {
      heads.push(head);
      waiting.push(socket);
    },
    async (client) => {
      const get = send(client, '/get');
      const options = send(client, '/options', { method: 'OPTIONS' });
      while (waiting.length === 0) await new Promise(setImmediate);
      t.equal(heads.length, 1);
      waiting.shift()?.write(OK);
      t.equal(await get.done, 'ok');
      while (waiting.length === 0) await new Promise(setImmediate);
      t.match(heads[1], /^OPTIONS /);
      waiting.shift()?.write(OK);
      t.equal(await options.done, 'ok');
    },
    { maxConnections: 1 },
  );
});

for (const { rule, answer, code } of [
  { rule: 'says nothing', answer: '', code: 'origin_timeout' },
  { rule: 'says half a head', answer: 'HTTP/1.1 200 OK\r\nA: b', code: 'origin_timeout' },
  { rule: 'stops in the body', answer: OK.slice(0, -1), code: 'origin_timeout' },
]) {
  test(`a server that ${rule}: ${code}`, async (t) => {
    await using(
      (socket) => socket.write(answer),
      async (client) => {
        t.equal(await send(client, '/').done, code);
      },
      { firstByteTimeoutMs: 200, idleTimeoutMs: 200 },
    );
  });
}

test('a refused connection is an error by code', async (t) => {
  const server = await startTcp(() => undefined);
  await server.close();
  const client = clientOf(server);
  t.equal(await send(client, '/').done, 'origin_unreachable');
  t.equal(client.inFlight, 0);
  await client.destroy();
});

test('a body under back-pressure is not read, and does not time out', async (t) => {
  const SIZE = 64 * 1024 * 1024;
  let written = 0;
  await using(
    (socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${SIZE}\r\n\r\n`);
      const piece = Buffer.alloc(1024 * 1024);
      const more = (): void => {
        while (written < SIZE && socket.writableLength < piece.length) {
          socket.write(piece);
          written += piece.length;
        }
        if (written < SIZE) socket.once('drain', more);
      };
      more();
    },
    async (client) => {
      const { flow, done, received } = send(client, '/');
      while (received() === 0) await new Promise(setImmediate);
      flow.pause();
      const held = received();
      await new Promise((resolve) => setTimeout(resolve, 500)); // longer than the time for a body
      t.ok(received() <= held + 64 * 1024);
      t.ok(written < SIZE);
      flow.resume();
      await done;
      t.equal(received(), SIZE);
      t.equal(await send(client, '/again').flow.abort(), undefined);
    },
    { idleTimeoutMs: 200 },
  );
});

test('an abort closes the connection, and the sink gets no further call', async (t) => {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  await using(
    (socket) => resolve(socket),
    async (client) => {
      const { flow, done } = send(client, '/');
      const socket = await promise;
      const closed = once(socket, 'close');
      flow.abort();
      flow.abort();
      await closed;
      t.equal(client.inFlight, 0);
      t.equal(await Promise.race([done, new Promise((later) => setTimeout(later, 20, 'nothing'))]), 'nothing');
    },
  );
});

test('closing ends idle connections and finishes the rest', async (t) => {
  const { onHead, slowly } = holding();
  await using(onHead, async (client, server) => {
    const slow = send(client, '/slow');
    t.equal(await send(client, '/quick').done, 'ok');
    const socket = await slowly;
    await client.close();
    socket.write(OK);
    t.equal(await slow.done, 'ok');
    // A request that was under way elsewhere may come to it late, as its next server: it gets a connection that is not
    // kept.
    t.equal(await send(client, '/late').done, 'ok');
    t.equal(await send(client, '/late', { method: 'POST' }).done, 'ok');
    t.equal(server.connections, 4);
    await client.destroy();
    t.equal(await send(client, '/never').done, 'origin_bad_response');
    t.equal(await send(client, '/never', { method: 'POST' }).done, 'origin_bad_response');
  });
});

test('closing lets requests in the queue get a connection', async (t) => {
  const { onHead, slowly } = holding();
  await using(
    onHead,
    async (client) => {
      const slow = send(client, '/slow');
      const waiting = [send(client, '/a'), send(client, '/b', { method: 'POST' }), send(client, '/c')];
      const socket = await slowly;
      await client.close();
      socket.write(OK);
      t.strictSame(await Promise.all([slow, ...waiting].map(({ done }) => done)), ['ok', 'ok', 'ok', 'ok']);
    },
    { maxConnections: 1 },
  );
});

test('a request with a line break is not written', async (t) => {
  const bad: Partial<UpstreamRequest>[] = [
    { target: '/a b' },
    { target: '/a\r\nX: y' },
    { target: 'a' },
    { headers: ['Host', 'a', 'X', 'a\r\nY: b'] },
    { headers: ['Host', 'a', 'X', 'a\nb'] },
    { headers: ['Host', 'a', 'X', 'a\0b'] },
    { headers: ['Host', 'a', 'X: y\r\nZ', 'a'] },
    { headers: ['Host', 'a', '', 'a'] },
    { headers: ['Host', 'a', 'host', 'b'] },
    { headers: ['X', 'a'] },
    { headers: ['Host', 'a', 'Content-Length', '3'] },
    { headers: ['Host', 'a', 'Content-Length', '3'], method: 'POST' },
    { headers: ['Host', 'a', 'Content-Length', '3', 'content-length', '3'], body: Readable.from(['abc']) },
    { headers: ['Host', 'a', 'Content-Length', '+3'], body: Readable.from(['abc']) },
    { headers: ['Host', 'a', 'Transfer-encoding', 'chunked'] },
    { headers: ['Host', 'a', 'Connection', 'close'] },
    { headers: ['Host', 'a', 'Expect', '100-continue'] },
    { method: 'CONNECT' },
    { method: 'GET / HTTP/1.1\r\nX:' },
    { upgrade: 'a\r\nX: y' },
  ];
  for (const others of bad) {
    t.throws(() => requestHead(request('/', others)), { code: 'bad_request' }, JSON.stringify(others.headers));
  }
  const written = (others: Partial<UpstreamRequest>): string => requestHead(request('/', others)).text;
  const lines = (...more: readonly string[]): string => `${['Host: a.test', ...more].join('\r\n')}\r\n\r\n`;
  const body = Readable.from(['abc']);
  t.equal(written({}), `GET / HTTP/1.1\r\nConnection: keep-alive\r\n${lines()}`);
  t.equal(written({ method: 'POST' }), `POST / HTTP/1.1\r\nConnection: keep-alive\r\n${lines('Content-Length: 0')}`);
  t.equal(
    written({ method: 'PUT', body }),
    `PUT / HTTP/1.1\r\nConnection: keep-alive\r\n${lines('Transfer-Encoding: chunked')}`,
  );
  t.equal(
    written({ upgrade: 'websocket' }),
    `GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n${lines()}`,
  );
});

test('bytes after a head bypass sinks that only read the head', async (t) => {
  const response = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody';
  await using(
    (socket) => socket.write(response),
    async (client) => {
      const seen: string[] = [];
      const { promise: done, resolve } = Promise.withResolvers<void>();
      client.send(request('/'), {
        body: {
          onData: (chunk) => seen.push(`body ${chunk}`),
          onEnd: () => {
            seen.push('end of body');
            resolve();
          },
        },
        onInterim: () => undefined,
        onHead: ({ status }) => seen.push(`head ${status}`),
        onData: (chunk) => seen.push(`data ${chunk}`),
        onEnd: () => seen.push('end'),
        onError: ({ code }) => seen.push(code),
      });
      await done;
      t.strictSame(seen, ['head 200', 'body body', 'end of body']);
    },
  );
});
