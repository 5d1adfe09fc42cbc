/**
 * Much work from few bytes, over HTTP/2: what was decoded is charged to the connection, and a turn of the event loop is
 * bounded, so that others are answered meanwhile.
 */
import { type Test, test } from 'tap';
import { FrameReader, type Pace } from '../../../http/http2/frames.ts';
import { DECODED, FRAMES_A_LOOK, unpaidBytes } from '../../../http/http2/limits.ts';
import { END_HEADERS, END_STREAM, frame, get, RawHttp2, TYPE } from '../../support/frames.ts';
import { indexed, indexing } from '../../support/hpack.ts';
import { startOrigin, text } from '../../support/origin.ts';
import { askHttp2, openHttp2, type SecureEdge, startSecureEdge } from '../../support/secure-edge.ts';

async function edgeFor(t: Test): Promise<SecureEdge> {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=60' }));
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: ['site.test'] }]);
  t.equal((await askHttp2(openHttp2(t, edge), '/')).status, 200, 'it is stored');
  return edge;
}

const HEAD = END_HEADERS | END_STREAM;
const REQUESTS = 400;

/** Two sections of 28 KB in turn, each of some bytes. */
function largeSections(requests = REQUESTS): Buffer[] {
  const fields = [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':authority', 'site.test'],
    [':path', '/'],
    ['x', 'v'.repeat(3_500)],
    ['x-a', 'a'],
    ['x-b', 'b'],
  ] as const;
  const lines = new Array<number>(7).fill(4);
  const blocks = [5, 6].map((place) => indexed(fields.length, [0, 1, 2, 3, ...lines, place]));
  return Array.from({ length: requests }, (_, index) =>
    frame(TYPE.headers, HEAD, 2 * index + 1, index === 0 ? indexing(fields) : (blocks[index % 2] as Buffer)),
  );
}

test('a client whose sections decode to far more than it sent is read later, and gets every answer', async (t) => {
  const edge = await edgeFor(t);
  const client = await RawHttp2.open(edge.port);
  const began = performance.now();
  client.send(...largeSections());
  const last = await client.until(({ stream, flags }) => stream === 2 * REQUESTS - 1 && (flags & END_STREAM) !== 0);
  t.ok(last, 'all of them are answered');
  // Those of the last look are not waited for, and each has some bytes free.
  const section = { path: '/', bytes: 7 * 3_500, isRemembered: false };
  const unpaid = (REQUESTS - FRAMES_A_LOOK) * unpaidBytes(section, true, 40, Number.POSITIVE_INFINITY);
  const leastMs = ((unpaid - DECODED.burst) / DECODED.perSecond) * 1_000;
  t.ok(performance.now() - began >= leastMs, `after ${leastMs.toFixed(0)} ms at least`);
  client.socket.destroy();
});

test('other connections are answered meanwhile', async (t) => {
  const edge = await edgeFor(t);
  const hostile = await Promise.all(Array.from({ length: 8 }, () => RawHttp2.open(edge.port)));
  const requests = 4 * REQUESTS; // some eight seconds for each of them
  const sections = largeSections(requests);
  for (const client of hostile) client.send(...sections);
  const session = openHttp2(t, edge);
  for (let i = 0; i < 20; i++) t.equal((await askHttp2(session, '/')).status, 200);
  const isDone = (client: RawHttp2): boolean => client.frames.some(({ stream }) => stream === 2 * requests - 1);
  t.notOk(hostile.some(isDone), 'before any of those is through');
  for (const { socket } of hostile) socket.destroy();
});

test('thousands of requests in one write are answered in order', async (t) => {
  const edge = await edgeFor(t);
  const client = await RawHttp2.open(edge.port);
  const count = 3_000;
  client.send(...Array.from({ length: count }, (_, index) => get(2 * index + 1)));
  await client.until(({ stream, type }) => stream === 2 * count - 1 && type === TYPE.headers);
  const answered = client.frames.filter(({ type }) => type === TYPE.headers).map(({ stream }) => stream);
  t.strictSame(
    answered,
    Array.from({ length: count }, (_, index) => 2 * index + 1),
  );
  client.socket.destroy();
});

test('a section is charged for the bytes that it decodes to', async (t) => {
  const section = { path: '/', bytes: 20_000, isRemembered: false };
  t.equal(unpaidBytes(section, true, 40, 32_768), 20_000 - 40 - 512);
  t.equal(unpaidBytes(section, true, 20_000, 32_768), 0, 'what was sent is paid for');
  t.equal(
    unpaidBytes({ ...section, bytes: 10_000_000 }, true, 0, 32_768),
    32_768 - 512,
    'what is not kept is not read',
  );
  t.equal(unpaidBytes({ ...section, isRemembered: true }, true, 10, 32_768), 0, 'what is remembered costs nothing');
  const path = `/${'a'.repeat(3_000)}`;
  t.equal(unpaidBytes({ ...section, path, isRemembered: true }, false, 10, 32_768), path.length - 10 - 512);
  t.equal(unpaidBytes({ ...section, bytes: 500 }, false, 10, 32_768), 0, 'a browser’s usual section is free');
});

test('frames are read alike however they are cut, and reading resumes where it stopped', async (t) => {
  const frames = [
    get(1),
    frame(TYPE.ping, 0, 0, Buffer.alloc(8, 7)),
    frame(TYPE.data, 1, 1, Buffer.alloc(16_384, 9)),
    frame(TYPE.settings, 0, 0),
  ];
  const whole = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'), ...frames]);
  for (const size of [1, 2, 8, 9, 10, 23, 24, 25, 100, 16_384, whole.length]) {
    for (const pace of [() => 'now', () => 'later'] as readonly (() => Pace)[]) {
      const read: Buffer[] = [];
      const reader = new FrameReader((type, flags, id, bytes, start, end) => {
        read.push(frame(type, flags, id, Buffer.from(bytes.subarray(start, end))));
      });
      for (let from = 0; from < whole.length; from += size) {
        const piece = whole.subarray(from, from + size);
        for (let at = 0; at < piece.length; ) at = reader.read(piece, at, piece.length, pace);
      }
      t.strictSame(Buffer.concat(read), Buffer.concat(frames), `${size} bytes at a time`);
    }
  }
});
