/** One contract for the exchanges of all three servers: HTTP/1.1 read here, HTTP/2, and what `node:http` reads. */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request as requestHttp1 } from 'node:http';
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { type Test, test } from 'tap';
import { limitsSchema } from '../../config/schema/limits.ts';
import type { ServerExchange } from '../../http/exchange.ts';
import type { RawHeaders } from '../../http/fields/headers.ts';
import { Recogniser } from '../../http/http1/recogniser.ts';
import { Http1Server } from '../../http/http1/server.ts';
import { Http2Connections } from '../../http/http2/connections.ts';
import { listen } from '../../http/listener/listener.ts';
import type { BodyReader } from '../../http/message.ts';
import { makeCertificate } from '../support/certificate.ts';
import { STARTED } from '../support/started.ts';

type Handler = (exchange: ServerExchange) => void;

interface Received {
  readonly interim: readonly number[];
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly trailers: unknown;
  /** True if the answer is complete. */
  readonly isWhole: boolean;
}

interface Client {
  ask(method: string, options?: { readonly leaveAfterHead?: boolean }): Promise<Received>;
}

const limits = limitsSchema.parse({ drain_timeout: '1s' });

async function overHttp1(t: Test, handler: Handler, isRecognised: boolean, isPrepared = false): Promise<Client> {
  const recogniser = new Recogniser({ maxBytes: 16_384, maxLines: 100 });
  const front = new Http1Server({
    recogniser: () => recogniser,
    limits: () => limits,
    onRequest: handler,
    isPrepared,
  });
  const { address, close } = await listen(STARTED, {
    address: '127.0.0.1:0',
    limits,
    ...(isRecognised && { onConnection: (socket, wire, unread) => front.accept(socket, wire, unread) }),
    onRequest: (exchange) => {
      if (isRecognised) t.fail('not recognised');
      handler(exchange);
    },
  });
  const agent = new Agent({ keepAlive: true });
  t.teardown(async () => {
    agent.destroy();
    front.close();
    await close();
  });
  return {
    async ask(method, { leaveAfterHead = false } = {}) {
      const request = requestHttp1(`http://${address}/path?query`, { method, agent, headers: { 'X-Field': 'value' } });
      const interim: number[] = [];
      request.on('information', ({ statusCode }) => interim.push(statusCode));
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      if (leaveAfterHead) request.destroy();
      const { body, isWhole } = await bodyOf(response);
      const { statusCode: status = 0, headers, trailers } = response;
      return { interim, status, headers, body, trailers, isWhole };
    },
  };
}

async function overHttp2(t: Test, handler: Handler, isPrepared = false): Promise<Client> {
  const { cert, key } = makeCertificate(t.testdir(), 'site', ['site.test']);
  const connections = new Http2Connections(
    { onRequest: handler, onProblem: (error) => t.fail(String(error)), isPrepared },
    () => limits,
  );
  const server = createTlsServer({ cert, key, ALPNProtocols: ['h2'] }, (socket) => connections.accept(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const session = connectHttp2(`https://127.0.0.1:${(server.address() as AddressInfo).port}`, {
    rejectUnauthorized: false,
  });
  session.on('error', () => undefined);
  t.teardown(() => {
    session.destroy();
    connections.close();
    server.close();
  });
  return {
    async ask(method, { leaveAfterHead = false } = {}) {
      const stream = session.request({
        ':method': method,
        ':path': '/path?query',
        ':authority': 'site.test',
        'x-field': 'value',
      });
      const interim: number[] = [];
      stream.on('headers', ({ ':status': status }) => interim.push(Number(status)));
      let trailers: unknown = {};
      stream.on('trailers', (fields) => {
        trailers = { ...fields };
      });
      const [{ ':status': status, ...headers }] = (await once(stream, 'response')) as [IncomingHttpHeaders];
      if (leaveAfterHead) stream.close(8);
      const { body, isWhole } = await bodyOf(stream);
      return { interim, status: Number(status), headers, body, trailers, isWhole: isWhole && stream.rstCode === 0 };
    },
  };
}

async function bodyOf(stream: NodeJS.ReadableStream): Promise<{ body: string; isWhole: boolean }> {
  let body = '';
  try {
    for await (const piece of stream) body += piece;
    return { body, isWhole: true };
  } catch {
    return { body, isWhole: false };
  }
}

const SERVERS: Readonly<Record<string, (t: Test, handler: Handler) => Promise<Client>>> = {
  'HTTP/1.1': (t, handler) => overHttp1(t, handler, true),
  'HTTP/2': overHttp2,
  'node:http': (t, handler) => overHttp1(t, handler, false),
};

/** The same where requests may be answered with prepared bytes. */
const PREPARING: typeof SERVERS = {
  'HTTP/1.1': (t, handler) => overHttp1(t, handler, true, true),
  'HTTP/2': (t, handler) => overHttp2(t, handler, true),
  'node:http': (t, handler) => overHttp1(t, handler, false, true),
};

const OK = (headers: RawHeaders = []) => ({ status: 200, statusText: '', headers });

for (const [name, start] of Object.entries(SERVERS)) {
  test(`${name}: an exchange has the request as it was sent`, async (t) => {
    let seen: Partial<ServerExchange> = {};
    const client = await start(t, (exchange) => {
      const { method, target, version, remoteAddress, isTls, body, hasHead, isClosed } = exchange;
      seen = { method, target, version, remoteAddress, isTls, body, hasHead, isClosed };
      t.match(exchange.headers.join('\n'), /^x-field\nvalue$/im);
      exchange.head(OK(['Content-Length', '0']));
      t.equal(exchange.hasHead, true);
      exchange.end();
    });
    t.match(await client.ask('GET'), { status: 200, body: '', isWhole: true });
    t.strictSame(seen, {
      method: 'GET',
      target: '/path?query',
      version: name === 'HTTP/2' ? '2' : '1.1',
      remoteAddress: '127.0.0.1',
      isTls: name === 'HTTP/2',
      body: undefined,
      hasHead: false,
      isClosed: false,
    });
  });

  test(`${name}: pieces and trailers arrive, and HEAD gets the same head alone`, async (t) => {
    const client = await start(t, (exchange) => {
      exchange.head(OK(['X-Answer', 'yes']));
      exchange.flush();
      for (const piece of ['one, ', '', 'two']) exchange.write(Buffer.from(piece));
      exchange.end(['X-Trailer', 'last']);
    });
    const got = await client.ask('GET');
    t.match(got, { status: 200, headers: { 'x-answer': 'yes' }, body: 'one, two', isWhole: true });
    t.match(got.trailers, { 'x-trailer': 'last' });
    t.match(await client.ask('HEAD'), { status: 200, headers: { 'x-answer': 'yes' }, body: '', isWhole: true });
  });

  test(`${name}: trailers are left out after a body with Content-Length`, async (t) => {
    const client = await start(t, (exchange) => {
      exchange.head(OK(['Content-Length', '3']));
      exchange.write(Buffer.from('one'));
      exchange.end(['X-Trailer', 'last']);
    });
    t.match(await client.ask('GET'), { body: 'one', trailers: {}, isWhole: true });
  });

  test(`${name}: interim responses precede the head, never follow it`, async (t) => {
    const client = await start(t, (exchange) => {
      exchange.interim(103, ['Link', '</style.css>; rel=preload']);
      exchange.head(OK(['Content-Length', '3']));
      exchange.interim(103, []);
      exchange.write(Buffer.from('one'));
      exchange.end();
    });
    t.match(await client.ask('GET'), { interim: [103], body: 'one', isWhole: true });
  });

  test(`${name}: an aborted response does not look complete`, async (t) => {
    for (const headers of [[], ['Content-Length', '10']]) {
      const client = await start(t, (exchange) => {
        exchange.head(OK(headers));
        exchange.write(Buffer.from('one'));
        setImmediate(() => exchange.abort());
      });
      t.match(await client.ask('GET'), { status: 200, isWhole: false });
    }
  });

  test(`${name}: a field with a line break is refused`, async (t) => {
    const client = await start(t, (exchange) => {
      t.throws(() => exchange.head(OK(['X-Bad', 'a\r\nb: c'])), TypeError);
      exchange.abort();
    });
    await t.rejects(client.ask('GET'));
  });

  test(`${name}: onClose is called when the connection closes before the end, and only then`, async (t) => {
    let closed = 0;
    const abortSeen = Promise.withResolvers<void>();
    const left = (): void => {
      t.fail('was taken off');
    };
    const client = await start(t, (exchange) => {
      exchange.onClose(left);
      exchange.onClose(() => {
        closed++;
        t.equal(exchange.isClosed, true);
        abortSeen.resolve();
      });
      exchange.offClose(left);
      exchange.head(OK(['Content-Length', '6']));
      exchange.write(Buffer.from('one'));
      if (exchange.method !== 'GET') exchange.end();
    });
    t.equal((await client.ask('HEAD')).isWhole, true);
    t.equal(closed, 0);
    await client.ask('GET', { leaveAfterHead: true });
    await abortSeen.promise;
    t.equal(closed, 1);
  });

  test(`${name}: onDrain is called when the reader has caught up or has left`, async (t) => {
    const PIECE = Buffer.alloc(64 * 1024, 'x');
    const COUNT = 200;
    let waits = 0;
    const ended = Promise.withResolvers<void>();
    const client = await start(t, (exchange) => {
      let left = COUNT;
      exchange.head(OK());
      const write = (): void => {
        if (exchange.isClosed) {
          ended.resolve();
          return;
        }
        while (left-- > 0) {
          if (exchange.write(PIECE)) continue;
          waits++;
          exchange.onDrain(write);
          return;
        }
        exchange.end();
      };
      write();
    });
    const { body, isWhole } = await client.ask('GET');
    t.equal(isWhole, true);
    t.equal(body.length, PIECE.length * COUNT);
    t.ok(waits > 0, `${waits} waits`);
    await client.ask('GET', { leaveAfterHead: true });
    await ended.promise;
  });
}

const BODY = Buffer.from('one, two');

/** A head as prepared answers have it. */
function preparedHead(length = BODY.length): string {
  return `HTTP/1.1 200 OK\r\nX-Answer: prepared\r\nContent-Length: ${length}\r\nConnection: keep-alive\r\n\r\n`;
}

/** Answers as the exchange of any other request is answered. */
function answerPlainly(exchange: ServerExchange, answer = 'plain'): void {
  exchange.head(OK(['X-Answer', answer, 'Content-Length', String(BODY.length)]));
  exchange.write(BODY);
  exchange.end();
}

/** @returns A body of these pieces, each of which has to be waited for. */
function arriving(pieces: readonly string[], onClose: () => void = () => undefined): BodyReader {
  const left = [...pieces];
  return {
    next: async () => {
      await turn();
      const piece = left.shift();
      return piece === undefined ? null : Buffer.from(piece);
    },
    close: onClose,
  };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

for (const [name, start] of Object.entries(PREPARING)) {
  /** True if the server answers with prepared bytes at all. */
  const prepares = name !== 'node:http';

  test(`${name}: a request that repeats its header section is ${prepares ? '' : 'not '}offered for prepared bytes`, async (t) => {
    const offers: boolean[] = [];
    const client = await start(t, (exchange) => {
      const { prepared } = exchange;
      offers.push(prepared !== undefined);
      if (prepared !== undefined) {
        t.match(prepared.section.headers.join('\n'), /^x-field\nvalue$/im);
        t.equal(prepared.claim(), true);
        t.equal(exchange.prepared, undefined, 'no more once it is claimed');
      }
      answerPlainly(exchange);
    });
    for (const method of ['GET', 'GET', 'HEAD', 'DELETE', 'GET']) {
      const body = method === 'HEAD' ? '' : String(BODY);
      t.match(await client.ask(method), { status: 200, headers: { 'x-answer': 'plain' }, body, isWhole: true });
    }
    t.strictSame(offers.slice(1), [prepares, prepares, false, prepares], 'those with GET and HEAD');
  });

  test(`${name}: sendPrepared answers with these bytes, and the exchange serves the next request`, async (t) => {
    const exchanges: ServerExchange[] = [];
    const client = await start(t, (exchange) => {
      const { prepared } = exchange;
      if (prepared === undefined) {
        answerPlainly(exchange, 'prepared');
        return;
      }
      exchanges.push(exchange);
      const length = exchange.method === 'HEAD' ? 0 : BODY.length;
      const beginning = prepared.form.beginningOf(preparedHead(), length) ?? '';
      const head = typeof beginning === 'string' ? Buffer.from(beginning, 'latin1') : beginning;
      const bytes = Buffer.concat([head, BODY.subarray(0, length)]);
      t.equal(prepared.sendPrepared(bytes, length), true);
    });
    for (const method of ['GET', 'GET', 'HEAD', 'GET', 'HEAD']) {
      const body = method === 'HEAD' ? '' : String(BODY);
      const length = String(BODY.length);
      const headers = { 'x-answer': 'prepared', 'content-length': length };
      t.match(await client.ask(method), { status: 200, headers, body, isWhole: true });
    }
    t.equal(exchanges.length >= 4, prepares, `${exchanges.length} prepared`);
    t.equal(new Set(exchanges).size, prepares ? 1 : 0, 'one exchange for all of them');
  });

  for (const { what, pieces } of [
    { what: 'a body that arrives in pieces', pieces: ['one, ', 'two'] },
    { what: 'no body', pieces: undefined },
  ]) {
    test(`${name}: stream sends a head and ${what}, and then calls back`, async (t) => {
      const written: number[] = [];
      const exchanges = new Set<ServerExchange>();
      let streamed = 0;
      const client = await start(t, (exchange) => {
        const { prepared } = exchange;
        if (prepared === undefined) {
          answerPlainly(exchange, 'prepared');
          return;
        }
        streamed++;
        exchanges.add(exchange);
        const length = pieces === undefined ? 0 : BODY.length;
        const onDone = (bytes: number): void => void written.push(bytes);
        prepared.stream(prepared.form.headOf(preparedHead(length)), pieces && arriving(pieces), onDone);
      });
      for (let i = 0; i < 4; i++) {
        const before = streamed;
        const { status, headers, body, isWhole } = await client.ask('GET');
        const isStreamed = streamed > before;
        t.strictSame([status, headers['x-answer'], isWhole], [200, 'prepared', true]);
        t.equal(body, isStreamed && pieces === undefined ? '' : String(BODY));
      }
      await turn();
      t.equal(streamed >= 3, prepares);
      t.strictSame(
        written,
        Array.from({ length: streamed }, () => (pieces === undefined ? 0 : BODY.length)),
      );
      t.equal(exchanges.size, streamed, 'each keeps its exchange');
    });
  }

  test(`${name}: a streamed body is closed, and the callback called, when the connection goes`, async (t) => {
    const closed = Promise.withResolvers<void>();
    const done = Promise.withResolvers<number>();
    let streamed = 0;
    const client = await start(t, (exchange) => {
      const { prepared } = exchange;
      if (prepared === undefined) {
        answerPlainly(exchange);
        return;
      }
      streamed++;
      const endless: BodyReader = {
        next: async () => {
          await turn();
          return Buffer.from('x');
        },
        close: () => closed.resolve(),
      };
      prepared.stream(prepared.form.headOf(preparedHead(1_000_000)), endless, done.resolve);
    });
    for (let i = 0; i < 2 && streamed === 0; i++) await client.ask('GET', { leaveAfterHead: true });
    t.equal(streamed, prepares ? 1 : 0);
    if (!prepares) return;
    await closed.promise;
    t.ok((await done.promise) < 1_000_000);
  });

  test(`${name}: a claimed request is answered while others of the server are`, async (t) => {
    const waiting: ServerExchange[] = [];
    const client = await start(t, (exchange) => {
      exchange.prepared?.claim();
      if (exchange.method === 'HEAD') waiting.push(exchange);
      else answerPlainly(exchange, String(waiting.length));
      if (waiting.length < 2 || exchange.method !== 'GET') return;
      for (const one of waiting.splice(0)) answerPlainly(one, one.method);
    });
    await client.ask('GET');
    const heads = [client.ask('HEAD'), client.ask('HEAD')];
    while (waiting.length < 2) await turn();
    t.not(waiting[0], waiting[1], 'each has an exchange of its own');
    t.match(await client.ask('GET'), { headers: { 'x-answer': '2' } });
    for (const head of heads) t.match(await head, { headers: { 'x-answer': 'HEAD' }, isWhole: true });
  });
}
