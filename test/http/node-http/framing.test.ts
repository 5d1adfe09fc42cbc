/** Requests with bodies that `node:http` reads: as it would read them by itself, but that it is told of few chunks. */
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { limitsSchema } from '../../../config/schema/limits.ts';
import { requestBody } from '../../../http/body/arriving-body.ts';
import { listen } from '../../../http/listener/listener.ts';
import { fuzzer } from '../../support/fuzz.ts';
import { dial } from '../../support/raw-client.ts';
import { STARTED } from '../../support/started.ts';

const fuzz = fuzzer(import.meta.filename);

interface Seen {
  readonly method: string;
  readonly body: string;
  readonly trailers: readonly string[];
}

interface Listening {
  readonly address: string;
  /** Requests that have come to their end. */
  readonly seen: Seen[];
  /** Pieces of bodies as `node:http` told of them. */
  pieces: number;
}

async function listening(t: Test): Promise<Listening> {
  const found: Listening = { address: '', seen: [], pieces: 0 };
  const listener = await listen(STARTED, {
    address: '127.0.0.1:0',
    limits: limitsSchema.parse({ drain_timeout: '1s', max_header: '4KiB' }),
    onRequest: async (exchange) => {
      const { request, response } = exchange;
      const push = request.push.bind(request);
      request.push = (piece: Buffer | null) => {
        if (piece !== null) found.pieces++;
        return push(piece);
      };
      const body: Buffer[] = [];
      try {
        for await (const piece of requestBody(exchange, 1_000_000) ?? []) body.push(piece as Buffer);
      } catch {
        return; // the connection is refused
      }
      const text = Buffer.concat(body).toString('latin1');
      found.seen.push({ method: request.method ?? '', body: text, trailers: request.rawTrailers });
      response.end(`<${found.seen.length}>`);
    },
  });
  t.teardown(() => listener.close());
  return Object.assign(found, { address: listener.address });
}

/** Sends the text cut into packets; returns what is answered until the last answer, or the end of the connection. */
async function exchange(
  address: string,
  packets: readonly string[],
  isWhole: (answers: string) => boolean,
): Promise<string> {
  const socket = dial(address);
  socket.setNoDelay(true);
  let answers = '';
  let isClosed = false;
  socket.on('data', (bytes: Buffer) => {
    answers += bytes.toString('latin1');
  });
  socket.on('error', () => undefined);
  socket.once('close', () => {
    isClosed = true;
  });
  for (const packet of packets) {
    socket.write(packet, 'latin1');
    for (let turns = 0; turns < 3; turns++) await nextTurn();
  }
  while (!isClosed && !isWhole(answers)) await Promise.race([once(socket, 'data'), once(socket, 'close')]);
  socket.destroy();
  return answers;
}

const HEAD = 'Host: site.test\r\n';
const CHUNKED = `POST / HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n`;

test('many chunks in one read are one write to the parser', async (t) => {
  const COUNT = 5_000;
  const server = await listening(t);
  await exchange(server.address, [`${CHUNKED}${'1\r\na\r\n'.repeat(COUNT)}0\r\n\r\n`], (text) => text.includes('<1>'));
  t.equal(server.seen[0]?.body, 'a'.repeat(COUNT));
  t.ok(server.pieces <= 10, `${server.pieces} pieces`);
});

const token = fc.stringMatching(/^[a-z]{1,8}$/);
/** Bodies that look like something else. */
const text = fc.oneof(
  fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)), maxLength: 40 }),
  fc.constantFrom('\r\n\r\n', '0\r\n\r\n', '1\r\na\r\n', `GET /other HTTP/1.1\r\n${HEAD}\r\n`, CHUNKED),
);
const get = fc.constantFrom('GET', 'DELETE').map((method) => ({
  written: `${method} / HTTP/1.1\r\n${HEAD}\r\n`,
  seen: { method, body: '', trailers: [] as string[] },
}));
const sized = fc.tuple(fc.constantFrom('', '\r\n', '\r\n\r\n'), text).map(([before, body]) => ({
  written: `${before}PUT / HTTP/1.1\r\n${HEAD}Content-Length: ${body.length}\r\n\r\n${body}`,
  seen: { method: 'PUT', body, trailers: [] as string[] },
}));
const chunked = fc
  .tuple(fc.array(text.filter((part) => part !== '')), fc.array(fc.tuple(token, token), { maxLength: 2 }))
  .map(([parts, trailers]) => ({
    written: [
      CHUNKED,
      ...parts.map((part) => `${part.length.toString(16)};a="b"\r\n${part}\r\n`),
      `0\r\n${trailers.map(([name, value]) => `x-${name}: ${value}\r\n`).join('')}\r\n`,
    ].join(''),
    seen: {
      method: 'POST',
      body: parts.join(''),
      trailers: trailers.flatMap(([name, value]) => [`x-${name}`, value]),
    },
  }));

test('pipelined requests are read as written, however they are cut', async (t) => {
  const server = await listening(t);
  const requests = fc.array(fc.oneof(get, sized, chunked), { minLength: 1, maxLength: 6 });
  await fuzz(
    'pipelined requests are read as written, however they are cut',
    fc.asyncProperty(requests, fc.array(fc.nat(2_000), { maxLength: 8 }), async (sent, cuts) => {
      const whole = sent.map(({ written }) => written).join('');
      const at = [0, ...new Set(cuts.map((cut) => cut % whole.length)), whole.length].sort((a, b) => a - b);
      const packets = at.slice(1).map((end, i) => whole.slice(at[i], end));
      server.seen.length = 0;
      await exchange(server.address, packets, (answers) => answers.includes(`<${sent.length}>`));
      const expected = sent.map(({ seen }) => seen);
      return JSON.stringify(server.seen) === JSON.stringify(expected);
    }),
    { numRuns: 200 },
  );
});

/** Each is followed by what would be a request if the body ended there. */
const REFUSED: readonly (readonly [rule: string, body: string, status: number])[] = [
  ['a size that is none', 'z\r\n', 400],
  ['a size with a sign', '+1\r\na\r\n0\r\n\r\n', 400],
  ['a size with space behind it', '1 \r\na\r\n0\r\n\r\n', 400],
  ['a size of too many digits', '00000000000001\r\na\r\n0\r\n\r\n', 400],
  ['a line that ends with LF', '1\na\r\n0\r\n\r\n', 400],
  ['a line that ends with CR', '1\ra\r\n0\r\n\r\n', 400],
  ['a chunk that ends with LF', '1\r\na\n0\r\n\r\n', 400],
  ['a chunk that is longer than it says', '1\r\nab\r\n0\r\n\r\n', 400],
  ['the end of a line in a quoted extension', '1;a="\r\n"\r\na\r\n0\r\n\r\n', 400],
  ['a control character in an extension', '1;a=\x01\r\na\r\n0\r\n\r\n', 400],
  ['a line that is too long', `1;${'a'.repeat(5_000)}\r\na\r\n0\r\n\r\n`, 400],
  ['a Content-Length behind the body', '0\r\nContent-Length: 5\r\n\r\n', 400],
  ['a Transfer-Encoding behind the body', '0\r\nTransfer-Encoding: chunked\r\n\r\n', 400],
  ['a trailer that is none', '0\r\na b\r\n\r\n', 400],
  ['a trailer that ends with LF', '0\r\na: b\n\r\n', 400],
  ['trailers that are too large', `0\r\na: ${'b'.repeat(5_000)}\r\n\r\n`, 431],
];

for (const [rule, body, status] of REFUSED) {
  test(`${rule}: refused, and nothing after it is read`, async (t) => {
    const server = await listening(t);
    const behind = `GET /other HTTP/1.1\r\n${HEAD}\r\n`;
    const cuts = [[CHUNKED + body + behind], [CHUNKED, body, behind]];
    if (body.length < 100) cuts.push([...(CHUNKED + body + behind)]);
    for (const packets of cuts) {
      const answers = await exchange(server.address, packets, (text) => text.includes('<'));
      t.match(answers, new RegExp(`^HTTP/1\\.1 ${status} `));
      t.strictSame(server.seen, []);
    }
  });
}
