import fc from 'fast-check';
import { test } from 'tap';
import { NO_REQUEST_DIRECTIVES, NO_RESPONSE_DIRECTIVES } from '../../../cache/policy/directives.ts';
import type { ResponsePolicy } from '../../../cache/policy/response-policy.ts';
import {
  type Aging,
  currentAge,
  mayServeOnError,
  permitsStale,
  remainingLifetime,
  reuse,
} from '../../../cache/policy/reuse.ts';
import { epochMs } from '../../../lib/clock.ts';

const ARRIVED = 1_000_000;

function aging(policy: Partial<ResponsePolicy> = {}, directives = {}, status = 200): Aging {
  return {
    status,
    responseTime: epochMs(ARRIVED),
    policy: {
      addressed: false,
      declared: true,
      explicitLifetimeMs: 10_000,
      lifetimeMs: 10_000,
      initialAgeMs: 0,
      staleWhileRevalidateMs: 0,
      staleIfErrorMs: 0,
      ...policy,
      directives: { ...NO_RESPONSE_DIRECTIVES, ...directives },
    },
  };
}

for (const { rfc, rule, policy = {}, directives = {}, request = {}, after, is } of [
  { rfc: '4.2', rule: 'fresh', after: 9_999, is: 'fresh' },
  { rfc: '4.2', rule: 'its lifetime over, it is stale', after: 10_000, is: 'stale' },
  {
    rfc: '4.2.3',
    rule: 'the age that it came with counts',
    policy: { initialAgeMs: 4_000 },
    after: 6_000,
    is: 'stale',
  },
  { rfc: '4.2', rule: 'no lifetime', policy: { lifetimeMs: 0 }, after: 0, is: 'stale' },
  { rfc: '4.2.3', rule: 'a clock that was set back by less than a second', after: -1_000, is: 'fresh' },
  { rfc: '4.2.3', rule: 'a clock that was set back: its age is not known', after: -1_001, is: 'stale' },
  {
    rfc: '4.2.3',
    rule: 'a clock that was set back by an hour, with a window',
    policy: { staleWhileRevalidateMs: 5_000 },
    after: -3_600_000,
    is: 'stale',
  },
  { rfc: '5.2.2.4', rule: 'no-cache', directives: { noCache: true }, after: 0, is: 'stale' },
  {
    rfc: '5.2.2.4',
    rule: 'no-cache before max-stale',
    directives: { noCache: true },
    request: { maxStale: 99 },
    after: 11_000,
    is: 'stale',
  },
  {
    rfc: '5861 3',
    rule: 'within the window',
    policy: { staleWhileRevalidateMs: 5_000 },
    after: 14_999,
    is: 'while-revalidate',
  },
  { rfc: '5861 3', rule: 'after the window', policy: { staleWhileRevalidateMs: 5_000 }, after: 15_000, is: 'stale' },
  { rfc: '5.2.1.4', rule: 'no-cache of the request', request: { noCache: true }, after: 0, is: 'request' },
  { rfc: '5.2.1.5', rule: 'no-store of the request', request: { noStore: true }, after: 0, is: 'request' },
  { rfc: '5.2.1.1', rule: 'older than the request wants', request: { maxAge: 5 }, after: 5_001, is: 'request' },
  { rfc: '5.2.1.1', rule: 'as old as the request wants', request: { maxAge: 5 }, after: 5_000, is: 'fresh' },
  {
    rfc: '5.2.1.1',
    rule: 'within the window, but older than the request wants',
    policy: { staleWhileRevalidateMs: 5_000 },
    request: { maxAge: 5 },
    after: 11_000,
    is: 'request',
  },
  { rfc: '5.2.1.3', rule: 'not fresh for long enough', request: { minFresh: 5 }, after: 5_001, is: 'request' },
  { rfc: '5.2.1.3', rule: 'just fresh for long enough', request: { minFresh: 5 }, after: 5_000, is: 'fresh' },
  { rfc: '5.2.1.2', rule: 'staler than the request takes', request: { maxStale: 5 }, after: 15_001, is: 'stale' },
  { rfc: '5.2.1.2', rule: 'as stale as the request takes', request: { maxStale: 5 }, after: 15_000, is: 'max-stale' },
  {
    rfc: '5.2.1.2',
    rule: 'any staleness',
    request: { maxStale: Number.POSITIVE_INFINITY },
    after: 1e12,
    is: 'max-stale',
  },
  {
    rfc: '5.2.2.2',
    rule: 'must-revalidate before max-stale',
    directives: { mustRevalidate: true },
    request: { maxStale: 5 },
    after: 11_000,
    is: 'stale',
  },
  {
    rfc: '5.2.2.8',
    rule: 'proxy-revalidate before max-stale',
    directives: { proxyRevalidate: true },
    request: { maxStale: 5 },
    after: 11_000,
    is: 'stale',
  },
  {
    rfc: '5.2.2.10',
    rule: 's-maxage before max-stale',
    directives: { sMaxage: 10 },
    request: { maxStale: 5 },
    after: 11_000,
    is: 'stale',
  },
]) {
  test(`RFC ${rfc.includes(' ') ? rfc : `9111 ${rfc}`}: ${rule}: ${is}`, async (t) => {
    const stored = aging(policy, directives);
    t.equal(reuse(stored, { ...NO_REQUEST_DIRECTIVES, ...request }, epochMs(ARRIVED + after)), is);
  });
}

for (const { rule, policy = {}, directives = {}, status = 200, after, may } of [
  { rule: 'within the window', policy: { staleIfErrorMs: 5_000 }, after: 14_999, may: true },
  { rule: 'after the window', policy: { staleIfErrorMs: 5_000 }, after: 15_000, may: false },
  { rule: 'no window', after: 10_001, may: false },
  { rule: 'still fresh', after: 5_000, may: true },
  { rule: 'still fresh, no-cache', directives: { noCache: true }, after: 5_000, may: false },
  { rule: 'an old error', policy: { staleIfErrorMs: 5_000 }, status: 503, after: 5_000, may: false },
  { rule: 'an old 404', policy: { staleIfErrorMs: 5_000 }, status: 404, after: 11_000, may: true },
]) {
  test(`RFC 5861 4: ${rule}: ${may}`, async (t) => {
    t.equal(mayServeOnError(aging(policy, directives, status), epochMs(ARRIVED + after)), may);
  });
}

test('RFC 9111 4.2.4: stale answers need permission', async (t) => {
  t.ok(permitsStale(aging()));
  for (const directives of [{ noCache: true }, { mustRevalidate: true }, { proxyRevalidate: true }, { sMaxage: 10 }]) {
    t.notOk(permitsStale(aging({}, directives)));
  }
});

const anyAging = fc
  .record({
    lifetimeMs: fc.nat(1e6),
    initialAgeMs: fc.nat(1e6),
    staleWhileRevalidateMs: fc.nat(1e6),
    staleIfErrorMs: fc.nat(1e6),
  })
  .map((policy) => aging(policy));

test('with time a response only gets older: fresh, in its window, stale, never back', async (t) => {
  const order = ['fresh', 'while-revalidate', 'stale'];
  fc.assert(
    fc.property(anyAging, fc.integer({ min: -1_000, max: 3e6 }), fc.nat(3e6), (stored, after, more) => {
      const [now, later] = [ARRIVED + after, ARRIVED + after + more];
      const [before, then] = [now, later].map((time) =>
        order.indexOf(reuse(stored, NO_REQUEST_DIRECTIVES, epochMs(time))),
      );
      return (
        (before as number) <= (then as number) &&
        currentAge(stored, epochMs(now)) <= currentAge(stored, epochMs(later)) &&
        remainingLifetime(stored, epochMs(now)) >= remainingLifetime(stored, epochMs(later)) &&
        (mayServeOnError(stored, epochMs(now)) || !mayServeOnError(stored, epochMs(later))) &&
        currentAge(stored, epochMs(now)) >= 0
      );
    }),
    { numRuns: 1_000 },
  );
  t.pass();
});

test('request directives only ever make reuse stricter, except for max-stale', async (t) => {
  const anyRequest = fc.record({
    noCache: fc.boolean(),
    noStore: fc.boolean(),
    onlyIfCached: fc.boolean(),
    maxAge: fc.option(fc.nat(1_000), { nil: undefined }),
    minFresh: fc.option(fc.nat(1_000), { nil: undefined }),
    maxStale: fc.constant(undefined),
  });
  fc.assert(
    fc.property(anyAging, anyRequest, fc.nat(3e6), (stored, request, after) => {
      const plain = reuse(stored, NO_REQUEST_DIRECTIVES, epochMs(ARRIVED + after));
      return [plain, 'request'].includes(reuse(stored, request, epochMs(ARRIVED + after)));
    }),
  );
  t.pass();
});
