/**
 * Frames at random, valid ones and broken ones, in any order: the connection
 * ends with GOAWAY or goes on, others are served, and nothing is thrown.
 */
import fc from 'fast-check';
import { test } from 'tap';
import { headerBlock } from '../../../http/http2/header-block.ts';
import { ALLOWED } from '../../../http/http2/limits.ts';
import { frame, GET, RawHttp2, TYPE } from '../../support/frames.ts';
import { fuzzer } from '../../support/fuzz.ts';
import { startOrigin } from '../../support/origin.ts';
import { askHttp2, openHttp2, startSecureEdge } from '../../support/secure-edge.ts';

const fuzz = fuzzer(import.meta.filename);

/** So many times as many connections as usual. */
const TIMES = Number(process.env['SEAWALL_FUZZ'] ?? 1);

const ids = fc.oneof(fc.constantFrom(0, 1, 3, 5, 7, 9, 2, 2 ** 31 - 1), fc.nat(300));

const requests = fc
  .record({
    method: fc.constantFrom('GET', 'HEAD', 'POST', 'OPTIONS', 'CONNECT', 'PURGE', 'G T'),
    path: fc.oneof(fc.constantFrom('/', '/a', '/never', '', '*', '/%00'), fc.string({ maxLength: 20 })),
    more: fc.array(
      fc.constantFrom(
        ['content-length', '3'],
        ['content-length', '0'],
        ['host', 'other.test'],
        ['te', 'trailers'],
        ['cookie', 'a=b'],
        ['range', 'bytes=0-1'],
        ['expect', '100-continue'],
        ['transfer-encoding', 'chunked'],
        [':path', '/again'],
        ['if-none-match', '*'],
      ),
      { maxLength: 4 },
    ),
  })
  .map(({ method, path, more }) => {
    const own: Readonly<Record<string, string>> = { ':method': method, ':path': path };
    return headerBlock([...GET.map(([name, value]) => [name, own[name] ?? value]), ...more].flat());
  });

const blocks = fc.oneof(
  { weight: 4, arbitrary: requests },
  fc.uint8Array({ maxLength: 40 }).map((all) => Buffer.from(all)),
);

const uint32 = fc.oneof(fc.constantFrom(0, 1, 8, 65_535, 2 ** 31 - 1, 2 ** 32 - 1), fc.nat(100_000)).map((value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
});

const frames = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(fc.constantFrom(4, 5, 5, 5, 0, 1, 12, 13, 37), ids, blocks)
      .map(([flags, id, block]) => frame(TYPE.headers, flags, id, block)),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom(0, 0, 1, 8, 9), ids, fc.uint8Array({ maxLength: 200 }))
      .map(([flags, id, all]) => frame(TYPE.data, flags, id, Buffer.from(all))),
  },
  { weight: 2, arbitrary: fc.tuple(ids, uint32).map(([id, code]) => frame(TYPE.reset, 0, id, code)) },
  { weight: 3, arbitrary: fc.tuple(ids, uint32).map(([id, bytes]) => frame(TYPE.windowUpdate, 0, id, bytes)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(ids, blocks, fc.constantFrom(0, 4))
      .map(([id, block, flags]) => frame(TYPE.continuation, flags, id, block)),
  },
  {
    weight: 2,
    arbitrary: fc
      .array(fc.tuple(fc.nat(8), uint32), { maxLength: 4 })
      .map((pairs) =>
        frame(
          TYPE.settings,
          0,
          0,
          Buffer.concat(pairs.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), value]))),
        ),
      ),
  },
  {
    weight: 1,
    arbitrary: fc.uint8Array({ minLength: 8, maxLength: 8 }).map((all) => frame(TYPE.ping, 0, 0, Buffer.from(all))),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ type: fc.nat(255), flags: fc.nat(255), id: ids, all: fc.uint8Array({ maxLength: 60 }) })
      .map(({ type, flags, id, all }) => frame(type, flags, id, Buffer.from(all))),
  },
);

/**
 * Frames that a client may send, if not always with sense: none ends the connection. Streams are those that it has
 * opened.
 */
const polite = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant('ask' as const), block: requests, isLast: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant('send' as const),
      of: fc.nat(5),
      body: fc.uint8Array({ maxLength: 300 }),
      flags: fc.constantFrom(0, 0, 1),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constant('reset' as const), of: fc.nat(5), payload: uint32 }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('grow' as const), of: fc.nat(5), payload: uint32 }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('window' as const), bytes: fc.nat(100_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant('unknown' as const), type: fc.integer({ min: 10, max: 255 }), id: ids }),
  },
);

function layOut(all: readonly (typeof polite extends fc.Arbitrary<infer T> ? T : never)[]): Buffer[] {
  const opened: number[] = [];
  const known = (of: number): number => opened[Math.max(0, opened.length - 1 - of)] ?? 0;
  return all.flatMap((one) => {
    if (one.what === 'ask') {
      opened.push(1 + 2 * opened.length);
      return [frame(TYPE.headers, one.isLast ? 5 : 4, known(0), one.block)];
    }
    if (one.what === 'window') return [initialWindow(one.bytes)];
    if (one.what === 'unknown') return [frame(one.type, 0, one.id)];
    if (opened.length === 0) return [];
    if (one.what === 'send') return [frame(TYPE.data, one.flags, known(one.of), Buffer.from(one.body))];
    return [frame(one.what === 'reset' ? TYPE.reset : TYPE.windowUpdate, 0, known(one.of), one.payload)];
  });
}

function initialWindow(bytes: number): Buffer {
  const payload = Buffer.alloc(6);
  payload.writeUInt16BE(4);
  payload.writeUInt32BE(bytes, 2);
  return frame(TYPE.settings, 0, 0, payload);
}

/** Long ones, which reach states that short ones do not; some of them with something rude at last. */
const conversations = fc.record({
  begins: fc.array(polite, { maxLength: 60, size: 'max' }).map(layOut),
  ends: fc.oneof(fc.constant([]), fc.array(frames, { maxLength: 10 })),
});

test('random frames end in a response or a connection error', { timeout: 60_000 * TIMES }, async (t) => {
  const origin = await startOrigin((request, response) => {
    if (request.url?.startsWith('/never')) return;
    request.resume();
    response.writeHead(200, { 'Cache-Control': 'max-age=60' });
    response.end('x'.repeat(3_000));
  });
  t.teardown(() => origin.close());
  const problems: unknown[] = [];
  const edge = await startSecureEdge(
    t,
    origin.url,
    [{ name: 'site', hosts: ['site.test'] }],
    { drain_timeout: '100ms' },
    {
      onLog: (line) => /fault|uncaught|unhandled/i.test(line) && problems.push(line),
    },
  );
  const others = openHttp2(t, edge);
  let [ended, wentOn] = [0, 0];
  await fuzz(
    'random frames end in a response or a connection error',
    fc.asyncProperty(conversations, async ({ begins, ends }) => {
      const client = await RawHttp2.open(edge.port);
      const mark = Buffer.from('the mark');
      client.send(...begins, ...ends, frame(TYPE.ping, 0, 0, mark));
      const last = await client.until(
        ({ type, flags, payload }) =>
          type === TYPE.goaway || (type === TYPE.ping && flags === 1 && payload.equals(mark)),
      );
      const isClosed = last === undefined || last.type === TYPE.goaway;
      if (isClosed) ended++;
      else wentOn++;
      const { status } = await askHttp2(others, '/');
      client.socket.destroy();
      return status === 200 && last !== undefined && problems.length === 0;
    }),
    { numRuns: 400 * TIMES },
  );
  t.ok(ended > 50 && wentOn > 50, `${ended} connections ended, ${wentOn} went on`);
  t.strictSame(problems, []);
  t.ok(ALLOWED.refusals.burst > 60, 'no conversation is cut short for its length');
});
