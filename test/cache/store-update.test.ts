/** Effects of unsafe methods and of HEAD on stored responses (RFC 9111, sections 4.3.5 and 4.4). */
import { test } from 'tap';
import { epochMs, type Instant, monotonicMs } from '../../lib/clock.ts';
import { Bench, type BenchOptions, field, turn } from './engine/bench.ts';

const FRESH = ['Cache-Control', 'max-age=60'];

async function holding(targets: readonly string[], options: BenchOptions = {}): Promise<Bench> {
  const bench = new Bench(options);
  for (const target of targets) await bench.fetched(target, 200, FRESH, `old ${target}`);
  return bench;
}

async function send(bench: Bench, method: string, target: string, status: number, headers: readonly string[] = []) {
  const asked = bench.ask(target, { method });
  await turn();
  bench.upstream.last.respond(status, headers, method === 'HEAD' ? '' : 'done');
  return asked.whole();
}

function instantOf({ now }: Bench): Instant {
  return { monotonic: monotonicMs(now), wall: epochMs(now) };
}

/** Returns the targets that are still answered from the store. */
async function held(bench: Bench, targets: readonly string[]): Promise<string[]> {
  return targets.filter((target) => bench.store.get(bench.keyOf(target)).length > 0);
}

for (const { method, status, isInvalidated } of [
  { method: 'POST', status: 200, isInvalidated: true },
  { method: 'PUT', status: 204, isInvalidated: true },
  { method: 'DELETE', status: 303, isInvalidated: true },
  { method: 'PATCH', status: 200, isInvalidated: true },
  { method: 'SUBSCRIBE', status: 200, isInvalidated: true },
  { method: 'post', status: 200, isInvalidated: true },
  { method: 'POST', status: 400, isInvalidated: false },
  { method: 'POST', status: 500, isInvalidated: false },
  { method: 'OPTIONS', status: 200, isInvalidated: false },
]) {
  test(`RFC 9111 4.4: ${method} answered with ${status}: ${isInvalidated ? 'invalidated' : 'kept'}`, async (t) => {
    const bench = await holding(['/a', '/b']);
    await send(bench, method, '/a', status);
    t.same(await held(bench, ['/a', '/b']), isInvalidated ? ['/b'] : ['/a', '/b']);
    t.same(bench.leaks(), []);
  });
}

test('a failed unsafe request invalidates nothing', async (t) => {
  const bench = await holding(['/a']);
  const asked = bench.ask('/a', { method: 'POST' });
  await turn();
  bench.upstream.last.fail();
  await asked.error();
  t.same(await held(bench, ['/a']), ['/a']);
});

for (const { what, location, isInvalidated } of [
  { what: 'a path', location: '/b', isInvalidated: true },
  { what: 'a relative path', location: 'b', isInvalidated: true },
  { what: 'the whole URL', location: 'http://shop.test/b', isInvalidated: true },
  { what: 'the usual port', location: 'http://shop.test:80/b', isInvalidated: true },
  { what: 'another spelling', location: '/%62', isInvalidated: true },
  { what: 'a fragment', location: '/b#part', isInvalidated: true },
  { what: 'dot segments', location: '/x/../b', isInvalidated: true },
  { what: 'another host', location: 'http://other.test/b', isInvalidated: false },
  { what: 'another scheme', location: 'https://shop.test/b', isInvalidated: false },
  { what: 'another port', location: 'http://shop.test:81/b', isInvalidated: false },
  { what: 'no URL', location: 'http://[', isInvalidated: false },
]) {
  for (const name of ['Location', 'Content-Location']) {
    test(`RFC 9111 4.4: ${name} is ${what}: ${isInvalidated ? 'invalidated' : 'kept'}`, async (t) => {
      const bench = await holding(['/a', '/b']);
      await send(bench, 'POST', '/a', 200, [name, location]);
      t.same(await held(bench, ['/a', '/b']), isInvalidated ? [] : ['/b']);
    });
  }
}

for (const { what, stored, asked, site } of [
  { what: 'escapes that need none', stored: '/~user', asked: '/%7Euser', site: {} },
  { what: 'escapes in lower case', stored: '/%C3%A9', asked: '/%c3%a9', site: {} },
  { what: 'characters that URL parsers escape', stored: '/a"b\'c|d^e`{f}', asked: '/a"b\'c|d^e`{f}', site: {} },
  { what: 'a query that URL parsers escape', stored: '/a?q=\'x"<y>', asked: '/a?q=\'x"<y>', site: {} },
  { what: 'an empty query', stored: '/a?', asked: '/a?', site: {} },
  { what: 'a parameter that is not in the key', stored: '/a', asked: '/a?utm=1', site: { key: { query: 'none' } } },
  {
    what: 'another order of parameters',
    stored: '/a?b=1&c=2',
    asked: '/a?c=2&b=1',
    site: { key: { sort_query: true } },
  },
]) {
  test(`invalidation is by cache key: ${what}`, async (t) => {
    const bench = await holding([stored], { site });
    await send(bench, 'POST', asked, 200);
    t.same(await held(bench, [stored]), []);
  });

  test(`invalidation by Location is by cache key: ${what}`, async (t) => {
    const bench = await holding([stored], { site });
    await send(bench, 'POST', '/other', 201, ['Location', asked]);
    const written = new URL(asked, 'http://shop.test');
    const isSpelledAlike = bench.keyOf(written.pathname + written.search) === bench.keyOf(stored);
    t.same(await held(bench, [stored]), isSpelledAlike ? [] : [stored]);
  });
}

test('a host that no URL parser accepts is invalidated like any other, and its request answered', async (t) => {
  const target = 'http://1.2.3.999/a';
  const bench = await holding([target]);
  const { body } = await send(bench, 'POST', target, 200, ['Location', '/b']);
  t.equal(body.toString(), 'done');
  t.same(await held(bench, [target]), []);
  t.same(bench.leaks(), []);
});

test('invalidation removes all variants', async (t) => {
  const bench = new Bench();
  for (const kind of ['a', 'b']) {
    await bench.fetched('/a', 200, [...FRESH, 'Vary', 'X-Kind'], kind, { headers: ['X-Kind', kind] });
  }
  await send(bench, 'DELETE', '/a', 204);
  t.equal(bench.store.size, 0);
});

test('an invalidated fill answers its waiters, is not stored, and later requests share a new one', async (t) => {
  const bench = new Bench();
  const before = [bench.ask('/a'), bench.ask('/a')];
  await turn();
  const old = bench.upstream.at(0);
  await send(bench, 'POST', '/a', 200);
  const after = [bench.ask('/a'), bench.ask('/a'), bench.ask('/a')];
  await turn();
  t.equal(bench.upstream.count, 3, 'the old one, the POST, and one for all who came after it');
  old.respond(200, FRESH, 'old');
  for (const one of before) t.equal((await one.whole()).body.toString(), 'old');
  t.equal(bench.store.size, 0);
  bench.upstream.last.respond(200, FRESH, 'new');
  for (const one of after) t.equal((await one.whole()).body.toString(), 'new');
  t.equal((await bench.ask('/a').whole()).body.toString(), 'new');
  t.same(bench.leaks(), []);
});

test('a fill that is invalidated during its body is not stored', async (t) => {
  const bench = new Bench();
  const before = bench.ask('/a');
  await turn();
  const old = bench.upstream.at(0).head(200, FRESH).data('old');
  const whole = before.whole();
  await send(bench, 'PUT', '/a', 204);
  old.data(' and older').end();
  t.equal((await whole).body.toString(), 'old and older');
  t.equal(bench.store.size, 0);
  t.same(bench.leaks(), []);
});

test('a fill that was invalidated twice is not stored either', async (t) => {
  const bench = new Bench();
  const first = bench.ask('/a').whole();
  await turn();
  const old = bench.upstream.at(0).head(200, ['Cache-Control', 'max-age=5']).data('old');
  await turn();
  bench.pass(6);
  const second = bench.ask('/a').whole();
  await turn();
  const newer = bench.upstream.last;
  await send(bench, 'POST', '/a', 200);
  newer.respond(200, ['Cache-Control', 'max-age=5'], 'newer');
  old.end();
  t.same([(await first).body.toString(), (await second).body.toString()], ['old', 'newer']);
  t.equal(bench.store.size, 0);
  t.same(bench.leaks(), []);
});

test('a validation in flight does not make an invalidated response fresh again', async (t) => {
  const bench = new Bench();
  await bench.fetched('/a', 200, ['Cache-Control', 'max-age=1', 'ETag', '"1"'], 'old');
  bench.pass(2);
  const asked = bench.ask('/a');
  await turn();
  const validation = bench.upstream.last;
  await send(bench, 'POST', '/a', 200);
  validation.respond(304, ['ETag', '"1"']);
  t.equal((await asked.whole()).body.toString(), 'old');
  t.equal(bench.store.size, 0);
  t.same(bench.leaks(), []);
});

test('RFC 9110 9.3.3: a POST response with its own Content-Location and a lifetime is stored for GET', async (t) => {
  const bench = await holding(['/a']);
  await send(bench, 'POST', '/a', 200, [...FRESH, 'Content-Location', '/a']);
  const { body, cache } = await bench.ask('/a').whole();
  t.same([body.toString(), cache.hit], ['done', true]);
  t.same(bench.leaks(), []);
});

for (const { what, headers, status } of [
  { what: 'without a lifetime', headers: ['Content-Location', '/a', 'ETag', '"1"'], status: 200 },
  { what: 'of another URL', headers: [...FRESH, 'Content-Location', '/b'], status: 200 },
  { what: 'without Content-Location', headers: FRESH, status: 200 },
  { what: 'that is private', headers: ['Cache-Control', 'private, max-age=60', 'Content-Location', '/a'], status: 200 },
  { what: 'with 201', headers: [...FRESH, 'Content-Location', '/a'], status: 201 },
]) {
  test(`the response to a POST ${what} is not stored`, async (t) => {
    const bench = new Bench();
    await send(bench, 'POST', '/a', status, headers);
    t.equal(bench.store.size, 0);
  });
}

test('the response to a PUT is never stored', async (t) => {
  const bench = new Bench();
  await send(bench, 'PUT', '/a', 200, [...FRESH, 'Content-Location', '/a']);
  t.equal(bench.store.size, 0);
});

test('unsafe requests are never collapsed', async (t) => {
  const bench = new Bench();
  bench.ask('/a', { method: 'POST' });
  bench.ask('/a', { method: 'POST' });
  bench.ask('/a');
  await turn();
  t.equal(bench.upstream.count, 3);
});

test('HEAD is answered from a stored response to GET', async (t) => {
  const bench = await holding(['/a']);
  const { status, headers, body, cache } = await bench.ask('/a', { method: 'HEAD' }).whole();
  t.same([status, field(headers, 'content-length') ?? '6', body.length, cache.hit], [200, '6', 0, true]);
});

test('a HEAD goes upstream as HEAD and is not stored', async (t) => {
  const bench = new Bench();
  const { status } = await send(bench, 'HEAD', '/a', 200, [...FRESH, 'Content-Length', '100']);
  t.equal(status, 200);
  t.equal(bench.upstream.last.request.method, 'HEAD');
  t.equal(bench.store.size, 0);
  t.same(bench.leaks(), []);
});

test('RFC 9111 4.3.5: a HEAD that agrees makes the stored response fresh', async (t) => {
  const bench = new Bench();
  const headers = ['Cache-Control', 'max-age=10', 'ETag', '"1"', 'X-Old', 'kept'];
  await bench.fetched('/a', 200, ['Date', bench.date, ...headers], 'stored');
  bench.pass(20);
  await send(bench, 'HEAD', '/a', 200, ['Date', bench.date, 'ETag', '"1"', 'Content-Length', '6', 'X-New', 'added']);
  const hit = await bench.ask('/a').whole();
  t.equal(hit.cache.hit, true, 'a HEAD that does not repeat the lifetime does not end it');
  t.same(
    ['x-old', 'x-new', 'age'].map((name) => field(hit.headers, name)),
    ['kept', 'added', '0'],
  );
  t.equal(hit.body.toString(), 'stored');
  t.same(bench.leaks(), []);
});

for (const { what, headers } of [
  { what: 'Set-Cookie', headers: ['ETag', '"1"', 'Set-Cookie', 'session=of-one'] },
  { what: 'private', headers: ['ETag', '"1"', 'Cache-Control', 'private, max-age=60'] },
  { what: 'no-store', headers: ['ETag', '"1"', 'Cache-Control', 'no-store, max-age=60'] },
]) {
  test(`a HEAD with ${what} changes nothing for other requests`, async (t) => {
    const bench = new Bench();
    await bench.fetched('/a', 200, ['Cache-Control', 'max-age=10', 'ETag', '"1"'], 'stored');
    bench.pass(20);
    await send(bench, 'HEAD', '/a', 200, headers);
    const asked = bench.ask('/a');
    await turn();
    t.equal(bench.upstream.count, 3, 'still stale');
    bench.upstream.last.respond(304, ['ETag', '"1"']);
    const { headers: given } = await asked.whole();
    t.same([field(given, 'set-cookie'), field(given, 'cache-control')], [undefined, 'max-age=10']);
  });
}

for (const { what, headers } of [
  { what: 'another tag', headers: ['ETag', '"2"'] },
  { what: 'another length', headers: ['ETag', '"1"', 'Content-Length', '7'] },
  { what: 'another date', headers: ['ETag', '"1"', 'Last-Modified', 'Sat, 01 Feb 2025 00:00:00 GMT'] },
]) {
  test(`RFC 9111 4.3.5: a HEAD with ${what} makes the stored response stale`, async (t) => {
    const bench = new Bench({ site: { rules: [{ request_directives: 'honour' }] } });
    await bench.fetched('/a', 200, [...FRESH, 'ETag', '"1"'], 'stored');
    const asked = bench.ask('/a', { method: 'HEAD', headers: ['Cache-Control', 'no-cache'] });
    await turn();
    bench.upstream.last.respond(200, headers);
    await asked.whole();
    bench.ask('/a');
    await turn();
    t.equal(bench.upstream.count, 3);
  });
}

test('a HEAD with no-store, where it counts, goes upstream as HEAD', async (t) => {
  const bench = new Bench({ site: { rules: [{ request_directives: 'honour' }] } });
  bench.ask('/a', { method: 'HEAD', headers: ['Cache-Control', 'no-store'] });
  await turn();
  t.equal(bench.upstream.last.request.method, 'HEAD');
});

/** Another node has the response as it was before the answer to HEAD, which has added a tag to it here. */
for (const { what, etag } of [
  { what: 'no validator', etag: [] },
  { what: 'the same validator', etag: ['ETag', '"1"'] },
]) {
  test(`rule 5: a tag that an answer to HEAD with ${what} has added, purged softly: an older 304 does not count`, async (t) => {
    const bench = new Bench();
    const stored = ['Cache-Control', 'max-age=60, must-revalidate', 'ETag', '"1"'];
    const before = { identity: 'j', seq: 0 };
    bench.ledger.restart({ terms: [{ identity: 'j', after: -1 }], newest: 0, floor: 0 });
    bench.ledger.onHeartbeat(0, instantOf(bench));
    const head = bench.ask('/a', { method: 'HEAD' });
    const first = bench.ask('/a');
    await turn();
    bench.upstream.at(1).head(200, stored, before).data('old').end();
    await first.whole();
    bench.ledger.apply([{ seq: 1, site: 'shop', kind: 'tag', selector: 't', soft: true }]);
    bench.upstream.at(0).respond(200, ['Cache-Control', 'max-age=60, must-revalidate', 'Cache-Tag', 't', ...etag]);
    await head.whole();
    const asked = bench.ask('/a');
    await turn();
    t.equal(field(bench.upstream.last.request.headers, 'if-none-match'), '"1"');
    bench.upstream.last.head(304, stored, before).end();
    await turn();
    t.equal(bench.upstream.count, 4, 'asked once more');
    t.equal(field(bench.upstream.last.request.headers, 'if-none-match'), undefined, 'for all of it');
    bench.upstream.last.head(200, stored, before).data('old').end();
    const { headers, body } = await asked.whole();
    t.same([field(headers, 'cache-tag'), String(body)], [undefined, 'old']);
    t.same(bench.leaks(), []);
  });
}

test('a 304 that is as new as the purge counts, whatever tags there are', async (t) => {
  const bench = new Bench();
  bench.ledger.restart({ terms: [{ identity: 'j', after: -1 }], newest: 0, floor: 0 });
  bench.ledger.onHeartbeat(0, instantOf(bench));
  const fields = ['Cache-Control', 'max-age=60, must-revalidate', 'ETag', '"1"', 'Cache-Tag', 't'];
  await bench.fetched('/a', 200, fields, 'old');
  bench.ledger.apply([{ seq: 1, site: 'shop', kind: 'tag', selector: 't', soft: true }]);
  const asked = bench.ask('/a');
  await turn();
  bench.upstream.last.head(304, fields, { identity: 'j', seq: 1 }).end();
  t.equal((await asked.whole()).cache.fwdStatus, 304);
  t.equal(bench.upstream.count, 2);
});
