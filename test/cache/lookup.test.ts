/**
 * The lookup alone: each outcome once, and the same decision for a profile that several requests share, as far as that
 * one tells.
 */
import fc from 'fast-check';
import { test } from 'tap';
import type { Found } from '../../cache/lookup.ts';
import { RequestProfile } from '../../cache/request-profile.ts';
import { rulePath } from '../../config/rule-path.ts';
import type { RawHeaders } from '../../http/fields/headers.ts';
import { normalisePath } from '../../http/request-target.ts';
import { epochMs, monotonicMs } from '../../lib/clock.ts';
import { Bench } from './engine/bench.ts';

const RULES = [
  { path: '/honoured', request_directives: 'honour' },
  { path: '/never', cache: 'never' },
  { path: '/ruled', ttl: '1h' },
];

/** @param isShared - Whether other requests have the same section, which may differ in X-Forwarded-For and cookies. */
function lookUp(bench: Bench, target: string, headers: RawHeaders, isShared = false, method = 'GET'): Found {
  const request = bench.request(target, { method, headers });
  const { site, rules, keyed } = request;
  const differs = (name: string): boolean => name === 'x-forwarded-for' || name === 'cookie';
  const profile = new RequestProfile({
    site,
    rules,
    headers: request.headers,
    credentials: keyed.credentials,
    ...(isShared ? { differs } : {}),
  });
  return bench.engine.lookup(keyed.key, request, profile, epochMs(bench.now), monotonicMs(bench.now));
}

async function stocked(): Promise<Bench> {
  const bench = new Bench({ site: { rules: RULES } });
  const hour = ['Cache-Control', 'max-age=3600', 'Date', bench.date, 'ETag', '"1"'];
  await bench.fetched('/fresh', 200, hour, 'body');
  await bench.fetched('/honoured', 200, hour, 'body');
  await bench.fetched('/ruled', 200, ['Date', bench.date], 'body');
  await bench.fetched('/de', 200, [...hour, 'Vary', 'Accept-Language'], 'Körper', {
    headers: ['Accept-Language', 'de'],
  });
  await bench.fetched('/by-visitor', 200, [...hour, 'Vary', 'X-Forwarded-For'], 'you');
  await bench.fetched('/no-cache', 200, ['Cache-Control', 'no-cache', 'Date', bench.date, 'ETag', '"1"'], 'body');
  const windowed = ['Cache-Control', 'max-age=0, stale-while-revalidate=60', 'Date', bench.date, 'ETag', '"1"'];
  await bench.fetched('/windowed', 200, windowed, 'body');
  const part = [...hour, 'Content-Range', 'bytes 0-3/10', 'Content-Length', '4'];
  await bench.fetched('/part', 206, part, 'body', { headers: ['Range', 'bytes=0-3'] });
  return bench;
}

type Expected = readonly [outcome: Found['outcome'], reason: Found['reason'], isRefused?: boolean];

const CASES: readonly (readonly [target: string, headers: RawHeaders, Expected, method?: string])[] = [
  ['/fresh', [], ['fresh', undefined]],
  ['/fresh', [], ['fresh', undefined], 'HEAD'],
  ['/fresh', ['Cache-Control', 'no-cache'], ['fresh', undefined]],
  ['/honoured', ['Cache-Control', 'no-cache'], ['request', 'request']],
  ['/fresh', ['If-Match', '"1"'], ['fresh', undefined]],
  ['/fresh', ['If-Match', '"2"'], ['fresh', undefined, true]],
  ['/fresh', ['Cookie', 'a=b'], ['fresh', undefined]],
  ['/ruled', [], ['fresh', undefined]],
  ['/ruled', ['Cookie', 'a=b'], ['none', 'bypass']],
  ['/ruled', ['Authorization', 'Basic x'], ['none', 'bypass']],
  ['/nothing', [], ['none', 'uri-miss']],
  ['/never', [], ['pass', 'bypass']],
  ['/de', ['Accept-Language', 'de'], ['fresh', undefined]],
  ['/de', ['Accept-Language', 'fr'], ['none', 'vary-miss']],
  ['/by-visitor', [], ['fresh', undefined]],
  ['/no-cache', [], ['stale', 'stale']],
  ['/windowed', [], ['while-revalidate', undefined]],
  ['/part', ['Range', 'bytes=0-3'], ['fresh', undefined]],
  ['/part', ['Range', 'bytes=2-5'], ['none', 'partial']],
  ['/part', [], ['none', 'partial']],
  ['/part', [], ['fresh', undefined], 'HEAD'],
];

for (const [target, headers, [outcome, reason, isRefused = false], method = 'GET'] of CASES) {
  test(`lookup of ${method} ${target} with ${headers.join(': ') || 'nothing else'}: ${outcome}`, async (t) => {
    const bench = await stocked();
    const found = lookUp(bench, target, headers, false, method);
    t.match(found, { outcome, reason, isRefused });
    const shared = lookUp(bench, target, headers, true, method);
    if (shared.outcome !== 'undecided') t.match(shared, { outcome, reason, isRefused });
  });
}

test('a shared profile does not tell what differs between its requests', async (t) => {
  const bench = await stocked();
  t.equal(lookUp(bench, '/by-visitor', [], true).outcome, 'undecided');
  t.equal(lookUp(bench, '/ruled', ['Cookie', 'a=b'], true).outcome, 'undecided');
  t.equal(lookUp(bench, '/fresh', ['Cookie', 'a=b'], true).outcome, 'fresh');
});

test('what purges leave of a stored response', async (t) => {
  for (const { soft, outcome, reason } of [
    { soft: true, outcome: 'while-revalidate', reason: undefined },
    { soft: false, outcome: 'none', reason: 'uri-miss' },
  ]) {
    const bench = await stocked();
    t.equal(lookUp(bench, '/fresh', []).outcome, 'fresh');
    const { site, keyed } = bench.request('/fresh');
    bench.ledger.apply([
      { seq: 1, site: site.name, kind: 'url', selector: `//${keyed.authority}${keyed.target}`, soft },
    ]);
    for (const isShared of [false, true]) t.match(lookUp(bench, '/fresh', [], isShared), { outcome, reason });
    bench.ledger.leaseMs = -1;
    if (soft) t.match(lookUp(bench, '/honoured', []), { outcome: 'stale', isTrusted: false }, 'the lease has ended');
  }
});

test('all spellings of a path that have one key have one form for rules', async (t) => {
  const piece = fc.constantFrom(
    'a',
    'B',
    '/',
    '//',
    '%41',
    '%2f',
    '%2F',
    '%7e',
    '~',
    ';',
    ';x=1',
    '%3b',
    '%zz',
    '.',
    '%2e',
    'é',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const path = `/${pieces.join('')}`;
      return rulePath(normalisePath(path)) === rulePath(path);
    }),
    { numRuns: 2_000 },
  );
  t.pass();
});
