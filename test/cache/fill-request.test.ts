/**
 * Hit-for-miss: responses that nobody may share bound how many requests of
 * their key go upstream at a time; they never switch collapsing off.
 */
import fc from 'fast-check';
import { test } from 'tap';
import { Bench, field, turn } from './engine/bench.ts';

const FRESH = ['Cache-Control', 'max-age=60'];
const OWN = ['Cache-Control', 'private'];

for (const { what, status, headers, fetches } of [
  { what: '400', status: 400, headers: [], fetches: 1 },
  { what: '400 that says no-store', status: 400, headers: ['Cache-Control', 'no-store'], fetches: 1 },
  { what: '401', status: 401, headers: ['WWW-Authenticate', 'Basic'], fetches: 1 },
  { what: '404 without a lifetime', status: 404, headers: [], fetches: 1 },
  { what: '431', status: 431, headers: [], fetches: 1 },
  { what: '302 without a lifetime', status: 302, headers: ['Location', '/'], fetches: 2 },
  { what: 'private 200', status: 200, headers: OWN, fetches: 2 },
  { what: '200 with Set-Cookie', status: 200, headers: [...FRESH, 'Set-Cookie', 'a=b'], fetches: 2 },
]) {
  test(`after one ${what}, 50 concurrent requests for a shareable response cause ${fetches} upstream`, async (t) => {
    const bench = new Bench();
    await bench.fetched('/a', status, headers, 'not for all');
    const asked = Array.from({ length: 50 }, () => bench.ask('/a'));
    await turn();
    t.equal(bench.upstream.open.length, fetches);
    for (const exchange of bench.upstream.open) exchange.respond(200, FRESH, 'for all');
    for (const one of asked) t.equal((await one.whole()).body.toString(), 'for all');
    t.equal(bench.upstream.count, 1 + fetches);
    t.same(bench.leaks(), []);
  });

  test(`50 requests wait for one that is answered ${what}`, async (t) => {
    const bench = new Bench();
    const asked = Array.from({ length: 50 }, () => bench.ask('/a'));
    await turn();
    bench.upstream.last.respond(status, headers, 'not for all');
    await turn();
    t.equal(bench.upstream.open.length, status < 400 ? 49 : 1, 'a private response releases them, an error does not');
    for (const exchange of bench.upstream.open) exchange.respond(200, FRESH, 'for all');
    const bodies = await Promise.all(asked.map((one) => one.whole()));
    t.equal(bodies.filter(({ body }) => body.toString() === 'for all').length, 49);
    t.same(bench.leaks(), []);
  });
}

test('requests for a key that only ever fails wait for no more than a few failures', async (t) => {
  const bench = new Bench();
  const asked = Array.from({ length: 50 }, () => bench.ask('/a'));
  let rounds = 0;
  await turn();
  while (bench.upstream.open.length > 0) {
    rounds++;
    for (const exchange of bench.upstream.open) exchange.respond(401, [], 'who?');
    await turn();
  }
  for (const one of asked) t.equal((await one.whole()).status, 401);
  t.ok(rounds <= 4, `${rounds} rounds`);
  t.same(bench.leaks(), []);
});

test('requests for an uncacheable response go upstream together: each answer releases one more', async (t) => {
  const bench = new Bench();
  const rounds: number[] = [];
  for (let round = 0; round < 4; round++) {
    const asked = Array.from({ length: 100 }, () => bench.ask('/a'));
    await turn();
    rounds.push(bench.upstream.open.length);
    for (;;) {
      const { open } = bench.upstream;
      if (open.length === 0) break;
      for (const exchange of open) exchange.respond(200, OWN, 'mine');
      await turn();
    }
    for (const one of asked) await one.whole();
  }
  t.same(rounds, [1, 100, 100, 100], 'the first hundred answers are enough for the next hundred requests');
  t.same(bench.leaks(), []);
});

test('property: a herd causes no more upstream requests than there were unshareable answers, plus one', async (t) => {
  const answer = fc.constantFrom(
    { status: 200, headers: OWN },
    { status: 200, headers: FRESH },
    { status: 200, headers: ['Cache-Control', 'no-store'] },
    { status: 400, headers: [] },
    { status: 403, headers: OWN },
    { status: 503, headers: [] },
    { status: 302, headers: ['Location', '/'] },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(answer, { maxLength: 12 }), async (answers) => {
      const bench = new Bench();
      let unshared = 0;
      for (const { status, headers } of answers) {
        await bench.fetched('/a', status, headers, 'x');
        bench.pass(61); // past what is fresh, not past what is remembered
        if (headers === FRESH) unshared = 0;
        else unshared++;
      }
      const asked = Array.from({ length: 40 }, () => bench.ask('/a'));
      await turn();
      const { open } = bench.upstream;
      t.ok(open.length >= 1 && open.length <= 1 + unshared, `${open.length} after ${unshared}`);
      for (const exchange of open) exchange.respond(200, FRESH, 'for all');
      for (const one of asked) t.equal((await one.whole()).body.toString(), 'for all');
      t.equal(bench.upstream.count, answers.length + open.length);
    }),
    { numRuns: 50 },
  );
});

test('a waiter of a key known to be uncacheable goes upstream after as long as the origin took before', async (t) => {
  const bench = new Bench();
  bench.ask('/a');
  await turn();
  bench.pass(0.8); // the origin takes so long
  bench.upstream.last.respond(200, OWN, 'mine');
  await turn();
  const asked = [bench.ask('/a'), bench.ask('/a'), bench.ask('/a')]; // two may go, the third waits for the second
  await turn();
  t.equal(bench.upstream.open.length, 2);
  const third = await new Promise<(typeof bench.upstream)['last']>((resolve) => {
    bench.upstream.onRequest = resolve;
  });
  third.respond(200, OWN, 'third');
  t.equal((await asked[2]?.whole())?.body.toString(), 'third', 'while the others have no answer yet');
  for (const exchange of bench.upstream.open) exchange.respond(200, OWN, 'mine');
  for (const one of asked.slice(0, 2)) t.equal((await one.whole()).body.toString(), 'mine');
  t.same(bench.leaks(), []);
});

test('a request that starts a fill waits for it without a limit, and is one request upstream', async (t) => {
  const bench = new Bench();
  const first = bench.ask('/a');
  await turn();
  bench.upstream.last.respond(200, OWN, 'mine');
  await first.whole();
  // Two may go upstream together. These go with their visitors' own conditions, so nobody can join them.
  const conditional = [1, 2].map(() => bench.ask('/a', { headers: ['If-None-Match', '"mine"'] }));
  await turn();
  const starter = bench.ask('/a');
  await turn();
  const joined = bench.ask('/a');
  await turn();
  t.equal(bench.upstream.open.length, 3);
  await new Promise((resolve) => {
    bench.upstream.onRequest = resolve;
  });
  await turn();
  t.equal(bench.upstream.open.length, 4, 'only the request that had joined has gone upstream by itself');
  for (const exchange of bench.upstream.open) exchange.respond(200, OWN, 'mine');
  for (const one of [...conditional, starter, joined]) t.equal((await one.whole()).body.toString(), 'mine');
  t.equal(bench.upstream.count, 5);
  t.same(bench.leaks(), []);
});

const STORED = [...FRESH, 'ETag', '"1"', 'Last-Modified', 'Sat, 01 Feb 2025 00:00:00 GMT'];

for (const { condition, holds } of [
  { condition: ['If-Match', '*'], holds: true },
  { condition: ['If-Match', '"1"'], holds: true },
  { condition: ['If-Match', '"0", "1"'], holds: true },
  { condition: ['If-Match', 'W/"1"'], holds: false },
  { condition: ['If-Match', '"2"'], holds: false },
  { condition: ['If-Unmodified-Since', 'Sat, 01 Mar 2025 00:00:00 GMT'], holds: true },
  { condition: ['If-Unmodified-Since', 'Sat, 01 Feb 2025 00:00:00 GMT'], holds: true },
  { condition: ['If-Unmodified-Since', 'Wed, 01 Jan 2025 00:00:00 GMT'], holds: false },
  { condition: ['If-Unmodified-Since', 'yesterday'], holds: true },
  { condition: ['If-Match', '"1"', 'If-Unmodified-Since', 'Wed, 01 Jan 2025 00:00:00 GMT'], holds: true },
]) {
  const name = condition.join(' ');
  test(`RFC 9110 13.1.1, 13.1.4: ${name} ${holds ? 'is answered from the store' : 'is left to the origin'}`, async (t) => {
    const bench = new Bench();
    await bench.fetched('/a', 200, STORED, 'page');
    const asked = bench.ask('/a', { headers: condition });
    await turn();
    t.equal(bench.upstream.count, holds ? 1 : 2);
    if (!holds) {
      t.equal(field(bench.upstream.last.request.headers, condition[0] as string), condition[1]);
      bench.upstream.last.respond(412, [], 'changed');
    }
    t.equal((await asked.whole()).status, holds ? 200 : 412);
    t.same(bench.leaks(), []);
  });

  test(`of 50 concurrent requests with ${name}, few go upstream`, async (t) => {
    const bench = new Bench();
    const asked = Array.from({ length: 50 }, () => bench.ask('/a', { headers: condition }));
    await turn();
    t.ok(bench.upstream.open.length <= 5, `${bench.upstream.open.length}`);
    for (const exchange of bench.upstream.open) exchange.respond(200, STORED, 'page');
    for (const one of asked) t.equal((await one.whole()).body.toString(), 'page');
    t.same(bench.leaks(), []);
  });
}

const FEW = 5; // HEADs as they are, and one GET

for (const { what, headers, stored } of [
  { what: 'nothing stored', headers: [], stored: false },
  { what: 'a stale response', headers: [], stored: true },
  { what: 'Range and nothing stored', headers: ['Range', 'bytes=0-1'], stored: false },
  { what: 'If-None-Match and nothing stored', headers: ['If-None-Match', '"0"'], stored: false },
  { what: 'If-Match and nothing stored', headers: ['If-Match', '"1"'], stored: false },
]) {
  test(`of 50 concurrent HEADs with ${what}, few go upstream, and the others share a GET`, async (t) => {
    const bench = new Bench();
    if (stored) await bench.fetched('/a', 200, STORED, 'page');
    bench.pass(61);
    const before = bench.upstream.count;
    const asked = Array.from({ length: 50 }, () => bench.ask('/a', { method: 'HEAD', headers }));
    await turn();
    t.equal(bench.upstream.open.length, FEW);
    t.equal(bench.upstream.open.filter(({ request }) => request.method === 'GET').length, 1);
    for (const { request } of bench.upstream.open.filter(({ request }) => request.method === 'GET'))
      t.equal(field(request.headers, 'range'), undefined);
    const fresh = [...STORED, 'Date', bench.date];
    for (const exchange of bench.upstream.open)
      exchange.respond(200, fresh, exchange.request.method === 'GET' ? 'page' : '');
    for (const one of asked) {
      const { status, body, headers: sent } = await one.whole();
      t.equal(status, 200);
      t.equal(body.length, 0);
      t.equal(field(sent, 'etag'), '"1"');
    }
    t.equal(bench.upstream.count, before + FEW);
    t.equal((await bench.ask('/a').whole()).body.toString(), 'page', 'what the GET brought is stored');
    t.equal(bench.upstream.count, before + FEW);
    t.same(bench.leaks(), []);
  });
}

for (const status of [200, 401, 503]) {
  test(`HEADs for what is answered ${status} for one visitor only fetch no body each`, async (t) => {
    const bench = new Bench();
    const asked = Array.from({ length: 50 }, () => bench.ask('/a', { method: 'HEAD' }));
    await turn();
    let gets = 0;
    let rounds = 0;
    for (; bench.upstream.open.length > 0; rounds++) {
      t.ok(rounds > 0 || bench.upstream.open.length <= FEW);
      for (const exchange of bench.upstream.open) {
        const isGet = exchange.request.method === 'GET';
        if (isGet) gets++;
        exchange.respond(status, OWN, isGet ? 'mine' : '');
      }
      await turn();
    }
    for (const one of asked) t.equal((await one.whole()).status, status);
    t.ok(gets <= 4, `${gets} GETs`);
    t.same(bench.leaks(), []);
  });
}

test('property: however GETs and HEADs mix, few go upstream, and each is answered as it asked', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom('GET', 'HEAD'), { minLength: 1, maxLength: 40 }), async (methods) => {
      const bench = new Bench();
      const asked = methods.map((method) => ({ method, one: bench.ask('/a', { method }) }));
      await turn();
      t.ok(bench.upstream.open.length <= FEW, `${bench.upstream.open.length}`);
      for (const exchange of bench.upstream.open)
        exchange.respond(200, FRESH, exchange.request.method === 'GET' ? 'page' : '');
      for (const { method, one } of asked) t.equal((await one.whole()).body.toString(), method === 'GET' ? 'page' : '');
      t.same(bench.leaks(), []);
    }),
    { numRuns: 50 },
  );
});
