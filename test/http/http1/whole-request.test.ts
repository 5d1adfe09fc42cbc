/** Requests that have come as a whole: their bodies, where they end, and what is left to `node:http`. */
import { once } from 'node:events';
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { limitsSchema } from '../../../config/schema/limits.ts';
import { requestBody } from '../../../http/body/arriving-body.ts';
import type { HttpError } from '../../../http/errors.ts';
import { answerWhole, type ServerExchange } from '../../../http/exchange.ts';
import { Recogniser } from '../../../http/http1/recogniser.ts';
import { Http1Server } from '../../../http/http1/server.ts';
import { wholeRequest } from '../../../http/http1/whole-request.ts';
import { listen } from '../../../http/listener/listener.ts';
import { dial, statuses } from '../../support/raw-client.ts';
import { STARTED } from '../../support/started.ts';

const BOUNDS = { maxBytes: 1_000, maxLines: 5 };
const HOST = 'Host: a.test\r\n';

const method = fc.constantFrom('POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS');
const bytes = fc.uint8Array({ maxLength: 300 }).map((body) => Buffer.from(body).toString('latin1'));
const sized = bytes.map((body) => ({ body, framed: `Content-Length: ${body.length}\r\n\r\n${body}` }));
const chunked = fc.array(bytes, { maxLength: 20 }).map((parts) => {
  const chunks = parts.filter((part) => part !== '').map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
  return { body: parts.join(''), framed: `Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n\r\n` };
});

test('property: a whole request is found, with its body and its end, and no part of it is', async (t) => {
  await fc.assert(
    fc.asyncProperty(method, fc.oneof(sized, chunked), bytes, fc.nat(), async (name, { body, framed }, next, cut) => {
      const text = `${name} /a?b HTTP/1.1\r\n${HOST}${framed}`;
      const found = wholeRequest(text + next, BOUNDS);
      t.match(found, { method: name, target: '/a?b', end: text.length });
      t.equal(found?.body?.bytes.toString('latin1') ?? '', body);
      t.equal(wholeRequest(text.slice(0, cut % text.length), BOUNDS), undefined);
      const pieces: Buffer[] = [];
      for await (const piece of found?.body ?? []) pieces.push(piece as Buffer);
      t.equal(Buffer.concat(pieces).toString('latin1'), body, 'and as a stream');
    }),
    { numRuns: 200 },
  );
});

for (const [what, text] of [
  ['GET', `GET / HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`],
  ['another method', `PROPFIND / HTTP/1.1\r\n${HOST}\r\n`],
  ['another version', `POST / HTTP/1.0\r\n${HOST}Content-Length: 1\r\n\r\nx`],
  ['an absolute target', `POST http://a.test/ HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`],
  ['a target that is not ASCII', `POST /\xe4 HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`],
  ['no field', 'POST / HTTP/1.1\r\n\r\n'],
  ['two lengths', `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx`],
  ['a length and chunks', `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  [
    'chunks twice',
    `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ['two codings', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ['a signed length', `POST / HTTP/1.1\r\n${HOST}Content-Length: +1\r\n\r\nx`],
  ['an empty length', `POST / HTTP/1.1\r\n${HOST}Content-Length:\r\n\r\nx`],
  ['trailers', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n`],
  ['a chunk that is too long', `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`],
  ['Expect', `POST / HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx`],
  ['two connection options', `POST / HTTP/1.1\r\n${HOST}Connection: close, x\r\nContent-Length: 1\r\n\r\nx`],
  ['Upgrade', `POST / HTTP/1.1\r\n${HOST}Upgrade: h2c\r\nContent-Length: 1\r\n\r\nx`],
  ['bare LF', `POST / HTTP/1.1\n${HOST}Content-Length: 1\n\nx`],
  ['a space before the colon', `POST / HTTP/1.1\r\n${HOST}Content-Length : 1\r\n\r\nx`],
  ['a folded line', `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\n 0\r\n\r\nx`],
  ['a head beyond the bound', `POST / HTTP/1.1\r\n${HOST}A: ${'a'.repeat(1_000)}\r\n\r\n`],
  ['more lines than the bound', `POST / HTTP/1.1\r\n${HOST}${'A: b\r\n'.repeat(5)}\r\n`],
] as const) {
  test(`for node:http: ${what}`, async (t) => {
    t.equal(wholeRequest(text, BOUNDS), undefined);
  });
}

async function start(t: Test, onRequest: (exchange: ServerExchange) => void) {
  const limits = limitsSchema.parse({ drain_timeout: '1s' });
  const recogniser = new Recogniser({ maxBytes: 8_192, maxLines: 50 });
  const seen = { here: 0, byNode: 0 };
  const front = new Http1Server({
    recogniser: () => recogniser,
    limits: () => limits,
    onRequest: (exchange) => {
      seen.here++;
      onRequest(exchange);
    },
  });
  const listener = await listen(STARTED, {
    address: '127.0.0.1:0',
    limits,
    onConnection: (socket, wire, unread) => front.accept(socket, wire, unread),
    onRequest: (exchange) => {
      seen.byNode++;
      onRequest(exchange);
    },
  });
  t.teardown(async () => {
    front.close();
    await listener.close();
  });
  return { address: listener.address, seen };
}

test('requests behind one with a body wait for it, and are answered in their order', async (t) => {
  const startedRequests: string[] = [];
  const { address, seen } = await start(t, async (exchange) => {
    startedRequests.push(`${exchange.method} ${exchange.target}`);
    const before = startedRequests.length;
    let body = '';
    for await (const piece of requestBody(exchange, 1_000) ?? []) body += piece;
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    t.equal(startedRequests.length, before, 'no other has begun meanwhile');
    answerWhole(exchange, 200, [], `<${exchange.target} ${body}>`);
  });
  const socket = dial(address);
  const post = (target: string, body: string) =>
    `POST ${target} HTTP/1.1\r\n${HOST}Content-Length: ${body.length}\r\n\r\n${body}`;
  const put = `PUT /2 HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n1\r\nt\r\n0\r\n\r\n`;
  const empty = `DELETE /3 HTTP/1.1\r\n${HOST}\r\n`;
  socket.write(`${post('/1', 'one')}${put}${empty}GET /4 HTTP/1.1\r\n${HOST}\r\n`);
  let text = '';
  while (!text.includes('</4 >')) text += ((await once(socket, 'data')) as [Buffer])[0].toString('latin1');
  t.strictSame(text.match(/<[^>]*>/g), ['</1 one>', '</2 t>', '</3 >', '</4 >']);
  t.strictSame(startedRequests, ['POST /1', 'PUT /2', 'DELETE /3', 'GET /4']);
  t.equal(seen.byNode, 0);
  socket.destroy();
});

test('a body of which a part is still to come is read by node:http, and whole', async (t) => {
  const { address, seen } = await start(t, async (exchange) => {
    let body = '';
    for await (const piece of requestBody(exchange, 1_000) ?? []) body += piece;
    answerWhole(exchange, 200, [], `<${body}>`);
  });
  const socket = dial(address);
  socket.write(`POST / HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n3\r\nb`);
  while (seen.byNode === 0) await new Promise(setImmediate);
  socket.write('cd\r\n0\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  t.match(answer.toString(), /<abcd>$/);
  t.equal(seen.here, 0);
  socket.destroy();
});

for (const [framing, framed] of [
  ['its length', `Content-Length: 2000\r\n\r\n${'x'.repeat(2_000)}`],
  ['chunks', `Transfer-Encoding: chunked\r\n\r\n7d0\r\n${'x'.repeat(2_000)}\r\n0\r\n\r\n`],
] as const) {
  test(`a body that is refused as too large leaves its connection open, and is read past: ${framing}`, async (t) => {
    const { address, seen } = await start(t, (exchange) => {
      try {
        requestBody(exchange, 1_000);
        answerWhole(exchange, 200, [], `<${exchange.target}>`);
      } catch (error) {
        answerWhole(exchange, (error as HttpError).status, [], `<${exchange.target} refused>`);
      }
    });
    const socket = dial(address);
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
    });
    const large = `POST /1 HTTP/1.1\r\n${HOST}${framed}`;
    socket.write(`${large}GET /2 HTTP/1.1\r\n${HOST}\r\n`);
    while (!received.includes('</2>')) await once(socket, 'data');
    socket.write(`${large}POST /3 HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`);
    while (!received.includes('</3>')) await once(socket, 'data');
    t.strictSame(statuses(received), [413, 200, 413, 200]);
    t.strictSame(received.match(/<[^>]*>/g), ['</1 refused>', '</2>', '</1 refused>', '</3>']);
    t.notMatch(received, /Connection: close/i);
    t.equal(seen.byNode, 0);
    socket.destroy();
  });
}
