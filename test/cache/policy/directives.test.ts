import fc from 'fast-check';
import { test } from 'tap';
import {
  deltaSeconds,
  MAX_DELTA_SECONDS,
  NO_REQUEST_DIRECTIVES,
  NO_RESPONSE_DIRECTIVES,
  parseDirectives,
  requestDirectives,
  responseDirectives,
} from '../../../cache/policy/directives.ts';
import { fuzzer, outcome } from '../../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

for (const { rfc, rule, value, says } of [
  { rfc: '5.2', rule: 'absent', value: undefined, says: {} },
  { rfc: '5.2', rule: 'empty', value: ' , ,', says: {} },
  { rfc: '5.2', rule: 'names have no case', value: 'No-Store, PRIVATE', says: { noStore: true, isPrivate: true } },
  {
    rfc: '5.2',
    rule: 'token and quoted-string',
    value: 'max-age="10", s-maxage=20',
    says: { maxAge: 10, sMaxage: 20 },
  },
  { rfc: '5.2', rule: 'escapes in quotes', value: 'max-age="1\\0"', says: { maxAge: 10 } },
  { rfc: '5.2', rule: 'what is unknown is ignored', value: 'community="UCI", no-store', says: { noStore: true } },
  { rfc: '5.2', rule: 'a name is not a prefix', value: 'no-storex, xprivate', says: {} },
  { rfc: '5.2', rule: 'a space before =', value: 'max-age =10', says: {} },
  { rfc: '5.2', rule: 'a space after =', value: 'max-age= 10', says: { maxAge: 0 } },
  { rfc: '5.2', rule: 'single quotes are no quotes', value: "max-age='10'", says: { maxAge: 0 } },
  {
    rfc: '5.2',
    rule: 'a directive inside quotes is none',
    value: 'x="no-store, private", max-age=1',
    says: { maxAge: 1 },
  },
  { rfc: '5.2', rule: 'a quote that never ends hides nothing', value: 'x="y, no-store', says: { noStore: true } },
  { rfc: '5.2', rule: 'nor does an escape at the end', value: 'x="y\\", no-store', says: { noStore: true } },
  { rfc: '1.2.2', rule: 'leading zeros', value: 'max-age=0010', says: { maxAge: 10 } },
  { rfc: '1.2.2', rule: 'overflow', value: 'max-age=99999999999999999999', says: { maxAge: MAX_DELTA_SECONDS } },
  { rfc: '1.2.2', rule: 'just below', value: 'max-age=2147483647', says: { maxAge: 2147483647 } },
  { rfc: '4.2.1', rule: 'a negative lifetime is stale', value: 'max-age=-1', says: { maxAge: 0 } },
  { rfc: '4.2.1', rule: 'a fraction is stale', value: 's-maxage=1.5', says: { sMaxage: 0 } },
  { rfc: '4.2.1', rule: 'an exponent is stale', value: 'max-age=1e3', says: { maxAge: 0 } },
  { rfc: '4.2.1', rule: 'no value is stale', value: 'max-age', says: { maxAge: 0 } },
  { rfc: '4.2.1', rule: 'an empty value is stale', value: 'max-age=', says: { maxAge: 0 } },
  { rfc: '4.2.1', rule: 'other digits are none', value: 'max-age=\u0661', says: { maxAge: 0 } },
  { rfc: '4.2.1', rule: 'the first of several counts', value: 'max-age=1, max-age=100', says: { maxAge: 1 } },
  { rfc: '5.2.2.4', rule: 'no-cache', value: 'no-cache', says: { noCache: true } },
  {
    rfc: '5.2.2.4',
    rule: 'no-cache with fields',
    value: 'no-cache="Set-Cookie, X-A"',
    says: { noCacheFields: ['set-cookie', 'x-a'] },
  },
  {
    rfc: '5.2.2.4',
    rule: 'no-cache with one field, as a token',
    value: 'no-cache=X-A',
    says: { noCacheFields: ['x-a'] },
  },
  { rfc: '5.2.2.4', rule: 'no-cache with no field', value: 'no-cache=""', says: { noCache: true } },
  { rfc: '5.2.2.4', rule: 'no-cache with commas only', value: 'no-cache=" , "', says: { noCache: true } },
  { rfc: '5.2.2.4', rule: 'with fields, and without', value: 'no-cache="x-a", no-cache', says: { noCache: true } },
  { rfc: '5.2.2.4', rule: 'without fields, and with', value: 'no-cache, no-cache="x-a"', says: { noCache: true } },
  {
    rfc: '5.2.2.4',
    rule: 'two lists of fields',
    value: 'no-cache="x-a", no-cache="x-b"',
    says: { noCacheFields: ['x-a', 'x-b'] },
  },
  {
    rfc: '5.2.2.4',
    rule: 'an empty list after a list',
    value: 'no-cache="x-a", no-cache=""',
    says: { noCacheFields: ['x-a'] },
  },
  { rfc: '5.2.2.7', rule: 'private', value: 'private', says: { isPrivate: true } },
  { rfc: '5.2.2.7', rule: 'private with fields', value: 'private="X-A"', says: { privateFields: ['x-a'] } },
  {
    rfc: '5.2.2.7',
    rule: 'private twice',
    value: 'private="x-a",max-age=1,private',
    says: { isPrivate: true, maxAge: 1 },
  },
  {
    rfc: '5.2.2.3',
    rule: 'must-understand',
    value: 'must-understand, no-store',
    says: { mustUnderstand: true, noStore: true },
  },
  {
    rfc: '5.2.2',
    rule: 'the others',
    value: 'public, must-revalidate, proxy-revalidate',
    says: { isPublic: true, mustRevalidate: true, proxyRevalidate: true },
  },
  {
    rfc: '5861 3',
    rule: 'stale-while-revalidate',
    value: 'stale-while-revalidate=30',
    says: { staleWhileRevalidate: 30 },
  },
  { rfc: '5861 4', rule: 'stale-if-error without a number is none', value: 'stale-if-error', says: {} },
  { rfc: '5861 3', rule: 'a negative window is none', value: 'stale-while-revalidate=-1', says: {} },
]) {
  test(`RFC ${rfc.includes(' ') ? rfc : `9111 ${rfc}`}: response: ${rule}`, async (t) => {
    t.same(responseDirectives(parseDirectives(value)), { ...NO_RESPONSE_DIRECTIVES, ...says });
  });
}

const FOR_EVER = Number.POSITIVE_INFINITY;

for (const { rfc, rule, cacheControl, pragma, says } of [
  { rfc: '5.2.1', rule: 'nothing', cacheControl: undefined, pragma: undefined, says: {} },
  { rfc: '5.2.1.1', rule: 'max-age', cacheControl: 'max-age=5', pragma: undefined, says: { maxAge: 5 } },
  { rfc: '5.2.1.1', rule: 'max-age that is no number', cacheControl: 'max-age=x', pragma: undefined, says: {} },
  { rfc: '5.2.1.2', rule: 'max-stale', cacheControl: 'max-stale', pragma: undefined, says: { maxStale: FOR_EVER } },
  {
    rfc: '5.2.1.2',
    rule: 'max-stale with a number',
    cacheControl: 'max-stale=5',
    pragma: undefined,
    says: { maxStale: 5 },
  },
  { rfc: '5.2.1.2', rule: 'max-stale with something else', cacheControl: 'max-stale=x', pragma: undefined, says: {} },
  { rfc: '5.2.1.3', rule: 'min-fresh', cacheControl: 'min-fresh=5', pragma: undefined, says: { minFresh: 5 } },
  {
    rfc: '5.2.1',
    rule: 'the others',
    cacheControl: 'no-cache, no-store, only-if-cached',
    pragma: undefined,
    says: { noCache: true, noStore: true, onlyIfCached: true },
  },
  { rfc: '5.4', rule: 'Pragma', cacheControl: undefined, pragma: 'x, NO-CACHE', says: { noCache: true } },
  {
    rfc: '5.4',
    rule: 'Pragma beside Cache-Control',
    cacheControl: 'max-age=1',
    pragma: 'no-cache',
    says: { maxAge: 1 },
  },
  { rfc: '5.4', rule: 'Pragma beside an empty Cache-Control', cacheControl: '', pragma: 'no-cache', says: {} },
]) {
  test(`RFC 9111 ${rfc}: request: ${rule}`, async (t) => {
    t.same(requestDirectives(cacheControl, pragma), { ...NO_REQUEST_DIRECTIVES, ...says });
  });
}

test('directives never throw on any text, and numbers stay in range', async (t) => {
  const anyText = fc.oneof(fc.string(), fc.stringMatching(/^(?:max-age|no-cache|private|=|,|"|\\| |[0-9]){0,30}$/));
  fuzz(
    'directives never throw on any text, and numbers stay in range',
    fc.property(anyText, (text) => {
      const says = responseDirectives(parseDirectives(text));
      const set = Object.entries(says).filter(([, value]) => value === true || typeof value === 'number');
      outcome(set.length === 1 ? String(set[0]?.[0]) : `${Math.min(set.length, 2)} directives`);
      requestDirectives(text, text);
      return [says.maxAge, says.sMaxage, says.staleIfError, says.staleWhileRevalidate].every(
        (seconds) =>
          seconds === undefined || (Number.isInteger(seconds) && seconds >= 0 && seconds <= MAX_DELTA_SECONDS),
      );
    }),
    { numRuns: 1_000 },
  );
  t.pass();
});

test('no-store is never overlooked outside of closed quotes', async (t) => {
  const anyMember = fc.stringMatching(/^[a-z=0-9 ]{0,6}(?:"[a-z, ]{0,6}")?$/);
  fuzz(
    'no-store is never overlooked outside of closed quotes',
    fc.property(fc.array(anyMember), fc.array(anyMember), (before, after) => {
      const value = [...before, 'no-store', ...after].join(',');
      return responseDirectives(parseDirectives(value)).noStore;
    }),
  );
  t.pass();
});

for (const [what, text] of Object.entries({
  quotes: '"'.repeat(100_001),
  escapes: `"${'\\'.repeat(100_000)}`,
  'pairs of quotes': '""x'.repeat(40_000),
  commas: ','.repeat(100_000),
  names: 'no-cache="a",'.repeat(10_000),
})) {
  test(`linear in time: ${what}`, async (t) => {
    const began = process.cpuUsage();
    responseDirectives(parseDirectives(text));
    const { user } = process.cpuUsage(began);
    t.ok(user < 1_000_000, `${user} µs`);
  });
}

test('RFC 9111 1.2.2: delta-seconds are read up to their limit', async (t) => {
  t.same(
    ['0', '10', '', ' 1', '1 ', '+1', '0x1', true, undefined, '9'.repeat(400)].map((text) =>
      deltaSeconds(text as string | true | undefined),
    ),
    [0, 10, undefined, undefined, undefined, undefined, undefined, undefined, undefined, MAX_DELTA_SECONDS],
  );
});
