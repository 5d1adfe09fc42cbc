/** One fetch for everybody (promise P2): who joins, who waits for whom, and who does not. */
import { test } from 'tap';
import { HTTP_ERRORS, type HttpErrorCode } from '../../../http/errors.ts';
import { formatHttpDate } from '../../../http/fields/date.ts';
import { Bench, field, pattern, turn } from '../engine/bench.ts';

const FRESH = ['Cache-Control', 'max-age=60'];

test('N requests for one cold key cause one fetch, and all get the same bytes', async (t) => {
  const bench = new Bench();
  const asked = Array.from({ length: 50 }, () => bench.ask('/a'));
  await turn();
  t.equal(bench.upstream.count, 1);
  const body = pattern(300_000);
  const exchange = bench.upstream.last.head(200, [...FRESH, 'Content-Length', String(body.length)]);
  const bodies = asked.map((one) => one.whole());
  for (let at = 0; at < body.length; at += 70_000) {
    exchange.data(body.subarray(at, at + 70_000));
    await turn();
  }
  exchange.end();
  const wholes = await Promise.all(bodies);
  t.ok(wholes.every((whole) => whole.body.equals(body)));
  t.equal(wholes.filter(({ cache }) => cache.collapsed).length, 49);
  t.equal(bench.counts.fillCollapsed, 49);
  t.equal(bench.upstream.count, 1);
  t.same(bench.leaks(), []);
});

test('a request from a peer does not wait for a fill that goes to another peer', async (t) => {
  const bench = new Bench();
  const visitor = bench.ask('/a', { asksPeer: true });
  const asOwner = bench.ask('/a', { forPeer: true });
  const another = bench.ask('/a');
  await turn();
  t.equal(bench.upstream.count, 2, 'or two edges that take each other for the owner wait for each other');
  for (const exchange of bench.upstream.exchanges) exchange.respond(200, FRESH, 'page');
  t.equal((await visitor.whole()).body.toString(), 'page');
  t.equal((await asOwner.whole()).body.toString(), 'page');
  t.equal((await another.whole()).body.toString(), 'page', 'a visitor joins whichever there is');
  t.same(bench.leaks(), []);
});

for (const store of ['memory', 'shared'] as const) {
  for (const keeps of [true, false]) {
    for (const length of [1_000, 100_000]) {
      const what = `a body of ${length} bytes that is ${keeps ? 'stored' : 'not stored'}, memory: ${store}`;
      test(`a body that comes with its head is held until the waiting requests have opened it: ${what}`, async (t) => {
        const bench = new Bench({ store, maxBytes: 2 ** 22 });
        const asked = Array.from({ length: 5 }, () => bench.ask('/a', { keeps }));
        await turn();
        const body = pattern(length);
        bench.upstream.last.respond(200, [...FRESH, 'Content-Length', String(length)], body);
        // In the same turn: memory that was let go would be written over.
        const writers = Array.from({ length: 60 }, () => bench.store.begin(length));
        for (const writer of writers) writer?.append(Buffer.alloc(length, 'x'));
        for (const one of asked) {
          const { body: got, cache } = await one.whole();
          t.ok(got.equals(body), JSON.stringify(cache));
        }
        t.equal(bench.counts.fillCollapsed, 4);
        for (const writer of writers) writer?.abort();
        t.same(bench.leaks(), []);
      });
    }
  }
}

for (const [code, facts] of Object.entries(HTTP_ERRORS)) {
  const isOfRequester = facts.source === 'requester';
  const what = isOfRequester ? 'does not answer the requests that joined it' : 'answers all that joined it';
  test(`a fill that fails with ${code} ${what}`, async (t) => {
    const bench = new Bench();
    const first = bench.ask('/a');
    const joined = bench.ask('/a');
    await turn();
    bench.upstream.last.fail(code as HttpErrorCode);
    t.equal(await first.error(), code);
    await turn();
    t.equal(bench.upstream.count, isOfRequester ? 2 : 1);
    if (isOfRequester) bench.upstream.last.respond(200, FRESH, 'page');
    t.equal(await joined.error(), isOfRequester ? 'answered with 200' : code);
    if (isOfRequester) await joined.whole();
    t.same(bench.leaks(), []);
  });
}

test('requests that joined have answers that differ only as the requests do', async (t) => {
  const bench = new Bench();
  const options = [
    {},
    {},
    { headers: ['Range', 'bytes=0-1'] },
    { headers: ['If-None-Match', '"v1"'] },
    {},
    { headers: ['Range', 'bytes=2-'] },
    {},
  ];
  const asked = options.map((one) => bench.ask('/a', one));
  await turn();
  for (const exchange of bench.upstream.open) {
    exchange.respond(200, [...FRESH, 'ETag', '"v1"', 'Content-Length', '4'], 'page');
  }
  const wholes = await Promise.all(asked.map((one) => one.whole()));
  t.strictSame(
    wholes.map(({ status, body }) => `${status} ${body}`),
    ['200 page', '200 page', '206 pa', '304 ', '200 page', '206 ge', '200 page'],
  );
  const [leader, ...joined] = wholes.filter(({ status }) => status === 200);
  t.equal(leader?.cache.collapsed, undefined);
  for (const one of joined) t.strictSame(one.headers, [...(leader?.headers ?? []), 'Date', bench.date, 'Age', '0']);
  t.same(bench.leaks(), []);
});

test('a request that joined a while later has an answer of that time', async (t) => {
  const bench = new Bench();
  const first = bench.ask('/a');
  await turn();
  const exchange = bench.upstream.last.head(200, FRESH);
  const joined = bench.ask('/a');
  await turn();
  bench.pass(5);
  const later = bench.ask('/a');
  await turn();
  exchange.data('page').end();
  await first.whole();
  for (const [one, age] of [
    [joined, '0'],
    [later, '5'],
  ] as const) {
    const { headers, cache } = await one.whole();
    t.equal(field(headers, 'age'), age);
    t.equal(cache.ttlMs, 60_000 - Number(age) * 1_000);
  }
  t.same(bench.leaks(), []);
});

test('a request that arrives while the body is in flight reads it from its beginning', async (t) => {
  const bench = new Bench();
  const first = bench.ask('/a').whole();
  await turn();
  const exchange = bench.upstream.last.head(200, FRESH).data('one ');
  await turn();
  const second = bench.ask('/a').whole();
  await turn();
  exchange.data('two').end();
  t.equal((await first).body.toString(), 'one two');
  t.equal((await second).body.toString(), 'one two');
  t.equal(bench.upstream.count, 1);
  t.same(bench.leaks(), []);
});

test('a collapsed request gets a new response when the fill has gone stale', async (t) => {
  const bench = new Bench();
  const first = bench.ask('/a');
  await turn();
  const old = bench.upstream.last.head(200, ['Cache-Control', 'max-age=5']).data('old');
  const reading = first.whole();
  await turn();
  bench.pass(6);
  const late = [bench.ask('/a'), bench.ask('/a'), bench.ask('/a')];
  await turn();
  t.equal(bench.upstream.count, 2, 'one fetch for all who are late');
  bench.upstream.last.respond(200, ['Cache-Control', 'max-age=5'], 'new');
  for (const one of late) t.equal((await one.whole()).body.toString(), 'new');
  old.end();
  t.equal((await reading).body.toString(), 'old');
  t.equal((await bench.ask('/a').whole()).body.toString(), 'new', 'the older response does not replace the newer one');
  t.equal(bench.upstream.count, 2);
  t.same(bench.leaks(), []);
});

for (const { what, headers, ageOfDate = 0, release = false } of [
  { what: 'answers all who waited', headers: ['Cache-Control', 'max-age=2'] },
  { what: 'the same with must-revalidate', headers: ['Cache-Control', 'max-age=2, must-revalidate'] },
  { what: 'the same with s-maxage', headers: ['Cache-Control', 's-maxage=2'] },
  {
    what: 'releases them if it was stale before',
    headers: ['Cache-Control', 'max-age=2'],
    ageOfDate: 3,
    release: true,
  },
  { what: 'releases them if its Age says so', headers: ['Cache-Control', 'max-age=2', 'Age', '2'], release: true },
  { what: 'releases them if it never was fresh', headers: ['Cache-Control', 'max-age=0'], release: true },
  { what: 'releases them if it is nobody else’s', headers: ['Cache-Control', 'private, max-age=2'], release: true },
]) {
  test(`a fill that takes longer than its freshness lifetime: ${what}`, async (t) => {
    const bench = new Bench();
    const date = formatHttpDate(bench.now - ageOfDate * 1_000);
    const asked = [bench.ask('/a'), bench.ask('/a'), bench.ask('/a')];
    await turn();
    bench.pass(2.5);
    asked.push(bench.ask('/a'));
    await turn();
    t.equal(bench.upstream.count, 1);
    bench.pass(0.5);
    bench.upstream.last.respond(200, ['Date', date, ...headers], 'slow');
    await turn();
    t.equal(bench.upstream.count, release ? 4 : 1);
    for (const exchange of bench.upstream.open) exchange.respond(200, headers, 'slow');
    for (const one of asked) t.equal((await one.whole()).body.toString(), 'slow');
    if (!release) {
      const later = [bench.ask('/a'), bench.ask('/a'), bench.ask('/a')];
      await turn();
      t.equal(bench.upstream.count, 2, 'it is stale for those who come later; they wait for one as well');
      bench.upstream.last.respond(200, headers, 'new');
      for (const one of later) t.equal((await one.whole()).body.toString(), 'new');
    }
    t.same(bench.leaks(), []);
  });
}

test('a 304 that takes longer than the freshness lifetime answers every waiter', async (t) => {
  const bench = new Bench();
  const headers = ['Cache-Control', 'max-age=2', 'ETag', '"1"'];
  await bench.fetched('/a', 200, headers, 'slow');
  bench.pass(5);
  const asked = [bench.ask('/a'), bench.ask('/a'), bench.ask('/a')];
  await turn();
  bench.pass(3);
  bench.upstream.last.respond(304, headers);
  for (const one of asked) t.equal((await one.whole()).body.toString(), 'slow');
  t.equal(bench.upstream.count, 2);
  t.same(bench.leaks(), []);
});

test('a response from a node counts as fresh at the time of the request', async (t) => {
  for (const wasFresh of [true, false]) {
    const bench = new Bench();
    const asked = [bench.ask('/a'), bench.ask('/a'), bench.ask('/a')];
    await turn();
    bench.pass(3);
    const headers = ['Cache-Control', 'max-age=2', 'Age', '3']; // a shield has waited, too
    bench.upstream.last.head(200, headers, { identity: undefined, seq: 0, wasFresh }).end();
    await turn();
    t.equal(bench.upstream.count, wasFresh ? 1 : 3);
    for (const exchange of bench.upstream.open) exchange.respond(200, headers);
    const answers = await Promise.all(asked.map((one) => one.answer));
    t.same(
      answers.map((answer) => answer.wasFresh),
      [wasFresh, wasFresh, wasFresh],
      'and is passed on',
    );
    for (const one of asked) await one.whole();
    t.same(bench.leaks(), []);
  }
});

test('each variant has a fetch of its own', async (t) => {
  const bench = new Bench();
  const languages = ['de', 'en', 'fr'];
  const asked = Array.from({ length: 30 }, (_, i) => {
    const language = languages[i % 3] as string;
    return { language, one: bench.ask('/a', { headers: ['Accept-Language', language] }) };
  });
  await turn();
  t.equal(bench.upstream.count, 1, 'nobody knows of variants yet');
  const answer = (): void => {
    for (const { request, ...exchange } of bench.upstream.open.map((open) => ({ request: open.request, open }))) {
      const language = field(request.headers, 'accept-language') as string;
      exchange.open.respond(200, [...FRESH, 'Vary', 'Accept-Language'], language);
    }
  };
  answer();
  await turn();
  t.equal(bench.upstream.count, 3, 'one for each language');
  answer();
  for (const { language, one } of asked) t.equal((await one.whole()).body.toString(), language);
  t.equal(bench.upstream.count, 3);
  t.same(bench.leaks(), []);
});

test('once Vary is known, requests for different variants do not wait for each other', async (t) => {
  const bench = new Bench();
  const headers = ['Cache-Control', 'max-age=1', 'Vary', 'X-Kind'];
  await bench.fetched('/a', 200, headers, 'a', { headers: ['X-Kind', 'a'] });
  bench.pass(5);
  bench.ask('/a', { headers: ['X-Kind', 'a'] });
  const b = bench.ask('/a', { headers: ['X-Kind', 'b'] });
  await turn();
  t.equal(bench.upstream.count, 3);
  bench.upstream.last.respond(200, headers, 'b');
  t.equal((await b.whole()).body.toString(), 'b');
});

for (const { what, headers, status } of [
  { what: 'private', headers: ['Cache-Control', 'private, max-age=60'], status: 200 },
  { what: 'no-store', headers: ['Cache-Control', 'no-store'], status: 200 },
  { what: 'Set-Cookie', headers: [...FRESH, 'Set-Cookie', 'a=b'], status: 200 },
  { what: 'no lifetime', headers: [], status: 200 },
  { what: 'no-cache', headers: ['Cache-Control', 'no-cache', 'ETag', '"1"'], status: 200 },
  { what: 'Vary: *', headers: [...FRESH, 'Vary', '*'], status: 200 },
]) {
  test(`${what}: waiters are released when the head arrives, not at the end of the body`, async (t) => {
    const bench = new Bench();
    const asked = [bench.ask('/a'), bench.ask('/a'), bench.ask('/a'), bench.ask('/a')];
    await turn();
    t.equal(bench.upstream.count, 1);
    bench.upstream.at(0).head(status, headers).data('first');
    await turn();
    t.equal(bench.upstream.count, 4);
    for (const i of [3, 1, 2]) bench.upstream.at(i).respond(status, headers, `number ${i}`);
    const bodies = await Promise.all(asked.slice(1).map((one) => one.whole()));
    t.same(bodies.map(({ body }) => body.toString()).sort(), ['number 1', 'number 2', 'number 3']);
    bench.upstream.at(0).end();
    t.equal((await asked[0]?.whole())?.body.toString(), 'first');
    t.same(bench.leaks(), []);
  });
}

test('the cost of releasing waiters of a private response grows linearly with their number', async (t) => {
  const release = async (count: number): Promise<number> => {
    const bench = new Bench({ maxWaiters: count });
    const asked = Array.from({ length: count }, () => bench.ask('/private'));
    await turn();
    const started = process.threadCpuUsage();
    bench.upstream.last.respond(200, ['Cache-Control', 'private'], 'own');
    await turn();
    for (const exchange of bench.upstream.exchanges.slice(1))
      exchange.respond(200, ['Cache-Control', 'private'], 'own');
    const wholes = await Promise.all(asked.map((one) => one.whole()));
    const { user, system } = process.threadCpuUsage(started);
    t.equal(bench.upstream.count, count);
    t.ok(wholes.every(({ body }) => body.toString() === 'own'));
    t.same(bench.leaks(), []);
    return user + system;
  };
  await release(1_000);
  // The least of some of each: what else the machine does makes single ones dearer, and none cheaper.
  let [few, many] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let i = 0; i < 3; i++) {
    few = Math.min(few, await release(1_000), await release(1_000));
    many = Math.min(many, await release(32_000));
  }
  // More memory takes more than its share of garbage collection; the square of it would be 1,024 times as much.
  t.ok(many < 90 * few, `${many} µs for 32,000, ${few} µs for 1,000`);
});

test('an uncacheable key is hit-for-miss for hit_for_miss_ttl, and no longer', async (t) => {
  const bench = new Bench({ site: { hit_for_miss_ttl: '10s' } });
  await bench.fetched('/a', 200, ['Cache-Control', 'private'], 'mine');
  bench.ask('/a');
  bench.ask('/a');
  await turn();
  t.equal(bench.upstream.count, 3, 'not collapsed while it is remembered');
  for (const open of bench.upstream.open) open.fail();
  bench.pass(10);
  bench.ask('/a');
  bench.ask('/a');
  await turn();
  t.equal(bench.upstream.count, 4, 'collapsed again');
});

test('a shareable response ends hit-for-miss early', async (t) => {
  const bench = new Bench();
  await bench.fetched('/a', 200, ['Cache-Control', 'private'], 'mine');
  await bench.fetched('/a', 200, ['Cache-Control', 'max-age=1'], 'ours');
  bench.pass(2);
  bench.ask('/a');
  bench.ask('/a');
  await turn();
  t.equal(bench.upstream.count, 3);
});

test('a hit-for-miss request keeps its own conditions', async (t) => {
  const bench = new Bench();
  await bench.fetched('/a', 200, ['Cache-Control', 'private', 'ETag', '"1"'], 'mine');
  const asked = bench.ask('/a', { headers: ['If-None-Match', '"1"'] });
  await turn();
  t.equal(field(bench.upstream.last.request.headers, 'if-none-match'), '"1"');
  bench.upstream.last.respond(304, ['ETag', '"1"']);
  t.equal((await asked.whole()).status, 304);
  t.same(bench.leaks(), []);
});

for (const status of [500, 502, 503, 504]) {
  test(`a ${status} is shared with waiters and does not make the key hit-for-miss`, async (t) => {
    const bench = new Bench();
    const asked = [bench.ask('/a'), bench.ask('/a'), bench.ask('/a')];
    await turn();
    bench.upstream.last.respond(status, [], 'broken');
    for (const one of asked)
      t.same(
        { ...(await one.whole()), headers: 0, cache: 0 },
        { status, headers: 0, body: Buffer.from('broken'), cache: 0 },
      );
    t.equal(bench.upstream.count, 1);
    bench.ask('/a');
    bench.ask('/a');
    await turn();
    t.equal(bench.upstream.count, 2, 'asked again, and collapsed');
  });
}

test('a private 500 is not shared', async (t) => {
  const bench = new Bench();
  bench.ask('/a');
  bench.ask('/a');
  await turn();
  bench.upstream.last.respond(500, ['Cache-Control', 'private'], 'broken for you');
  await turn();
  t.equal(bench.upstream.count, 2);
});

test('a failed connection answers every waiter', async (t) => {
  const bench = new Bench();
  const asked = [bench.ask('/a'), bench.ask('/a'), bench.ask('/a')];
  await turn();
  bench.upstream.last.fail('origin_unreachable');
  for (const one of asked) t.equal(await one.error(), 'origin_unreachable');
  t.equal(bench.upstream.count, 1);
  t.equal(bench.counts.fillFailed, 1);
  t.same(bench.leaks(), []);
});

test('requests with credentials do not keep the others from collapsing', async (t) => {
  const bench = new Bench();
  const authorised = { headers: ['Authorization', 'Basic YTpi'] };
  await bench.fetched('/a', 200, FRESH, 'for a', authorised);
  t.same(bench.refusals, ['authorization']);
  bench.ask('/a');
  bench.ask('/a');
  await turn();
  t.equal(bench.upstream.count, 2, 'one fetch for both without credentials');
  bench.ask('/a', authorised);
  bench.ask('/a', authorised);
  await turn();
  t.equal(bench.upstream.count, 4, 'those with credentials are remembered as uncacheable');
});

test('a request with credentials does not join a fill of a request without, on a cold key', async (t) => {
  const bench = new Bench();
  bench.ask('/a', { headers: ['Authorization', 'Basic YTpi'] });
  const anonymous = bench.ask('/a');
  await turn();
  t.equal(bench.upstream.count, 2);
  bench.upstream.at(1).respond(200, FRESH, 'public');
  t.equal((await anonymous.whole()).body.toString(), 'public');
});

test('requests above max_waiters go upstream themselves', async (t) => {
  const bench = new Bench({ maxWaiters: 3 });
  const asked = Array.from({ length: 5 }, () => bench.ask('/a'));
  await turn();
  t.equal(bench.upstream.count, 3, 'three wait for the first, two go alone');
  for (const exchange of bench.upstream.open) exchange.respond(200, FRESH, 'same');
  for (const one of asked) t.equal((await one.whole()).body.toString(), 'same');
  t.same(bench.leaks(), []);
});

test('with cache: never a request is not looked up, collapsed or stored', async (t) => {
  const bench = new Bench({ site: { rules: [{ path: '/live/*', cache: 'never' }] } });
  const asked = [bench.ask('/live/a'), bench.ask('/live/a', { headers: ['If-None-Match', '"1"'] })];
  await turn();
  t.equal(bench.upstream.count, 2);
  t.equal(field(bench.upstream.at(1).request.headers, 'if-none-match'), '"1"');
  for (const exchange of bench.upstream.open) exchange.respond(200, ['Cache-Control', 'max-age=60'], 'x');
  for (const one of asked) t.equal((await one.whole()).cache.fwd, 'bypass');
  t.equal(bench.store.size, 0);
  t.same(bench.refusals, ['rule-never', 'rule-never']);
  t.same(bench.leaks(), []);
});

test('a node that stores no copy still shares a response with its waiters, at their own pace', async (t) => {
  const bench = new Bench({ fillWindowBytes: 1_000 });
  const body = pattern(500_000);
  const asked = [
    bench.ask('/a', { keeps: false }),
    bench.ask('/a', { keeps: false }),
    bench.ask('/a', { keeps: false }),
  ];
  await turn();
  const exchange = bench.upstream.last.head(200, [...FRESH, 'Content-Length', '500000']);
  const slow = await asked[2]?.reader();
  const quick = asked.slice(0, 2).map((one) => one.whole());
  for (let at = 0; at < body.length; at += 50_000) exchange.data(body.subarray(at, at + 50_000));
  exchange.end();
  for (const one of await Promise.all(quick)) t.ok(one.body.equals(body));
  t.equal(bench.upstream.count, 1);
  t.ok(bench.store.bytesInUse >= 500_000, 'held for the slow one');
  slow?.close();
  t.equal(bench.store.bytesInUse, 0, 'given back when the last one has gone');
  t.same(bench.refusals, ['not-hot']);
  t.same(bench.leaks(), []);
});

test('requests that arrive late for a body too large to store share one fetch', async (t) => {
  const bench = new Bench({ site: { max_object: '100KiB' } });
  const headers = [...FRESH, 'Content-Length', '400000'];
  const body = pattern(400_000);
  const first = bench.ask('/a').whole();
  await turn();
  const one = bench.upstream.last.head(200, headers).data(body.subarray(0, 200_000));
  await turn();
  one.data(body.subarray(200_000, 300_000));
  await turn();
  const late = [bench.ask('/a'), bench.ask('/a'), bench.ask('/a')].map((asked) => asked.whole());
  await turn();
  t.equal(bench.upstream.count, 2, 'the beginning is gone: one more fetch, for all three');
  bench.upstream.last.head(200, headers).data(body).end();
  one.data(body.subarray(300_000)).end();
  for (const whole of await Promise.all([first, ...late])) t.ok(whole.body.equals(body));
  t.equal(bench.upstream.count, 2);
  t.same(bench.leaks(), []);
});
