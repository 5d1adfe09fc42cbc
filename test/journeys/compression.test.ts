/**
 * Compression at an edge, as visitors see it: which form of a stored response a request gets, its validators, and what
 * purges and changes of the response do to its encodings.
 */
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { type Test, test } from 'tap';
import { type Network, startNetwork } from '../support/network.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { type Asking, ask, type Reply } from '../support/visitor.ts';

const PAGE = `<!doctype html><title>page</title>${'<p>The quick brown fox jumps over the lazy dog.</p>\n'.repeat(200)}`;

/** Time for encodings, which are made behind all else that the machine does. */
const PATIENCE_MS = 120_000;

const DECODERS: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  br: brotliDecompressSync,
  gzip: gunzipSync,
  zstd: zstdDecompressSync,
};

/** The content of an answer without its coding. */
function decoded({ headers, body }: Reply): string {
  const coding = headers['content-encoding'];
  return (coding === undefined ? body : (DECODERS[coding] as (bytes: Buffer) => Buffer)(body)).toString();
}

interface Setting {
  readonly origin: Origin;
  readonly network: Network;
  get(target: string, headers?: Readonly<Record<string, string>>, asking?: Asking): Promise<Reply>;
  /** Asks until an answer has this encoding, as its tag shows. */
  warm(target: string, coding: string, level?: 'fast' | 'high'): Promise<void>;
}

async function start(t: Test, script: Origin['script'], site: object = { compression: {} }): Promise<Setting> {
  const origin = await startOrigin(script);
  const network = await startNetwork({ origin: origin.url, site, regions: { eu: 1 } });
  t.teardown(async () => {
    await network.close();
    await origin.close();
  });
  const get: Setting['get'] = (target, headers = {}, asking = {}) =>
    ask(network.at('eu-1'), target, { ...asking, headers });
  const warm: Setting['warm'] = async (target, coding, level = 'fast') => {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const { headers } = await get(target, { 'Accept-Encoding': coding });
      const isHigh = !headers.etag?.includes('.1"');
      if (headers['content-encoding'] === coding && (level === 'fast' || isHigh)) return;
      if (performance.now() > until) throw new Error(`no ${level} ${coding} of ${target}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  return { origin, network, get, warm };
}

function page(fields: Readonly<Record<string, string>> = {}, body = PAGE): Origin['script'] {
  return (_request, response) => {
    response.writeHead(200, {
      'Content-Type': 'text/html',
      'Cache-Control': 'max-age=600',
      ETag: '"v1"',
      'Accept-Ranges': 'bytes',
      'Content-Length': Buffer.byteLength(body),
      ...fields,
    });
    response.end(body);
  };
}

interface Case {
  readonly accept?: string;
  readonly more?: Readonly<Record<string, string>>;
  readonly method?: string;
  /** Content-Encoding of the answer, `plain` for none. */
  readonly gets: string;
  /** 200 by default. */
  readonly status?: number;
  readonly etag?: string;
}

const BROWSER = 'gzip, deflate, br, zstd';

/** All three encodings are there, and are those of the high level. */
const CASES: readonly Case[] = [
  { gets: 'plain' },
  { accept: '', gets: 'plain' },
  { accept: 'identity', gets: 'plain' },
  { accept: 'br', gets: 'br' },
  { accept: 'gzip', gets: 'gzip' },
  { accept: 'x-gzip', gets: 'gzip' },
  { accept: 'zstd', gets: 'zstd' },
  { accept: 'GZIP', gets: 'gzip' },
  { accept: 'deflate', gets: 'plain' },
  { accept: 'compress', gets: 'plain' },
  { accept: BROWSER, gets: 'br' },
  { accept: 'gzip, deflate', gets: 'gzip' },
  { accept: 'gzip, zstd', gets: 'zstd' },
  { accept: '*', gets: 'br' },
  { accept: '*;q=0', gets: 'plain' },
  { accept: '*;q=0.5, gzip', gets: 'gzip' },
  { accept: 'gzip;q=0.5, *', gets: 'br' },
  { accept: 'br;q=0, *', gets: 'zstd' },
  { accept: 'br;q=0, zstd;q=0, *', gets: 'gzip' },
  { accept: 'br;q=0.5, gzip;q=1', gets: 'gzip' },
  { accept: 'br;q=0.5,gzip;q=0.8,zstd;q=0.9', gets: 'zstd' },
  { accept: 'br;q=0.001', gets: 'br' },
  { accept: 'br;q=0', gets: 'plain' },
  { accept: 'br;q=0.000', gets: 'plain' },
  { accept: 'br; q=0.8 , gzip ;q=0.9', gets: 'gzip' },
  { accept: 'br;Q=0.8', gets: 'br' },
  { accept: 'br;q=2, gzip', gets: 'gzip' },
  { accept: 'br;q=, gzip', gets: 'gzip' },
  { accept: 'br;level=11, gzip', gets: 'gzip' },
  { accept: 'br;q=0.1234, gzip;q=0.1', gets: 'gzip' },
  { accept: 'br, identity;q=0', gets: 'br' },
  { accept: 'gzip, identity;q=0', gets: 'gzip' },
  { accept: 'gzip, *;q=0', gets: 'gzip' },
  { accept: 'gzip;q=0.5, identity', gets: 'plain' },
  { accept: 'gzip;q=0.5, identity;q=0.5', gets: 'gzip' },
  { accept: 'gzip;q=0.5, identity;q=0.4', gets: 'gzip' },
  { accept: ',,br,,', gets: 'br' },
  { accept: `${'x-none, '.repeat(200)}br`, gets: 'plain' },
  { accept: 'br', method: 'HEAD', gets: 'br' },
  { accept: 'br', more: { Range: 'bytes=0-9' }, gets: 'plain', status: 206, etag: '"v1"' },
  { accept: 'br', more: { Range: 'bytes=0-9', 'If-Range': '"v1"' }, gets: 'plain', status: 206, etag: '"v1"' },
  { accept: 'br', more: { Range: 'bytes=0-9', 'If-Range': '"v1~br"' }, gets: 'plain', etag: '"v1"' },
  { accept: 'br', more: { Range: 'bytes=99999-' }, gets: 'plain', status: 416 },
  { accept: 'br', more: { Range: 'lines=1-2' }, gets: 'br' },
  { accept: 'br', more: { 'If-None-Match': '"v1"' }, gets: 'plain', status: 304, etag: '"v1"' },
  { accept: 'br', more: { 'If-None-Match': '"v1~br"' }, gets: 'plain', status: 304, etag: '"v1~br"' },
  { accept: 'br', more: { 'If-None-Match': '"v1~br.1"' }, gets: 'plain', status: 304, etag: '"v1~br.1"' },
  { accept: 'br', more: { 'If-None-Match': '"v1~gzip"' }, gets: 'plain', status: 304, etag: '"v1~gzip"' },
  { accept: 'br', more: { 'If-None-Match': 'W/"v1"' }, gets: 'plain', status: 304, etag: '"v1"' },
  { accept: 'br', more: { 'If-None-Match': '"v0", "v1~br"' }, gets: 'plain', status: 304, etag: '"v1~br"' },
  { accept: 'br', more: { 'If-None-Match': '"v0"' }, gets: 'br', etag: '"v1~br"' },
  { accept: 'br', more: { 'If-None-Match': '"v0~br"' }, gets: 'br', etag: '"v1~br"' },
  { accept: 'br', more: { 'If-None-Match': '"v1~lzma"' }, gets: 'br', etag: '"v1~br"' },
  { accept: 'br', more: { 'If-None-Match': '*' }, gets: 'plain', status: 304, etag: '"v1~br"' },
  { accept: 'br', more: { 'If-None-Match': 'broken' }, gets: 'br', etag: '"v1~br"' },
  { accept: 'br', more: { 'If-Match': '"v1~br"' }, gets: 'br', etag: '"v1~br"' },
  { accept: 'br', more: { 'If-Match': '"v1"' }, gets: 'br', etag: '"v1~br"' },
  { accept: 'br', more: { 'If-None-Match': '"v1~br"', Range: 'bytes=0-9' }, gets: 'plain', status: 206, etag: '"v1"' },
  { more: { 'If-None-Match': '"v1~br"' }, gets: 'plain', status: 304, etag: '"v1~br"' },
  { more: { 'If-None-Match': '"v1"' }, gets: 'plain', status: 304, etag: '"v1"' },
  { accept: 'br', more: { 'If-None-Match': '"v1~br"' }, method: 'HEAD', gets: 'plain', status: 304, etag: '"v1~br"' },
  { accept: 'zstd', more: { 'If-None-Match': '"v1~br"' }, gets: 'plain', status: 304, etag: '"v1~br"' },
];

test('a request gets the form that it accepts, with its own validator', async (t) => {
  const { get, warm, origin } = await start(t, page());
  for (const coding of ['br', 'zstd', 'gzip']) await warm('/', coding, 'high');
  t.ok(CASES.length >= 60, `${CASES.length} cases`);
  for (const { accept, more = {}, method = 'GET', gets, status = 200, etag } of CASES) {
    const headers = { ...(accept !== undefined && { 'Accept-Encoding': accept }), ...more };
    const reply = await get('/', headers, { method });
    const name = `${method} ${JSON.stringify(headers).slice(0, 120)}`;
    t.equal(reply.status, status, `${name}: status`);
    t.equal(reply.headers['content-encoding'] ?? 'plain', gets, `${name}: coding`);
    if (status !== 416) t.equal(reply.headers.vary, 'Accept-Encoding', `${name}: Vary`);
    const tag = etag ?? (gets === 'plain' ? '"v1"' : `"v1~${gets}"`);
    if (status !== 416) t.equal(reply.headers.etag, tag, `${name}: ETag`);
    if (status !== 304)
      t.equal(reply.headers['accept-ranges'], gets === 'plain' ? 'bytes' : undefined, `${name}: Accept-Ranges`);
    t.match(reply.headers.age, /^\d+$/, `${name}: Age`);
    if (status !== 200) continue;
    if (method === 'HEAD') t.ok(Number(reply.headers['content-length']) < PAGE.length / 4, `${name}: length`);
    else {
      t.equal(decoded(reply), PAGE, `${name}: content`);
      t.equal(Number(reply.headers['content-length']), reply.body.length, `${name}: length`);
    }
  }
  t.equal(origin.requests.length, 1, 'the origin was asked once');
});

test('the first visitors get what is stored, and a small encoding takes the place of a fast one', async (t) => {
  const { get, warm, network } = await start(t, page());
  const first = await get('/', { 'Accept-Encoding': BROWSER });
  t.equal(first.headers['content-encoding'], undefined);
  t.equal(first.headers.vary, 'Accept-Encoding');
  t.equal(first.headers.etag, '"v1"');
  await warm('/', 'br');
  await warm('/', 'br', 'high');
  t.equal(await network.metric('eu-1', 'seawall_encodings_total', { coding: 'br', level: 'fast', outcome: 'made' }), 1);
  t.equal(await network.metric('eu-1', 'seawall_encodings_total', { coding: 'br', level: 'high', outcome: 'made' }), 1);
  t.equal(await network.metric('eu-1', 'seawall_encodings_total', { coding: 'gzip' }), 0, 'nobody asked for it');
  const { headers } = await get('/', { 'Accept-Encoding': BROWSER, 'If-None-Match': '"v1"' });
  t.equal(headers.etag, '"v1"', 'a visitor keeps the form that it has');
});

/** Responses that are never encoded, by their fields or their body. */
const NEVER: Readonly<Record<string, Origin['script']>> = {
  '/no-transform': page({ 'Cache-Control': 'max-age=600, no-transform' }),
  '/cookie': page({ 'Cache-Control': 'public, max-age=600', 'Set-Cookie': 'a=1' }),
  '/private': page({ 'Cache-Control': 'private, max-age=600' }),
  '/no-store': page({ 'Cache-Control': 'no-store' }),
  '/image': page({ 'Content-Type': 'image/png' }),
  '/untyped': page({ 'Content-Type': 'nonsense' }),
  '/digest': page({ 'Repr-Digest': 'sha-256=:AAAA:' }),
  '/small': page({}, 'x'.repeat(255)),
  '/encoded': page({ 'Content-Encoding': 'deflate' }),
};

test('what must not be encoded is not', async (t) => {
  const { get, network } = await start(t, (request, response) => NEVER[request.url ?? '']?.(request, response));
  for (const path of Object.keys(NEVER)) {
    for (let i = 0; i < 20; i++) {
      const { headers } = await get(path, { 'Accept-Encoding': 'gzip, br' });
      const coding = path === '/encoded' ? 'deflate' : undefined;
      t.equal(headers['content-encoding'], coding, path);
      t.equal(headers.etag, '"v1"', path);
      t.equal(headers.vary, path === '/encoded' ? 'Accept-Encoding' : undefined, `${path}: Vary`);
    }
  }
  t.equal(await network.metric('eu-1', 'seawall_encodings_total'), 0);
});

test('what is no smaller is tried once', async (t) => {
  const noise = Buffer.from(crypto.getRandomValues(new Uint8Array(4_000))).toString('latin1');
  const { get, network } = await start(t, (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/plain', 'Cache-Control': 'max-age=600' });
    response.end(noise, 'latin1');
  });
  const until = performance.now() + PATIENCE_MS;
  while ((await network.metric('eu-1', 'seawall_encodings_total')) === 0 && performance.now() < until) {
    await get('/', { 'Accept-Encoding': 'gzip' });
  }
  for (let i = 0; i < 40; i++) {
    t.equal((await get('/', { 'Accept-Encoding': i % 2 ? 'gzip' : 'br' })).headers['content-encoding'], undefined);
  }
  t.equal(await network.metric('eu-1', 'seawall_encodings_total', { outcome: 'useless' }), 1);
  t.equal(await network.metric('eu-1', 'seawall_encodings_total'), 1);
});

test('without `compression` nothing is encoded, nor does Vary say so', async (t) => {
  const { get } = await start(t, page(), {});
  for (let i = 0; i < 30; i++) {
    const { headers, text } = await get('/', { 'Accept-Encoding': BROWSER });
    t.equal(headers['content-encoding'], undefined);
    t.equal(headers.vary, undefined);
    t.equal(text, PAGE);
  }
});

test('an invalidation takes the encodings along, and new content has its own', async (t) => {
  let version = 1;
  const { get, warm } = await start(t, (request, response) => {
    if (request.method === 'POST') {
      version++;
      response.writeHead(204).end();
      return;
    }
    page({ ETag: `"v${version}"` }, `${PAGE}${version}`)(request, response);
  });
  for (let round = 1; round <= 3; round++) {
    await warm('/', 'br', round === 2 ? 'high' : 'fast');
    const before = await get('/', { 'Accept-Encoding': 'br' });
    t.equal(decoded(before), `${PAGE}${round}`);
    await get('/', {}, { method: 'POST' });
    const after = await get('/', { 'Accept-Encoding': 'br' });
    t.equal(after.headers.etag, `"v${round + 1}"`, 'not the old encoding');
    t.equal(decoded(after), `${PAGE}${round + 1}`);
  }
});

test('encodings stay when a 304 makes the response new, and go when it is another', async (t) => {
  let version = 1;
  const { get, warm, origin } = await start(
    t,
    (request, response) => {
      if (request.headers['if-none-match'] === `"v${version}"`) {
        response.writeHead(304, { ETag: `"v${version}"`, 'Cache-Control': 'max-age=600', 'X-Seen': 'again' }).end();
        return;
      }
      page({ ETag: `"v${version}"`, 'Cache-Control': 'max-age=1' }, `${PAGE}${version}`)(request, response);
    },
    { compression: {}, rules: [{ request_directives: 'honour' }] },
  );
  await warm('/', 'br', 'high');
  const again = await get('/', { 'Accept-Encoding': 'br', 'Cache-Control': 'no-cache' });
  t.equal(again.headers['x-seen'], 'again');
  t.equal(again.headers.etag, '"v1~br"');
  t.equal(decoded(again), `${PAGE}1`);
  const stored = await get('/', { 'Accept-Encoding': 'br' });
  t.equal(stored.headers['x-seen'], 'again', 'the encoding has the new fields');
  t.equal(stored.headers.etag, '"v1~br"');
  version = 2;
  const other = await get('/', { 'Accept-Encoding': 'br', 'Cache-Control': 'no-cache' });
  t.equal(decoded(other), `${PAGE}2`);
  t.equal(decoded(await get('/', { 'Accept-Encoding': 'br' })), `${PAGE}2`);
  t.ok(origin.requests.length >= 3);
});

test('If-Match with the tag of an encoding reaches the origin as the tag of the representation as well', async (t) => {
  const { get, origin } = await start(t, page());
  await get('/', { 'If-Match': '"v1~br"' }, { method: 'PUT', body: 'new' });
  t.equal(origin.requests.at(-1)?.headers['if-match'], '"v1~br", "v1"');
  await get('/', { 'If-None-Match': '"v1~gzip.1"' }, { method: 'PUT', body: 'new' });
  t.equal(origin.requests.at(-1)?.headers['if-none-match'], '"v1~gzip.1", "v1"');
});

test('an edge that does not own a key gets encodings from the one that does, and copies what that has stored', async (t) => {
  const origin = await startOrigin(page());
  const network = await startNetwork({
    origin: origin.url,
    site: { compression: {} },
    regions: { eu: 2 },
    limits: { hot_after: 1_000_000 },
  });
  t.teardown(async () => {
    await network.close();
    await origin.close();
  });
  const path = network.pathOf('eu-2', '/page');
  const via = (headers: Readonly<Record<string, string>>) => ask(network.at('eu-1'), path, { headers });
  const first = await via({ 'Accept-Encoding': BROWSER });
  t.equal(first.headers['content-encoding'], undefined);
  const until = performance.now() + PATIENCE_MS;
  let reply = first;
  while (reply.headers['content-encoding'] !== 'br' && performance.now() < until) {
    reply = await via({ 'Accept-Encoding': BROWSER });
  }
  t.equal(decoded(reply), PAGE);
  t.match(reply.headers.etag, /^"v1~br(?:\.1)?"$/);
  t.equal(reply.headers.vary, 'Accept-Encoding');
  t.match(reply.headers['cache-status'], /"eu-2";hit;.*"eu-1";fwd=uri-miss;detail=not-hot/);
  t.equal(
    (await via({ 'Accept-Encoding': BROWSER, Range: 'bytes=0-4' })).text,
    PAGE.slice(0, 5),
    'ranges are of the page',
  );
  t.equal((await via({})).text, PAGE);
  t.equal((await via({ 'Accept-Encoding': 'br', 'If-None-Match': reply.headers.etag ?? '' })).status, 304);
  t.equal(await network.metric('eu-1', 'seawall_encodings_total'), 0);
  t.equal(origin.requests.length, 1);
});

test('a copy of a hot key is of the plain body, and is encoded where it is', async (t) => {
  const origin = await startOrigin(page());
  const network = await startNetwork({
    origin: origin.url,
    site: { compression: {} },
    regions: { eu: 2 },
    limits: { hot_after: 4 },
  });
  t.teardown(async () => {
    await network.close();
    await origin.close();
  });
  const path = network.pathOf('eu-2', '/page');
  const via = (headers: Readonly<Record<string, string>>) => ask(network.at('eu-1'), path, { headers });
  const until = performance.now() + PATIENCE_MS;
  let reply = await via({ 'Accept-Encoding': 'br' });
  const isOwn = (): boolean =>
    reply.headers['content-encoding'] === 'br' && /"eu-1";hit/.test(reply.headers['cache-status'] ?? '');
  while (!isOwn() && performance.now() < until) reply = await via({ 'Accept-Encoding': 'br' });
  t.ok(isOwn(), `${reply.headers['cache-status']}`);
  t.equal(decoded(reply), PAGE);
  t.equal((await via({ 'Accept-Encoding': 'br', Range: 'bytes=0-4' })).text, PAGE.slice(0, 5));
  t.equal((await via({})).text, PAGE);
  t.ok((await network.metric('eu-1', 'seawall_encodings_total', { outcome: 'made' })) >= 1);
  t.equal(origin.requests.length, 1);
});
