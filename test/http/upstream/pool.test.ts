/**
 * Bytes that a server sends beyond its response are never the response to
 * another request, over TLS or not, whatever the method and whenever they come.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import tap, { test } from 'tap';
import { UpstreamClient } from '../../../http/upstream/client.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { startTcp, type TcpServer } from '../../support/origin.ts';

const FAKE = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake';
const NEXT = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext';

interface Kind {
  readonly rule: string;
  readonly method: string;
  /** The whole response. */
  readonly response: string;
  /** True if the response ends with its head: later bytes do not belong to it. */
  readonly endsWithHead?: true;
}

const KINDS: readonly Kind[] = [
  { rule: 'HEAD', method: 'HEAD', response: 'HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n', endsWithHead: true },
  {
    rule: 'HEAD in chunks',
    method: 'HEAD',
    response: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    endsWithHead: true,
  },
  { rule: '204', method: 'GET', response: 'HTTP/1.1 204 No Content\r\n\r\n', endsWithHead: true },
  {
    rule: '204 to POST',
    method: 'POST',
    response: 'HTTP/1.1 204 No Content\r\nContent-Length: 40\r\n\r\n',
    endsWithHead: true,
  },
  {
    rule: '304',
    method: 'GET',
    response: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 40\r\n\r\n',
    endsWithHead: true,
  },
  { rule: 'no bytes', method: 'GET', response: 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', endsWithHead: true },
  { rule: 'a length too small', method: 'GET', response: 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc' },
  { rule: 'a length too small to POST', method: 'POST', response: 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc' },
  {
    rule: 'chunks',
    method: 'GET',
    response: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  },
];

const SURPLUS: Readonly<Record<string, string>> = {
  'a response': FAKE,
  'two responses': FAKE + FAKE,
  'a body and a response': `${'x'.repeat(40)}${FAKE}`,
  'the end of chunks': '0\r\n\r\n',
  'one byte': 'x',
};

/** Moments of an exchange at which its server, or the client, does something. */
interface Steps {
  readonly onFirst: (socket: Socket) => void;
  readonly onFirstEnd?: (writeSurplus: () => Promise<void>) => void;
  readonly betweenThem?: () => Promise<void>;
  /** The next request is on the connection of the first. */
  readonly onNext?: (socket: Socket) => void;
}

const { cert, key } = makeCertificate(tap.testdir(), 'origin', ['a.test']);

/** Longer than any test: a machine may be busy for longer than connections rest by default. */
const REST_MS = 600_000;

function clientOf({ url }: TcpServer, maxConnections: number, restMs = REST_MS): UpstreamClient {
  return new UpstreamClient({
    url,
    restMs,
    connectTimeoutMs: 5_000,
    firstByteTimeoutMs: 5_000,
    idleTimeoutMs: 5_000,
    maxConnections,
    maxWaiting: 100,
    busyCode: 'overloaded',
    tls: { verify: true, ca: cert, serverName: undefined },
  });
}

function send(
  client: UpstreamClient,
  target: string,
  method: string,
  onEnd: () => void = () => undefined,
): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    client.send(
      { method, target, headers: ['Host', 'a.test'], body: undefined },
      {
        onInterim: () => undefined,
        onHead: ({ status }) => {
          text += `${status} `;
        },
        onData: (piece) => {
          text += piece.toString('latin1');
        },
        onEnd: () => {
          onEnd();
          resolve(text);
        },
        onError: ({ message }) => resolve(message),
      },
    );
  });
}

for (const scheme of ['http', 'https']) {
  for (const { rule, method, response, endsWithHead } of KINDS) {
    for (const [what, surplus] of Object.entries(SURPLUS)) {
      /** Plays it against a server: the first request, then two more, of which one takes the kept connection. */
      const play = async ({ onFirst, onFirstEnd, betweenThem, onNext }: Steps): Promise<string> => {
        let kept: Socket | undefined;
        const writeSurplus = (): Promise<void> =>
          new Promise((resolve) => {
            if (kept?.writable) kept.write(surplus, () => resolve());
            else resolve();
          });
        const server = await startTcp(
          (socket, head) => {
            if (/ \/first /.test(head)) {
              kept = socket;
              onFirst(socket);
            } else {
              if (socket === kept) onNext?.(socket);
              socket.write(NEXT);
            }
          },
          undefined,
          scheme === 'http' ? undefined : { cert, key },
        );
        const client = clientOf(server, 8);
        await send(client, '/first', method, () => onFirstEnd?.(writeSurplus));
        await betweenThem?.();
        const next = await Promise.all([send(client, '/next', 'GET'), send(client, '/next', 'POST')]);
        await client.destroy();
        await server.close();
        return next.join();
      };
      const NEXTS = '200 next,200 next';

      test(`${scheme}, ${rule}: ${what} in the same segment`, async (t) => {
        t.equal(await play({ onFirst: (socket) => socket.write(response + surplus) }), NEXTS);
      });

      test(`${scheme}, ${rule}: ${what} in a later one, which is there when the next request is sent`, async (t) => {
        const { promise: written, resolve } = Promise.withResolvers<void>();
        t.equal(
          await play({
            onFirst: (socket) => socket.write(response),
            // Node's TLS flushes a second write only in a turn of its own.
            onFirstEnd: (writeSurplus) => void setImmediate(() => void writeSurplus().then(resolve)),
            betweenThem: () => written,
          }),
          NEXTS,
        );
      });

      if (endsWithHead === undefined) continue;
      test(`${scheme}, ${rule}: ${what} in a later one, when the next request has arrived`, async (t) => {
        t.equal(
          await play({
            onFirst: (socket) => socket.write(response),
            betweenThem: () => nextTurn(),
            onNext: (socket) => socket.write(surplus),
          }),
          NEXTS,
        );
      });
    }
  }

  test(`${scheme}: resting connections count towards the maximum and are used again`, async (t) => {
    const server = await startTcp(
      (socket) => socket.write('HTTP/1.1 304 Not Modified\r\n\r\n'),
      undefined,
      scheme === 'http' ? undefined : { cert, key },
    );
    const client = clientOf(server, 2, 100);
    for (let i = 0; i < 10; i++) {
      await Promise.all([send(client, '/a', 'GET'), send(client, '/b', 'GET'), send(client, '/c', 'GET')]);
      t.ok(client.pool.open <= 2);
    }
    await sleep(150);
    const before = server.connections;
    for (let i = 0; i < 3; i++) {
      await send(client, '/later', 'GET');
      await sleep(150);
    }
    t.equal(server.connections, before);
    await client.destroy();
    await server.close();
  });

  test(`${scheme}: a POST on a kept connection that the server has closed is sent on a new one`, async (t) => {
    const sockets: Socket[] = [];
    const server = await startTcp(
      (socket) => {
        sockets.push(socket);
        socket.write(NEXT);
      },
      undefined,
      scheme === 'http' ? undefined : { cert, key },
    );
    const client = clientOf(server, 2);
    t.equal(await send(client, '/', 'POST', () => sockets[0]?.destroy()), '200 next');
    t.equal(await send(client, '/', 'POST'), '200 next');
    t.equal(server.connections, 2);
    await client.destroy();
    await server.close();
  });
}

test('connections to a server that has sent surplus bytes rest after every response', async (t) => {
  const sockets: Socket[] = [];
  const server = await startTcp((socket, head) => {
    sockets.push(socket);
    socket.write(head.includes('/surplus') ? `${NEXT}x` : NEXT);
  });
  const client = clientOf(server, 3);
  t.equal(await send(client, '/a', 'GET'), '200 next');
  t.equal(await send(client, '/surplus', 'GET'), '200 next');
  t.equal(server.connections, 1);
  t.equal(await send(client, '/b', 'GET', () => void setTimeout(() => sockets[2]?.write(FAKE), 5)), '200 next');
  t.equal(await send(client, '/c', 'GET'), '200 next');
  t.equal(server.connections, 3);
  await client.destroy();
  await server.close();
});

test('a connection taken in the poll that checks the others waits for one more poll', async (t) => {
  const first: Socket[] = [];
  const sockets: Socket[] = [];
  const server = await startTcp((socket, head) => {
    if (!head.includes('/first')) socket.write(NEXT);
    // Both at once, so that each has a connection of its own; they are kept in this order.
    else if (first.push(socket) === 2) first[0]?.write(NEXT, () => first[1]?.write(NEXT));
  });
  const bell = await startTcp(
    () => undefined,
    (socket) => void sockets.push(socket),
  );
  const ringing = connect(Number(new URL(bell.url).port), '127.0.0.1');
  await once(ringing, 'connect');
  while (sockets.length === 0) await new Promise(setImmediate);
  const client = clientOf(server, 2);
  await Promise.all([send(client, '/first', 'GET'), send(client, '/first', 'GET')]);
  t.equal(server.connections, 2);
  const other = new Promise<string>((resolve) => {
    ringing.once('data', () => {
      resolve(send(client, '/other', 'GET'));
      first[0]?.write(FAKE); // there at once, and seen by no poll before the next
    });
  });
  const one = send(client, '/one', 'GET');
  setImmediate(() => sockets[0]?.write('x')); // read in the poll that the request before this one waits for
  t.equal(await one, '200 next');
  t.equal(await other, '200 next');
  t.equal(server.connections, 3);
  ringing.destroy();
  await client.destroy();
  await Promise.all([server.close(), bell.close()]);
});

for (const isSuspect of [false, true]) {
  const rule = isSuspect ? 'is closed when the server was seen to send too much' : 'is used early';
  test(`at the maximum of open connections, a resting one ${rule}`, async (t) => {
    const server = await startTcp((socket, head) =>
      socket.write(head.includes('/surplus') ? `${NEXT}x` : 'HTTP/1.1 304 Not Modified\r\n\r\n'),
    );
    const client = clientOf(server, 1);
    if (isSuspect) await send(client, '/surplus', 'GET');
    const before = server.connections;
    for (let i = 0; i < 5; i++) t.equal(await send(client, '/', 'GET'), '304 ');
    t.equal(server.connections - before, isSuspect ? 5 : 1);
    t.equal(client.pool.open, 1);
    await client.destroy();
    await server.close();
  });
}

test('bytes on an idle connection close it', async (t) => {
  const sockets: Socket[] = [];
  const server = await startTcp((socket) => {
    sockets.push(socket);
    socket.write(NEXT);
  });
  const client = clientOf(server, 2);
  await send(client, '/', 'GET');
  const closed = once(sockets[0] as Socket, 'close');
  const from = performance.now();
  sockets[0]?.write('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n');
  await closed;
  t.ok(performance.now() - from < 2_000, 'well before its idle time is over');
  t.equal(client.pool.open, 0);
  await client.destroy();
  await server.close();
});
