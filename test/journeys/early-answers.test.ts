/** Visitors who are still sending when their answer comes: they read it, slow ones and real curl as well. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { type Test, test } from 'tap';
import { LINGER, linger } from '../../http/listener/linger.ts';
import { END_HEADERS, END_STREAM, type Frame, frame, RawHttp2, section, TYPE } from '../support/frames.ts';
import { startNetwork } from '../support/network.ts';
import { startOrigin } from '../support/origin.ts';
import { dial, everything, statuses } from '../support/raw-client.ts';
import { startSecureEdge } from '../support/secure-edge.ts';
import { HOST } from '../support/visitor.ts';

const CURL = '/usr/bin/curl';

/** Longer than the two seconds that the connection was once read on for. */
const SLOW_MS = 3_000;

/** An origin that answers 401 before it has read the body, but for `/read`. */
async function start(t: Test): Promise<{ address: string; url: string; close: () => Promise<void> }> {
  const origin = await startOrigin((request, response) => {
    if (request.url === '/read') {
      request.resume().once('end', () => response.end('read'));
      return;
    }
    response.writeHead(401, { 'Content-Type': 'text/plain', 'WWW-Authenticate': 'Basic realm="x"' });
    response.end('who are you?');
  });
  const network = await startNetwork({
    origin: origin.url,
    regions: { eu: 1 },
    site: { max_request_body: '100KiB' },
    limits: { drain_timeout: '500ms' },
  });
  t.teardown(() => Promise.all([network.close(), origin.close()]));
  return { address: network.at('eu-1'), url: origin.url, close: () => network.close() };
}

/** Sends a body for `SLOW_MS` before it looks at what came, as many clients do. */
async function sendSlowly(address: string, head: string, piece: string, end = ''): Promise<string> {
  const socket = dial(address);
  const text = everything(socket);
  socket.write(head);
  const until = performance.now() + SLOW_MS;
  let broken = false;
  socket.once('error', () => {
    broken = true;
  });
  while (performance.now() < until && !broken) {
    socket.write(piece);
    await pause(100); // the pace of the client is what is tested
  }
  if (!broken) socket.end(end);
  return broken ? 'broken pipe' : text;
}

const CHUNKED = `POST /up HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n`;
const PIECE = `400\r\n${'x'.repeat(1024)}\r\n`;

for (const { rule, head, piece, status } of [
  {
    rule: 'its own answer to a body that is announced too long',
    head: CHUNKED.replace('Transfer-Encoding: chunked', 'Content-Length: 1000000'),
    piece: 'x'.repeat(1024),
    status: 413,
  },
  {
    rule: 'its own answer to chunks that become too many',
    head: CHUNKED.replace('/up', '/read'),
    piece: `8000\r\n${'x'.repeat(0x8000)}\r\n`,
    status: 413,
  },
  { rule: 'an answer of the origin', head: CHUNKED, piece: PIECE, status: 401 },
  {
    rule: 'its own answer to a request that it refuses',
    head: CHUNKED.replace(HOST, 'other.test'),
    piece: PIECE,
    status: 421,
  },
  { rule: 'its own answer to bytes that are no request', head: 'no request\r\n\r\n', piece: PIECE, status: 400 },
]) {
  test(`a slow client reads ${rule}`, async (t) => {
    const { address } = await start(t);
    t.strictSame(statuses(await sendSlowly(address, head, piece, '0\r\n\r\n')), [status]);
  });
}

/** curl with a body from its standard input; `result` is its exit code and what it printed. */
function upload(...args: string[]) {
  const child = spawn(CURL, ['-H', 'Expect:', '-T', '-', ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => undefined); // it may stop reading once it has its answer
  const printed = { out: '', err: '' };
  child.stdout.on('data', (chunk) => {
    printed.out += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    printed.err += String(chunk);
  });
  return { child, result: once(child, 'close').then(([code]) => ({ code: code as number | null, ...printed })) };
}

for (const { rule, path, piece, status } of [
  { rule: 'the origin’s 401', path: '/up', piece: 'x'.repeat(1024), status: 401 },
  { rule: 'the 413 of the edge', path: '/read', piece: 'x'.repeat(16_384), status: 413 },
]) {
  test(`real curl with a slow upload tells of ${rule}`, { skip: !existsSync(CURL) && 'curl is missing' }, async (t) => {
    const { address } = await start(t);
    const { child, result } = upload(
      ...['-sS', '--http1.1', '-H', `Host: ${HOST}`, '-w', '\n%{http_code}', `http://${address}${path}`],
    );
    const body = new PassThrough();
    body.pipe(child.stdin);
    for (
      const until = performance.now() + SLOW_MS;
      performance.now() < until && child.exitCode === null;
      await pause(100)
    ) {
      body.write(piece);
    }
    body.end();
    const { code, out, err } = await result;
    t.equal(err, '');
    t.equal(code, 0);
    t.match(out, new RegExp(`\n${status}$`));
  });
}

test('closing waits for clients that still send no longer than the config says', async (t) => {
  const { address, close } = await start(t);
  const socket = dial(address);
  const text = everything(socket);
  socket.write(CHUNKED.replace(HOST, 'other.test'));
  await once(socket, 'data');
  const sender = setInterval(() => socket.write(PIECE), 10);
  t.teardown(() => clearInterval(sender));
  const startedAt = performance.now();
  await close();
  t.ok(performance.now() - startedAt < LINGER.silenceMs);
  await text;
});

for (const { rule, bounds, everyMs } of [
  { rule: 'for a time', bounds: { ...LINGER, maxMs: 300 }, everyMs: 5 },
  { rule: 'for some bytes', bounds: { ...LINGER, maxBytes: 10_000 }, everyMs: 5 },
  { rule: 'not through silence', bounds: { ...LINGER, silenceMs: 300 }, everyMs: 0 },
]) {
  test(`lingering is bounded: ${rule}`, async (t) => {
    const peer = Promise.withResolvers<Socket>();
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      peer.resolve(socket);
      socket.on('error', () => undefined);
      socket.end('answer');
      linger(socket, bounds);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => undefined);
    let text = '';
    let hasEnded = false;
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.once('end', () => {
      hasEnded = true;
    });
    const startedAt = performance.now();
    const sender = everyMs > 0 ? setInterval(() => socket.write('x'.repeat(100)), everyMs) : undefined;
    const accepted = await peer.promise;
    await once(accepted, 'close');
    t.equal(text, 'answer');
    t.ok(hasEnded, 'the answer is there before the connection is cut off');
    const tookMs = performance.now() - startedAt;
    t.ok(tookMs > 100 && tookMs < LINGER.silenceMs, `${tookMs} ms`);
    socket.destroy();
    clearInterval(sender);
    server.close();
    await once(server, 'close');
  });
}

for (const { rule, keys, answer } of [
  { rule: 'the 413 of the edge', keys: { max_request_body: '100KiB' }, answer: 413 },
  { rule: 'the origin’s 401', keys: { request_buffering: false }, answer: 401 },
]) {
  test(
    `real curl, sending fast over HTTP/2, tells of ${rule} each time`,
    { skip: !existsSync(CURL) && 'curl is missing' },
    async (t) => {
      const { url } = await start(t);
      const edge = await startSecureEdge(t, url, [{ name: 'site', hosts: [HOST], keys }]);
      for (let i = 0; i < 12; i++) {
        const { child, result } = upload(
          ...['-sSk', '--http2', '--resolve', `${HOST}:${edge.port}:127.0.0.1`, '-X', 'POST'],
          ...['-o', '/dev/null', '-w', '%{http_version} %{http_code}', `https://${HOST}:${edge.port}/up`],
        );
        child.stdin.end(Buffer.alloc(6_000_000));
        t.strictSame(await result, { code: 0, out: `2 ${answer}`, err: '' });
      }
    },
  );
}

const HEAD_OF_UPLOAD = [
  [':method', 'POST'],
  [':scheme', 'https'],
  [':authority', HOST],
  [':path', '/up'],
] as const;
const UPLOAD = section(HEAD_OF_UPLOAD);

const isEnd = ({ type, flags, stream }: Frame): boolean =>
  stream === 1 && type !== TYPE.windowUpdate && (flags & END_STREAM) !== 0;

test('RFC 9113 8.1: over HTTP/2 the early response is followed by RST_STREAM with NO_ERROR, in time', async (t) => {
  const { url } = await start(t);
  const edge = await startSecureEdge(t, url, [{ name: 'site', hosts: [HOST], keys: { max_request_body: '100KiB' } }]);
  const client = await RawHttp2.open(edge.port);
  t.teardown(() => client.socket.destroy());
  const head = section([...HEAD_OF_UPLOAD, ['content-length', '999999999']]);
  client.send(frame(TYPE.headers, END_HEADERS, 1, head), frame(TYPE.data, 0, 1, Buffer.alloc(1_000)));
  await client.until(isEnd);
  const answeredAt = performance.now();
  // Sends on for as long as it is not told to stop: many times the window of the stream.
  let sent = 0;
  for (; !client.frames.some(({ type }) => type === TYPE.reset) && sent < 10_000; sent++) {
    const granted = client.frames
      .filter(({ type, stream }) => type === TYPE.windowUpdate && stream === 1)
      .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
    if ((sent + 1) * 16_000 < 250_000 + granted) client.send(frame(TYPE.data, 0, 1, Buffer.alloc(16_000)));
    else sent--;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const reset = await client.until(({ type }) => type === TYPE.reset);
  t.equal(reset?.payload.readUInt32BE(0), 0, 'NO_ERROR');
  t.ok(performance.now() - answeredAt >= 900, 'no sooner than clients have read their answer');
  t.ok(sent > 20, `${sent} frames were taken meanwhile`);
});

for (const { how, last } of [
  { how: 'ends its body', last: frame(TYPE.data, END_STREAM, 1, Buffer.alloc(1_000)) },
  { how: 'ends its body short of the length', last: frame(TYPE.data, END_STREAM, 1) },
  { how: 'ends with trailers', last: frame(TYPE.headers, END_HEADERS | END_STREAM, 1, section([['x-sum', '1']])) },
  { how: 'resets the stream', last: frame(TYPE.reset, 0, 1, Buffer.from([0, 0, 0, 8])) },
]) {
  test(`a client over HTTP/2 that ${how} after an early response is not reset`, async (t) => {
    const { url } = await start(t);
    const edge = await startSecureEdge(t, url, [{ name: 'site', hosts: [HOST], keys: { max_request_body: '100KiB' } }]);
    const client = await RawHttp2.open(edge.port);
    t.teardown(() => client.socket.destroy());
    const head = section([...HEAD_OF_UPLOAD, ['content-length', '1000000']]);
    client.send(frame(TYPE.headers, END_HEADERS, 1, head), frame(TYPE.data, 0, 1, Buffer.alloc(1_000)));
    await client.until(isEnd);
    client.send(last);
    client.send(frame(TYPE.headers, END_HEADERS, 3, UPLOAD), frame(TYPE.data, END_STREAM, 3, Buffer.alloc(10)));
    await client.until(
      ({ type, stream, flags }) => type !== TYPE.windowUpdate && stream === 3 && (flags & END_STREAM) !== 0,
    );
    t.notOk(client.frames.some(({ type }) => type === TYPE.reset || type === TYPE.goaway));
  });
}
