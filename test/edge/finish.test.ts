import { test } from 'tap';
import { compileRules } from '../../config/match.ts';
import { type SiteConfig, siteSchema } from '../../config/schema.ts';
import { cleanedHeaders, finishedHead } from '../../edge/finish.ts';
import type { RawHeaders } from '../../http/fields/headers.ts';

const siteWith = (keys: object): SiteConfig =>
  siteSchema.parse({ name: 'shop', hosts: ['*'], origin: { servers: [{ url: 'http://o.test' }] }, ...keys });

function finished(keys: object, headers: RawHeaders, isPersonal = false): RawHeaders {
  const site = siteWith(keys);
  return finishedHead(
    { site, rules: compileRules(site) },
    '/a',
    { status: 200, statusText: 'OK', headers: [...headers] },
    isPersonal,
  ).headers;
}

const BROWSER_TTL = { rules: [{ path: '/*', browser_ttl: '60s' }] };
const CACHE = ['Cache-Control', 'max-age=3600'];

for (const { rule, keys, headers, isPersonal, to } of [
  {
    rule: 'Surrogate-Control is for this network',
    keys: {},
    headers: ['Surrogate-Control', 'max-age=1', 'X-A', 'b'],
    to: ['X-A', 'b'],
  },
  { rule: 'tags are hidden by default', keys: {}, headers: ['Cache-Tag', 'a'], to: [] },
  {
    rule: 'tags are shown where the site says so',
    keys: { tags: { visible: true } },
    headers: ['Cache-Tag', 'a'],
    to: ['Cache-Tag', 'a'],
  },
  {
    rule: 'Cache-Status is hidden where the site says so',
    keys: { cache_status: false },
    headers: ['Cache-Status', 'x'],
    to: [],
  },
  {
    rule: 'a field is set',
    keys: { response_headers: { set: { 'X-A': 'new' } } },
    headers: ['x-a', 'old'],
    to: ['X-A', 'new'],
  },
  { rule: 'a field is removed', keys: { response_headers: { remove: ['Server'] } }, headers: ['SERVER', 'o'], to: [] },
  {
    rule: 'browsers get the lifetime of the rule',
    keys: BROWSER_TTL,
    headers: [...CACHE, 'Expires', 'x'],
    to: ['Cache-Control', 'max-age=60'],
  },
  {
    rule: 'the age so far counts',
    keys: BROWSER_TTL,
    headers: [...CACHE, 'Age', '10'],
    to: ['Age', '10', 'Cache-Control', 'max-age=70'],
  },
  {
    rule: 'what is for one visitor stays with its browser',
    keys: BROWSER_TTL,
    headers: CACHE,
    isPersonal: true,
    to: ['Cache-Control', 'private, max-age=60'],
  },
  {
    rule: 'what the origin has for one visitor gets no lifetime',
    keys: BROWSER_TTL,
    headers: ['Cache-Control', 'private'],
    to: ['Cache-Control', 'private'],
  },
]) {
  test(`a response leaves the edge: ${rule}`, async (t) => {
    t.strictSame(finished(keys, headers, isPersonal), to);
  });
}

test('an origin sees what a visitor may say, and what the site sets, without twins', async (t) => {
  const site = siteWith({ request_headers: { set: { 'X-Site': 'shop' }, remove: ['X-Debug'] } });
  const headers = [
    'Accept',
    '*/*',
    'Connection',
    'close',
    'X-Forwarded-For',
    '1.2.3.4',
    'x_site',
    'forged',
    'X-Debug',
    '1',
  ];
  t.strictSame(cleanedHeaders(headers, site, undefined), ['Accept', '*/*', 'X-Site', 'shop']);
});
