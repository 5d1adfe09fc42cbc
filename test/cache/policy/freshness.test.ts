import fc from 'fast-check';
import { test } from 'tap';
import { NO_RESPONSE_DIRECTIVES } from '../../../cache/policy/directives.ts';
import { explicitLifetime, heuristicLifetime } from '../../../cache/policy/freshness.ts';
import { formatHttpDate } from '../../../http/fields/date.ts';
import { epochMs } from '../../../lib/clock.ts';

const NOW = 1_740_787_200_000;
const DAY = 86_400_000;
const at = (offset: number): string => formatHttpDate(NOW + offset);
const EPOCH_850 = 'Monday, 01-Jan-90 00:00:00 GMT';

function input(headers: readonly string[], directives = {}, rest = {}) {
  return {
    status: 200,
    headers,
    directives: { ...NO_RESPONSE_DIRECTIVES, ...directives },
    expiresCounts: true,
    dateMs: NOW,
    responseTime: epochMs(NOW),
    ...rest,
  };
}

for (const { rfc, rule, headers = [], directives = {}, rest = {}, seconds } of [
  { rfc: '4.2.1', rule: 's-maxage before max-age', directives: { sMaxage: 60, maxAge: 10 }, seconds: 60 },
  { rfc: '4.2.1', rule: 's-maxage=0 is explicit', directives: { sMaxage: 0, maxAge: 10 }, seconds: 0 },
  {
    rfc: '4.2.1',
    rule: 'max-age before Expires',
    directives: { maxAge: 10 },
    headers: ['Expires', at(60_000)],
    seconds: 10,
  },
  { rfc: '5.3', rule: 'Expires', headers: ['Expires', at(60_000)], seconds: 60 },
  {
    rfc: '5.3',
    rule: 'Expires counts from Date',
    headers: ['Expires', at(60_000)],
    rest: { dateMs: NOW + 20_000 },
    seconds: 40,
  },
  { rfc: '5.3', rule: 'Expires in the past', headers: ['Expires', at(-60_000)], seconds: 0 },
  { rfc: '5.3', rule: 'Expires: 0', headers: ['Expires', '0'], seconds: 0 },
  { rfc: '5.3', rule: 'Expires: nothing', headers: ['Expires', ''], seconds: 0 },
  { rfc: '5.3', rule: 'Expires in another zone', headers: ['Expires', at(60_000).replace('GMT', 'CET')], seconds: 0 },
  { rfc: '5.3', rule: 'Expires twice', headers: ['Expires', at(60_000), 'expires', at(60_000)], seconds: 0 },
  { rfc: '5.3', rule: 'Expires in the old form', headers: ['Expires', EPOCH_850], seconds: 0 },
  {
    rfc: '9213 2.2',
    rule: 'Expires beside a targeted field',
    headers: ['Expires', at(60_000)],
    rest: { expiresCounts: false },
    seconds: undefined,
  },
  { rfc: '4.2.1', rule: 'nothing', seconds: undefined },
]) {
  test(`RFC ${rfc.includes(' ') ? rfc : `9111 ${rfc}`}: explicit: ${rule}`, async (t) => {
    t.equal(explicitLifetime(input(headers, directives, rest)), seconds === undefined ? undefined : seconds * 1_000);
  });
}

const LONG_AGO = ['Last-Modified', at(-100 * DAY)];
const MINUTE = 60_000;
const TENTH = { fraction: 0.1, maxMs: DAY, maxErrorMs: 2 * MINUTE };

for (const [status, cap] of [
  ...[200, 203, 204, 300, 301, 308].map((status) => [status, DAY] as const),
  ...[404, 405, 410, 414, 501].map((status) => [status, 2 * MINUTE] as const),
] as const) {
  test(`RFC 9111 4.2.2: heuristic: ${status}: a tenth, up to its cap`, async (t) => {
    t.equal(heuristicLifetime(input(['Last-Modified', at(-100_000)], {}, { status }), TENTH), 10_000);
    t.equal(heuristicLifetime(input(LONG_AGO, {}, { status }), TENTH), cap);
  });
}

test('a heuristic lifetime of an error is within the general cap as well', async (t) => {
  const heuristic = { ...TENTH, maxMs: MINUTE };
  t.equal(heuristicLifetime(input(LONG_AGO, {}, { status: 404 }), heuristic), MINUTE);
});

for (const { rule, headers = ['Last-Modified', at(-100_000)], directives = {}, rest = {}, ms } of [
  { rule: 'a tenth of the time since Last-Modified', ms: 10_000 },
  { rule: 'no Last-Modified', headers: [], ms: 0 },
  { rule: 'no more than the cap', headers: LONG_AGO, ms: DAY },
  { rule: 'modified in the future', headers: ['Last-Modified', at(5_000)], ms: 0 },
  { rule: 'modified now', headers: ['Last-Modified', at(0)], ms: 0 },
  { rule: 'no date', headers: ['Last-Modified', 'yesterday'], ms: 0 },
  { rule: 'a status that may not be guessed for', rest: { status: 302 }, ms: 0 },
  { rule: 'unless it is public', rest: { status: 302 }, directives: { isPublic: true }, ms: 10_000 },
  {
    rule: 'no more than the cap of errors, also where it is public',
    rest: { status: 500 },
    directives: { isPublic: true },
    headers: LONG_AGO,
    ms: 2 * MINUTE,
  },
  { rule: 'since Date, not since its arrival', rest: { dateMs: NOW - 50_000 }, ms: 5_000 },
]) {
  test(`RFC 9111 4.2.2: heuristic: ${rule}`, async (t) => {
    t.equal(heuristicLifetime(input(headers, directives, rest), TENTH), ms);
  });
}

test('lifetimes are never negative or NaN, and heuristic ones never above the cap', async (t) => {
  const anyDate = fc.oneof(fc.string(), fc.integer({ min: 0, max: 2 * NOW }).map(formatHttpDate));
  fc.assert(
    fc.property(anyDate, anyDate, fc.integer({ min: 0, max: 2 * NOW }), (expires, modified, dateMs) => {
      const given = input(['Expires', expires, 'Last-Modified', modified], {}, { dateMs });
      const guess = heuristicLifetime(given, TENTH);
      return (explicitLifetime(given) as number) >= 0 && guess >= 0 && guess <= DAY;
    }),
  );
  t.pass();
});
