/** Storing responses and answering from them (RFC 9111, section 3). */
import { test } from 'tap';
import { formatCacheStatus } from '../../cache/cache-status.ts';
import { Bench, field, turn } from './engine/bench.ts';

const SWR = 'stale-while-revalidate';

for (const { rule, status = 200, headers, request = [], refusal } of [
  { rule: 'a lifetime', headers: ['Cache-Control', 'max-age=1'], refusal: undefined },
  { rule: 'a validator only', headers: ['ETag', '"1"'], refusal: undefined },
  { rule: 'nothing', headers: [], refusal: 'no-freshness' },
  { rule: 'no-store', headers: ['Cache-Control', 'no-store, max-age=60'], refusal: 'no-store' },
  {
    rule: 'no-store in a second line',
    headers: ['Cache-Control', 'max-age=60', 'Cache-Control', 'no-store'],
    refusal: 'no-store',
  },
  {
    rule: 'no-store behind a quote that never ends',
    headers: ['Cache-Control', 'max-age=60, x="y', 'Cache-Control', 'no-store'],
    refusal: 'no-store',
  },
  { rule: 'private', headers: ['Cache-Control', 'private, s-maxage=60'], refusal: 'private' },
  {
    rule: 'private twice, once with fields',
    headers: ['Cache-Control', 'private="x", private, max-age=60'],
    refusal: 'private',
  },
  { rule: 'Set-Cookie', headers: ['Cache-Control', 'max-age=60', 'Set-Cookie', 'a=1'], refusal: 'set-cookie' },
  {
    rule: 'Set-Cookie, public',
    headers: ['Cache-Control', 'public, max-age=60', 'Set-Cookie', 'a=1'],
    refusal: undefined,
  },
  { rule: 'Set-Cookie, s-maxage', headers: ['Cache-Control', 's-maxage=60', 'Set-Cookie', 'a=1'], refusal: undefined },
  {
    rule: 'Set-Cookie, targeted',
    headers: ['CDN-Cache-Control', 'max-age=60', 'Set-Cookie', 'a=1'],
    refusal: undefined,
  },
  {
    rule: 'Authorization',
    headers: ['Cache-Control', 'max-age=60'],
    request: ['Authorization', 'x'],
    refusal: 'authorization',
  },
  {
    rule: 'Authorization, public',
    headers: ['Cache-Control', 'public, max-age=60'],
    request: ['Authorization', 'x'],
    refusal: undefined,
  },
  { rule: 'Vary: *', headers: ['Cache-Control', 'max-age=60', 'Vary', 'X-A, *'], refusal: 'vary-star' },
  { rule: '404 with a lifetime', status: 404, headers: ['Cache-Control', 'max-age=60'], refusal: undefined },
  { rule: '302 without', status: 302, headers: ['Location', '/b'], refusal: 'status' },
  { rule: '599 with a lifetime', status: 599, headers: ['Cache-Control', 'max-age=60'], refusal: undefined },
  {
    rule: '599, must-understand',
    status: 599,
    headers: ['Cache-Control', 'max-age=60, must-understand'],
    refusal: 'status',
  },
  {
    rule: 'no-store, must-understand',
    headers: ['Cache-Control', 'max-age=60, no-store, must-understand'],
    refusal: undefined,
  },
]) {
  test(`RFC 9111 3: ${rule}: ${refusal ?? 'stored'}`, async (t) => {
    const bench = new Bench();
    const given = await bench.fetched('/a', status, headers, 'x', { headers: request });
    t.same(bench.refusals, refusal === undefined ? [] : [refusal]);
    t.equal(bench.store.size, refusal === undefined ? 1 : 0);
    t.same([given.cache.stored, given.cache.detail], [refusal === undefined, refusal]);
    t.same(bench.leaks(), []);
  });
}

test('no-cache="set-cookie" keeps the field out of the store and gives it to the first requester', async (t) => {
  const bench = new Bench();
  const headers = ['Cache-Control', 'max-age=60, no-cache="Set-Cookie"', 'Set-Cookie', 'a=1', 'X-Other', 'kept'];
  const first = await bench.fetched('/a', 200, headers, 'x');
  t.equal(field(first.headers, 'set-cookie'), 'a=1');
  const hit = await bench.ask('/a').whole();
  t.same([hit.cache.hit, field(hit.headers, 'set-cookie'), field(hit.headers, 'x-other')], [true, undefined, 'kept']);
});

test('waiters do not get the field either', async (t) => {
  const bench = new Bench();
  bench.ask('/a');
  const second = bench.ask('/a');
  await turn();
  bench.upstream.last.respond(200, ['Cache-Control', 'max-age=60, private="x-user"', 'X-User', 'first'], 'x');
  t.equal(field((await second.whole()).headers, 'x-user'), undefined);
});

test('RFC 9110 6.6.1: a response without Date gets one', async (t) => {
  const bench = new Bench();
  await bench.fetched('/a', 200, ['Cache-Control', 'max-age=60'], 'x');
  bench.pass(5);
  const { headers } = await bench.ask('/a').whole();
  t.same([field(headers, 'date'), field(headers, 'age')], ['Sat, 01 Mar 2025 00:00:00 GMT', '5']);
});

for (const { rule, config, headers, lifetime } of [
  { rule: 'ttl where the origin names none', config: { ttl: '5s' }, headers: [], lifetime: 5 },
  { rule: 'the origin goes first', config: { ttl: '5s' }, headers: ['Cache-Control', 'max-age=9'], lifetime: 9 },
  {
    rule: 'unless it is ignored',
    config: { ttl: '5s', origin_headers: 'ignore' },
    headers: ['Cache-Control', 'private, max-age=9'],
    lifetime: 5,
  },
  {
    rule: 'a targeted field goes first',
    config: {},
    headers: ['Cache-Control', 'max-age=9', 'CDN-Cache-Control', 'max-age=5'],
    lifetime: 5,
  },
  {
    rule: 'an invalid one does not',
    config: {},
    headers: ['Cache-Control', 'max-age=9', 'CDN-Cache-Control', 'max-age=5;;'],
    lifetime: 9,
  },
]) {
  test(`freshness lifetime: ${rule}`, async (t) => {
    const bench = new Bench({ site: { rules: [config] } });
    await bench.fetched('/a', 200, [...headers, 'ETag', '"1"'], 'x');
    bench.pass(lifetime - 1);
    t.equal((await bench.ask('/a').whole()).cache.hit, true);
    bench.pass(1);
    bench.ask('/a');
    await turn();
    t.equal(bench.upstream.count, 2);
  });
}

test('requests after a purge of a key in flight get a newer response', async (t) => {
  const bench = new Bench();
  bench.ledger.restart({ terms: [{ identity: 'j', after: -1 }], newest: 0, floor: 0 });
  const before = bench.ask('/a');
  await turn();
  const old = bench.upstream.last;
  bench.ledger.apply([{ seq: 1, site: 'shop', kind: 'url', selector: '//shop.test/a', soft: false }]);
  const after = [bench.ask('/a'), bench.ask('/a')];
  await turn();
  t.equal(bench.upstream.count, 2, 'one new fetch for both');
  bench.upstream.last.respond(200, ['Cache-Control', 'max-age=60'], 'new');
  old.respond(200, ['Cache-Control', 'max-age=60'], 'old');
  t.equal((await before.whole()).body.toString(), 'old');
  for (const one of after) t.equal((await one.whole()).body.toString(), 'new');
  t.equal((await bench.ask('/a').whole()).body.toString(), 'new');
  t.equal(bench.upstream.count, 2);
  t.same(bench.leaks(), []);
});

test('purged bytes do not return as a part of a combined response', async (t) => {
  const bench = new Bench();
  bench.ledger.restart({ terms: [{ identity: 'j', after: -1 }], newest: 0, floor: 0 });
  const part = (first: number, last: number, bytes: string) =>
    bench.fetched(
      '/a',
      206,
      ['Cache-Control', 'max-age=60', 'ETag', '"1"', 'Content-Range', `bytes ${first}-${last}/6`],
      bytes,
      {
        headers: ['Range', `bytes=${first}-${last}`],
      },
    );
  await part(0, 2, 'old');
  bench.ledger.apply([{ seq: 1, site: 'shop', kind: 'url', selector: '//shop.test/a', soft: false }]);
  await part(3, 5, 'new');
  bench.ask('/a');
  await turn();
  t.equal(bench.upstream.count, 3);
});

for (const soft of [false, true]) {
  test(`a HEAD does not revive what a ${soft ? 'soft' : 'hard'} purge has named`, async (t) => {
    const bench = new Bench();
    bench.ledger.restart({ terms: [{ identity: 'j', after: -1 }], newest: 0, floor: 0 });
    await bench.fetched('/a', 200, ['Cache-Control', 'max-age=60, must-revalidate', 'ETag', '"1"'], 'old');
    bench.ledger.apply([{ seq: 1, site: 'shop', kind: 'url', selector: '//shop.test/a', soft }]);
    const head = bench.ask('/a', { method: 'HEAD' });
    await turn();
    bench.upstream.last.respond(200, ['ETag', '"1"']);
    await head.whole();
    bench.ask('/a');
    await turn();
    t.equal(bench.upstream.count, 3);
  });
}

test('a response fetched after a purge is newer than the stored one, even if the clock was set back', async (t) => {
  const bench = new Bench();
  await bench.fetched('/a', 200, ['Cache-Control', 'max-age=60'], 'old');
  bench.pass(-3_600);
  bench.ledger.apply([{ seq: 1, site: 'shop', kind: 'everything', selector: '', soft: true }]);
  const { body, cache } = await bench.fetched('/a', 200, ['Cache-Control', 'max-age=60'], 'new');
  t.same([body.toString(), cache.detail], ['new', undefined], 'what is from the future is of unknown age: no window');
  t.equal((await bench.ask('/a').whole()).body.toString(), 'new');
  t.equal(bench.upstream.count, 2);
  t.same(bench.leaks(), []);
});

for (const { what, cacheControl, purge, ageSeconds, headers, fails, detail, ttl } of [
  { what: 'a fresh response', cacheControl: 'max-age=60', purge: false, ageSeconds: 9, detail: undefined, ttl: 51 },
  { what: 'a stale one', cacheControl: 'max-age=5', purge: false, ageSeconds: 9, detail: SWR, ttl: -4 },
  { what: 'one that was purged softly', cacheControl: 'max-age=60', purge: true, ageSeconds: 9, detail: SWR, ttl: -1 },
  { what: 'a stale one, purged softly', cacheControl: 'max-age=5', purge: true, ageSeconds: 9, detail: SWR, ttl: -4 },
  {
    what: 'one that was purged softly, of a failing origin',
    cacheControl: 'max-age=60, must-revalidate',
    purge: true,
    ageSeconds: 9,
    fails: true,
    detail: 'stale-if-error',
    ttl: -1,
  },
  {
    what: 'a fresh one that the visitor wants validated, of a failing origin',
    cacheControl: 'max-age=60',
    purge: false,
    ageSeconds: 9,
    headers: ['Cache-Control', 'no-cache'],
    fails: true,
    detail: 'stale-if-error',
    ttl: 51,
  },
] as const) {
  test(`RFC 9211 2.4: ttl of ${what} is ${ttl}`, async (t) => {
    const bench = new Bench({ site: { rules: [{ request_directives: 'honour', stale_while_revalidate: '30s' }] } });
    await bench.fetched('/a', 200, ['Cache-Control', cacheControl], 'page');
    bench.pass(ageSeconds);
    if (purge) bench.ledger.apply([{ seq: 1, site: 'shop', kind: 'everything', selector: '', soft: true }]);
    const asked = bench.ask('/a', { headers: headers ?? [] });
    await turn();
    if (fails === true) bench.upstream.last.respond(503, []);
    const { cache } = await asked.whole();
    t.equal(cache.detail, detail);
    t.equal(/;ttl=(-?\d+)/.exec(formatCacheStatus('eu-1', cache))?.[1], `${ttl}`);
  });
}
