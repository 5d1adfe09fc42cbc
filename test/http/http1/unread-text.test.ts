/** Heads beyond `limits.max_header`: refused where they are read first, whichever request they belong to. */
import { once } from 'node:events';
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { limitsSchema } from '../../../config/schema/limits.ts';
import { answerWhole } from '../../../http/exchange.ts';
import { isHeadBeyond, mostHeadBytes } from '../../../http/http1/head-progress.ts';
import { Recogniser } from '../../../http/http1/recogniser.ts';
import { Http1Server } from '../../../http/http1/server.ts';
import { listen } from '../../../http/listener/listener.ts';
import { dial, everything, exchange, statuses } from '../../support/raw-client.ts';
import { STARTED } from '../../support/started.ts';

const LIMITS = limitsSchema.parse({ max_header: '8KiB', max_headers: 20, drain_timeout: '1s' });
const MOST = mostHeadBytes(LIMITS);
const HOST = 'Host: a.test\r\n';
const HIT = `GET /hit HTTP/1.1\r\n${HOST}\r\n`;

/** @param hasFront - Whether our own server reads a connection first, as an edge's does. */
async function start(t: Test, hasFront: boolean) {
  const recogniser = new Recogniser({
    maxBytes: LIMITS.max_header,
    maxLines: LIMITS.max_headers,
  });
  const seen = { handedOff: 0, refused: [] as string[] };
  const front = new Http1Server({
    recogniser: () => recogniser,
    limits: () => LIMITS,
    isPrepared: true,
    onRequest: (exchanged) => {
      const { prepared } = exchanged;
      if (prepared === undefined) answerWhole(exchanged, 200);
      else prepared.sendPrepared(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), 0);
    },
  });
  const listener = await listen(STARTED, {
    address: '127.0.0.1:0',
    limits: LIMITS,
    onRefused: ({ code }) => seen.refused.push(code),
    onConnection: hasFront
      ? (socket, wire, unread) => {
          const handOff: typeof wire.handOff = (...args) => {
            seen.handedOff++;
            wire.handOff(...args);
          };
          front.accept(socket, { ...wire, handOff }, unread);
        }
      : undefined,
    onRequest: (exchanged) => answerWhole(exchanged, 200),
  });
  t.teardown(async () => {
    front.close();
    await listener.close();
  });
  return { address: listener.address, seen };
}

/** Heads that are longer than the bound in one way or another, with their ends. */
const TOO_LARGE: Readonly<Record<string, string>> = {
  'one long field': `GET / HTTP/1.1\r\n${HOST}X: ${'v'.repeat(12_000)}\r\n\r\n`,
  'many fields': `GET / HTTP/1.1\r\n${HOST}${`X: ${'v'.repeat(600)}\r\n`.repeat(19)}\r\n`,
  'a long target': `GET /${'a'.repeat(12_000)} HTTP/1.1\r\n${HOST}\r\n`,
  HEAD: `HEAD / HTTP/1.1\r\n${HOST}X: ${'v'.repeat(12_000)}\r\n\r\n`,
  'much more than the bound': `GET / HTTP/1.1\r\n${HOST}X: ${'v'.repeat(400_000)}\r\n\r\n`,
};

const WITH_A_BODY: Readonly<Record<string, string>> = {
  POST: `POST / HTTP/1.1\r\n${HOST}Content-Length: 1\r\nX: ${'v'.repeat(12_000)}\r\n\r\nx`,
  'a method of another protocol': `PROPFIND / HTTP/1.1\r\n${HOST}X: ${'v'.repeat(12_000)}\r\n\r\n`,
};

for (const [what, head] of Object.entries({ ...TOO_LARGE, ...WITH_A_BODY })) {
  test(`a head that is too large is refused without another parser: ${what}`, async (t) => {
    const { address, seen } = await start(t, true);
    t.strictSame(statuses(await exchange(address, head)), [431]);
    const behind = await exchange(address, HIT + HIT + head + HIT);
    t.strictSame(statuses(behind), [200, 200, 431], 'behind others, which have their answers');
    t.match(behind, /Connection: close\r\n.*header_too_large/s);
    t.strictSame(seen, { handedOff: 0, refused: ['header_too_large', 'header_too_large'] });
  });
}

for (const [what, head] of Object.entries(TOO_LARGE)) {
  test(`likewise where it comes in pieces: ${what}`, async (t) => {
    const { address, seen } = await start(t, true);
    const socket = dial(address);
    socket.setNoDelay(true);
    await once(socket, 'connect');
    for (let at = 0; at < Math.min(head.length, 2 * MOST); at += 1_000) {
      socket.write(head.slice(at, at + 1_000), 'latin1');
      await new Promise(setImmediate);
    }
    t.strictSame(statuses(await everything(socket)), [431]);
    t.strictSame(seen, { handedOff: 0, refused: ['header_too_large'] });
  });
}

test('a visitor that is still sending gets the answer, and no reset', async (t) => {
  const { address } = await start(t, true);
  const socket = dial(address);
  let error: Error | undefined;
  socket.on('error', (caught) => {
    error = caught;
  });
  for (let i = 0; i < 40; i++) socket.write(i === 0 ? (TOO_LARGE['one long field'] as string) : 'v'.repeat(100_000));
  t.strictSame(statuses(await everything(socket)), [431]);
  t.equal(error, undefined);
});

test('property: around the bounds, a head is refused exactly where node:http refuses it', async (t) => {
  const own = await start(t, true);
  const byNode = await start(t, false);
  const around = fc.oneof(fc.integer({ min: -120, max: 200 }), fc.constantFrom(0, 1, -1));
  const line = fc.tuple(fc.constantFrom('X', 'Cookie', 'Accept'), fc.constantFrom(':', ': '));
  await fc.assert(
    fc.asyncProperty(around, fc.array(line, { maxLength: 17 }), async (more, lines) => {
      const fields = lines.map(([name, colon]) => `${name}${colon}v\r\n`).join('');
      const before = `GET / HTTP/1.1\r\n${HOST}Connection: close\r\n${fields}Y: `;
      const head = `${before}${'v'.repeat(LIMITS.max_header - before.length + more)}\r\n\r\n`;
      const [here, there] = await Promise.all([exchange(own.address, head), exchange(byNode.address, head)]);
      t.strictSame(statuses(here), statuses(there), `${head.length} bytes`);
    }),
    { numRuns: 100 },
  );
});

test('property: a head is beyond a bound only if no more bytes could end it within', async (t) => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', ': ', '\r\n', '\r', 'X: y\r\n') }), fc.nat(60), (rest, most) => {
      const text = `GET / HTTP/1.1\r\n${rest}`;
      const end = text.indexOf('\r\n\r\n', 14);
      t.equal(isHeadBeyond(text, most + 20), end < 0 || end + 4 > most + 20, JSON.stringify(text));
    }),
  );
  t.notOk(isHeadBeyond(`\x16\x03\x01${'a'.repeat(100)}`, 50), 'what is no request is answered as such');
  t.notOk(isHeadBeyond(`GET /a b c ${'a'.repeat(100)}`, 50));
});
