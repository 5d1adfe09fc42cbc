/** Large objects in chunks, case by case (RFC 9110, sections 13 and 14; RFC 9111, sections 3.3 and 3.4). */
import { type Test, test } from 'tap';
import { CHUNK_BYTES } from '../../../cache/large/chunk.ts';
import { Bench, field, turn } from '../engine/bench.ts';
import { bytesOf, LargeOrigin, type LargeOriginOptions } from './large-origin.ts';

const MIB = 2 ** 20;
const LENGTH = 20 * MIB + 12_345;

function start(options: Partial<LargeOriginOptions> = {}, site: Record<string, unknown> = {}, maxBytes = 128 * MIB) {
  const bench = new Bench({ maxBytes, site });
  const origin = new LargeOrigin(bench.upstream, { length: LENGTH, ...options });
  return { bench, origin };
}

const range = (value: string, ...more: string[]) => ({ headers: ['Range', value, ...more] });

/** Waits until upstream has sent what it was asked for. */
async function settled(bench: Bench): Promise<void> {
  for (let i = 0; i < 500 && (i < 20 || bench.upstream.open.some(({ isPaused }) => !isPaused)); i++) await turn();
}

async function clean(t: Test, bench: Bench): Promise<void> {
  await settled(bench);
  t.same(bench.leaks(), []);
  t.equal(bench.engine.large.size, 0);
}

/** An object whose head is stored, of which the first bytes were read. */
async function known(options: Partial<LargeOriginOptions> = {}, site: Record<string, unknown> = {}) {
  const stage = start(options, site);
  await stage.bench.ask('/film', range('bytes=-1')).whole();
  await stage.bench.ask('/film', range('bytes=0-99')).whole();
  await settled(stage.bench);
  return stage;
}

test('the whole of a large object is one request upstream, and stored in chunks', async (t) => {
  const { bench, origin } = start();
  const { status, body, headers } = await bench.ask('/film').whole();
  t.equal(status, 200);
  t.equal(field(headers, 'content-length'), String(LENGTH));
  t.ok(body.equals(bytesOf(1, 0, LENGTH)));
  t.equal(bench.upstream.count, 1);
  t.equal(origin.sent, LENGTH);
  const again = await bench.ask('/film').whole();
  t.ok(again.body.equals(body));
  t.equal(again.cache.hit, true);
  t.equal(bench.upstream.count, 1);
  await clean(t, bench);
});

for (const { value, first, last } of [
  { value: 'bytes=0-0', first: 0, last: 0 },
  { value: `bytes=${MIB - 1}-${MIB}`, first: MIB - 1, last: MIB },
  { value: `bytes=${5 * MIB + 7}-${9 * MIB}`, first: 5 * MIB + 7, last: 9 * MIB },
  { value: 'bytes=-500', first: LENGTH - 500, last: LENGTH - 1 },
  { value: `bytes=${LENGTH - 1}-`, first: LENGTH - 1, last: LENGTH - 1 },
  { value: `bytes=${3 * MIB}-`, first: 3 * MIB, last: LENGTH - 1 },
  { value: `bytes=${19 * MIB}-${30 * MIB}`, first: 19 * MIB, last: LENGTH - 1 },
]) {
  for (const isKnown of [true, false]) {
    test(`RFC 9110 14: ${value} of an object whose head is ${isKnown ? '' : 'not '}stored`, async (t) => {
      const { bench, origin } = isKnown ? await known() : start();
      const before = origin.sent;
      const given = await bench.ask('/film', range(value)).whole();
      t.equal(given.status, 206);
      t.equal(field(given.headers, 'content-range'), `bytes ${first}-${last}/${LENGTH}`);
      t.equal(field(given.headers, 'content-length'), String(last - first + 1));
      t.ok(given.body.equals(bytesOf(1, first, last + 1)));
      await settled(bench);
      const chunks = Math.floor(last / CHUNK_BYTES) - Math.floor(first / CHUNK_BYTES) + 1;
      t.ok(origin.sent - before <= chunks * CHUNK_BYTES, 'no more than the chunks that the range touches');
      const again = await bench.ask('/film', range(value)).whole();
      t.ok(again.body.equals(given.body));
      if (isKnown) {
        t.equal(again.cache.hit, true);
        t.equal(given.cache.fwd, first === 0 ? undefined : 'partial');
      }
      await clean(t, bench);
    });
  }
}

for (const { what, headers, status } of [
  { what: 'beyond the end', headers: ['Range', `bytes=${LENGTH}-`], status: 416 },
  { what: 'If-Range agrees', headers: ['Range', 'bytes=0-1', 'If-Range', '"v1"'], status: 206 },
  { what: 'If-Range does not', headers: ['Range', 'bytes=0-1', 'If-Range', '"v2"'], status: 200 },
  { what: 'If-None-Match', headers: ['Range', 'bytes=0-1', 'If-None-Match', '"v1"'], status: 304 },
  { what: 'If-Match', headers: ['If-Match', '"v1"', 'Range', 'bytes=0-1'], status: 206 },
  { what: 'several ranges', headers: ['Range', `bytes=0-9,${7 * MIB}-${7 * MIB + 9}`], status: 206 },
]) {
  test(`RFC 9110 13.2.2: of a stored head, ${what}: ${status}`, async (t) => {
    const { bench } = await known();
    const given = await bench.ask('/film', { headers }).whole();
    t.equal(given.status, status);
    if (status === 416) t.equal(field(given.headers, 'content-range'), `bytes */${LENGTH}`);
    if (status === 200) t.ok(given.body.equals(bytesOf(1, 0, LENGTH)));
    if (what === 'several ranges') {
      t.match(field(given.headers, 'content-type') ?? '', /^multipart\/byteranges/);
      t.equal(field(given.headers, 'content-length'), String(given.body.length));
      t.ok(given.body.includes(bytesOf(1, 7 * MIB, 7 * MIB + 10)));
    }
    for (const { request } of bench.upstream.exchanges.slice(1)) {
      t.equal(field(request.headers, 'if-match'), '"v1"', 'every chunk is asked for with the pinned validator');
      t.equal(field(request.headers, 'if-range'), '"v1"');
    }
    await clean(t, bench);
  });
}

test('HEAD is answered from the head, without a chunk', async (t) => {
  const { bench } = await known();
  const { status, headers, body } = await bench.ask('/film', { method: 'HEAD' }).whole();
  t.equal(status, 200);
  t.equal(field(headers, 'content-length'), String(LENGTH));
  t.equal(body.length, 0);
  t.equal(bench.upstream.count, 1 + 1, 'one more for the first chunk, none for HEAD');
});

test('a fill that is held back resumes for a reader that has read all that it brought', async (t) => {
  const { bench, origin } = start({}, {}, 40 * MIB);
  const reader = await bench.ask('/film').reader();
  const pieces: Buffer[] = [];
  for (let piece = await reader.next(); piece !== null; piece = await reader.next()) {
    pieces.push(piece);
    if (pieces.length % 40 === 0) for (let i = 0; i < 100; i++) await turn(); // a slow one
  }
  t.ok(Buffer.concat(pieces).equals(bytesOf(1, 0, LENGTH)));
  t.equal(bench.upstream.count, 1);
  t.equal(origin.sent, LENGTH);
});

test('one chunk is fetched once for all who want it at the moment', async (t) => {
  const { bench } = await known();
  const before = bench.upstream.count;
  const wanted = Array.from({ length: 20 }, (_, i) =>
    bench.ask('/film', range(`bytes=${6 * MIB + i}-${6 * MIB + 500 + i}`)).whole(),
  );
  for (const [i, { body }] of (await Promise.all(wanted)).entries()) {
    t.ok(body.equals(bytesOf(1, 6 * MIB + i, 6 * MIB + 501 + i)));
  }
  t.equal(bench.upstream.count, before + 1);
});

test('a reader that stops is not fetched for any more', async (t) => {
  const { bench, origin } = start();
  const reader = await bench.ask('/film').reader();
  for (let read = 0; read < 3 * MIB; ) read += (await reader.next())?.length ?? 0;
  for (let i = 0; i < 300; i++) await turn();
  t.ok(origin.sent <= 7 * MIB, `upstream is held back: ${origin.sent}`);
  reader.close();
  await settled(bench);
  t.same(bench.upstream.open, []);
  await clean(t, bench);
});

test('a body that broke off leaves its chunks, and is gone on with', async (t) => {
  const { bench, origin } = start();
  const reader = await bench.ask('/film').reader();
  const pieces: Buffer[] = [];
  let read = 0;
  for (let piece = await reader.next(); piece !== null; piece = await reader.next()) {
    pieces.push(piece);
    read += piece.length;
    if (read > 2.5 * MIB && bench.upstream.count === 1) bench.upstream.last.fail();
  }
  t.ok(Buffer.concat(pieces).equals(bytesOf(1, 0, LENGTH)));
  t.ok(origin.sent < LENGTH + 2 * MIB, 'only the chunk that broke off is fetched again');
});

test('a changed origin ends a download in its middle; the next is whole and new', async (t) => {
  const { bench, origin } = await known();
  const reader = await bench.ask('/film', range(`bytes=0-${LENGTH - 2}`)).reader();
  await reader.next();
  origin.set({ version: 2, length: LENGTH + 5 });
  const pieces: Buffer[] = [];
  await t.rejects(
    (async () => {
      for (let piece = await reader.next(); piece !== null; piece = await reader.next()) pieces.push(piece);
    })(),
    { code: 'origin_bad_response' },
  );
  reader.close();
  const got = Buffer.concat(pieces);
  t.ok(got.length < LENGTH - 1);
  t.same(bench.ended, ['changed']);
  const next = await bench.ask('/film').whole();
  t.ok(next.body.equals(bytesOf(2, 0, LENGTH + 5)));
  await clean(t, bench);
});

for (const { what, change } of [
  { what: 'says 412', change: { version: 2 } },
  { what: 'ignores If-Match and has another tag', change: { version: 2, hasPreconditions: false } },
  { what: 'has another length under the same tag', change: { length: LENGTH + MIB } },
]) {
  test(`a range is answered anew where the origin ${what}`, async (t) => {
    const { bench, origin } = await known();
    origin.set(change);
    const given = await bench.ask('/film', range(`bytes=${4 * MIB}-${4 * MIB + 99}`)).whole();
    t.equal(given.status, 206);
    t.ok(given.body.equals(bytesOf(origin.options.version, 4 * MIB, 4 * MIB + 100)));
    t.equal(field(given.headers, 'content-range'), `bytes ${4 * MIB}-${4 * MIB + 99}/${origin.options.length}`);
    t.same(bench.ended, ['changed']);
  });
}

test('an object that has gone is answered as the origin answers', async (t) => {
  const { bench } = await known();
  bench.upstream.onRequest = (exchange) =>
    void queueMicrotask(() => exchange.respond(404, ['Content-Length', '4'], 'gone'));
  const given = await bench.ask('/film', range(`bytes=${4 * MIB}-${4 * MIB + 99}`)).whole();
  t.equal(given.status, 404);
});

test('an origin that answers ranges with the whole is remembered', async (t) => {
  const { bench, origin } = await known();
  origin.set({ hasRanges: false });
  const given = await bench.ask('/film', range(`bytes=${4 * MIB}-${4 * MIB + 99}`)).whole();
  t.ok(given.status === 206 || given.status === 200);
  t.same(bench.ended, ['no-ranges']);
  await bench.ask('/film', range('bytes=0-9')).whole();
  t.same(bench.ended, ['no-ranges'], 'it is not stored in chunks again');
  bench.pass(200);
  origin.set({ hasRanges: true });
  await bench.ask('/film').whole();
  bench.pass(0);
  t.ok((await bench.ask('/film', range('bytes=0-9')).whole()).cache.hit);
});

test('a visitor whose range is refused gets the origin’s own answer, and ends nothing for others', async (t) => {
  const { bench, origin } = await known();
  const answer = bench.upstream.onRequest;
  bench.upstream.onRequest = (exchange) =>
    void queueMicrotask(() => exchange.respond(403, ['Content-Length', '2'], 'no'));
  const refused = await bench.ask('/film', range(`bytes=${4 * MIB}-${4 * MIB + 99}`)).whole();
  t.equal(refused.status, 403);
  bench.upstream.onRequest = answer;
  const given = await bench.ask('/film', range(`bytes=${4 * MIB}-${4 * MIB + 99}`)).whole();
  t.equal(given.status, 206);
  t.same(bench.ended, []);
  t.ok(origin.sent < 4 * MIB);
});

test('servers that give one file different tags: after three generations it goes through in one piece', async (t) => {
  const { bench, origin } = start();
  let version = 0;
  origin.set({ tag: () => `"t${version++}"` });
  for (let i = 0; i < 6; i++) await bench.ask('/film', range(`bytes=${i * 3 * MIB}-${i * 3 * MIB + 9}`)).whole();
  t.ok(bench.ended.length <= 3, `${bench.ended}`);
});

for (const { what, options, site } of [
  { what: 'a weak tag', options: { tag: () => 'W/"1"' } },
  { what: 'no Accept-Ranges', options: { acceptRanges: undefined } },
  { what: 'Accept-Ranges: none', options: { acceptRanges: 'none' } },
  { what: 'a length that is not above chunk_above', options: { length: 8 * MIB } },
  { what: 'chunk_above: never', options: {}, site: { chunk_above: 'never' } },
  { what: 'a site that stores nothing as large', options: {}, site: { max_object: '4MiB' } },
  { what: 'no-store', options: { control: 'no-store' } },
]) {
  test(`not stored in chunks: ${what}`, async (t) => {
    const { bench } = start(options, site);
    const { body } = await bench.ask('/film').whole();
    t.ok(body.equals(bytesOf(1, 0, body.length)));
    t.same(
      [...bench.store.entries()].flatMap(([, variants]) =>
        variants.filter(({ generation }) => generation !== undefined),
      ),
      [],
    );
  });
}

test('a stale head is validated; a 304 makes it new, and its chunks stay', async (t) => {
  const { bench, origin } = await known();
  await bench.ask('/film', range(`bytes=${2 * MIB}-${2 * MIB + 99}`)).whole();
  await settled(bench);
  const before = origin.sent;
  bench.pass(100);
  const given = await bench.ask('/film', range(`bytes=${2 * MIB}-${2 * MIB + 99}`)).whole();
  t.equal(given.cache.fwdStatus, 304);
  t.equal(origin.sent, before);
  t.ok((await bench.ask('/film', range(`bytes=${2 * MIB}-${2 * MIB + 99}`)).whole()).cache.hit);
});

test('a stale head that is not the origin’s any more: the new one, and hardly any of the rest', async (t) => {
  const { bench, origin } = await known();
  bench.pass(100);
  const before = origin.sent;
  origin.set({ version: 2 });
  const given = await bench.ask('/film', range(`bytes=${12 * MIB}-${12 * MIB + 99}`)).whole();
  t.ok(given.body.equals(bytesOf(2, 12 * MIB, 12 * MIB + 100)));
  await settled(bench);
  t.ok(origin.sent - before <= 3 * MIB, `${origin.sent - before}`);
  t.same(bench.upstream.open, []);
});

test('a hard purge of the head ends what is fetched for it', async (t) => {
  const { bench, origin } = await known();
  const reader = await bench.ask('/film', range(`bytes=0-${LENGTH - 2}`)).reader();
  await reader.next();
  bench.ledger.apply([{ seq: 1, site: 'shop', kind: 'url', selector: '//shop.test/film', soft: false }]);
  origin.set({ version: 2, tag: () => '"v1"' }); // an origin whose tag does not tell
  await t.rejects(async () => {
    for (let piece = await reader.next(); piece !== null; ) piece = await reader.next();
  });
  const given = await bench.ask('/film').whole();
  t.ok(given.body.equals(bytesOf(2, 0, LENGTH)), 'no chunk of before the purge is used');
});
