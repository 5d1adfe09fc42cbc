import { test } from 'tap';
import { requestDirectives } from '../../../cache/policy/directives.ts';
import { responsePolicy } from '../../../cache/policy/response-policy.ts';
import { storeRefusal } from '../../../cache/policy/storing.ts';
import { ruleSchema } from '../../../config/schema.ts';
import { formatHttpDate } from '../../../http/fields/date.ts';
import { epochMs } from '../../../lib/clock.ts';

const NOW = 1_740_787_200_000;

interface Case {
  readonly status?: number;
  readonly headers?: readonly string[];
  readonly request?: readonly string[];
  readonly rule?: Record<string, unknown>;
}

function refusalOf({ status = 200, headers = [], request = [], rule = {} }: Case) {
  const parsed = ruleSchema.parse(rule);
  const policy = responsePolicy({
    status,
    headers,
    requestTime: epochMs(NOW),
    responseTime: epochMs(NOW),
    rule: parsed,
    targetedFields: ['CDN-Cache-Control', 'Surrogate-Control'],
    heuristic: { fraction: 0.1, maxMs: 86_400_000, maxErrorMs: 120_000 },
  });
  const control = request[request.indexOf('Cache-Control') + 1];
  const asked = request.includes('Cache-Control') ? control : undefined;
  return storeRefusal({
    hasAuthorization: request.includes('Authorization'),
    isPersonal: request.includes('Authorization') || request.includes('Cookie'),
    requestDirectives: requestDirectives(asked, undefined),
    status,
    headers,
    policy,
    rule: parsed,
  });
}

const control = (value: string, ...more: readonly string[]): readonly string[] => ['Cache-Control', value, ...more];
const AUTH = ['Authorization', 'Basic x'];
const COOKIE = ['Set-Cookie', 'a=b'];
const COOKIES = ['Cookie', 'a=b'];
const WINDOWS = { stale_while_revalidate: '20s', stale_if_error: '1d' };

const CASES: readonly (Case & { readonly rfc: string; readonly what: string; readonly refusal: string | undefined })[] =
  [
    { rfc: '3', what: 'a lifetime', headers: control('max-age=1'), refusal: undefined },
    { rfc: '3', what: 'Expires', headers: ['Expires', formatHttpDate(NOW + 9_000)], refusal: undefined },
    { rfc: '3', what: 'Last-Modified', headers: ['Last-Modified', formatHttpDate(NOW)], refusal: undefined },
    { rfc: '3', what: 'ETag', headers: ['ETag', '"1"'], refusal: undefined },
    { rfc: '3', what: 'nothing', refusal: 'no-freshness' },
    { rfc: '3', what: 'public alone', headers: control('public'), refusal: 'no-freshness' },
    { rfc: '3', what: 'stale on arrival', headers: control('max-age=5', 'Age', '5'), refusal: 'no-freshness' },
    {
      rfc: '3',
      what: 'stale on arrival, in a window',
      headers: control('max-age=5, stale-if-error=5', 'Age', '5'),
      refusal: undefined,
    },
    {
      rfc: '3',
      what: 'stale on arrival, with a tag',
      headers: control('max-age=0', 'ETag', '"1"'),
      refusal: undefined,
    },
    { rfc: '3', what: 'a status that may be guessed for', status: 410, headers: ['ETag', '"1"'], refusal: undefined },
    { rfc: '3', what: 'one that may not', status: 307, headers: ['ETag', '"1"'], refusal: 'status' },
    {
      rfc: '3',
      what: 'one that may not, public',
      status: 307,
      headers: control('public', 'ETag', '"1"'),
      refusal: undefined,
    },
    {
      rfc: '3',
      what: 'one that may not, with the rule’s ttl for it',
      status: 307,
      rule: { ttl: '5s', status: 307 },
      refusal: undefined,
    },
    ...[302, 303, 307, 400, 401, 403, 429, 500, 503].map((status) => ({
      rfc: '3',
      what: `${status} with a ttl for every status`,
      status,
      rule: { ttl: '5s' },
      refusal: 'status',
    })),
    ...[200, 201, 203, 301, 308].map((status) => ({
      rfc: '3',
      what: `${status} with a ttl for every status`,
      status,
      rule: { ttl: '5s' },
      refusal: undefined,
    })),
    { rfc: '3', what: 'a rule’s windows', rule: WINDOWS, refusal: 'no-freshness' },
    { rfc: '3', what: 'a rule’s windows', headers: control('max-age=0'), rule: WINDOWS, refusal: 'no-freshness' },
    { rfc: '3', what: 'a lifetime, Cookie', request: COOKIES, headers: control('max-age=1'), refusal: undefined },
    {
      rfc: '3',
      what: 'public, Cookie',
      request: COOKIES,
      headers: control('public', 'ETag', '"1"'),
      refusal: undefined,
    },
    {
      rfc: '9213',
      what: 'a targeted field, Cookie',
      request: COOKIES,
      headers: ['CDN-Cache-Control', 'max-age=1'],
      refusal: undefined,
    },
    { rfc: '3', what: 'the rule’s ttl, Cookie', request: COOKIES, rule: { ttl: '5s' }, refusal: 'cookies' },
    {
      rfc: '3',
      what: 'the rule’s ttl alone counts, Cookie',
      request: COOKIES,
      headers: control('public, max-age=5'),
      rule: { ttl: '5s', origin_headers: 'ignore' },
      refusal: 'cookies',
    },
    {
      rfc: '4.2.2',
      what: 'a guess, Cookie',
      request: COOKIES,
      headers: ['Last-Modified', formatHttpDate(NOW - 1e6)],
      refusal: 'cookies',
    },
    { rfc: '4.3', what: 'a validator alone, Cookie', request: COOKIES, headers: ['ETag', '"1"'], refusal: 'cookies' },
    {
      rfc: '4.3',
      what: 'no lifetime at all, Cookie',
      request: COOKIES,
      headers: control('max-age=0', 'ETag', '"1"'),
      refusal: 'cookies',
    },
    { rfc: '3', what: 'an error with a lifetime', status: 500, headers: control('max-age=5'), refusal: undefined },
    { rfc: '3', what: '304', status: 304, headers: control('max-age=5', 'ETag', '"1"'), refusal: 'status' },
    { rfc: '3', what: '416', status: 416, headers: control('max-age=5'), refusal: 'partial' },
    { rfc: '5.2.2.5', what: 'no-store', headers: control('no-store, max-age=5'), refusal: 'no-store' },
    {
      rfc: '5.2.2.3',
      what: 'no-store, must-understand',
      headers: control('no-store, must-understand, max-age=5'),
      refusal: undefined,
    },
    {
      rfc: '5.2.2.3',
      what: 'the same with a status nobody knows',
      status: 499,
      headers: control('no-store, must-understand, max-age=5'),
      refusal: 'status',
    },
    {
      rfc: '5.2.2.3',
      what: 'must-understand alone, with a status nobody knows',
      status: 499,
      headers: control('must-understand, max-age=5'),
      refusal: 'status',
    },
    {
      rfc: '5.2.2.3',
      what: 'must-understand, private',
      headers: control('no-store, must-understand, private, max-age=5'),
      refusal: 'private',
    },
    { rfc: '5.2.2.7', what: 'private', headers: control('private, max-age=5'), refusal: 'private' },
    { rfc: '5.2.2.7', what: 'private and public', headers: control('public, private, max-age=5'), refusal: 'private' },
    { rfc: '5.2.2.7', what: 'private with fields', headers: control('private="x-a", max-age=5'), refusal: undefined },
    { rfc: '5.2.2.4', what: 'no-cache with a tag', headers: control('no-cache', 'ETag', '"1"'), refusal: undefined },
    { rfc: '3.5', what: 'Authorization', headers: control('max-age=5'), request: AUTH, refusal: 'authorization' },
    {
      rfc: '3.5',
      what: 'Authorization, public',
      headers: control('public, max-age=5'),
      request: AUTH,
      refusal: undefined,
    },
    { rfc: '3.5', what: 'Authorization, s-maxage', headers: control('s-maxage=5'), request: AUTH, refusal: undefined },
    {
      rfc: '3.5',
      what: 'Authorization, must-revalidate',
      headers: control('max-age=5, must-revalidate'),
      request: AUTH,
      refusal: undefined,
    },
    {
      rfc: '3.5',
      what: 'Authorization, proxy-revalidate is not among them',
      headers: control('max-age=5, proxy-revalidate'),
      request: AUTH,
      refusal: 'authorization',
    },
    { rfc: '3.5', what: 'Authorization, a ttl', rule: { ttl: '5s' }, request: AUTH, refusal: 'authorization' },
    {
      rfc: '3.5',
      what: 'Authorization, targeted',
      headers: ['CDN-Cache-Control', 'max-age=5'],
      request: AUTH,
      refusal: 'authorization',
    },
    { rfc: '4.1', what: 'Vary: *', headers: control('max-age=5', 'Vary', '*'), refusal: 'vary-star' },
    {
      rfc: '4.1',
      what: '* among others',
      headers: control('max-age=5', 'Vary', 'X-A', 'vary', 'X-B , *'),
      refusal: 'vary-star',
    },
    { rfc: '7.3', what: 'Set-Cookie', headers: control('max-age=5', ...COOKIE), refusal: 'set-cookie' },
    { rfc: '7.3', what: 'Set-Cookie, public', headers: control('public, max-age=5', ...COOKIE), refusal: undefined },
    { rfc: '7.3', what: 'Set-Cookie, s-maxage', headers: control('s-maxage=5', ...COOKIE), refusal: undefined },
    {
      rfc: '7.3',
      what: 'Set-Cookie, no-cache="set-cookie"',
      headers: control('max-age=5, no-cache="Set-Cookie"', ...COOKIE),
      refusal: undefined,
    },
    {
      rfc: '7.3',
      what: 'Set-Cookie, private="set-cookie"',
      headers: control('max-age=5, private="set-cookie"', ...COOKIE),
      refusal: undefined,
    },
    {
      rfc: '7.3',
      what: 'Set-Cookie, no-cache="other"',
      headers: control('max-age=5, no-cache="x"', ...COOKIE),
      refusal: 'set-cookie',
    },
    {
      rfc: '7.3',
      what: 'Set-Cookie, targeted',
      headers: ['CDN-Cache-Control', 'max-age=5', ...COOKIE],
      refusal: undefined,
    },
    {
      rfc: '7.3',
      what: 'Set-Cookie, an invalid targeted field',
      headers: control('max-age=5', 'CDN-Cache-Control', 'max-age="5"', ...COOKIE),
      refusal: 'set-cookie',
    },
    {
      rfc: '7.3',
      what: 'Set-Cookie, a Surrogate-Control about ESI only',
      headers: control('max-age=5', 'Surrogate-Control', 'content="ESI/1.0"', ...COOKIE),
      refusal: 'set-cookie',
    },
    {
      rfc: '7.3',
      what: 'Set-Cookie, the origin ignored',
      headers: control('public', ...COOKIE),
      rule: { ttl: '5s', origin_headers: 'ignore' },
      refusal: 'set-cookie',
    },
    {
      rfc: '7.3',
      what: 'Set-Cookie, the rule says so',
      headers: control('max-age=5', ...COOKIE),
      rule: { set_cookie: 'store' },
      refusal: undefined,
    },
    {
      rfc: '5.2.1.5',
      what: 'no-store of the request',
      headers: control('max-age=5'),
      request: control('no-store'),
      refusal: 'request-no-store',
    },
    { rfc: '3', what: 'cache: never', headers: control('max-age=5'), rule: { cache: 'never' }, refusal: 'rule-never' },
  ];

for (const { rfc, what, refusal, ...given } of CASES) {
  test(`RFC 9111 ${rfc}: ${what}: ${refusal ?? 'stored'}`, async (t) => {
    t.equal(refusalOf(given), refusal);
  });
}
