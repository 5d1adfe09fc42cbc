import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import { text as textOf } from 'node:stream/consumers';
import { test } from 'tap';
import { HALF_OPEN_MS } from '../../http/listener/half-open.ts';
import { heldArrayBuffers } from '../support/held-memory.ts';
import { startNetwork } from '../support/network.ts';
import { startOrigin, startTcp, text } from '../support/origin.ts';
import { dial, everything, exchange, statuses, until } from '../support/raw-client.ts';
import { openHttp2, startSecureEdge } from '../support/secure-edge.ts';
import { ask, open, read } from '../support/visitor.ts';

const MIB = 1024 * 1024;

function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  return once(request, 'end').then(() => Buffer.concat(chunks));
}

const echo = (request: IncomingMessage, response: import('node:http').ServerResponse): void => {
  void bodyOf(request).then((body) => response.writeHead(200, { 'X-Method': request.method ?? '' }).end(body));
};

/** Site that forwards request bodies as they arrive, without buffering. */
const AS_IT_ARRIVES = { site: { request_buffering: false } } as const;

test('bodies arrive as they were sent, whatever the method and the framing', async (t) => {
  const origin = await startOrigin(echo);
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const path = network.pathOf('eu-2', '/echo/');
  const sent = Buffer.alloc(3 * MIB, 'abcdefg');
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'GET', 'OPTIONS']) {
    const sized = { 'Content-Length': sent.length };
    const whole = await ask(network.at('eu-1'), path, { method, body: sent, headers: sized });
    t.match(whole, { status: 200, headers: { 'x-method': method } });
    t.ok(whole.body.equals(sent), method);
    const stream = new PassThrough();
    stream.end(sent);
    const chunked = await ask(network.at('eu-1'), path, {
      method,
      body: stream,
      headers: { 'Transfer-Encoding': 'chunked' },
    });
    t.ok(chunked.body.equals(sent), `${method} in chunks`);
  }
});

test('an upload streams: the origin gets bytes before the rest is sent', async (t) => {
  let firstChunk: Promise<string> | undefined;
  const origin = await startOrigin((request, response) => {
    firstChunk = once(request, 'data').then(([chunk]) => String(chunk));
    echo(request, response);
  });
  const network = await startNetwork({ origin: origin.url, ...AS_IT_ARRIVES });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const arrived = origin.next();
  const stream = new PassThrough();
  const answer = open(network.at('eu-1'), network.pathOf('eu-2', '/up/'), { method: 'POST', body: stream });
  stream.write('first');
  await arrived;
  t.equal(await firstChunk, 'first');
  stream.end('second');
  t.equal((await read(await answer)).text, 'firstsecond');
});

test('an origin that does not read holds its sender back', async (t) => {
  const origin = await startOrigin(() => undefined);
  const network = await startNetwork({ origin: origin.url, ...AS_IT_ARRIVES });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const socket = dial(network.at('eu-1'));
  const path = network.pathOf('eu-2', '/held/');
  socket.write(`POST ${path} HTTP/1.1\r\nHost: site.test\r\nContent-Length: ${80 * MIB}\r\n\r\n`);
  const arrived = origin.next();
  let written = 0;
  const before = heldArrayBuffers();
  const fill = (): void => {
    while (written < 80 * MIB && socket.writableLength < MIB) {
      socket.write(Buffer.alloc(64 * 1024));
      written += 64 * 1024;
    }
  };
  socket.on('drain', fill);
  fill();
  const request = await arrived;
  // Every buffer on the way is full once the sender has had no chance to write for a number of turns.
  for (let still = 0, last = -1; still < 200; still = written === last ? still + 1 : 0, last = written) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.ok(written < 70 * MIB, `${written} bytes were taken`);
  t.ok(heldArrayBuffers() - before < 64 * MIB);
  request.resume(); // and now it reads
  await once(request, 'end');
  t.equal(written, 80 * MIB);
  socket.destroy();
});

test('Expect: 100-continue is answered by the edge, and not passed on', async (t) => {
  const origin = await startOrigin(echo);
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const socket = dial(network.at('eu-1'));
  socket.write(
    'POST / HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n',
  );
  t.match(await until(socket, /\r\n\r\n/), /^HTTP\/1\.1 100 Continue\r\n\r\n$/);
  socket.write('hello');
  t.match(await everything(socket), /^HTTP\/1\.1 200 .*hello/s);
  t.equal(origin.requests[0]?.headers.expect, undefined);
});

test('a client of HTTP/1.0 gets no 100, whatever it expects', async (t) => {
  const origin = await startOrigin(echo);
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const head = 'POST / HTTP/1.0\r\nHost: site.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n';
  t.match(await exchange(network.at('eu-1'), `${head}hello`), /^HTTP\/1\.1 200 .*hello/s);
});

test('a partly sent body is never sent again', async (t) => {
  const bodies: string[] = [];
  const dying = await startTcp((socket, head) => {
    bodies.push(head.split('\r\n')[0] as string);
    socket.once('data', () => socket.resetAndDestroy());
  });
  const other = await startOrigin(echo);
  const network = await startNetwork({ origin: [dying.url, other.url], ...AS_IT_ARRIVES });
  t.teardown(() => Promise.all([network.close(), dying.close(), other.close()]));
  const stream = new PassThrough();
  stream.write(Buffer.alloc(200_000));
  const reply = await ask(network.at('eu-1'), '/', { method: 'PUT', body: stream });
  t.equal(reply.status, 502);
  t.strictSame(bodies, ['PUT / HTTP/1.1']);
  t.equal(other.requests.length, 0);
});

test('an early response of the origin arrives, and the connection is not reused', async (t) => {
  const origin = await startTcp((socket) => {
    socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig');
    socket.end();
  });
  const network = await startNetwork({ origin: origin.url, ...AS_IT_ARRIVES });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const head = `POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: ${4 * MIB}\r\n\r\n`;
  const answer = await exchange(network.at('eu-1'), head + 'x'.repeat(100_000));
  t.strictSame(statuses(answer), [413]);
  t.match(answer, /^Connection: close\r\n.*\r\nbig$/ms);
});

test('an origin sees an incomplete body when the visitor leaves while sending', async (t) => {
  const origin = await startOrigin((request) => void request.resume());
  const network = await startNetwork({ origin: origin.url, ...AS_IT_ARRIVES });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const socket = dial(network.at('eu-1'));
  const arrived = origin.next();
  socket.write(`POST ${network.pathOf('eu-2', '/')} HTTP/1.1\r\nHost: site.test\r\nContent-Length: 100\r\n\r\nhello`);
  const request = await arrived;
  socket.destroy();
  await new Promise((resolve) => request.once('close', resolve));
  t.equal(request.complete, false);
});

for (const method of ['PUT', 'DELETE', 'POST', 'PATCH']) {
  test(`${method} invalidates the stored response at edge, owner and shield`, async (t) => {
    let version = 1;
    const origin = await startOrigin((request, response) => {
      request.resume();
      if (request.method !== 'GET') version++;
      response.writeHead(200, { 'Cache-Control': 'max-age=60' }).end(`version ${version}`);
    });
    const network = await startNetwork({ origin: origin.url, limits: { hot_after: 1 } });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const path = network.pathOf('eu-2', '/changed/%7Ea/');
    t.equal((await ask(network.at('eu-1'), path)).text, 'version 1');
    t.match((await ask(network.at('eu-1'), path)).tiers, [/"eu-1";hit/]);
    t.equal((await ask(network.at('eu-1'), path, { method })).text, 'version 2');
    for (const edge of ['eu-1', 'eu-2']) t.equal((await ask(network.at(edge), path)).text, 'version 2', edge);
  });
}

test('events arrive one by one, and the origin notices that the visitor has left', async (t) => {
  const origin = await startOrigin((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    response.flushHeaders();
    events = response;
  });
  let events: import('node:http').ServerResponse | undefined;
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const stream = await open(network.at('eu-1'), network.pathOf('eu-2', '/events/'));
  t.equal(stream.headers['content-type'], 'text/event-stream', 'the head comes before any event');
  for (const event of ['data: one\n\n', 'data: two\n\n', 'data: three\n\n']) {
    const arrived = once(stream, 'data');
    events?.write(event);
    t.equal(String((await arrived)[0]), event);
  }
  const noticed = once(events as import('node:http').ServerResponse, 'close');
  const left = performance.now();
  stream.destroy();
  await noticed;
  // Its FIN does not say that it has gone, silence after it does: well before the origin's `idle_timeout`.
  t.ok(performance.now() - left < HALF_OPEN_MS * 1.5);
});

for (const field of ['no-store', 'max-age=60']) {
  for (const framing of [{ 'Content-Length': 4 }, { 'Transfer-Encoding': 'chunked' }]) {
    test(`a head is sent before any of the body: ${field}, ${Object.keys(framing)}`, async (t) => {
      let sendBody = (): void => undefined;
      const origin = await startOrigin((_request, response) => {
        response.writeHead(200, { 'Cache-Control': field, ...framing }).flushHeaders();
        sendBody = () => void response.end('body');
      });
      const network = await startNetwork({ origin: origin.url });
      t.teardown(() => Promise.all([network.close(), origin.close()]));
      const secure = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: ['site.test'] }]);
      const session = openHttp2(t, secure);
      const visitors: Readonly<Record<string, (path: string) => Promise<Readable>>> = {
        'one that is recognised': (path) => open(network.at('eu-1'), path),
        'one that node:http reads': (path) => open(network.at('eu-1'), path, { headers: { 'Content-Length': 0 } }),
        'HTTP/2': async (path) => {
          const stream = session.request({ ':path': path, ':authority': 'site.test' });
          await once(stream, 'response');
          return stream;
        },
      };
      for (const [who, ask] of Object.entries(visitors)) {
        // The body is sent once the head has arrived, and not before: without the head, this waits for ever.
        const body = await ask(network.pathOf('eu-2', `/${who.replaceAll(' ', '-')}/`));
        sendBody();
        t.equal(await textOf(body), 'body', who);
      }
    });
  }
}

test('a visitor that has half-closed gets its whole response, in pieces too', async (t) => {
  const origin = await startOrigin((_request, response) => {
    response.writeHead(200, { 'Cache-Control': 'no-store' }).flushHeaders();
    answer.resolve(response);
  });
  const answer = Promise.withResolvers<import('node:http').ServerResponse>();
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const socket = dial(network.at('eu-1'));
  socket.end(`GET ${network.pathOf('eu-2', '/pieces/')} HTTP/1.1\r\nHost: site.test\r\n\r\n`);
  const response = await answer.promise;
  let text = await until(socket, /\r\n\r\n/);
  for (const piece of ['one', 'two', 'six']) {
    response.write(piece);
    text += await until(socket, new RegExp(piece));
  }
  response.end();
  text += await everything(socket);
  t.match(text, /^HTTP\/1\.1 200 .*\none\r.*\ntwo\r.*\nsix\r\n0\r/s);
});

for (const { when, path, moreMs } of [
  // Ten seconds more: a request that the origin works on counts until it is answered (docs/overload.md).
  { when: 'before the head', path: '/silent/', moreMs: 10_000 },
  { when: 'in the midst of a body', path: '/begun/', moreMs: 0 },
]) {
  test(`a visitor that has half-closed and gets no bytes for long counts as gone: ${when}`, async (t) => {
    const asked = Promise.withResolvers<import('node:http').ServerResponse>();
    const origin = await startOrigin((request, response) => {
      if (request.url?.startsWith('/begun')) response.writeHead(200, { 'Cache-Control': 'no-store' }).write('begun');
      asked.resolve(response);
    });
    const network = await startNetwork({ origin: origin.url });
    t.teardown(() => Promise.all([network.close(), origin.close()]));
    const socket = dial(network.at('eu-1'));
    const method = path === '/begun/' ? 'GET' : 'DELETE';
    const from = performance.now();
    socket.end(`${method} ${network.pathOf('eu-2', path)} HTTP/1.1\r\nHost: site.test\r\nContent-Length: 0\r\n\r\n`);
    await once(await asked.promise, 'close');
    const took = performance.now() - from;
    t.ok(took > HALF_OPEN_MS * 0.9 && took < HALF_OPEN_MS * 1.5 + moreMs, `${took}`);
    socket.destroy();
  });
}

test('many concurrent bodies, for fast and slow readers, are never mixed up', async (t) => {
  const bodies = Array.from({ length: 24 }, (_, number) => Buffer.alloc(6 * MIB, `${number} `.padStart(4)));
  const origin = await startOrigin((request, response) => {
    const body = bodies[Number(request.url?.split('/')[1])] as Buffer;
    response.writeHead(200, { 'Content-Length': body.length, 'Cache-Control': 'no-store' }).end(body);
  });
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const wrong = new Set<number>();
  const readFrom = async (number: number, pause?: Promise<unknown>): Promise<void> => {
    const body = bodies[number] as Buffer;
    const answer = await open(network.at('eu-1'), network.pathOf(`eu-${1 + (number % 2)}`, `/${number}/`));
    await pause; // all that there is between origin and visitor is full
    let at = 0;
    for await (const piece of answer as AsyncIterable<Buffer>) {
      if (!piece.equals(body.subarray(at, at + piece.length))) wrong.add(number);
      at += piece.length;
      if (number % 3 === 2 && at > MIB) return; // one that leaves
    }
    if (at !== body.length) wrong.add(number);
  };
  const numbers = [...bodies.keys()];
  for (let round = 0; round < 3; round++) {
    const fast = Promise.all(numbers.filter((number) => number % 3 > 0).map((number) => readFrom(number)));
    const slow = numbers.filter((number) => number % 3 === 0).map((number) => readFrom(number, fast));
    await Promise.all([fast, ...slow]);
  }
  t.strictSame([...wrong], []);
});

test('HTTP/1.0 gets no chunks and no 1xx; the end of the connection ends the body', async (t) => {
  const origin = await startOrigin((_request, response) => {
    response.writeEarlyHints({ link: '</a>; rel=preload' });
    response.write('in ');
    response.end('pieces');
  });
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const answer = await exchange(network.at('eu-1'), 'GET / HTTP/1.0\r\nHost: site.test\r\n\r\n');
  t.match(answer, /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nin pieces$/s);
  t.notMatch(answer, /transfer-encoding/i);
});

test('HEAD gets the head of GET and no body, and the connection continues', async (t) => {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=60', ETag: '"a"' }));
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const path = network.pathOf('eu-2', '/head/');
  const requests = `HEAD ${path} HTTP/1.1\r\nHost: site.test\r\n\r\n`.repeat(2);
  const last = `GET ${path} HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n`;
  const answer = await exchange(network.at('eu-1'), requests + last + last);
  t.strictSame(statuses(answer), [200, 200, 200]);
  t.match(answer, /Content-Length: 5.*Content-Length: 5.*Content-Length: 5.*\r\n\r\nhello$/is);
});

test('pipelined requests are answered in order', async (t) => {
  const held: (() => void)[] = [];
  const origin = await startOrigin((request, response) => {
    const finish = (): void => void response.writeHead(200, { 'Cache-Control': 'no-store' }).end(`[${request.url}]`);
    if (request.url === '/3') {
      finish();
      for (const release of held.reverse()) release();
    } else held.push(finish);
  });
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const answer = await exchange(
    network.at('eu-1'),
    ['/1', '/2', '/3']
      .map((path, i) => `GET ${path} HTTP/1.1\r\nHost: site.test\r\n${i === 2 ? 'Connection: close\r\n' : ''}\r\n`)
      .join(''),
  );
  t.strictSame(answer.match(/\[\/\d\]/g), ['[/1]', '[/2]', '[/3]']);
});

test('OPTIONS with Max-Forwards is counted down, and answered at 0', async (t) => {
  const origin = await startOrigin(text('options'));
  const network = await startNetwork({ origin: origin.url });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  const asking = (left: string) => ({ method: 'OPTIONS', headers: { 'Max-Forwards': left } });
  t.match(await ask(network.at('eu-1'), '/', asking('0')), { status: 204, headers: { allow: /GET, HEAD/ } });
  t.equal(origin.requests.length, 0);
  t.match(await ask(network.at('eu-1'), '/', asking('5')), { status: 200, text: 'options' });
  t.equal(origin.requests[0]?.headers['max-forwards'], '4');
});
