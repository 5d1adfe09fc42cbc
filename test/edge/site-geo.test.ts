import { test } from 'tap';
import type { z } from 'zod';
import { siteSchema } from '../../config/schema.ts';
import { siteGeo } from '../../edge/site-geo.ts';
import { isSteered, steer } from '../../edge/steer.ts';
import type { GeoLocation } from '../../geo/location.ts';
import type { Decision, RankedRegion } from '../../geo/steering.ts';
import { parseRequestTarget } from '../../http/request-target.ts';

type SiteInput = z.input<typeof siteSchema>;

function site(geo: SiteInput['geo'], key: SiteInput['key'] = {}) {
  const origin = { servers: [{ url: 'http://127.0.0.1:1' }] };
  return siteSchema.parse({ name: 'shop', hosts: ['*'], origin, geo, key });
}

const BERLIN: GeoLocation = {
  country: 'DE',
  continent: 'EU',
  city: 'Köln; "x"\r\n',
  coordinates: [52.5, 13.4],
  asn: 3320,
  prefix: 24,
};
const IP = '192.0.2.7';

for (const { rule, geo, ip = IP, place = BERLIN, admitted } of [
  { rule: 'nothing said', geo: {}, admitted: true },
  { rule: 'a country that is allowed', geo: { allow: { countries: ['DE'] } }, admitted: true },
  { rule: 'another country', geo: { allow: { countries: ['AT'] } }, admitted: false },
  {
    rule: 'no known place, where places are allowed',
    geo: { allow: { countries: ['DE'] } },
    place: null,
    admitted: false,
  },
  {
    rule: 'no known place, where places are denied',
    geo: { deny: { countries: ['DE'] } },
    place: null,
    admitted: true,
  },
  { rule: 'a country that is denied', geo: { deny: { countries: ['DE'] } }, admitted: false },
  { rule: 'both alike', geo: { allow: { countries: ['DE'] }, deny: { countries: ['DE'] } }, admitted: false },
  {
    rule: 'country before continent',
    geo: { allow: { countries: ['DE'] }, deny: { continents: ['EU'] } },
    admitted: true,
  },
  {
    rule: 'continent after country',
    geo: { allow: { continents: ['EU'] }, deny: { countries: ['DE'] } },
    admitted: false,
  },
  { rule: 'ASN before country', geo: { allow: { asns: [3320] }, deny: { countries: ['DE'] } }, admitted: true },
  {
    rule: 'network before ASN',
    geo: { allow: { networks: ['192.0.2.0/28'] }, deny: { asns: [3320] } },
    admitted: true,
  },
  {
    rule: 'outside the network',
    geo: { allow: { networks: ['192.0.2.0/30'] }, deny: { asns: [3320] } },
    admitted: false,
  },
  { rule: 'one address', geo: { deny: { networks: [IP] } }, admitted: false },
  { rule: 'IPv6', geo: { deny: { networks: ['2001:db8::/32'] } }, ip: '2001:db8::1', admitted: false },
  { rule: 'IPv6 outside', geo: { deny: { networks: ['2001:db8::/32'] } }, ip: '2001:db9::1', admitted: true },
] satisfies { rule: string; geo: SiteInput['geo']; ip?: string; place?: GeoLocation | null; admitted: boolean }[]) {
  test(`who is let in: ${rule}`, async (t) => {
    const rules = siteGeo(site(geo as SiteInput['geo']));
    for (let i = 0; i < 2; i++) t.equal(rules.admits(ip, place ?? undefined), admitted);
  });
}

test('the origin gets the configured geo fields, and none that a visitor made up', async (t) => {
  const fieldsOfSite = siteGeo(
    site({ headers: { country: true, city: 'X-City', coordinates: true, subdivision: true } }),
  );
  const forged = ['cdn-visitor-country', 'US', 'X-CITY', 'Paris', 'CDN-Visitor-Region', 'BY', 'Accept', '*/*'];
  t.same(fieldsOfSite.fieldsFor(forged, BERLIN), [
    'Accept',
    '*/*',
    'CDN-Visitor-Country',
    'DE',
    'X-City',
    'K%C3%B6ln%3B%20%22x%22%0D%0A',
    'CDN-Visitor-Coordinates',
    '52.5,13.4',
  ]);
  t.same(fieldsOfSite.fieldsFor(forged, undefined), ['Accept', '*/*'], 'what is not known is not said');
  t.same(siteGeo(site({})).fieldsFor(forged, BERLIN), forged, 'a site that does not want it leaves headers alone');
});

test('geo fields that are in the key reach the origin, too', async (t) => {
  t.same(siteGeo(site({}, { geo: 'continent' })).fieldsFor([], BERLIN), ['CDN-Visitor-Continent', 'EU']);
  t.same(siteGeo(site({ headers: { country: 'X-C' } }, { geo: 'country' })).fieldsFor([], BERLIN), ['X-C', 'DE']);
});

for (const { what, headers, key, expected } of [
  {
    what: 'an answer that varies by country is for this browser, which asks again before it uses it',
    headers: [
      'Vary',
      'Accept-Encoding, cdn-visitor-country',
      'Cache-Control',
      'public, max-age=60, s-maxage=5, immutable',
    ],
    expected: ['Vary', 'Accept-Encoding', 'Cache-Control', 'private, no-cache, max-age=60'],
  },
  {
    what: 'no Vary is left over',
    headers: ['Vary', 'CDN-Visitor-Country'],
    expected: ['Cache-Control', 'private, no-cache'],
  },
  {
    what: 'what may not be stored stays so',
    headers: ['Vary', 'CDN-Visitor-Country', 'Cache-Control', 'no-store'],
    expected: ['Cache-Control', 'no-store'],
  },
  { what: 'other answers stay as they are', headers: ['Vary', 'Accept'], expected: ['Vary', 'Accept'] },
  {
    what: 'with the country in the key every answer depends on it',
    headers: ['Cache-Control', 'max-age=60', 'CDN-Cache-Control', 'max-age=600'],
    key: { geo: 'country' as const },
    expected: ['Cache-Control', 'private, no-cache, max-age=60'],
  },
]) {
  test(`browsers: ${what}`, async (t) => {
    t.same(siteGeo(site({ headers: { country: true } }, key)).forBrowsers(headers), expected);
  });
}

test('a geo refusal says who blocks, and is not stored', async (t) => {
  const geo = siteGeo(site({ deny: {}, refusal: { status: 451, body: 'no', blocked_by: 'https://example.com/law' } }));
  t.same(geo.refusal()?.head, {
    status: 451,
    statusText: '',
    headers: [
      ...['Cache-Control', 'no-store', 'Content-Type', 'text/html; charset=utf-8', 'Content-Length', '2'],
      ...['Link', '<https://example.com/law>; rel="blocked-by"'],
    ],
  });
  t.equal(siteGeo(site({ deny: {} })).refusal(), undefined);
});

test('a header value with a line break is refused by the schema', async (t) => {
  for (const blocked_by of ['https://example.com/>; rel="x', 'https://example.com/\r\nX: y', 'javascript:x']) {
    t.throws(() => site({ refusal: { blocked_by } }));
  }
  t.throws(() => site({ refusal: { content_type: 'text/html\r\nX: y' } }));
});

function region(name: string, state: RankedRegion['state'] = 'healthy'): RankedRegion {
  return { name, state } as RankedRegion;
}

const NAVIGATION = ['Host', 'shop.example', 'Sec-Fetch-Mode', 'navigate'];

function asked(headers = NAVIGATION, url = '/a?b=c', method = 'GET') {
  return { method, scheme: 'https' as const, target: parseRequestTarget(method, url, headers), headers };
}

const STEERED = site({ redirect: { eu: 'eu.shop.example', us: 'us.shop.example' } });

for (const { what, request, steered } of [
  { what: 'a navigation', request: asked(), steered: true },
  {
    what: 'a navigation over plain http',
    request: asked(['Host', 'a', 'Upgrade-Insecure-Requests', '1']),
    steered: true,
  },
  { what: 'an image', request: asked(['Host', 'a', 'Sec-Fetch-Mode', 'no-cors']), steered: false },
  { what: 'a program', request: asked(['Host', 'a']), steered: false },
  { what: 'a form that is sent', request: asked(NAVIGATION, '/', 'POST'), steered: false },
  {
    what: 'a host of a region',
    request: asked(['Host', 'us.shop.example:8443', ...NAVIGATION.slice(2)]),
    steered: false,
  },
]) {
  test(`steering by redirect: ${what}: ${steered}`, async (t) => t.equal(isSteered(STEERED, request), steered));
}

test('steering by redirect leads to the best healthy region with a host of its own', async (t) => {
  const to = (regions: RankedRegion[], place: GeoLocation | null = BERLIN) =>
    steer(STEERED, 'eu', asked(['Host', 'shop.example:8443', ...NAVIGATION.slice(2)]), {
      place: place ?? undefined,
      regions,
    } as unknown as Decision)?.headers[1];
  const there = 'https://us.shop.example:8443/a?b=c';
  t.equal(to([region('us'), region('eu')]), there);
  t.equal(to([region('eu'), region('us')]), undefined, 'it is here already');
  t.equal(to([region('ap'), region('us'), region('eu')]), there, 'one without a host is passed over');
  t.equal(to([region('us', 'down'), region('eu')]), undefined);
  t.equal(to([region('us', 'down'), region('eu', 'down')]), undefined, 'nothing is well');
  t.equal(to([region('us')], null), undefined, 'nobody knows where the visitor is');
});
