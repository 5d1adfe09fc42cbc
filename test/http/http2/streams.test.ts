/**
 * Frames that a client may send or not (RFC 9113), and what becomes of them:
 * the connection ends with GOAWAY, the stream with RST_STREAM, or all goes on.
 */
import { type Test, test } from 'tap';
import {
  END_HEADERS,
  END_STREAM,
  type Frame,
  frame,
  GET,
  get,
  RawHttp2,
  section,
  settings,
  TYPE,
} from '../../support/frames.ts';
import { startOrigin, startTcp, text } from '../../support/origin.ts';
import { type SecureEdge, startSecureEdge } from '../../support/secure-edge.ts';

const SITE = [{ name: 'site', hosts: ['site.test'] }];
const AS_IT_ARRIVES = [{ name: 'site', hosts: ['site.test'], keys: { request_buffering: false } }];
const PADDED = 8;
const PRIORITY = 0x20;

const PROTOCOL_ERROR = 1;
const FLOW_CONTROL_ERROR = 3;
const STREAM_CLOSED = 5;
const FRAME_SIZE_ERROR = 6;
const COMPRESSION_ERROR = 9;

const POST = [...GET.filter(([name]) => name !== ':method'), [':method', 'POST'] as const].reverse();

function u32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, i * 4);
  return bytes;
}

/** HEADERS of a request. */
function headers(id: number, fields: readonly (readonly [string, string])[], flags = END_HEADERS | END_STREAM): Buffer {
  return frame(TYPE.headers, flags, id, section(fields));
}

const ping = frame(TYPE.ping, 0, 0, Buffer.from('12345678'));

interface Case {
  /** Section of RFC 9113 first. */
  readonly name: string;
  readonly send: readonly Buffer[];
  /** A code of GOAWAY; `[stream, code]` of RST_STREAM; or how it goes on: with 200 on this stream. */
  readonly is: { readonly goaway: number } | { readonly reset: readonly [number, number] } | { readonly ok: number };
}

const CASES: readonly Case[] = [
  { name: '4.1: a frame of an unknown type', send: [frame(0x63, 0xff, 1, Buffer.alloc(8)), get(1)], is: { ok: 1 } },
  { name: '4.1: unknown flags', send: [frame(TYPE.ping, 0xfe, 0, Buffer.alloc(8)), get(1)], is: { ok: 1 } },
  { name: '4.1: the reserved bit', send: [frame(TYPE.ping, 0, 2 ** 31, Buffer.alloc(8)), get(1)], is: { ok: 1 } },
  {
    name: '4.2: a frame that is too large',
    send: [frame(TYPE.data, 0, 1, Buffer.alloc(16_385))],
    is: { goaway: FRAME_SIZE_ERROR },
  },
  {
    name: '4.3: a header block that is none',
    send: [frame(TYPE.headers, 5, 1, Buffer.from([0x80]))],
    is: { goaway: COMPRESSION_ERROR },
  },
  {
    name: '5.1: DATA on an idle stream',
    send: [frame(TYPE.data, END_STREAM, 1, Buffer.from('a'))],
    is: { goaway: PROTOCOL_ERROR },
  },
  {
    name: '5.1: RST_STREAM on an idle stream',
    send: [frame(TYPE.reset, 0, 1, u32(8))],
    is: { goaway: PROTOCOL_ERROR },
  },
  {
    name: '5.1: WINDOW_UPDATE on an idle stream',
    send: [frame(TYPE.windowUpdate, 0, 1, u32(1))],
    is: { goaway: PROTOCOL_ERROR },
  },
  {
    name: '5.1: CONTINUATION on an idle stream',
    send: [frame(TYPE.continuation, 4, 1)],
    is: { goaway: PROTOCOL_ERROR },
  },
  {
    name: '5.1: DATA behind the end, on a closed stream',
    send: [get(1), frame(TYPE.data, END_STREAM, 1, Buffer.from('a'))],
    is: { reset: [1, STREAM_CLOSED] },
  },
  { name: '5.1: HEADERS behind the end, on a closed stream', send: [get(1), get(1)], is: { goaway: STREAM_CLOSED } },
  {
    name: '5.1: DATA behind the end, on an open stream',
    send: [get(1, '/held'), frame(TYPE.data, END_STREAM, 1, Buffer.from('a'))],
    is: { reset: [1, STREAM_CLOSED] },
  },
  {
    name: '5.1: HEADERS behind the end, on an open stream',
    send: [get(1, '/held'), get(1)],
    is: { reset: [1, STREAM_CLOSED] },
  },
  {
    name: '5.1: WINDOW_UPDATE and RST_STREAM on a closed stream',
    send: [get(1), frame(TYPE.windowUpdate, 0, 1, u32(1)), frame(TYPE.reset, 0, 1, u32(8)), get(3)],
    is: { ok: 3 },
  },
  { name: '5.1.1: a stream of even number', send: [get(2)], is: { goaway: PROTOCOL_ERROR } },
  { name: '5.1.1: a number below the last one', send: [get(5), get(3)], is: { goaway: STREAM_CLOSED } },
  { name: '5.1.1: numbers may be left out', send: [get(5), get(101)], is: { ok: 101 } },
  {
    name: '5.3.2: what depends on what is not acted on',
    send: [
      frame(TYPE.headers, 5 | PRIORITY, 1, Buffer.concat([u32(0, 0).subarray(0, 5), section(GET)])),
      frame(TYPE.priority, 0, 1, u32(1, 0).subarray(0, 5)),
    ],
    is: { ok: 1 },
  },
  { name: '6.1: DATA on stream 0', send: [frame(TYPE.data, 0, 0, Buffer.from('a'))], is: { goaway: PROTOCOL_ERROR } },
  {
    name: '6.1: padding as long as the frame',
    send: [headers(1, POST, END_HEADERS), frame(TYPE.data, PADDED | END_STREAM, 1, Buffer.from([3, 0, 0]))],
    is: { goaway: PROTOCOL_ERROR },
  },
  {
    name: '6.1: padding without a length',
    send: [headers(1, POST, END_HEADERS), frame(TYPE.data, PADDED | END_STREAM, 1)],
    is: { goaway: PROTOCOL_ERROR },
  },
  {
    name: '6.1: padding that fills the frame',
    send: [headers(1, POST, END_HEADERS), frame(TYPE.data, PADDED | END_STREAM, 1, Buffer.from([2, 0, 0]))],
    is: { ok: 1 },
  },
  { name: '6.2: HEADERS on stream 0', send: [get(0)], is: { goaway: PROTOCOL_ERROR } },
  {
    name: '6.2: padding longer than the block',
    send: [frame(TYPE.headers, PADDED | 5, 1, Buffer.concat([Buffer.from([255]), section(GET)]))],
    is: { goaway: PROTOCOL_ERROR },
  },
  {
    name: '6.2: padding',
    send: [frame(TYPE.headers, PADDED | 5, 1, Buffer.concat([Buffer.from([2]), section(GET), Buffer.alloc(2)]))],
    is: { ok: 1 },
  },
  {
    name: '6.2: another frame within the block',
    send: [frame(TYPE.headers, END_STREAM, 1, section(GET)), ping],
    is: { goaway: PROTOCOL_ERROR },
  },
  {
    name: '6.2: another stream within the block',
    send: [frame(TYPE.headers, END_STREAM, 1, section(GET)), frame(TYPE.continuation, 4, 3)],
    is: { goaway: PROTOCOL_ERROR },
  },
  {
    name: '6.3: PRIORITY on stream 0',
    send: [frame(TYPE.priority, 0, 0, Buffer.alloc(5))],
    is: { goaway: PROTOCOL_ERROR },
  },
  {
    name: '6.3: PRIORITY of another size',
    send: [frame(TYPE.priority, 0, 1, Buffer.alloc(4))],
    is: { goaway: FRAME_SIZE_ERROR },
  },
  { name: '6.4: RST_STREAM on stream 0', send: [frame(TYPE.reset, 0, 0, u32(8))], is: { goaway: PROTOCOL_ERROR } },
  {
    name: '6.4: RST_STREAM of another size',
    send: [get(1), frame(TYPE.reset, 0, 1, Buffer.alloc(3))],
    is: { goaway: FRAME_SIZE_ERROR },
  },
  { name: '6.5: SETTINGS on a stream', send: [frame(TYPE.settings, 0, 1)], is: { goaway: PROTOCOL_ERROR } },
  {
    name: '6.5: SETTINGS of another size',
    send: [frame(TYPE.settings, 0, 0, Buffer.alloc(5))],
    is: { goaway: FRAME_SIZE_ERROR },
  },
  {
    name: '6.5: an acknowledgement with something in it',
    send: [frame(TYPE.settings, 1, 0, Buffer.alloc(6))],
    is: { goaway: FRAME_SIZE_ERROR },
  },
  { name: '6.5.2: ENABLE_PUSH of 2', send: [settings([[2, 2]])], is: { goaway: PROTOCOL_ERROR } },
  {
    name: '6.5.2: INITIAL_WINDOW_SIZE beyond the largest',
    send: [settings([[4, 2 ** 31]])],
    is: { goaway: FLOW_CONTROL_ERROR },
  },
  { name: '6.5.2: MAX_FRAME_SIZE below the least', send: [settings([[5, 16_383]])], is: { goaway: PROTOCOL_ERROR } },
  {
    name: '6.5.2: MAX_FRAME_SIZE beyond the largest',
    send: [settings([[5, 2 ** 24]])],
    is: { goaway: PROTOCOL_ERROR },
  },
  { name: '6.5.2: a setting that is not known', send: [settings([[0x99, 1]]), get(1)], is: { ok: 1 } },
  { name: '6.6: PUSH_PROMISE of a client', send: [frame(5, 4, 1, Buffer.alloc(4))], is: { goaway: PROTOCOL_ERROR } },
  { name: '6.7: PING on a stream', send: [frame(TYPE.ping, 0, 1, Buffer.alloc(8))], is: { goaway: PROTOCOL_ERROR } },
  {
    name: '6.7: PING of another size',
    send: [frame(TYPE.ping, 0, 0, Buffer.alloc(7))],
    is: { goaway: FRAME_SIZE_ERROR },
  },
  { name: '6.8: GOAWAY on a stream', send: [frame(TYPE.goaway, 0, 1, u32(0, 0))], is: { goaway: PROTOCOL_ERROR } },
  { name: '6.8: GOAWAY of another size', send: [frame(TYPE.goaway, 0, 0, u32(0))], is: { goaway: FRAME_SIZE_ERROR } },
  {
    name: '6.8: a client that has said GOAWAY gets its answers',
    send: [frame(TYPE.goaway, 0, 0, u32(0, 0)), get(1)],
    is: { ok: 1 },
  },
  {
    name: '6.9: WINDOW_UPDATE of another size',
    send: [frame(TYPE.windowUpdate, 0, 0, Buffer.alloc(3))],
    is: { goaway: FRAME_SIZE_ERROR },
  },
  {
    name: '6.9: a window that does not grow',
    send: [frame(TYPE.windowUpdate, 0, 0, u32(0))],
    is: { goaway: PROTOCOL_ERROR },
  },
  {
    name: '6.9: a stream’s window that does not grow',
    send: [get(1, '/held'), frame(TYPE.windowUpdate, 0, 1, u32(0))],
    is: { reset: [1, PROTOCOL_ERROR] },
  },
  {
    name: '6.9.1: a window beyond the largest',
    send: [frame(TYPE.windowUpdate, 0, 0, u32(2 ** 31 - 1))],
    is: { goaway: FLOW_CONTROL_ERROR },
  },
  {
    name: '6.9.1: a stream’s window beyond the largest',
    send: [get(1, '/held'), frame(TYPE.windowUpdate, 0, 1, u32(2 ** 31 - 1))],
    is: { reset: [1, FLOW_CONTROL_ERROR] },
  },
  {
    name: '6.9.2: an initial window that makes another too large',
    send: [get(1, '/held'), frame(TYPE.windowUpdate, 0, 1, u32(2 ** 31 - 1 - 65_535)), settings([[4, 65_536]])],
    is: { goaway: FLOW_CONTROL_ERROR },
  },
  {
    name: '6.10: CONTINUATION behind the end of the block',
    send: [get(1), frame(TYPE.continuation, 4, 1)],
    is: { goaway: PROTOCOL_ERROR },
  },
  {
    name: '6.10: a block in three frames',
    send: [
      frame(TYPE.headers, END_STREAM, 1, section(GET).subarray(0, 5)),
      frame(TYPE.continuation, 0, 1, section(GET).subarray(5, 20)),
      frame(TYPE.continuation, 4, 1, section(GET).subarray(20)),
    ],
    is: { ok: 1 },
  },
  {
    name: '8.1: trailers',
    send: [headers(1, POST, END_HEADERS), frame(TYPE.data, 0, 1, Buffer.from('a')), headers(1, [['x-sum', '1']])],
    is: { ok: 1 },
  },
  {
    name: '8.1: trailers that do not end it',
    send: [headers(1, POST, END_HEADERS), headers(1, [['x-sum', '1']], END_HEADERS)],
    is: { reset: [1, PROTOCOL_ERROR] },
  },
  {
    name: '8.1: a pseudo-header field in trailers',
    send: [headers(1, POST, END_HEADERS), headers(1, [[':path', '/']])],
    is: { reset: [1, PROTOCOL_ERROR] },
  },
  {
    name: '8.1.1: less than announced',
    send: [
      headers(1, [...POST, ['content-length', '2']], END_HEADERS),
      frame(TYPE.data, END_STREAM, 1, Buffer.from('a')),
    ],
    is: { reset: [1, PROTOCOL_ERROR] },
  },
  {
    name: '8.1.1: more than announced',
    send: [headers(1, [...POST, ['content-length', '2']], END_HEADERS), frame(TYPE.data, 0, 1, Buffer.from('abc'))],
    is: { reset: [1, PROTOCOL_ERROR] },
  },
  {
    name: '8.1.1: trailers before what was announced',
    send: [headers(1, [...POST, ['content-length', '2']], END_HEADERS), headers(1, [['x-sum', '1']])],
    is: { reset: [1, PROTOCOL_ERROR] },
  },
  {
    name: '8.1.1: a length, and the end',
    send: [headers(1, [...POST, ['content-length', '2']])],
    is: { reset: [1, PROTOCOL_ERROR] },
  },
  {
    name: '8.2.1: a name in upper case',
    send: [headers(1, [...GET, ['X-Own', '1']])],
    is: { reset: [1, PROTOCOL_ERROR] },
  },
  {
    name: '8.2.2: a field of the connection',
    send: [headers(1, [...GET, ['transfer-encoding', 'chunked']])],
    is: { reset: [1, PROTOCOL_ERROR] },
  },
  {
    name: '8.3: a malformed request spoils no other',
    send: [headers(1, [...GET, [':own', '1']]), get(3)],
    is: { ok: 3 },
  },
  {
    name: '8.3: no path',
    send: [
      headers(
        1,
        GET.filter(([name]) => name !== ':path'),
      ),
    ],
    is: { reset: [1, PROTOCOL_ERROR] },
  },
  ...['https://site.test/', 'http://other.test/', 'a', '?a'].map((path) => ({
    name: `8.3.1: no path, but ${path}`,
    send: [get(1, path)],
    is: { reset: [1, PROTOCOL_ERROR] as const },
  })),
];

test('each frame has its defined outcome', async (t) => {
  const origin = await startOrigin((request, response) => {
    if (request.url === '/held') return;
    request.resume();
    response.writeHead(200, { 'Cache-Control': 'max-age=60' });
    response.end('hello');
  });
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE, { drain_timeout: '100ms' });
  for (const { name, send, is } of CASES) {
    const client = await RawHttp2.open(edge.port);
    client.send(...send);
    if ('goaway' in is) {
      t.equal(await client.goawayCode(), is.goaway, name);
      continue;
    }
    const id = 'ok' in is ? is.ok : is.reset[0];
    const outcome = await client.until(
      ({ type, stream }) =>
        type === TYPE.goaway || (stream === id && (type === TYPE.reset || type === ('ok' in is ? TYPE.headers : -1))),
    );
    if ('ok' in is) t.match(outcome, { type: TYPE.headers, stream: id }, name);
    else t.match({ ...outcome, code: codeOf(outcome) }, { type: TYPE.reset, stream: id, code: is.reset[1] }, name);
    // It goes on with whatever comes next.
    client.send(get(201));
    t.match(
      await client.until(({ type, stream }) => type === TYPE.headers && stream === 201),
      { stream: 201 },
      `${name}: and it goes on`,
    );
    client.socket.destroy();
  }
  t.equal(
    await edge.count('seawall_connections_refused_total', { reason: 'http2_refused' }),
    CASES.filter(({ is }) => 'goaway' in is).length,
  );
});

function codeOf(reset: Frame | undefined): number | undefined {
  return reset?.type === TYPE.reset ? reset.payload.readUInt32BE(0) : undefined;
}

for (const [name, first] of [
  ['another protocol', Buffer.from('GET / HTTP/1.1\r\nHost: site.test\r\n\r\n')],
  ['a preface with a wrong end', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\n\n')],
  ['a frame before SETTINGS', Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), ping])],
] as const) {
  test(`RFC 9113 3.4: ${name}`, async (t) => {
    const edge = await anEdge(t);
    const client = await RawHttp2.dial(edge.port);
    client.send(first);
    t.equal(await client.goawayCode(), PROTOCOL_ERROR);
  });
}

test('RFC 9113 3.4: a silent client is disconnected', async (t) => {
  const edge = await anEdge(t, { header_timeout: '300ms' });
  const client = await RawHttp2.dial(edge.port);
  await client.goawayCode();
  t.pass('closed');
});

test('RFC 9113 6.5.3, 6.7: SETTINGS and PING are acknowledged in order', async (t) => {
  const edge = await anEdge(t);
  const client = await RawHttp2.open(edge.port);
  client.send(ping, settings([[3, 1]]), frame(TYPE.ping, 0, 0, Buffer.from('abcdefgh')));
  await client.until(({ type, payload }) => type === TYPE.ping && payload.toString() === 'abcdefgh');
  const acknowledged = client.frames.filter(
    ({ flags, type }) => flags === 1 && (type === TYPE.ping || type === TYPE.settings),
  );
  t.strictSame(
    acknowledged.map(({ type, payload }) => [type, payload.toString()]),
    [
      [TYPE.settings, ''],
      [TYPE.ping, '12345678'],
      [TYPE.settings, ''],
      [TYPE.ping, 'abcdefgh'],
    ],
  );
});

test('RFC 7541 4.2: a client without a table gets one size update', async (t) => {
  const edge = await anEdge(t);
  const client = await RawHttp2.open(edge.port, [[1, 0]]);
  client.send(get(1));
  const first = await client.until(({ type }) => type === TYPE.headers);
  t.equal(first?.payload[0], 0x20);
  client.send(get(3));
  const second = await client.until(({ type, stream }) => type === TYPE.headers && stream === 3);
  t.equal(second?.payload[0], 0x88, ':status 200 is the first');
});

test('RFC 7541 4.2: a client that shrinks and restores its table gets a size update, at once or later', async (t) => {
  const edge = await anEdge(t);
  for (const frames of [
    [
      settings([
        [1, 0],
        [1, 4_096],
      ]),
    ],
    [settings([[1, 0]]), settings([[1, 4_096]])],
  ]) {
    const client = await RawHttp2.open(edge.port);
    client.send(...frames, get(1));
    const first = await client.until(({ type }) => type === TYPE.headers);
    t.equal(first?.payload[0], 0x20);
    client.socket.destroy();
  }
});

test('a conversation has the same outcome wherever it is cut', async (t) => {
  const edge = await anEdge(t);
  const talk = Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    settings([[4, 1_000]]),
    get(1),
    headers(3, [...POST, ['content-length', '3']], END_HEADERS),
    frame(TYPE.data, 0, 3, Buffer.from('a')),
    frame(TYPE.data, PADDED | END_STREAM, 3, Buffer.from([2, 98, 99, 0, 0])),
    ping,
  ]);
  const outcome = async (cut: number): Promise<string> => {
    const client = await RawHttp2.dial(edge.port);
    client.socket.setNoDelay(true);
    client.send(talk.subarray(0, cut));
    await new Promise((resolve) => setImmediate(resolve));
    client.send(talk.subarray(cut));
    const ended = new Set<number>();
    const answers = await client.until(({ flags, stream, type }) => {
      if (stream > 0 && (flags & END_STREAM) !== 0 && (type === TYPE.data || type === TYPE.headers)) ended.add(stream);
      return ended.size === 2 && client.frames.some((one) => one.type === TYPE.ping);
    });
    client.socket.destroy();
    return answers === undefined
      ? 'closed'
      : client.frames
          .filter(({ type }) => type === TYPE.data)
          .map(({ stream, payload }) => `${stream}:${payload}`)
          .sort()
          .join(' ');
  };
  t.equal(await outcome(0), '1:hello 3:hello');
  const wrong: number[] = [];
  for (let cut = 1; cut < talk.length; cut++) if ((await outcome(cut)) !== '1:hello 3:hello') wrong.push(cut);
  t.strictSame(wrong, []);
});

test('a body whose length differs from Content-Length reaches no origin as a complete one', async (t) => {
  const connections: string[] = [];
  let onHead = (): void => undefined;
  const origin = await startTcp(
    () => onHead(),
    (socket) => {
      const index = connections.push('') - 1;
      socket.on('data', (chunk) => {
        connections[index] += chunk.toString('latin1');
      });
    },
  );
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, AS_IT_ARRIVES, { drain_timeout: '100ms' });
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: site.test\r\n\r\n';
  const prefix = 'a part that is fine, ';
  for (const [length, body] of [
    [prefix.length + 3, `${prefix}abc${smuggled}`],
    [prefix.length + smuggled.length + 100, prefix + smuggled],
  ] as const) {
    const client = await RawHttp2.open(edge.port);
    const asked = new Promise<void>((resolve) => {
      onHead = resolve;
    });
    client.send(
      headers(1, [...POST, ['content-length', String(length)]], END_HEADERS),
      frame(TYPE.data, 0, 1, Buffer.from(prefix)),
    );
    await asked;
    client.send(frame(TYPE.data, END_STREAM, 1, Buffer.from(body.slice(prefix.length))));
    const reset = await client.until(({ type, stream }) => type === TYPE.reset && stream === 1);
    t.equal(codeOf(reset), PROTOCOL_ERROR);
    client.socket.destroy();
  }
  const client = await RawHttp2.open(edge.port);
  client.send(
    headers(1, [...POST, ['content-length', '0']], END_HEADERS),
    frame(TYPE.data, END_STREAM, 1, Buffer.from(smuggled)),
  );
  t.equal(codeOf(await client.until(({ type, stream }) => type === TYPE.reset && stream === 1)), PROTOCOL_ERROR);
  client.socket.destroy();
  const sent = connections.filter((seen) => seen !== '');
  t.ok(sent.length >= 2, `${sent.length} requests reached the origin`);
  for (const seen of sent) {
    const [head = '', ...rest] = seen.split('\r\n\r\n');
    const body = rest.join('\r\n\r\n');
    const announced = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN);
    // What was announced as nothing may be there as a whole; the rest must not look like it.
    t.ok(announced === 0 ? body === '' : body.length < announced, `${body.length} bytes of ${announced}`);
  }
});

async function anEdge(t: Test, limits: Parameters<typeof startSecureEdge>[3] = {}): Promise<SecureEdge> {
  const origin = await startOrigin(text('hello', { 'Cache-Control': 'max-age=60' }));
  t.teardown(() => origin.close());
  return startSecureEdge(t, origin.url, SITE, { drain_timeout: '100ms', ...limits });
}
