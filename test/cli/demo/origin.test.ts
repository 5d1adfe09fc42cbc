import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { WebSocket } from 'ws';
import { type DemoOrigin, startDemoOrigin } from '../../../cli/demo/origin.ts';

const SITE = join(import.meta.dirname, '../../../cli/demo/site');
const FILM = readFileSync(join(SITE, 'media/day.webm'));

async function start(t: Test): Promise<DemoOrigin> {
  const origin = await startDemoOrigin({ host: '127.0.0.1', port: 0, slowMs: 1 });
  t.teardown(() => origin.close());
  return origin;
}

/** The validators of the film, to write conditions with. */
async function filmValidators(origin: DemoOrigin): Promise<{ etag: string; lastModified: string }> {
  const { headers } = await fetch(`${origin.url}/media/day.webm`, { method: 'HEAD' });
  return { etag: headers.get('etag') ?? '', lastModified: headers.get('last-modified') ?? '' };
}

test('every page of the menu is served, with every picture, film and file that it needs', async (t) => {
  const origin = await start(t);
  const home = await (await fetch(origin.url)).text();
  const pages = [...home.matchAll(/<a href="(\/[a-z]+)">/g)].map(([, path]) => path as string);
  t.strictSame(pages.slice(0, 6), ['/pictures', '/film', '/you', '/slow', '/fail', '/live']);

  const needed = new Set<string>();
  for (const page of ['/', ...new Set(pages)]) {
    const response = await fetch(origin.url + page);
    t.equal(response.status, 200, page);
    t.equal(response.headers.get('content-type'), 'text/html; charset=utf-8');
    const html = await response.text();
    t.notMatch(html, '{{', `${page} has no gap`);
    for (const [, path] of html.matchAll(/(?:src|poster|data-asks|link rel="\w+" href)="(\/[^"]+)"/g)) {
      needed.add(path as string);
    }
  }
  t.ok(needed.has('/media/day.webm'));
  for (const path of needed) {
    const response = await fetch(origin.url + path, { method: 'HEAD' });
    t.equal(response.status, 200, path);
    t.notMatch(response.headers.get('content-type'), 'octet-stream', path);
  }
});

test('a page is generated on each request, a file is not', async (t) => {
  const origin = await start(t);
  const etag = async (path: string) => (await fetch(origin.url + path)).headers.get('etag');
  t.not(await etag('/'), await etag('/'));
  t.equal(await etag('/images/dawn.jpg'), await etag('/images/dawn.jpg'));
  t.match(await etag('/images/dawn.jpg'), /^"[\w-]+"$/, 'strong');
});

for (const { rule, range, status, contentRange, first, length } of [
  { rule: 'from the start', range: 'bytes=0-99', status: 206, contentRange: 'bytes 0-99/*', first: 0, length: 100 },
  { rule: 'one byte', range: 'bytes=5-5', status: 206, contentRange: 'bytes 5-5/*', first: 5, length: 1 },
  {
    rule: 'to the end',
    range: `bytes=${FILM.length - 10}-`,
    status: 206,
    contentRange: `bytes ${FILM.length - 10}-${FILM.length - 1}/*`,
    first: FILM.length - 10,
    length: 10,
  },
  {
    rule: 'the last bytes',
    range: 'bytes=-4',
    status: 206,
    contentRange: `bytes ${FILM.length - 4}-${FILM.length - 1}/*`,
    first: FILM.length - 4,
    length: 4,
  },
  {
    rule: 'beyond the end',
    range: `bytes=${FILM.length}-`,
    status: 416,
    contentRange: 'bytes */*',
    first: 0,
    length: 0,
  },
  { rule: 'no bytes at all', range: 'bytes=-0', status: 416, contentRange: 'bytes */*', first: 0, length: 0 },
  { rule: 'not a range', range: 'bytes=9-1', status: 200, contentRange: null, first: 0, length: FILM.length },
  { rule: 'another unit', range: 'seconds=1-2', status: 200, contentRange: null, first: 0, length: FILM.length },
]) {
  test(`RFC 9110 14.2: ${rule}`, async (t) => {
    const origin = await start(t);
    const response = await fetch(`${origin.url}/media/day.webm`, { headers: { range } });
    const body = Buffer.from(await response.arrayBuffer());
    t.equal(response.status, status);
    t.equal(response.headers.get('content-range'), contentRange?.replace(/\*$/, String(FILM.length)) ?? null);
    t.equal(response.headers.get('accept-ranges'), 'bytes');
    t.ok(body.equals(FILM.subarray(first, first + length)));
  });
}

test('RFC 9110 14.6: several ranges are one answer', async (t) => {
  const origin = await start(t);
  const response = await fetch(`${origin.url}/media/day.webm`, { headers: { range: 'bytes=0-3,100-103' } });
  t.equal(response.status, 206);
  const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(response.headers.get('content-type') ?? '')?.[1];
  const parts = Buffer.from(await response.arrayBuffer()).toString('latin1');
  t.equal(
    parts,
    [
      `\r\n--${boundary}\r\nContent-Type: video/webm\r\nContent-Range: bytes 0-3/${FILM.length}\r\n\r\n`,
      FILM.toString('latin1', 0, 4),
      `\r\n--${boundary}\r\nContent-Type: video/webm\r\nContent-Range: bytes 100-103/${FILM.length}\r\n\r\n`,
      FILM.toString('latin1', 100, 104),
      `\r\n--${boundary}--\r\n`,
    ].join(''),
  );
});

test('RFC 9110 13: conditions are evaluated', async (t) => {
  const origin = await start(t);
  const { etag, lastModified } = await filmValidators(origin);
  const longAgo = 'Sat, 01 Jan 2000 00:00:00 GMT';
  const part = { range: 'bytes=0-9' };
  for (const { headers, status } of [
    { headers: { 'if-none-match': etag }, status: 304 },
    { headers: { 'if-none-match': `"other", W/${etag}` }, status: 304 },
    { headers: { 'if-none-match': '"other"', 'if-modified-since': lastModified }, status: 200 },
    { headers: { 'if-modified-since': lastModified }, status: 304 },
    { headers: { 'if-modified-since': longAgo }, status: 200 },
    { headers: { 'if-match': etag }, status: 200 },
    { headers: { 'if-match': '"other"' }, status: 412 },
    { headers: { 'if-unmodified-since': longAgo }, status: 412 },
    { headers: { 'if-unmodified-since': lastModified }, status: 200 },
    { headers: { ...part, 'if-range': etag }, status: 206 },
    { headers: { ...part, 'if-range': '"other"' }, status: 200 },
    { headers: { ...part, 'if-range': longAgo }, status: 200 },
    { headers: { ...part, 'if-none-match': etag }, status: 304 },
  ] as { headers: Record<string, string>; status: number }[]) {
    const response = await fetch(`${origin.url}/media/day.webm`, { headers });
    const body = await response.arrayBuffer();
    t.equal(response.status, status, JSON.stringify(headers));
    if (status === 304) t.match(response.headers.get('etag'), etag);
    if (status === 304 || status === 412) t.equal(body.byteLength, 0);
  }
});

test('HEAD answers as GET would, without a body; ranges are for GET only', async (t) => {
  const origin = await start(t);
  const response = await fetch(`${origin.url}/media/day.webm`, { method: 'HEAD', headers: { range: 'bytes=0-9' } });
  t.equal(response.status, 200);
  t.equal(response.headers.get('content-length'), String(FILM.length));
  t.equal(await response.text(), '');
});

test('the personal page is not cacheable', async (t) => {
  const origin = await start(t);
  const first = await fetch(`${origin.url}/api/me`);
  const me = (await first.json()) as { visitor: string; seenBefore: boolean };
  t.equal(first.headers.get('cache-control'), 'private, no-store');
  t.equal(me.seenBefore, false);
  const cookie = first.headers.get('set-cookie')?.split(';')[0] ?? '';
  t.equal(cookie, `visitor=${me.visitor}`);

  const again = await fetch(`${origin.url}/api/me`, { headers: { cookie: `theme=dark; ${cookie}` } });
  t.match(await again.json(), { visitor: me.visitor, seenBefore: true });
  t.equal(again.headers.get('set-cookie'), null);

  const other = (await (await fetch(`${origin.url}/api/me`)).json()) as { visitor: string };
  t.not(other.visitor, me.visitor);
  const forged = await fetch(`${origin.url}/api/me`, { headers: { cookie: 'visitor=<script>' } });
  t.match(await forged.json(), { seenBefore: false });
});

test('the failing page fails on demand, and no other page does', async (t) => {
  const origin = await start(t);
  const status = async (path: string) => (await fetch(origin.url + path)).status;
  const well = await fetch(`${origin.url}/fail`);
  t.match(well.headers.get('cdn-cache-control'), 'stale-if-error');

  const on = await fetch(`${origin.url}/fail/on`, { method: 'POST' });
  t.equal(on.status, 200);
  t.equal(on.headers.get('location'), null);
  t.equal(await status('/fail'), 503);
  t.equal((await fetch(`${origin.url}/fail`)).headers.get('cache-control'), 'private, no-store');
  t.equal(await status('/'), 200);

  await fetch(`${origin.url}/fail/off`, { method: 'POST' });
  t.equal(await status('/fail'), 200);
});

for (const { method, path, status, allow } of [
  { method: 'GET', path: '/nope', status: 404, allow: null },
  { method: 'GET', path: '/../origin.ts', status: 404, allow: null },
  { method: 'GET', path: '/images/%2e%2e/layout.html', status: 404, allow: null },
  { method: 'GET', path: '/fail/on', status: 405, allow: 'POST' },
  { method: 'POST', path: '/', status: 405, allow: 'GET, HEAD' },
  { method: 'DELETE', path: '/images/dawn.jpg', status: 405, allow: 'GET, HEAD' },
]) {
  test(`${method} ${path} is ${status}`, async (t) => {
    const origin = await start(t);
    const response = await fetch(origin.url + path, { method });
    t.equal(response.status, status);
    t.equal(response.headers.get('allow'), allow);
  });
}

test('requests are counted, except those that read the count', async (t) => {
  const origin = await start(t);
  for (const path of ['/', '/', '/stats', '/slow?crowd=1', '/nope', '/constructor']) await fetch(origin.url + path);
  const response = await fetch(`${origin.url}/stats`);
  t.equal(response.headers.get('cache-control'), 'private, no-store');
  t.match(await response.json(), { requests: 5, byPath: { '/': 2, '/slow': 1, other: 2 } });
  t.equal(origin.requests(), 5);
});

test('events arrive as they happen, until the visitor leaves', async (t) => {
  const origin = await start(t);
  const leaving = new AbortController();
  const response = await fetch(`${origin.url}/events`, { signal: leaving.signal });
  t.equal(response.headers.get('content-type'), 'text/event-stream');
  const { value } = (await response.body?.getReader().read()) ?? {};
  t.match(new TextDecoder().decode(value), /^data: \d{4}-\d\d-\d\dT[\d:.]+Z\n\n/);
  leaving.abort();
});

test('the echo returns text and bytes', async (t) => {
  const origin = await start(t);
  const socket = new WebSocket(`${origin.url.replace('http', 'ws')}/echo`);
  await once(socket, 'open');
  socket.send('Ahoy!');
  const [text, textIsBinary] = (await once(socket, 'message')) as [Buffer, boolean];
  t.strictSame([text.toString(), textIsBinary], ['Ahoy!', false]);
  socket.send(Buffer.from([0, 255]));
  const [bytes, bytesAreBinary] = (await once(socket, 'message')) as [Buffer, boolean];
  t.strictSame([[...bytes], bytesAreBinary], [[0, 255], true]);

  const closed = once(socket, 'close');
  await origin.close();
  await closed;
});

test('an upgrade elsewhere is refused', async (t) => {
  const origin = await start(t);
  const socket = new WebSocket(`${origin.url.replace('http', 'ws')}/elsewhere`);
  const [error] = (await once(socket, 'error')) as [Error];
  t.match(error.message, '404');
});

test('each answered request is reported', async (t) => {
  const logged = Promise.withResolvers<string>();
  const origin = await startDemoOrigin({ host: '127.0.0.1', port: 0, onRequest: logged.resolve });
  t.teardown(() => origin.close());
  await fetch(`${origin.url}/images/dawn.jpg?size=1`, { method: 'HEAD' });
  t.match(await logged.promise, /^HEAD \/images\/dawn\.jpg\?size=1 200 \d+ ms$/);
});

test('it stops at once, with requests in flight', async (t) => {
  const origin = await startDemoOrigin({ host: '127.0.0.1', port: 0 });
  const events = await fetch(`${origin.url}/events`);
  await origin.close();
  await t.rejects(events.text());
  await t.rejects(fetch(origin.url));
});

test('a port in use fails by code', async (t) => {
  const origin = await start(t);
  await t.rejects(startDemoOrigin({ host: '127.0.0.1', port: Number(new URL(origin.url).port) }), {
    code: 'EADDRINUSE',
  });
});
