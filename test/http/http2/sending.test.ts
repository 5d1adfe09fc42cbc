/**
 * Flow control of HTTP/2 in both directions: only as much is in flight as is read (RFC 9113, sections 5.2 and 6.9); and
 * nothing is left after a disconnect.
 */
import { type Test, test } from 'tap';
import { END_HEADERS, END_STREAM, frame, GET, get, RawHttp2, section, TYPE } from '../../support/frames.ts';
import { startOrigin } from '../../support/origin.ts';
import { askHttp2, openHttp2, type SecureEdge, startSecureEdge } from '../../support/secure-edge.ts';

const SITE = [{ name: 'site', hosts: ['site.test'], keys: { max_request_body: '100MiB', request_buffering: false } }];
const KEPT = { 'Cache-Control': 'max-age=60' };
const POST = GET.map(([name, value]) => [name, name === ':method' ? 'POST' : value] as const);

/** Bodies of so many bytes as the path says, each byte another one than the one before. */
async function edgeOfBodies(t: Test, limits: Parameters<typeof startSecureEdge>[3] = {}): Promise<SecureEdge> {
  const origin = await startOrigin((request, response) => {
    request.resume();
    const body = bodyOf(Number(request.url?.slice(1)));
    response.writeHead(200, { ...KEPT, 'Content-Length': body.length });
    response.end(body);
  });
  t.teardown(() => origin.close());
  return startSecureEdge(t, origin.url, SITE, { drain_timeout: '100ms', ...limits });
}

function bodyOf(length: number): Buffer {
  const body = Buffer.alloc(length);
  for (let i = 0; i < length; i++) body[i] = (i * 7) % 251;
  return body;
}

function windowUpdate(stream: number, bytes: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(bytes);
  return frame(TYPE.windowUpdate, 0, stream, payload);
}

function received(client: RawHttp2, id: number): Buffer {
  return Buffer.concat(
    client.frames.filter(({ type, stream }) => type === TYPE.data && stream === id).map(({ payload }) => payload),
  );
}

function sum({ received: all }: RawHttp2): number {
  return [...all.values()].reduce((a, b) => a + b, 0);
}

/** Resolves when so many bytes of the body have come. */
async function untilReceived(client: RawHttp2, id: number, bytes: number): Promise<void> {
  await client.until(() => (client.received.get(id) ?? 0) >= bytes);
}

/** Waits until all effects of earlier frames have arrived. */
async function settled(client: RawHttp2): Promise<void> {
  const mark = Buffer.from(String(client.frames.length).padStart(8, '0'));
  client.send(frame(TYPE.ping, 0, 0, mark));
  await client.until(({ type, payload }) => type === TYPE.ping && payload.equals(mark));
}

for (const { how, warm } of [
  { how: 'a miss', warm: false },
  { how: 'a hit', warm: true },
]) {
  test(`${how}: no more is sent than the stream window, which opens a byte at a time`, async (t) => {
    const edge = await edgeOfBodies(t);
    if (warm) await askHttp2(openHttp2(t, edge), '/100');
    const client = await RawHttp2.open(edge.port, [[4, 10]]);
    client.send(get(1, '/100'));
    await untilReceived(client, 1, 10);
    for (let more = 1; more <= 90; more++) {
      await settled(client);
      t.equal(received(client, 1).length, 9 + more);
      client.send(windowUpdate(1, 1));
      await untilReceived(client, 1, 10 + more);
    }
    t.same(received(client, 1), bodyOf(100));
    await client.until(({ flags, stream }) => stream === 1 && flags === END_STREAM);
    client.socket.destroy();
  });
}

test('a zero window is opened, and made negative, by SETTINGS', async (t) => {
  const edge = await edgeOfBodies(t);
  const client = await RawHttp2.open(edge.port, [[4, 0]]);
  client.send(get(1, '/5000'));
  await client.until(({ type, stream }) => type === TYPE.headers && stream === 1);
  await settled(client);
  t.equal(received(client, 1).length, 0);
  client.send(initialWindow(1_000));
  await untilReceived(client, 1, 1_000);
  client.send(initialWindow(100)); // 900 less than nothing
  client.send(windowUpdate(1, 900));
  await settled(client);
  t.equal(received(client, 1).length, 1_000);
  client.send(windowUpdate(1, 1));
  await untilReceived(client, 1, 1_001);
  client.send(initialWindow(100_000));
  await untilReceived(client, 1, 5_000);
  t.same(received(client, 1), bodyOf(5_000));
  client.socket.destroy();
});

function initialWindow(bytes: number): Buffer {
  const payload = Buffer.alloc(6);
  payload.writeUInt16BE(4);
  payload.writeUInt32BE(bytes, 2);
  return frame(TYPE.settings, 0, 0, payload);
}

test('streams wait for a used-up connection window and take turns when it opens', async (t) => {
  const edge = await edgeOfBodies(t);
  const session = openHttp2(t, edge);
  for (const path of ['/2000000', '/2000001', '/100']) await askHttp2(session, path);
  const client = await RawHttp2.open(edge.port, [[4, 2 ** 31 - 1]]);
  client.send(get(1, '/2000000'), get(3, '/2000001'), get(5, '/100'));
  await client.until(() => sum(client) === 65_535);
  await settled(client);
  t.equal(sum(client), 65_535);
  client.send(windowUpdate(0, 1_000_000));
  await client.until(() => sum(client) === 1_065_535);
  const shares = [received(client, 1).length, received(client, 3).length];
  t.ok(Math.min(...shares) > 0.5 * Math.max(...shares), `${shares}: neither waits for the other`);
  t.equal(received(client, 5).length, 100, 'what is small is through');
  client.send(windowUpdate(0, 10_000_000));
  await untilReceived(client, 1, 2_000_000);
  await untilReceived(client, 3, 2_000_001);
  t.ok(received(client, 1).equals(bodyOf(2_000_000)));
  t.ok(received(client, 3).equals(bodyOf(2_000_001)));
  client.socket.destroy();
});

test('10 MB arrive whole at a client that pauses', async (t) => {
  const edge = await edgeOfBodies(t);
  await askHttp2(openHttp2(t, edge), '/10000000');
  const client = await RawHttp2.open(edge.port, [[4, 2 ** 31 - 1]]);
  client.send(windowUpdate(0, 2 ** 30), get(1, '/10000000'));
  await untilReceived(client, 1, 1);
  client.socket.pause();
  await new Promise((resolve) => setTimeout(resolve, 100)); // until every buffer on the way is full
  client.socket.resume();
  await untilReceived(client, 1, 10_000_000);
  t.ok(received(client, 1).equals(bodyOf(10_000_000)));
  client.socket.destroy();
});

test('an upload that the origin does not read is held to the window', async (t) => {
  const origin = await startOrigin(() => undefined); // never reads
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE, { drain_timeout: '100ms' });
  const session = openHttp2(t, edge);
  const stream = session.request({ ':path': '/', ':authority': 'site.test', ':method': 'POST' });
  stream.on('error', () => undefined);
  const asked = origin.next();
  const chunk = Buffer.alloc(64 * 1024);
  let taken = 0;
  const write = (): void => {
    if (taken < 20_000_000) {
      stream.write(chunk, (error) => {
        if (error) return;
        taken += chunk.length;
        write();
      });
    }
  };
  write();
  const request = await asked;
  request.pause();
  // Until nothing is taken any more between two looks: windows, and what sockets and streams hold.
  for (let before = -1; taken !== before; ) {
    before = taken;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  t.ok(taken < 12_000_000, `${taken} bytes of 20 MB are taken`);
  request.resume();
  request.once('end', () => undefined);
  while (taken < 20_000_000) await new Promise((resolve) => setTimeout(resolve, 20));
  t.pass('all of it is taken when it is read');
  stream.close();
});

test('uploads with early responses get them whole, and the connection stays open', async (t) => {
  const origin = await startOrigin((_request, response) => {
    response.writeHead(403, { 'Content-Length': 2 });
    response.end('no');
  });
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE, { drain_timeout: '100ms' });
  const client = await RawHttp2.open(edge.port);
  // More than the window of the connection all together: what nobody reads is given back.
  const ids = Array.from({ length: 60 }, (_, i) => 2 * i + 1);
  for (const id of ids) {
    client.send(frame(TYPE.headers, END_HEADERS, id, section(POST)));
    client.send(...Array.from({ length: 3 }, () => frame(TYPE.data, 0, id, Buffer.alloc(16_000))));
    await client.until(({ type, stream, flags }) => type === TYPE.data && stream === id && flags === END_STREAM);
    t.equal(received(client, id).toString(), 'no');
  }
  for (const id of ids) {
    const reset = await client.until(({ type, stream }) => type === TYPE.reset && stream === id);
    t.equal(reset?.payload.readUInt32BE(0), 0, 'NO_ERROR');
    client.send(frame(TYPE.data, END_STREAM, id, Buffer.alloc(16_000))); // it may not have heard of it
  }
  client.send(get(1_001));
  t.ok(await client.until(({ type, stream }) => type === TYPE.headers && stream === 1_001));
  t.notOk(client.frames.some(({ type }) => type === TYPE.goaway));
  const granted = client.frames.filter(({ type, stream }) => type === TYPE.windowUpdate && stream === 0).length;
  t.ok(granted > 2, `${granted} times the connection’s window was opened`);
  client.socket.destroy();
});

test('abandoned uploads and downloads leave nothing behind', async (t) => {
  const origin = await startOrigin((request, response) => {
    request.on('data', () => undefined);
    response.writeHead(200, { 'Content-Length': 1_000_000 });
    response.write(Buffer.alloc(1_000));
  });
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE, { drain_timeout: '100ms' });
  const closings: Promise<unknown>[] = [];
  for (const how of ['reset', 'vanish']) {
    const client = await RawHttp2.open(edge.port);
    for (const id of [1, 3, 5]) {
      const asked = origin.next();
      if (id === 1) client.send(get(id, `/${how}-${id}`));
      else
        client.send(frame(TYPE.headers, END_HEADERS, id, section(POST)), frame(TYPE.data, 0, id, Buffer.alloc(1_000)));
      const { socket } = await asked;
      closings.push(new Promise((resolve) => socket.once('close', resolve)));
      await client.until(({ type, stream }) => type === TYPE.data && stream === id);
      if (how === 'reset') client.send(frame(TYPE.reset, 0, id, Buffer.from([0, 0, 0, 8])));
    }
    if (how === 'vanish') client.socket.destroy();
  }
  await Promise.all(closings);
  t.pass('the origin is let go each time');
});

test('HEAD, 204 and 304 have no DATA', async (t) => {
  const origin = await startOrigin((request, response) => {
    response.writeHead(request.url === '/204' ? 204 : 200, { ...KEPT, ETag: '"a"' });
    response.end(request.url === '/204' ? undefined : 'hello');
  });
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE, { drain_timeout: '100ms' });
  const client = await RawHttp2.open(edge.port);
  const asks = [
    [[':method', 'HEAD'], '/a'],
    [['x-own', '1'], '/204'],
    [['if-none-match', '"a"'], '/a'],
    [[':method', 'HEAD'], '/a'],
  ] as const;
  for (const [index, [[name, value], path]] of asks.entries()) {
    const id = 2 * index + 1;
    const fields = GET.map(([own, is]) => [own, own === ':path' ? path : own === name ? value : is] as const);
    const all = name.startsWith(':') ? fields : [...fields, [name, value] as const];
    client.send(frame(TYPE.headers, END_HEADERS | END_STREAM, id, section(all)));
    await client.until(({ stream, flags }) => stream === id && (flags & END_STREAM) !== 0);
    t.equal(received(client, id).length, 0, `${value} ${path}`);
  }
  client.socket.destroy();
});

test('a node that stops sends GOAWAY first and finishes streams in flight', async (t) => {
  const release = Promise.withResolvers<void>();
  const origin = await startOrigin((request, response) => {
    request.resume();
    response.write('begun, ');
    void release.promise.then(() => response.end('done'));
  });
  t.teardown(() => origin.close());
  const edge = await startSecureEdge(t, origin.url, SITE, { drain_timeout: '10s' });
  const client = await RawHttp2.open(edge.port);
  client.send(get(1, '/a'), frame(TYPE.headers, END_HEADERS, 3, section(POST)));
  await untilReceived(client, 1, 1);
  const closed = edge.node.close();
  const first = await client.until(({ type }) => type === TYPE.goaway);
  t.equal(first?.payload.readUInt32BE(0), 2 ** 31 - 1);
  const mark = await client.until(({ type, flags }) => type === TYPE.ping && flags === 0);
  client.send(frame(TYPE.ping, 1, 0, mark?.payload)); // now it knows that the client knows
  await client.until(({ type, payload }) => type === TYPE.goaway && payload.readUInt32BE(0) === 3);
  client.send(get(5, '/late'), frame(TYPE.data, END_STREAM, 3, Buffer.from('end of the upload')));
  release.resolve();
  await client.goawayCode();
  t.equal(received(client, 1).toString(), 'begun, done');
  t.equal(received(client, 3).toString(), 'begun, done');
  t.equal(received(client, 5).length, 0);
  t.equal(origin.count('/late'), 0);
  await closed;
});

test('bodies that nothing reads leave the window of their connection as it was', async (t) => {
  const edge = await edgeOfBodies(t);
  const client = await RawHttp2.open(edge.port);
  const elsewhere = POST.map(([name, value]) => [name, name === ':authority' ? 'unknown.test' : value] as const);
  const part = Buffer.alloc(15_000);
  // Three times the window of a connection, each answered with an error page.
  for (let id = 1; id < 2 * 60; id += 2) {
    client.send(
      frame(TYPE.headers, END_HEADERS, id, section(elsewhere)),
      ...[1, 2, 3, 4].map((nth) => frame(TYPE.data, nth === 4 ? END_STREAM : 0, id, part)),
    );
    await client.until(({ type, flags, stream }) => {
      if (type === TYPE.goaway) t.fail('the connection is closed');
      return type === TYPE.goaway || (stream === id && (flags & END_STREAM) !== 0);
    });
  }
  await settled(client);
  client.socket.destroy();
});
