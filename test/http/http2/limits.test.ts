/**
 * HTTP/2 connections that ask for much with little: each is bounded, and the
 * edge goes on answering others (RFC 9113, section 10.5).
 */
import { type Test, test } from 'tap';
import { isMostlyOverhead } from '../../../http/http2/limits.ts';
import { END_HEADERS, END_STREAM, frame, GET, get, RawHttp2, section, settings, TYPE } from '../../support/frames.ts';
import { startOrigin, text } from '../../support/origin.ts';
import { askHttp2, openHttp2, type SecureEdge, startSecureEdge } from '../../support/secure-edge.ts';

const KEPT = { 'Cache-Control': 'max-age=60' };

async function edgeFor(t: Test, limits: Parameters<typeof startSecureEdge>[3] = {}): Promise<SecureEdge> {
  const origin = await startOrigin(text('hello', KEPT));
  t.teardown(() => origin.close());
  return startSecureEdge(t, origin.url, [{ name: 'site', hosts: ['site.test'] }], limits);
}

async function stillServes(t: Test, edge: SecureEdge): Promise<void> {
  const { status, text: body } = await askHttp2(openHttp2(t, edge), '/');
  t.equal(status, 200);
  t.equal(body, 'hello');
}

const CANCEL = Buffer.from([0, 0, 0, 8]);

test('rapid reset (CVE-2023-44487) closes the connection', async (t) => {
  const edge = await edgeFor(t);
  const client = await RawHttp2.open(edge.port);
  for (let batch = 0; batch < 60 && !client.socket.destroyed; batch++) {
    const pairs = Array.from({ length: 50 }, (_, i) => 2 * (batch * 50 + i) + 1);
    await client.flood(
      Buffer.concat(pairs.map((id) => Buffer.concat([get(id, `/${id}`), frame(TYPE.reset, 0, id, CANCEL)]))),
      1,
    );
  }
  await client.goawayCode();
  t.pass('the connection is closed');
  t.ok((await edge.count('seawall_requests_total')) < 1_500, 'after about 500 resets');
  t.ok((await edge.count('seawall_connections_refused_total')) >= 1);
  await stillServes(t, edge);
});

const WINDOW_OVERFLOW = Buffer.from([0x7f, 0xff, 0xff, 0xff]);

/** Frames for which a server resets a stream (RFC 9113, 5.4.2): work for it goes on behind that, unless it is ended. */
const PROVOKING: Readonly<Record<string, (stream: number) => Buffer>> = {
  'WINDOW_UPDATE of 0': (id) => frame(TYPE.windowUpdate, 0, id, Buffer.alloc(4)),
  'a window beyond 2^31 - 1': (id) => frame(TYPE.windowUpdate, 0, id, WINDOW_OVERFLOW),
  'DATA after the end of the stream': (id) => frame(TYPE.data, END_STREAM, id, Buffer.from('x')),
  'HEADERS after the end of the stream': (id) =>
    frame(TYPE.headers, END_HEADERS | END_STREAM, id, section([['x', 'y']])),
};

for (const [what, provoke] of Object.entries(PROVOKING)) {
  test(`resets that bad frames provoke (CVE-2025-8671) reach the origin a bounded number of times: ${what}`, async (t) => {
    // What it is asked for is work, whether it is given up or not. (Of one that ends with its client, a visitor that
    // leaves requests holds a share of the connections for seconds: it would get no further.)
    const origin = await startOrigin((_request, response) => void setTimeout(() => response.end('late'), 50), {
      isPatient: true,
    });
    t.teardown(() => origin.close());
    const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: ['site.test'] }]);
    const client = await RawHttp2.open(edge.port);
    for (let i = 0; i < 2_000 && !client.socket.destroyed; i++) {
      const id = 2 * i + 1;
      const arrival = origin.next();
      client.send(get(id, `/${id}`));
      const isEnding = client.until(({ type }) => type === TYPE.goaway).then(() => true);
      if (await Promise.race([arrival.then(() => false), isEnding])) break;
      client.send(provoke(id));
    }
    const isClosed = client.socket.destroyed || (await client.goawayCode()) !== undefined;
    t.ok(isClosed, 'the connection is closed');
    origin.script = text('hello', KEPT);
    await stillServes(t, edge);
    t.ok(origin.requests.length > 100, 'requests reached the origin');
    t.ok(origin.requests.length <= 300, `${origin.requests.length} of 2,000 requests reached the origin`);
  });
}

test('a CONTINUATION flood (CVE-2024-27316) closes the connection', async (t) => {
  const edge = await edgeFor(t);
  const client = await RawHttp2.open(edge.port);
  client.send(frame(TYPE.headers, END_STREAM, 1, section(GET)));
  await client.flood(frame(TYPE.continuation, 0, 1, section([['x', 'y'.repeat(100)]])), 2_000);
  await client.goawayCode();
  t.ok(client.socket.bytesWritten < 2_000 * 120, 'closed before all of it was sent');
  await stillServes(t, edge);
});

test('a header section beyond the bounds is refused', async (t) => {
  const edge = await edgeFor(t, { max_headers: 20, max_header: '8KiB' });
  for (const fields of [
    Array.from({ length: 40 }, (_, i) => [`x-${i}`, 'y'] as const),
    Array.from({ length: 12 }, (_, i) => [`x-${i}`, 'y'.repeat(1_000)] as const),
  ]) {
    const client = await RawHttp2.open(edge.port);
    client.send(frame(TYPE.headers, END_HEADERS | END_STREAM, 1, section([...GET, ...fields])));
    const answer = await client.until(
      ({ type, stream }) => type === TYPE.goaway || (stream === 1 && type !== TYPE.windowUpdate),
    );
    t.not(answer?.type === TYPE.headers && answer.payload.includes('200'), true, 'no ordinary answer');
    t.ok(answer, 'but one');
    client.socket.destroy();
  }
  await stillServes(t, edge);
});

for (const [name, one] of [
  ['PING flood (CVE-2019-9512)', frame(TYPE.ping, 0, 0, Buffer.alloc(8))],
  ['SETTINGS flood (CVE-2019-9515)', settings([[4, 65_535]])],
] as const) {
  test(`${name}: few are answered, and the connection is closed`, async (t) => {
    const edge = await edgeFor(t);
    const client = await RawHttp2.open(edge.port);
    await client.flood(Buffer.concat(Array.from({ length: 20 }, () => one)), 200);
    await client.goawayCode();
    t.ok(client.frames.filter(({ flags, type }) => flags === 1 && type === one[3]).length <= 500, 'few are answered');
    t.equal(await edge.count('seawall_connections_refused_total', { reason: 'http2_calls' }), 1);
    await stillServes(t, edge);
  });
}

for (const [name, one] of [
  ['PRIORITY flood (CVE-2019-9513)', frame(TYPE.priority, 0, 1, Buffer.from([0, 0, 0, 3, 1]))],
  ['WINDOW_UPDATE flood', frame(TYPE.windowUpdate, 0, 0, Buffer.from([0, 0, 0, 1]))],
  ['frames of unknown types', frame(0x55, 0, 0, Buffer.alloc(32))],
] as const) {
  test(`${name}: the connection is closed`, async (t) => {
    const edge = await edgeFor(t);
    const client = await RawHttp2.open(edge.port);
    const batch = Buffer.concat(Array.from({ length: 2_000 }, () => one));
    await client.flood(batch, Math.ceil((4 * 2 ** 20) / batch.length));
    await client.goawayCode();
    t.ok((await edge.count('seawall_connections_refused_total')) >= 1);
    await stillServes(t, edge);
  });
}

test('empty DATA frames (CVE-2019-9518) close the connection', async (t) => {
  const edge = await edgeFor(t);
  const client = await RawHttp2.open(edge.port);
  const post = GET.map(([name, value]) => [name, name === ':method' ? 'POST' : value] as const);
  client.send(frame(TYPE.headers, END_HEADERS, 1, section(post)));
  await client.flood(Buffer.concat(Array.from({ length: 50 }, () => frame(TYPE.data, 0, 1))), 200);
  await client.goawayCode();
  t.ok((await edge.count('seawall_connections_refused_total')) >= 1);
  await stillServes(t, edge);
});

test('streams above the maximum are refused, then the connection is closed', async (t) => {
  const held = await startOrigin(() => undefined);
  t.teardown(() => held.close());
  const edge = await startSecureEdge(t, held.url, [{ name: 'site', hosts: ['site.test'] }], { max_streams: 10 });
  const client = await RawHttp2.open(edge.port);
  client.send(...Array.from({ length: 12 }, (_, i) => get(2 * i + 1, `/${i}`)));
  const refused = await client.until(({ type }) => type === TYPE.reset);
  t.equal(refused?.payload.readUInt32BE(0), 7, 'REFUSED_STREAM');
  for (let id = 25; id < 2_000 && !client.socket.destroyed; id += 2) await client.flood(get(id), 1);
  await client.goawayCode();
  t.pass('closed');
});

test('an unread response with a closed window is not held for ever', async (t) => {
  const origin = await startOrigin(text('x'.repeat(10_000), KEPT));
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, [{ name: 'site', hosts: ['site.test'] }], {
    write_timeout: '500ms',
  });
  t.equal((await askHttp2(openHttp2(t, edge), '/')).text.length, 10_000);
  const client = await RawHttp2.open(edge.port, [[4, 0]]);
  client.send(get(1), get(3), get(5, '/other'));
  const ended = new Set<number>();
  while (ended.size < 3) {
    const reset = await client.until(({ type, stream }) => type === TYPE.reset && !ended.has(stream));
    if (reset === undefined) break;
    ended.add(reset.stream);
  }
  t.strictSame([...ended].sort(), [1, 3, 5]);
  client.socket.destroy();
});

test('an unread response is dropped although the client keeps sending', async (t) => {
  const edge = await edgeFor(t, { write_timeout: '500ms' });
  t.equal((await askHttp2(openHttp2(t, edge), '/')).text, 'hello');
  const client = await RawHttp2.open(edge.port, [[4, 0]]);
  client.send(get(1));
  const talk = setInterval(() => client.send(frame(TYPE.ping, 0, 0, Buffer.alloc(8))), 100);
  const end = await client.until(({ type }) => type === TYPE.reset || client.frames.length > 100);
  clearInterval(talk);
  t.match(end, { type: TYPE.reset, stream: 1 });
  client.socket.destroy();
});

test('for unread answers without bodies few are made, and the connection is closed', async (t) => {
  const origin = await startOrigin(text('hello', { ...KEPT, 'X-Large': 'x'.repeat(4_000) }));
  t.teardown(() => origin.close());
  const site = [{ name: 'site', hosts: ['site.test'] }];
  const edge = await startSecureEdge(t, origin.url, site, { write_timeout: '500ms' });
  await stillServes(t, edge);
  const fields = GET.map(([name, value]) => [name, name === ':method' ? 'HEAD' : value] as const);
  const head = section([...fields, ['x-own', 'y'.repeat(1_000)]]); // all together more than the system holds
  const client = await RawHttp2.open(edge.port);
  await client.until(({ type }) => type === TYPE.settings);
  client.socket.pause();
  for (let from = 1; from < 40_000 && !client.socket.destroyed; from += 80) {
    const ids = Array.from({ length: 40 }, (_, i) => from + 2 * i);
    await client.flood(Buffer.concat(ids.map((id) => frame(TYPE.headers, END_HEADERS | END_STREAM, id, head))), 1);
  }
  t.ok(client.socket.destroyed, 'before all of it was sent');
  const answers = await edge.count('seawall_requests_total');
  t.ok(answers < 10_000, `${answers} of 20000 requests are answered: what the system holds for both sides`);
  await stillServes(t, edge);
});

test('acknowledgements of a download do not count as overhead', async (t) => {
  const idle = { bytesRead: 2_000, bytesWritten: 5_000, requests: 1, bodyBytes: 0 };
  t.notOk(isMostlyOverhead(idle));
  t.notOk(isMostlyOverhead({ ...idle, bytesRead: 40e6, bytesWritten: 1e9 }), 'a gigabyte sent');
  t.notOk(isMostlyOverhead({ ...idle, bytesRead: 1e9, bodyBytes: 0.9e9 }), 'a gigabyte received');
  t.ok(isMostlyOverhead({ ...idle, bytesRead: 2e6 }));
});
