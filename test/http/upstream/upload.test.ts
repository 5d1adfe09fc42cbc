/**
 * A server that refuses an upload answers while it is still being sent, and
 * closes with the rest unread: the answer counts, not the error of writing
 * (RFC 9112, section 9.6).
 */
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import tap, { type Test, test } from 'tap';
import { UpstreamClient, type UpstreamOptions } from '../../../http/upstream/client.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { startTcp } from '../../support/origin.ts';

const { cert, key } = makeCertificate(tap.testdir(), 'origin', ['a.test']);
const PIECE = Buffer.alloc(64 * 1024, 'x');
const PIECES = 64;

type Scheme = 'http' | 'https';

/** Starts a server, and a client of it, which are closed with the test. @param onHead - Gets each request head. */
async function clientOf(
  t: Test,
  onHead: (socket: Socket, head: string) => void,
  { scheme = 'http', ...options }: Partial<UpstreamOptions> & { readonly scheme?: Scheme } = {},
): Promise<UpstreamClient> {
  const server = await startTcp(onHead, undefined, scheme === 'http' ? undefined : { cert, key });
  const client = new UpstreamClient({
    url: server.url,
    connectTimeoutMs: 5_000,
    firstByteTimeoutMs: 5_000,
    idleTimeoutMs: 5_000,
    maxConnections: 4,
    maxWaiting: 100,
    busyCode: 'overloaded',
    tls: { verify: true, ca: cert, serverName: undefined },
    ...options,
  });
  t.teardown(async () => {
    await client.destroy();
    await server.close();
  });
  return client;
}

function* pieces(): Generator<Buffer> {
  for (let i = 0; i < PIECES; i++) yield PIECE;
}

/** Sends the upload; resolves with status and body, or with the code of the error. */
function upload(client: UpstreamClient, method: string, isChunked: boolean, body: Readable): Promise<string> {
  const length = isChunked ? [] : ['Content-Length', String(PIECE.length * PIECES)];
  return new Promise((resolve) => {
    let text = '';
    client.send(
      { method, target: '/upload', headers: ['Host', 'a.test', ...length], body },
      {
        onInterim: () => undefined,
        onHead: ({ status }) => {
          text += `${status} `;
        },
        onData: (piece) => {
          text += piece.toString('latin1');
        },
        onEnd: () => resolve(text),
        onError: ({ code, reason }) => resolve(`${text}${code} ${reason}`),
      },
    );
  });
}

const ANSWERS: Readonly<Record<string, { readonly answer: string; readonly seen: string }>> = {
  413: { answer: 'HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlarge', seen: '413 large' },
  '401 in chunks': {
    answer: 'HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nwho\r\n0\r\n\r\n',
    seen: '401 who',
  },
  '417 after 100': {
    answer: 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 417 Failed\r\nContent-Length: 0\r\n\r\n',
    seen: '417 ',
  },
  '200 of a server that does not want to read': {
    answer: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    seen: '200 ok',
  },
};

/** Moments at which the server gives up. */
const WAYS: Readonly<Record<string, (socket: Socket, answer: string) => void>> = {
  'with a reset, at once': (socket, answer) => {
    socket.pause();
    socket.write(answer, () => socket.destroy());
  },
  'with a reset, a little later': (socket, answer) => {
    socket.pause();
    socket.write(answer, () => setTimeout(() => socket.destroy(), 5));
  },
  'with its half of the connection': (socket, answer) => {
    socket.pause();
    socket.end(answer);
    socket.once('finish', () => setTimeout(() => socket.destroy(), 20));
  },
  'never, and reads on': (socket, answer) => {
    socket.write(answer);
  },
};

for (const scheme of ['http', 'https'] as const) {
  for (const [what, { answer, seen }] of Object.entries(ANSWERS)) {
    for (const [how, giveUp] of Object.entries(WAYS)) {
      test(`${scheme}: ${what}, and the server closes ${how}: the early response counts`, async (t) => {
        const client = await clientOf(
          t,
          (socket, head) => {
            if (head.startsWith('P')) giveUp(socket, answer);
          },
          { scheme },
        );
        const bodies: Readable[] = [];
        const results = await Promise.all(
          Array.from({ length: 20 }, (_, i) => {
            const body = Readable.from(pieces());
            bodies.push(body);
            return upload(client, i % 2 === 0 ? 'POST' : 'PUT', i % 4 < 2, body);
          }),
        );
        t.strictSame(results, Array(20).fill(seen));
        for (const body of bodies) t.ok(body.destroyed, 'nothing more is read of the body');
        t.equal(client.inFlight, 0);
      });
    }
  }

  test(`${scheme}: an early response counts when the next write meets a reset before it is read`, async (t) => {
    let more: () => void = () => undefined;
    const client = await clientOf(
      t,
      (socket) => {
        socket.pause();
        // What has not been read makes the close a reset; the write that follows it fails.
        socket.write(ANSWERS['413']?.answer as string, () => {
          socket.destroy();
          more();
        });
      },
      { scheme },
    );
    const results: string[] = [];
    for (let i = 0; i < 40; i++) {
      const body = new Readable({ read: () => undefined });
      more = () => {
        for (let piece = 0; piece < 8; piece++) body.push(PIECE);
      };
      body.push(PIECE);
      results.push(await upload(client, 'POST', i % 2 === 0, body));
    }
    t.strictSame(results, Array(40).fill('413 large'));
  });

  test(`${scheme}: an upload that is reset without a response has a cause`, async (t) => {
    const client = await clientOf(
      t,
      (socket) => {
        socket.pause();
        setTimeout(() => socket.destroy(), 5);
      },
      { scheme },
    );
    for (let i = 0; i < 10; i++) {
      t.match(
        await upload(client, 'POST', i % 2 === 0, Readable.from(pieces())),
        /^origin_bad_response (?:reset|closed)$/,
      );
    }
  });
}

test('an upload that the server does not read times out', async (t) => {
  const client = await clientOf(t, (socket) => socket.pause(), { firstByteTimeoutMs: 300 });
  const endless = Readable.from(
    (function* () {
      for (;;) yield PIECE;
    })(),
  );
  t.equal(await upload(client, 'POST', true, endless), 'origin_timeout head_timeout');
  t.ok(endless.destroyed);
});

test('an upload that its sender pauses does not time out for the server', async (t) => {
  const client = await clientOf(
    t,
    (socket, head) => {
      if (head.startsWith('POST'))
        socket.on('data', (bytes: Buffer) => bytes.includes('end') && socket.write(ANSWERS['413']?.answer as string));
    },
    { firstByteTimeoutMs: 200, idleTimeoutMs: 200 },
  );
  const slow = new Readable({ read: () => undefined });
  const done = upload(client, 'POST', true, slow);
  slow.push('begin');
  setTimeout(() => slow.push('end'), 600);
  t.equal(await done, '413 large');
});
