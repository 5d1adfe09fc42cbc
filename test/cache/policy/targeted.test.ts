import fc from 'fast-check';
import { test } from 'tap';
import { NO_RESPONSE_DIRECTIVES } from '../../../cache/policy/directives.ts';
import { cacheControl, hasExplicitFreshness } from '../../../cache/policy/targeted.ts';
import { fuzzer } from '../../support/fuzz.ts';

const fuzz = fuzzer(import.meta.filename);

const TARGETS = ['CDN-Cache-Control', 'Surrogate-Control'];
const CC = ['Cache-Control', 'max-age=1'];
const ORIGINAL = { maxAge: 1 };

for (const { rfc, rule, headers, says, addressed } of [
  { rfc: '9213 2.2', rule: 'none there', headers: CC, says: ORIGINAL, addressed: false },
  {
    rfc: '9213 2.2',
    rule: 'it goes first',
    headers: [...CC, 'cdn-cache-control', 'max-age=60'],
    says: { maxAge: 60 },
    addressed: true,
  },
  {
    rfc: '9213 2.2',
    rule: 'Cache-Control’s no-store does not count then',
    headers: ['Cache-Control', 'no-store', 'CDN-Cache-Control', 'max-age=60'],
    says: { maxAge: 60 },
    addressed: true,
  },
  { rfc: '9213 2.2', rule: 'empty', headers: [...CC, 'CDN-Cache-Control', ''], says: ORIGINAL, addressed: false },
  {
    rfc: '9213 2.1',
    rule: 'no Structured Field',
    headers: [...CC, 'CDN-Cache-Control', 'max-age=60,'],
    says: ORIGINAL,
    addressed: false,
  },
  {
    rfc: '9213 2.1',
    rule: 'names in upper case',
    headers: [...CC, 'CDN-Cache-Control', 'Max-Age=60'],
    says: ORIGINAL,
    addressed: false,
  },
  {
    rfc: '9213 2.1',
    rule: 'a number as a string',
    headers: [...CC, 'CDN-Cache-Control', 'max-age="60"'],
    says: ORIGINAL,
    addressed: false,
  },
  {
    rfc: '9213 2.1',
    rule: 'a fraction',
    headers: [...CC, 'CDN-Cache-Control', 'max-age=60.5'],
    says: ORIGINAL,
    addressed: false,
  },
  {
    rfc: '9213 2.1',
    rule: 'no number',
    headers: [...CC, 'CDN-Cache-Control', 'max-age'],
    says: ORIGINAL,
    addressed: false,
  },
  {
    rfc: '9213 2.1',
    rule: 'a list as a number',
    headers: [...CC, 'CDN-Cache-Control', 'max-age=(60)'],
    says: ORIGINAL,
    addressed: false,
  },
  {
    rfc: '9213 2.1',
    rule: 'negative is stale',
    headers: [...CC, 'CDN-Cache-Control', 'max-age=-1'],
    says: { maxAge: 0 },
    addressed: true,
  },
  {
    rfc: '9213 2.1',
    rule: 'parameters do not count',
    headers: [...CC, 'CDN-Cache-Control', 'max-age=60;a=b, no-store;x'],
    says: { maxAge: 60, noStore: true },
    addressed: true,
  },
  {
    rfc: '9213 2.1',
    rule: 'false is absent',
    headers: [...CC, 'CDN-Cache-Control', 'max-age=60, no-store=?0'],
    says: { maxAge: 60 },
    addressed: true,
  },
  {
    rfc: '9213 2.1',
    rule: 'only false is as good as absent',
    headers: [...CC, 'CDN-Cache-Control', 'no-store=?0'],
    says: ORIGINAL,
    addressed: false,
  },
  {
    rfc: '9213 2.1',
    rule: 'the last of several counts',
    headers: [...CC, 'CDN-Cache-Control', 'max-age=60, max-age=9'],
    says: { maxAge: 9 },
    addressed: true,
  },
  {
    rfc: '9213 2.1',
    rule: 'several lines',
    headers: [...CC, 'CDN-Cache-Control', 'max-age=60', 'CDN-Cache-Control', 'private'],
    says: { maxAge: 60, isPrivate: true },
    addressed: true,
  },
  {
    rfc: '9213 2.1',
    rule: 'unknown alone decides',
    headers: [...CC, 'CDN-Cache-Control', 'x'],
    says: {},
    addressed: true,
  },
  {
    rfc: '9213 2.1',
    rule: 'field names',
    headers: ['CDN-Cache-Control', 'no-cache="Set-Cookie", max-age=60'],
    says: { maxAge: 60, noCacheFields: ['set-cookie'] },
    addressed: true,
  },
  {
    rfc: '9213 2.2',
    rule: 'an invalid one lets the next decide',
    headers: [...CC, 'CDN-Cache-Control', '"', 'Surrogate-Control', 'max-age=30'],
    says: { maxAge: 30 },
    addressed: true,
  },
  {
    rfc: '9213 2.2',
    rule: 'the first of two decides',
    headers: ['Surrogate-Control', 'max-age=30', 'CDN-Cache-Control', 'max-age=60'],
    says: { maxAge: 60 },
    addressed: true,
  },
  {
    rfc: 'Edge Architecture',
    rule: 'max-age and a window',
    headers: ['Surrogate-Control', 'max-age=30+60'],
    says: { maxAge: 30, staleWhileRevalidate: 60, staleIfError: 60 },
    addressed: true,
  },
  {
    rfc: 'Edge Architecture',
    rule: 'a target',
    headers: ['Surrogate-Control', 'max-age=30+60;abc, no-store;abc'],
    says: { maxAge: 30, staleWhileRevalidate: 60, staleIfError: 60, noStore: true },
    addressed: true,
  },
  {
    rfc: 'Edge Architecture',
    rule: 'a broken window is stale',
    headers: ['Surrogate-Control', 'max-age=30+'],
    says: { maxAge: 0 },
    addressed: true,
  },
  {
    rfc: 'Edge Architecture',
    rule: 'content is not about caching',
    headers: ['Cache-Control', 'private', 'Surrogate-Control', 'content="ESI/1.0"'],
    says: { isPrivate: true },
    addressed: false,
  },
  {
    rfc: 'Edge Architecture',
    rule: 'content beside a lifetime',
    headers: [...CC, 'Surrogate-Control', 'content="ESI/1.0", max-age=30'],
    says: { maxAge: 30 },
    addressed: true,
  },
]) {
  test(`${/^\d/.test(rfc) ? `RFC ${rfc}` : rfc}: ${rule}`, async (t) => {
    t.same(cacheControl(headers, TARGETS), {
      directives: { ...NO_RESPONSE_DIRECTIVES, ...says },
      expiresCounts: !addressed,
      addressed,
    });
  });
}

for (const { rule, headers, explicit } of [
  { rule: 'nothing', headers: [], explicit: false },
  { rule: 'max-age', headers: CC, explicit: true },
  { rule: 'Expires', headers: ['Expires', '0'], explicit: true },
  {
    rule: 'Expires beside a targeted field without',
    headers: ['Expires', '0', 'CDN-Cache-Control', 'public'],
    explicit: false,
  },
  { rule: 'stale-if-error only', headers: ['Cache-Control', 'stale-if-error=60'], explicit: false },
]) {
  test(`explicit freshness: ${rule}: ${explicit}`, async (t) => {
    t.equal(hasExplicitFreshness(headers, TARGETS), explicit);
  });
}

test('targeted fields never throw', async (t) => {
  const anyText = fc.oneof(
    fc.string(),
    fc.stringMatching(/^(?:max-age|no-cache|=|,|"|;|\(|\)|\?|:|\+| |[0-9]){0,20}$/),
  );
  fuzz(
    'targeted fields never throw',
    fc.property(anyText, anyText, anyText, (a, b, c) => {
      cacheControl(['Cache-Control', a, 'CDN-Cache-Control', b, 'Surrogate-Control', c], TARGETS);
      return true;
    }),
    { numRuns: 1_000 },
  );
  t.pass();
});
