import { type Test, test } from 'tap';
import { limitsSchema } from '../../../config/schema/limits.ts';
import { deliver } from '../../../http/body/deliver.ts';
import type { ServerExchange } from '../../../http/exchange.ts';
import { listen } from '../../../http/listener/listener.ts';
import type { BodyReader } from '../../../http/message.ts';
import { dial, everything } from '../../support/raw-client.ts';
import { STARTED } from '../../support/started.ts';

type Piece = Buffer | Error | (() => Promise<Buffer>);

/** A body of these pieces, and what became of it. */
class Pieces implements BodyReader {
  readonly #pieces: Piece[];
  isClosed = false;
  released = 0;

  constructor(pieces: readonly Piece[]) {
    this.#pieces = [...pieces];
  }

  next(): Buffer | null | Promise<Buffer | null> {
    const piece = this.#pieces.shift() ?? null;
    if (piece instanceof Error) throw piece;
    return typeof piece === 'function' ? piece() : piece;
  }

  release(): void {
    this.released++;
  }

  close(): void {
    this.isClosed = true;
  }
}

interface Delivered {
  readonly text: string;
  readonly bytes: number;
  readonly broken: unknown[];
}

/** Delivers a body to a client that reads everything. */
async function delivered(t: Test, body: BodyReader | undefined, headers: readonly string[]): Promise<Delivered> {
  const broken: unknown[] = [];
  const bytes = Promise.withResolvers<number>();
  const onRequest = (exchange: ServerExchange): void => {
    const written = deliver(exchange, {
      head: { status: 200, statusText: 'OK', headers: [...headers, 'Connection', 'close'] },
      body,
      trailers: () => [],
      writeTimeoutMs: 60_000,
      onBroken: (error) => broken.push(error),
    });
    Promise.resolve(written).then(bytes.resolve, bytes.reject);
  };
  const listener = await listen(STARTED, { address: '127.0.0.1:0', limits: limitsSchema.parse({}), onRequest });
  t.teardown(() => listener.close());
  const socket = dial(listener.address);
  socket.write('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
  const text = await everything(socket);
  return { text, bytes: await bytes.promise, broken };
}

const LENGTH = ['Content-Length', '6'];
const later =
  (text: string): (() => Promise<Buffer>) =>
  () =>
    new Promise((resolve) => setImmediate(resolve, Buffer.from(text)));

for (const { what, pieces } of [
  { what: 'that is there', pieces: () => [Buffer.from('abc'), Buffer.from('def')] },
  { what: 'of which a part is still to come', pieces: () => [Buffer.from('abc'), later('def')] },
  { what: 'that comes after the head', pieces: () => [later('abc'), later('def')] },
]) {
  test(`a body ${what} is delivered whole, and closed`, async (t) => {
    const body = new Pieces(pieces());
    const { text, bytes, broken } = await delivered(t, body, LENGTH);
    t.match(text, /\r\n\r\nabcdef$/);
    t.equal(bytes, 6);
    t.strictSame(broken, []);
    t.ok(body.isClosed);
  });
}

test('an answer without a body has its head alone', async (t) => {
  const { text, bytes } = await delivered(t, undefined, ['Content-Length', '0']);
  t.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  t.ok(text.endsWith('\r\n\r\n'));
  t.equal(bytes, 0);
});

const FAULT = new Error('it broke off');

for (const { when, pieces } of [
  { when: 'at once', pieces: () => [Buffer.from('abc'), FAULT] },
  { when: 'later', pieces: () => [Buffer.from('abc'), () => Promise.reject(FAULT)] },
]) {
  test(`a body that breaks off ${when} is a broken message, never a complete one`, async (t) => {
    const body = new Pieces(pieces());
    const { text, broken } = await delivered(t, body, []);
    t.notMatch(text, /\r\n0\r\n\r\n$/);
    t.strictSame(broken, [FAULT]);
    t.ok(body.isClosed);
  });
}

test('a head that would not stay one is a broken answer, and the body is closed', async (t) => {
  const body = new Pieces([Buffer.from('abcdef')]);
  const { text, broken } = await delivered(t, body, ['X-A', 'a\r\nX-B: b']);
  t.equal(text, '');
  t.match(broken, [TypeError]);
  t.ok(body.isClosed);
});
