/** Message boundaries: the server must never see the end of a request elsewhere than its sender. */
import { setTimeout as later } from 'node:timers/promises';
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { startNetwork } from '../support/network.ts';
import { startTcp } from '../support/origin.ts';
import { dial, everything, statuses, until } from '../support/raw-client.ts';
import { HOST } from '../support/visitor.ts';

const CLOSE = 'Connection: close\r\n';
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: h2c\r\n';

function asked(method: string, target: string, fields = ''): string {
  return `${method} ${target} HTTP/1.1\r\nHost: ${HOST}\r\n${fields}\r\n`;
}

/** Requests that the origin saw, as its answers show them. */
function seen(text: string): string[] {
  return [...text.matchAll(/\[([^\]]*)\]/g)].map(([, request = '']) => request);
}

/** Returns where the first request of a text ends, and how long its body is; `undefined` before its end has come. */
function firstOf(text: string): { end: number; length: number } | undefined {
  const headEnd = text.indexOf('\r\n\r\n') + 4;
  if (headEnd < 4) return undefined;
  const head = text.slice(0, headEnd);
  if (!/^transfer-encoding: chunked/im.test(head)) {
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);
    return text.length < headEnd + length ? undefined : { end: headEnd + length, length };
  }
  let length = 0;
  for (let at = headEnd; ; ) {
    const [line, size] = /^([0-9a-f]+)\r\n/.exec(text.slice(at)) ?? [];
    if (line === undefined) return undefined;
    const bytes = Number.parseInt(size as string, 16);
    at += line.length + bytes + 2;
    if (text.length < at) return undefined;
    if (bytes === 0) return { end: at, length };
    length += bytes;
  }
}

/** An edge whose origin takes every method, and says which request it got. */
async function start(t: Test): Promise<string> {
  const origin = await startTcp(
    () => undefined,
    (socket) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        for (let read = firstOf(text); read !== undefined; read = firstOf(text)) {
          const summary = `[${text.split(' HTTP/', 1)[0]} ${read.length}]`;
          text = text.slice(read.end);
          socket.write(
            `HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: ${summary.length}\r\n\r\n${summary}`,
          );
        }
      });
    },
  );
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 }, site: { methods: 'any' } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  return network.at('eu-1');
}

test('an unknown method belongs to its own request and to no other', async (t) => {
  const address = await start(t);
  for (const fields of [UPGRADE, 'Expect: something\r\n', `Expect: something\r\n${UPGRADE}`, 'Content-Length: 0\r\n']) {
    const socket = dial(address);
    socket.write(asked('FOO', '/1', fields));
    const first = await until(socket, /\]/);
    socket.write(`${asked('POST', '/2', `Content-Length: 1\r\n${CLOSE}`)}x`);
    t.strictSame(seen(first + (await everything(socket))), ['FOO /1 0', 'POST /2 1'], fields);
  }
});

test('a method that a site does not pass is refused with an Upgrade as without', async (t) => {
  const origin = await startTcp((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
  const network = await startNetwork({ origin: origin.url, regions: { eu: 1 } });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  for (const fields of [UPGRADE, 'Expect: something\r\n']) {
    const socket = dial(network.at('eu-1'));
    socket.write(asked('FOO', '/1', fields) + asked('GET', '/2', CLOSE));
    t.strictSame(statuses(await everything(socket)), [501, 200], fields);
  }
});

test('a request line inside a request is not a request, wherever a segment begins', async (t) => {
  const address = await start(t);
  const evil = `FOO /evil HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 0\r\n${CLOSE}\r\n`;
  const partialHead = `POST /bad HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\nX-A: `;
  for (const before of [`${asked('POST', '/1', 'Content-Length: 1\r\n')}x`, asked('GET', '/1', UPGRADE)]) {
    const socket = dial(address).setNoDelay(true);
    socket.write(before + partialHead);
    const first = await until(socket, /\]/);
    await later(20); // the answer is written, and what was noted of it
    socket.write(evil);
    const text = first + (await everything(socket));
    t.strictSame(statuses(text), [200, 400]);
    t.equal(seen(text).length, 1);
  }
});

test('a connection that alternates between two readers is read by one at a time', async (t) => {
  const address = await start(t);
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  process.on('warning', note);
  t.teardown(() => process.off('warning', note));
  for (const request of [asked('FOO', '/1'), asked('GET', '/1', UPGRADE), asked('GET', '/\xe9', 'TE: trailers\r\n')]) {
    const socket = dial(address);
    for (let i = 0; i < 20; i++) {
      socket.write(request, 'latin1');
      t.match(await until(socket, /\]/), /^HTTP\/1.1 200 /);
    }
    socket.destroy();
  }
  await later(0); // warnings are told in a later turn
  t.strictSame(warnings, []);
});

/** A request, and what the origin says of it. */
interface Asked {
  readonly text: string;
  readonly answer: string;
}

const LOOKS_LIKE_ONE = `FOO /evil HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 0\r\n\r\n`;

const anyAsked: fc.Arbitrary<Asked> = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'FOO', 'FOOO', 'PROPFIND', 'get', 'POSTS'),
    target: fc.constantFrom('/a', '/b?c', '/\xe9', '/d?\xe9=\xff', '/\xe9?'.repeat(40)),
    fields: fc.subarray([UPGRADE, 'Expect: 100-continue\r\n', 'Expect: x\r\n', 'X-A: FOO /evil HTTP/1.1\r\n'], {
      maxLength: 2,
    }),
    body: fc.constantFrom('', '', 'x', LOOKS_LIKE_ONE, `x\r\n\r\n${LOOKS_LIKE_ONE}`),
    isChunked: fc.boolean(),
    emptyLines: fc.constantFrom('', '', '\r\n'),
  })
  .map(({ method, target, fields, body, isChunked, emptyLines }) => {
    const framing =
      body === '' ? '' : isChunked ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${body.length}\r\n`;
    const written = body !== '' && isChunked ? `${body.length.toString(16)};FOO=evil\r\n${body}\r\n0\r\n\r\n` : body;
    const escaped = target.replace(/[\x80-\xff]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
    return {
      text: emptyLines + asked(method, target, fields.join('') + framing) + written,
      answer: `${method} ${escaped} ${body.length}`,
    };
  });

/** Bytes that no server may take for a request, though some of what is in them looks like one. */
const anyJunk = fc.constantFrom(
  '',
  '',
  `POST /bad HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3\r\nX-A: ${LOOKS_LIKE_ONE}`,
  `POST /bad HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n${LOOKS_LIKE_ONE}`,
  `POST /bad HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n${LOOKS_LIKE_ONE}`,
  `FOO /bad HTTP/1.1\r\nHost: ${HOST}\r\nX: y\0\r\n${LOOKS_LIKE_ONE}`,
  `FOO\t/bad HTTP/1.1\r\n${LOOKS_LIKE_ONE}`,
  `FOO /bad HTTP/1.1\nX: ${LOOKS_LIKE_ONE}`,
  `FOO /bad HTTP/1.2\r\n${LOOKS_LIKE_ONE}`,
  `GE\0T /bad HTTP/1.1\r\n${LOOKS_LIKE_ONE}`,
);

/** Places to cut a text at: any, and those at which something in it looks like a request. */
function cutAt(text: string, cuts: readonly number[]): string[] {
  const likely = [...text.matchAll(/FOO|POST|GET|\r\n/g)].map(({ index }) => index);
  const places = cuts.map((cut) => (cut % 2 === 0 ? (likely[cut % likely.length] as number) : cut % text.length));
  const sorted = [...new Set([0, ...places, text.length])].sort((a, b) => a - b);
  return sorted.slice(1).map((place, index) => text.slice(sorted[index], place));
}

test('however requests are cut into segments, exactly the sent ones are answered', async (t) => {
  const address = await start(t);
  let answered = 0;
  let sent = 0;
  const property = fc.asyncProperty(
    fc.array(anyAsked, { minLength: 1, maxLength: 4 }),
    anyJunk,
    fc.array(fc.nat({ max: 100_000 }), { maxLength: 5 }),
    async (requests, junk, cuts) => {
      const socket = dial(address).setNoDelay(true);
      const all = everything(socket);
      for (const piece of cutAt(requests.map(({ text }) => text).join('') + junk, cuts)) {
        socket.write(Buffer.from(piece, 'latin1'));
        await later(4);
      }
      socket.end();
      const answers = seen(await all);
      const expected = requests.map(({ answer }) => answer);
      sent += expected.length;
      answered += answers.length;
      if (answers.some((answer, index) => answer !== expected[index])) {
        throw new Error(`answered: ${JSON.stringify(answers)}, sent: ${JSON.stringify(expected)}`);
      }
    },
  );
  await fc.assert(property, { numRuns: 100 });
  t.ok(answered > sent / 6, `${answered} of ${sent} are answered`);
});
