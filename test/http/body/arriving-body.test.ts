/** Requests that `node:http` reads: what comes at once is taken in slices, and a body of single bytes in few pieces. */
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Test, test } from 'tap';
import { limitsSchema } from '../../../config/schema/limits.ts';
import { requestBody } from '../../../http/body/arriving-body.ts';
import { type ListenerOptions, listen } from '../../../http/listener/listener.ts';
import { dial } from '../../support/raw-client.ts';
import { STARTED } from '../../support/started.ts';

async function listening(t: Test, onRequest: ListenerOptions['onRequest']): Promise<string> {
  const listener = await listen(STARTED, {
    address: '127.0.0.1:0',
    limits: limitsSchema.parse({ drain_timeout: '1s' }),
    onRequest,
  });
  t.teardown(() => listener.close());
  return listener.address;
}

const HEAD = 'POST / HTTP/1.1\r\nHost: site.test\r\n';
const BYTES = 5_000;

test('a body in chunks of one byte is passed on in few pieces, and whole', async (t) => {
  const pieces: Buffer[] = [];
  const address = await listening(t, async (exchange) => {
    const body = requestBody(exchange, BYTES);
    for await (const piece of body ?? []) pieces.push(piece as Buffer);
    exchange.response.end('taken');
  });
  const sent = Array.from({ length: BYTES }, (_, i) => String.fromCharCode(97 + (i % 26)));
  const socket = dial(address);
  const chunks = sent.map((char) => `1\r\n${char}\r\n`).join('');
  socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  t.match(answer.toString(), /^HTTP\/1\.1 200 .*taken/s);
  t.equal(Buffer.concat(pieces).toString(), sent.join(''));
  t.ok(pieces.length < BYTES / 20, `${pieces.length} pieces`);
  socket.destroy();
});

test('a body that exceeds its bound breaks off, however small its chunks are', async (t) => {
  const errors: unknown[] = [];
  const address = await listening(t, async (exchange) => {
    const body = requestBody(exchange, BYTES - 1);
    body?.on('error', (error) => {
      errors.push((error as { readonly code?: unknown }).code);
      exchange.response.writeHead(413).end();
    });
    body?.resume();
  });
  const socket = dial(address);
  socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n${'1\r\na\r\n'.repeat(BYTES)}0\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  t.match(answer.toString(), /^HTTP\/1\.1 413 /);
  t.strictSame(errors, ['body_too_large']);
  socket.destroy();
});

test('many requests in one write are parsed in several turns, and answered in order', async (t) => {
  const COUNT = 1_000;
  let turn = 0;
  let isOver = false;
  const counting = (async () => {
    for (; !isOver; turn++) await nextTurn();
  })();
  const inTurn = new Map<number, number>();
  let seen = 0;
  const address = await listening(t, ({ response }) => {
    inTurn.set(turn, (inTurn.get(turn) ?? 0) + 1);
    response.end(`<${seen++}>`);
  });
  const socket = dial(address);
  let received = '';
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
  });
  socket.write(`${HEAD}Content-Length: 0\r\n\r\n`.repeat(COUNT));
  while (!received.includes(`<${COUNT - 1}>`)) await once(socket, 'data');
  isOver = true;
  await counting;
  t.strictSame(
    [...received.matchAll(/<(\d+)>/g)].map(([, number]) => Number(number)),
    Array.from({ length: COUNT }, (_, number) => number),
  );
  const most = Math.max(...inTurn.values());
  t.ok(most < COUNT / 4, `${most} of ${COUNT} in one turn`);
  socket.destroy();
});
