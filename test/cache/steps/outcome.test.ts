/** Stale, and asked about: 304, stale-while-revalidate, stale-if-error (RFC 9111, section 4.3; RFC 5861). */
import { test } from 'tap';
import { Bench, field, START_MS, turn } from '../engine/bench.ts';

const TAGGED = ['Cache-Control', 'max-age=10', 'ETag', '"1"'];

/** One with a stale response under /a. */
async function stale(headers: readonly string[] = TAGGED, site: Record<string, unknown> = {}): Promise<Bench> {
  const bench = new Bench({ site });
  await bench.fetched('/a', 200, ['Date', bench.date, ...headers], 'stored');
  bench.pass(20);
  return bench;
}

test('RFC 9111 4.3.1: the stored validators are sent, the visitor’s own conditions are not', async (t) => {
  const bench = await stale([...TAGGED, 'Last-Modified', 'Sat, 01 Feb 2025 00:00:00 GMT']);
  bench.ask('/a', {
    headers: ['If-None-Match', '"mine"', 'If-Modified-Since', 'x', 'Range', 'bytes=0-1', 'If-Range', '"2"'],
  });
  await turn();
  const { headers } = bench.upstream.last.request;
  t.equal(field(headers, 'if-none-match'), '"1"');
  t.equal(field(headers, 'if-modified-since'), 'Sat, 01 Feb 2025 00:00:00 GMT');
  t.equal(field(headers, 'range'), undefined);
  t.equal(field(headers, 'if-range'), undefined);
});

test('RFC 9111 4.3.4: a 304 makes the stored response fresh, with its fields updated, for every waiter', async (t) => {
  const bench = await stale([...TAGGED, 'X-Old', 'kept', 'X-Both', 'old', 'Content-Encoding', 'br', 'Vary', 'X-Kind']);
  const asked = [bench.ask('/a'), bench.ask('/a'), bench.ask('/a')];
  await turn();
  t.equal(bench.upstream.count, 2);
  bench.upstream.last.respond(304, [
    'Date',
    bench.date,
    'ETag',
    '"1"',
    'X-Both',
    'new',
    'Content-Encoding',
    'gzip',
    'Content-Length',
    '99',
  ]);
  for (const one of asked) {
    const { status, headers, body } = await one.whole();
    t.equal(status, 200);
    t.equal(body.toString(), 'stored');
    t.same(
      ['x-old', 'x-both', 'content-encoding', 'vary', 'content-length', 'age'].map((name) => field(headers, name)),
      ['kept', 'new', 'br', 'X-Kind', '6', '0'],
    );
  }
  const hit = await bench.ask('/a').whole();
  t.equal(hit.cache.hit, true);
  t.equal(bench.upstream.count, 2);
  t.equal((await bench.ask('/a', { headers: ['X-Kind', 'b'] }).outcome) ?? 'asked', 'asked', 'Vary is kept');
  await turn();
  t.equal(bench.upstream.count, 3);
  bench.upstream.last.fail();
  t.same(bench.leaks(), []);
});

test('a 304 without Date is dated by its arrival', async (t) => {
  const bench = await stale();
  const asked = bench.ask('/a');
  await turn();
  bench.upstream.last.respond(304, ['ETag', '"1"']);
  t.equal(field((await asked.whole()).headers, 'age'), '0');
  bench.pass(9);
  t.equal((await bench.ask('/a').whole()).cache.hit, true);
});

test('the Age of a 304 from an upstream cache counts', async (t) => {
  const bench = await stale();
  const asked = bench.ask('/a');
  await turn();
  bench.upstream.last.respond(304, ['ETag', '"1"', 'Age', '4']);
  t.equal(field((await asked.whole()).headers, 'age'), '4');
  bench.pass(6);
  bench.ask('/a');
  await turn();
  t.equal(bench.upstream.count, 3);
});

test('a 304 may lengthen the freshness lifetime', async (t) => {
  const bench = await stale();
  const asked = bench.ask('/a');
  await turn();
  bench.upstream.last.respond(304, ['ETag', '"1"', 'Cache-Control', 'max-age=100']);
  await asked.whole();
  bench.pass(99);
  t.equal((await bench.ask('/a').whole()).cache.hit, true);
});

test('a conditional request is answered from the validated response', async (t) => {
  const bench = await stale();
  const asked = bench.ask('/a', { headers: ['If-None-Match', '"1"'] });
  await turn();
  bench.upstream.last.respond(304, ['ETag', '"1"']);
  t.equal((await asked.whole()).status, 304);
});

test('a new response replaces the stale one', async (t) => {
  const bench = await stale();
  const asked = [bench.ask('/a'), bench.ask('/a')];
  await turn();
  bench.upstream.last.respond(200, ['Cache-Control', 'max-age=10', 'ETag', '"2"'], 'new');
  for (const one of asked) t.equal((await one.whole()).body.toString(), 'new');
  const hit = await bench.ask('/a').whole();
  t.equal(hit.body.toString(), 'new');
  t.equal(bench.store.size, 1);
});

test('a no-cache response is stored, validated on each use, and never shared with waiters', async (t) => {
  const bench = new Bench();
  const headers = ['Cache-Control', 'no-cache', 'ETag', '"1"'];
  await bench.fetched('/a', 200, headers, 'stored');
  const asked = [bench.ask('/a'), bench.ask('/a'), bench.ask('/a')];
  await turn();
  t.equal(bench.upstream.count, 4, 'each one asks');
  for (const exchange of bench.upstream.open) {
    t.equal(field(exchange.request.headers, 'if-none-match'), '"1"');
    exchange.respond(304, headers);
  }
  for (const one of asked) t.equal((await one.whole()).body.toString(), 'stored');
});

test('a 304 that adds no-cache is not shared with waiters', async (t) => {
  const bench = await stale();
  const asked = [bench.ask('/a'), bench.ask('/a')];
  await turn();
  bench.upstream.last.respond(304, ['Cache-Control', 'no-cache', 'ETag', '"1"']);
  await turn();
  t.equal(bench.upstream.count, 3);
  bench.upstream.last.respond(304, ['Cache-Control', 'no-cache', 'ETag', '"1"']);
  for (const one of asked) t.equal((await one.whole()).body.toString(), 'stored');
});

for (const { what, headers, dropped } of [
  { what: 'Set-Cookie', headers: ['ETag', '"1"', 'Set-Cookie', 'session=of-the-first'], dropped: false },
  {
    what: 'private',
    headers: ['ETag', '"1"', 'Cache-Control', 'private, max-age=60', 'X-User', 'first'],
    dropped: true,
  },
  {
    what: 'no-store',
    headers: ['ETag', '"1"', 'Cache-Control', 'no-store, max-age=60', 'X-User', 'first'],
    dropped: true,
  },
  { what: 'Vary: *', headers: ['ETag', '"1"', 'Vary', '*', 'X-User', 'first'], dropped: true },
]) {
  test(`RFC 9111 3: a 304 with ${what} answers one visitor only`, async (t) => {
    const bench = await stale();
    const [first, second] = [bench.ask('/a'), bench.ask('/a')];
    await turn();
    t.equal(bench.upstream.count, 2);
    bench.upstream.last.respond(304, headers);
    const own = await first.whole();
    t.equal(own.body.toString(), 'stored');
    t.ok(field(own.headers, 'x-user') === 'first' || field(own.headers, 'set-cookie') === 'session=of-the-first');
    await turn();
    t.equal(bench.upstream.count, 3, 'the other one asks for itself');
    bench.upstream.last.respond(304, ['ETag', '"1"', 'Cache-Control', 'max-age=10']);
    const other = await second.whole();
    t.same([field(other.headers, 'x-user'), field(other.headers, 'set-cookie')], [undefined, undefined]);
    t.equal(bench.counts.stored, 2);
    t.equal(bench.refusals.length, 1);
    if (dropped) t.ok(bench.refusals[0] !== undefined);
    t.same(bench.leaks(), []);
  });

  test(`RFC 9111 3: after a 304 with ${what} ${dropped ? 'nothing is stored' : 'the stored response stays'}`, async (t) => {
    const bench = await stale();
    const asked = bench.ask('/a');
    await turn();
    bench.upstream.last.respond(304, headers);
    await asked.whole();
    t.equal(bench.store.size, dropped ? 0 : 1);
    const next = bench.ask('/a');
    await turn();
    t.equal(bench.upstream.count, 3);
    t.equal(field(bench.upstream.last.request.headers, 'if-none-match'), dropped ? undefined : '"1"');
    bench.upstream.last.respond(200, TAGGED, 'again');
    t.equal(field((await next.whole()).headers, 'set-cookie'), undefined);
  });
}

test('RFC 9111 3.5: a 304 to a request with credentials does not freshen the response for those without', async (t) => {
  const bench = await stale();
  const asked = bench.ask('/a', { headers: ['Authorization', 'Basic YTpi'] });
  await turn();
  bench.upstream.last.respond(304, ['ETag', '"1"', 'X-User', 'a']);
  t.equal((await asked.whole()).body.toString(), 'stored');
  const next = bench.ask('/a');
  await turn();
  t.equal(bench.upstream.count, 3);
  bench.upstream.last.respond(304, ['ETag', '"1"']);
  t.equal(field((await next.whole()).headers, 'x-user'), undefined);
});

test('fields that a 304 names in no-cache="…" are removed from the stored response', async (t) => {
  const bench = await stale([...TAGGED, 'X-Secret', 'old']);
  const asked = bench.ask('/a');
  await turn();
  bench.upstream.last.respond(304, ['ETag', '"1"', 'Cache-Control', 'max-age=10, no-cache="x-secret"']);
  await asked.whole();
  t.equal(field((await bench.ask('/a').whole()).headers, 'x-secret'), undefined);
});

test('RFC 9111 4.3.4: after a 304 for another representation one request without conditions is sent for all', async (t) => {
  const bench = await stale();
  const asked = [bench.ask('/a'), bench.ask('/a'), bench.ask('/a')];
  await turn();
  bench.upstream.last.respond(304, ['ETag', '"other"']);
  await turn();
  t.equal(bench.upstream.count, 3, 'one repetition');
  t.equal(field(bench.upstream.last.request.headers, 'if-none-match'), undefined);
  bench.upstream.last.respond(200, TAGGED, 'new');
  for (const one of asked) t.equal((await one.whole()).body.toString(), 'new');
  t.same(bench.leaks(), []);
});

test('an origin that always answers 304 for another representation is not retried without end', async (t) => {
  const bench = await stale();
  bench.upstream.onRequest = (exchange) => queueMicrotask(() => exchange.respond(304, ['ETag', '"other"']));
  const { status } = await bench.ask('/a').whole();
  t.equal(status, 304);
  t.ok(bench.upstream.count <= 5, String(bench.upstream.count));
  t.same(bench.leaks(), []);
});

for (const { what, answer } of [
  { what: '503', answer: (bench: Bench) => bench.upstream.last.respond(503, [], 'broken') },
  { what: 'a failed connection', answer: (bench: Bench) => bench.upstream.last.fail('origin_unreachable') },
]) {
  test(`RFC 5861 4: ${what}, within stale-if-error, gives every waiter the stale response`, async (t) => {
    const bench = await stale(['Cache-Control', 'max-age=10, stale-if-error=60', 'ETag', '"1"']);
    const asked = [bench.ask('/a'), bench.ask('/a')];
    await turn();
    answer(bench);
    for (const one of asked) {
      const { status, body, cache } = await one.whole();
      t.same([status, body.toString(), cache.detail, cache.hit], [200, 'stored', 'stale-if-error', false]);
    }
    t.equal(bench.upstream.count, 2);
    t.same(bench.leaks(), []);
  });

  test(`RFC 5861 4: ${what} on HEAD, within stale-if-error, gives the stale response`, async (t) => {
    const bench = await stale(['Cache-Control', 'max-age=10, stale-if-error=60', 'ETag', '"1"']);
    const asked = bench.ask('/a', { method: 'HEAD' });
    await turn();
    answer(bench);
    t.same([(await asked.whole()).status, (await asked.whole()).cache.detail], [200, 'stale-if-error']);
    t.same(bench.leaks(), []);
  });

  for (const { why, headers } of [
    { why: 'after the window', headers: ['Cache-Control', 'max-age=10, stale-if-error=5', 'ETag', '"1"'] },
    { why: 'no window', headers: TAGGED },
    {
      why: 'must-revalidate',
      headers: ['Cache-Control', 'max-age=10, must-revalidate, stale-if-error=60', 'ETag', '"1"'],
    },
  ]) {
    test(`RFC 9111 4.2.4: ${what}, ${why}, gives the error`, async (t) => {
      const bench = await stale(headers);
      const asked = bench.ask('/a');
      await turn();
      answer(bench);
      t.ok(['origin_unreachable', 'answered with 503'].includes(await asked.error()));
    });
  }
}

test('a fresh response is used on error when only the request asked for a newer one', async (t) => {
  const bench = new Bench({ site: { rules: [{ request_directives: 'honour' }] } });
  await bench.fetched('/a', 200, TAGGED, 'stored');
  const asked = bench.ask('/a', { headers: ['Cache-Control', 'no-cache'] });
  await turn();
  bench.upstream.last.fail('origin_unreachable');
  t.equal((await asked.whole()).body.toString(), 'stored');
});

test('RFC 5861 3: revalidation in the background delays no request and happens once', async (t) => {
  const bench = await stale(['Cache-Control', 'max-age=10, stale-while-revalidate=60', 'ETag', '"1"']);
  for (let i = 0; i < 5; i++) {
    const { body, cache } = await bench.ask('/a').whole();
    t.same([body.toString(), cache.hit, cache.detail], ['stored', true, 'stale-while-revalidate']);
  }
  t.equal(bench.upstream.count, 2);
  t.equal((await bench.ask('/a', { method: 'HEAD' }).whole()).cache.detail, 'stale-while-revalidate');
  t.equal((await bench.ask('/a', { headers: ['Range', 'bytes=0-1'] }).whole()).status, 206);
  t.equal(bench.upstream.count, 2);
  bench.upstream.last.respond(304, ['Date', bench.date, 'ETag', '"1"']);
  await turn();
  t.equal((await bench.ask('/a').whole()).cache.detail, undefined);
  t.equal(bench.upstream.count, 2);
  t.same(bench.leaks(), []);
});

test('RFC 5861 3: the background fetch continues when its visitor has left', async (t) => {
  const bench = await stale(['Cache-Control', 'max-age=10, stale-while-revalidate=60']);
  const leaver = new AbortController();
  await bench.ask('/a', { clientAbort: leaver.signal }).whole();
  leaver.abort();
  await turn();
  bench.upstream.last.head(200, ['Cache-Control', 'max-age=10']).data('ne').data('w').end();
  const { body, cache } = await bench.ask('/a').whole();
  t.same([body.toString(), cache.hit], ['new', true]);
  t.same(bench.leaks(), []);
});

for (const headers of [
  ['Cache-Control', 'private'],
  ['Cache-Control', 'no-store'],
]) {
  test(`a background fetch that brings ${headers[1]} is aborted at the head`, async (t) => {
    const bench = await stale(['Cache-Control', 'max-age=10, stale-while-revalidate=60']);
    await bench.ask('/a').whole();
    bench.upstream.last.head(200, headers);
    t.ok(bench.upstream.last.isAborted);
    t.same(bench.leaks(), []);
  });
}

test('a background fetch that turns out too large to store is aborted', async (t) => {
  const bench = await stale(['Cache-Control', 'max-age=10, stale-while-revalidate=60'], { max_object: '100KiB' });
  await bench.ask('/a').whole();
  bench.upstream.last.head(200, ['Cache-Control', 'max-age=10']).data(Buffer.alloc(90_000), Buffer.alloc(90_000));
  t.ok(bench.upstream.last.isAborted);
  t.equal((await bench.ask('/a').whole()).body.toString(), 'stored');
});

test('a background fetch that fails leaves the stale response, and the next request retries', async (t) => {
  const bench = await stale(['Cache-Control', 'max-age=10, stale-while-revalidate=60']);
  await bench.ask('/a').whole();
  bench.upstream.last.fail();
  await bench.ask('/a').whole();
  t.equal(bench.upstream.count, 3);
  bench.upstream.last.respond(500);
  await bench.ask('/a').whole();
  t.equal(bench.upstream.count, 4);
});

test('after the stale window a response is validated before use', async (t) => {
  const bench = await stale(['Cache-Control', 'max-age=10, stale-while-revalidate=5']);
  const asked = bench.ask('/a');
  await turn();
  t.notOk(asked.isAnswered);
});

test('a clock that is set back a little does not age a response', async (t) => {
  const bench = new Bench();
  await bench.fetched('/a', 200, TAGGED, 'stored');
  bench.now = START_MS - 900;
  t.equal(field((await bench.ask('/a').whole()).headers, 'age'), '0');
});

test('a response from the future, as the clock was set back, is validated before use', async (t) => {
  const bench = new Bench();
  await bench.fetched('/a', 200, TAGGED, 'stored');
  bench.now = START_MS - 100_000;
  const asked = bench.ask('/a');
  await turn();
  t.notOk(asked.isAnswered);
  t.equal(bench.upstream.count, 2);
});

// RFC 9111, section 5.2.1: only where the rule honours them.
for (const { directive, when, upstream } of [
  { directive: 'no-cache', when: 'fresh', upstream: true },
  { directive: 'max-age=0', when: 'fresh', upstream: true },
  { directive: 'max-age=5', when: 'fresh', upstream: false },
  { directive: 'min-fresh=60', when: 'fresh', upstream: true },
  { directive: 'min-fresh=3', when: 'fresh', upstream: false },
  { directive: 'max-stale', when: 'stale', upstream: false },
  { directive: 'max-stale=60', when: 'stale', upstream: false },
  { directive: 'max-stale=3', when: 'stale', upstream: true },
  { directive: 'no-store', when: 'fresh', upstream: true },
]) {
  for (const rule of ['honour', 'ignore']) {
    const expected = rule === 'honour' ? upstream : when === 'stale';
    test(`RFC 9111 5.2.1: ${directive} on a ${when} response, ${rule}d: ${expected ? 'revalidated' : 'hit'}`, async (t) => {
      const bench = new Bench({ site: { rules: [{ request_directives: rule }] } });
      await bench.fetched('/a', 200, TAGGED, 'stored');
      bench.pass(when === 'fresh' ? 2 : 20);
      bench.ask('/a', { headers: ['Cache-Control', directive] });
      await turn();
      t.equal(bench.upstream.count, expected ? 2 : 1);
    });
  }
}

test('RFC 9111 5.2.1.7: only-if-cached never goes upstream', async (t) => {
  const bench = new Bench({ site: { rules: [{ path: '/h/*', request_directives: 'honour' }] } });
  t.equal(await bench.ask('/h/a', { headers: ['Cache-Control', 'only-if-cached'] }).error(), 'only_if_cached');
  t.equal(bench.upstream.count, 0);
  await bench.fetched('/h/a', 200, TAGGED, 'stored');
  t.equal(await bench.ask('/h/a', { headers: ['Cache-Control', 'only-if-cached'] }).error(), 'answered with 200');
  bench.pass(20);
  t.equal(await bench.ask('/h/a', { headers: ['Cache-Control', 'only-if-cached'] }).error(), 'only_if_cached');
  t.equal(bench.upstream.count, 1);
  bench.ask('/i', { headers: ['Cache-Control', 'only-if-cached'] });
  await turn();
  t.equal(bench.upstream.count, 2, 'where it is not honoured it means nothing');
});

test('RFC 9111 5.2.1.5: the response to a no-store request is neither stored nor shared, and the key stays cacheable', async (t) => {
  const bench = new Bench({ site: { rules: [{ request_directives: 'honour' }] } });
  await bench.fetched('/a', 200, TAGGED, 'x', { headers: ['Cache-Control', 'no-store'] });
  t.equal(bench.store.size, 0);
  t.same(bench.refusals, ['request-no-store']);
  bench.ask('/a');
  bench.ask('/a');
  await turn();
  t.equal(bench.upstream.count, 2);
});

test('RFC 9111 5.2.1.4: a no-cache request does not share an earlier fill', async (t) => {
  const bench = new Bench({ site: { rules: [{ request_directives: 'honour' }] } });
  bench.ask('/a');
  const asked = bench.ask('/a', { headers: ['Pragma', 'no-cache'] });
  await turn();
  bench.upstream.last.respond(200, TAGGED, 'first');
  await turn();
  t.equal(bench.upstream.count, 2);
  bench.upstream.last.respond(200, TAGGED, 'second');
  t.equal((await asked.whole()).body.toString(), 'second');
});
