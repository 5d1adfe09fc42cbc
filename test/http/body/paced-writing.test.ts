/** End of an answer: reported exactly once, as counters of load depend on it. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { test } from 'tap';
import { writeAtPace } from '../../../http/body/paced-writing.ts';
import type { BodyReader } from '../../../http/message.ts';

const HEAD = Buffer.from('HTTP/1.1 200 OK\r\n\r\n');
const PIECE = Buffer.alloc(1_000, 'x');

function body(...steps: readonly (() => Buffer | null | Promise<Buffer | null>)[]): BodyReader & { closed: number } {
  let at = 0;
  return {
    closed: 0,
    next: () => steps[Math.min(at++, steps.length - 1)]?.() ?? null,
    close() {
      this.closed++;
    },
  };
}

const broken = (): never => {
  throw new Error('broken off');
};

interface Ending {
  readonly rule: string;
  readonly make: () => BodyReader;
  /** Runs before the first write to the socket. */
  readonly before?: (socket: Socket) => Promise<unknown>;
  readonly isWhole?: true;
}

const ENDINGS: readonly Ending[] = [
  {
    rule: 'whole',
    make: () =>
      body(
        () => PIECE,
        () => null,
      ),
    isWhole: true,
  },
  {
    rule: 'whole, in time',
    make: () =>
      body(
        async () => PIECE,
        async () => null,
      ),
    isWhole: true,
  },
  { rule: 'a reader that throws at once', make: () => body(broken) },
  { rule: 'a reader that throws later', make: () => body(() => PIECE, broken) },
  {
    rule: 'a reader that rejects',
    make: () =>
      body(
        () => PIECE,
        async () => broken(),
      ),
  },
  { rule: 'a reader that throws after a wait', make: () => body(async () => PIECE, broken) },
  {
    rule: 'a connection that is destroyed',
    make: () =>
      body(
        () => PIECE,
        () => null,
      ),
    before: async (socket) => socket.destroy(),
  },
  {
    rule: 'a connection that has closed',
    make: () =>
      body(
        () => PIECE,
        () => null,
      ),
    before: async (socket) => {
      const closed = once(socket, 'close');
      socket.destroy();
      await closed;
    },
  },
];

for (const { rule, make, before, isWhole } of ENDINGS) {
  test(`${rule}: the end is reported once`, async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const client = connect(port, '127.0.0.1');
    client.on('error', () => undefined);
    let received = 0;
    client.on('data', ({ length }) => {
      received += length;
    });
    const [socket] = (await once(server, 'connection')) as [Socket];
    await before?.(socket);
    let done = 0;
    let written = 0;
    writeAtPace(socket, {
      head: HEAD,
      body: make(),
      waitForReader: (then) => socket.once('drain', then),
      onDone: () => {
        done++;
      },
      onWritten: () => {
        written++;
        socket.end();
      },
    });
    if (!client.closed) await once(client, 'close');
    for (let i = 0; i < 5; i++) await setImmediate();
    t.equal(done, 1);
    t.equal(written, isWhole ? 1 : 0);
    if (isWhole) t.equal(received, HEAD.length + PIECE.length);
    await new Promise((resolve) => server.close(resolve));
  });
}
