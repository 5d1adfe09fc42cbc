/** Visitors who go, origins that die: what happens to those who stay. */
import { test } from 'tap';
import { Bench, field, pattern, readAll, turn } from './engine/bench.ts';

const FRESH = ['Cache-Control', 'max-age=60'];
const LARGE = ['Cache-Control', 'max-age=60', 'Content-Length', '8000000'];

test('waiters get their response when the request that started the fill is aborted', async (t) => {
  const bench = new Bench();
  const leaver = new AbortController();
  const leader = bench.ask('/a', { clientAbort: leaver.signal });
  const other = bench.ask('/a');
  await turn();
  leaver.abort();
  await turn();
  t.notOk(bench.upstream.last.isAborted);
  bench.upstream.last.respond(200, FRESH, 'still here');
  t.equal((await other.whole()).body.toString(), 'still here');
  await leader.error();
  t.equal(bench.upstream.count, 1);
  t.same(bench.leaks(), []);
});

test('readers read on when the request that started the fill closes its body', async (t) => {
  const bench = new Bench();
  const leader = bench.ask('/a');
  const other = bench.ask('/a');
  await turn();
  bench.upstream.last.head(200, LARGE).data('abc');
  const whole = other.reader();
  (await leader.reader()).close();
  const reader = await whole;
  t.equal((await reader.next())?.toString(), 'abc');
  t.notOk(bench.upstream.last.isAborted);
  reader.close();
  t.ok(bench.upstream.last.isAborted, 'nobody is left');
  t.same(bench.leaks(), []);
});

test('a fill is aborted when every waiter leaves before the head', async (t) => {
  const bench = new Bench();
  const leavers = [new AbortController(), new AbortController()];
  const asked = leavers.map(({ signal }) => bench.ask('/a', { clientAbort: signal }));
  await turn();
  leavers[0]?.abort();
  t.notOk(bench.upstream.last.isAborted);
  leavers[1]?.abort();
  t.ok(bench.upstream.last.isAborted);
  for (const one of asked) t.equal(await one.error(), 'client_closed');
  t.equal(bench.counts.fillFailed, 0);
  t.same(bench.leaks(), []);
});

test('a request right after an aborted fill starts a new fetch', async (t) => {
  const bench = new Bench();
  const leaver = new AbortController();
  bench.ask('/a', { clientAbort: leaver.signal });
  await turn();
  leaver.abort();
  const late = bench.ask('/a');
  await turn();
  t.equal(bench.upstream.count, 2);
  bench.upstream.last.respond(200, FRESH, 'late');
  t.equal((await late.whole()).body.toString(), 'late');
});

test('a request that was aborted before it started costs upstream nothing', async (t) => {
  const bench = new Bench();
  for (const method of ['GET', 'HEAD', 'POST']) {
    t.equal(await bench.ask('/a', { method, clientAbort: AbortSignal.abort() }).error(), 'client_closed', method);
  }
  t.same(bench.leaks(), []);
});

test('waiters that left are not fetched again when the response is private', async (t) => {
  const bench = new Bench();
  const leaver = new AbortController();
  bench.ask('/a');
  for (let i = 0; i < 5; i++) bench.ask('/a', { clientAbort: leaver.signal });
  await turn();
  leaver.abort();
  bench.upstream.last.head(200, ['Cache-Control', 'private']);
  await turn();
  t.equal(bench.upstream.count, 1);
});

for (const { what, received, headers, goesOn } of [
  { what: 'half of it is there', received: 4_000_000, headers: LARGE, goesOn: true },
  { what: 'hardly anything is there', received: 100_000, headers: LARGE, goesOn: false },
  { what: 'less than a MiB is to come', received: 0, headers: [...FRESH, 'Content-Length', '1000000'], goesOn: true },
  { what: 'its length is not known', received: 10, headers: FRESH, goesOn: true },
  {
    what: 'it is not kept',
    received: 4_000_000,
    headers: ['Cache-Control', 'no-store', 'Content-Length', '8000000'],
    goesOn: false,
  },
]) {
  test(`every reader leaves in the middle of the body, ${what}: ${goesOn ? 'the fill is finished' : 'the fill is aborted'}`, async (t) => {
    const bench = new Bench();
    const asked = bench.ask('/a');
    await turn();
    bench.upstream.last.head(200, headers);
    const reader = await asked.reader();
    const read =
      received === 0
        ? undefined
        : (async () => {
            for (let n = 0; n < received; ) n += (await reader.next())?.length ?? 0;
          })();
    for (let at = 0; at < received; at += 50_000) bench.upstream.last.data(pattern(Math.min(50_000, received - at)));
    await read;
    reader.close();
    t.equal(bench.upstream.last.isAborted, !goesOn);
    if (goesOn) {
      const length = Number(field(headers, 'content-length') ?? received);
      if (length > received) bench.upstream.last.data(pattern(length - received));
      bench.upstream.last.end();
      t.equal((await bench.ask('/a').whole()).cache.hit, true);
    }
    t.same(bench.leaks(), []);
  });
}

test('a fill without readers is aborted when it turns out too large to store', async (t) => {
  const bench = new Bench({ site: { max_object: '300KiB' } });
  const asked = bench.ask('/a');
  await turn();
  const exchange = bench.upstream.last.head(200, FRESH).data(pattern(100_000));
  (await asked.reader()).close();
  t.notOk(exchange.isAborted);
  exchange.data(pattern(100_000), pattern(100_000), pattern(100_000), pattern(100_000));
  t.ok(exchange.isAborted);
  t.notOk(exchange.isPaused && exchange.isOpen);
  t.same(bench.leaks(), []);
});

test('a fill without readers is aborted when it finds no memory', async (t) => {
  const bench = new Bench({ maxBytes: 250_000 });
  const asked = bench.ask('/a');
  await turn();
  const exchange = bench.upstream.last.head(200, FRESH).data(pattern(100_000));
  (await asked.reader()).close();
  exchange.data(pattern(100_000), pattern(100_000));
  t.ok(exchange.isAborted);
  t.same(bench.leaks(), []);
});

test('a fill without readers is aborted when it is invalidated', async (t) => {
  const bench = new Bench();
  const asked = bench.ask('/a');
  await turn();
  const exchange = bench.upstream.last.head(200, FRESH).data(pattern(100_000));
  (await asked.reader()).close();
  t.notOk(exchange.isAborted);
  bench.engine.invalidate(bench.keyOf('/a'), undefined);
  t.ok(exchange.isAborted);
  t.same(bench.leaks(), []);
});

test('when upstream fails in the body, every reader fails after the bytes before, and nothing is stored', async (t) => {
  const bench = new Bench();
  const asked = [bench.ask('/a'), bench.ask('/a'), bench.ask('/a')];
  await turn();
  const exchange = bench.upstream.last.head(200, LARGE).data('some');
  const readers = await Promise.all(asked.map((one) => one.reader()));
  exchange.fail('origin_bad_response');
  for (const reader of readers) {
    t.equal((await reader.next())?.toString(), 'some');
    await t.rejects(async () => reader.next(), { code: 'origin_bad_response' });
  }
  t.equal(bench.store.size, 0);
  t.same(bench.leaks(), []);
});

test('a reader that waits for more fails when the body breaks off', async (t) => {
  const bench = new Bench();
  const asked = bench.ask('/a');
  await turn();
  bench.upstream.last.head(200, FRESH).data('some');
  const reader = await asked.reader();
  await reader.next();
  const next = reader.next();
  bench.upstream.last.fail('origin_timeout');
  await t.rejects(async () => next, { code: 'origin_timeout' });
  t.same(bench.leaks(), []);
});

for (const { what, length, body } of [
  { what: 'less', length: '10', body: 'short' },
  { what: 'more', length: '3', body: 'longer' },
]) {
  test(`${what} body than Content-Length says is an error to readers and not stored`, async (t) => {
    const bench = new Bench();
    const asked = bench.ask('/a');
    await turn();
    bench.upstream.last.respond(200, [...FRESH, 'Content-Length', length], body);
    await t.rejects(asked.whole(), { code: 'origin_bad_response' });
    t.equal(bench.store.size, 0);
    t.same(bench.leaks(), []);
  });
}

test('a request that leaves between the head and the body leaves nothing behind', async (t) => {
  const bench = new Bench();
  const asked = bench.ask('/a', { keeps: false });
  await turn();
  bench.upstream.last.head(200, LARGE).data(pattern(300_000));
  (await asked.answer).body?.close();
  t.ok(bench.upstream.last.isAborted);
  t.same(bench.leaks(), []);
});

test('a HEAD or 304 does not keep a large body in flight', async (t) => {
  const bench = new Bench();
  const asked = bench.ask('/a', { headers: ['If-None-Match', '"1"'] });
  await turn();
  bench.upstream.last.head(200, [...LARGE, 'ETag', '"1"']);
  t.equal((await asked.whole()).status, 304);
  await turn();
  t.ok(bench.upstream.last.isAborted);
  t.same(bench.leaks(), []);
});

test('a resumed reader that was closed delivers nothing more', async (t) => {
  const bench = new Bench();
  const asked = bench.ask('/a');
  await turn();
  bench.upstream.last.head(200, FRESH);
  const reader = await asked.reader();
  const next = reader.next();
  reader.close();
  reader.close();
  t.equal(await next, null);
  t.equal((await readAll(reader)).length, 0);
});
