import { test } from 'tap';
import { responsePolicy } from '../../../cache/policy/response-policy.ts';
import { ruleSchema } from '../../../config/schema.ts';
import { formatHttpDate } from '../../../http/fields/date.ts';
import { epochMs } from '../../../lib/clock.ts';

const NOW = 1_740_787_200_000;
const at = (offset: number): string => formatHttpDate(NOW + offset);

function policy(headers: readonly string[], rule: Record<string, unknown> = {}, status = 200) {
  return responsePolicy({
    status,
    headers,
    requestTime: epochMs(NOW - 1_000),
    responseTime: epochMs(NOW),
    rule: ruleSchema.parse(rule),
    targetedFields: ['CDN-Cache-Control'],
    heuristic: { fraction: 0.1, maxMs: 86_400_000, maxErrorMs: 120_000 },
  });
}

for (const { what, headers, rule = {}, status = 200, seconds } of [
  { what: 'max-age', headers: ['Cache-Control', 'max-age=60'], seconds: 60 },
  { what: 'the rule’s ttl where there is none', headers: [], rule: { ttl: '30s' }, seconds: 30 },
  { what: 'the origin before the rule', headers: ['Cache-Control', 'max-age=60'], rule: { ttl: '30s' }, seconds: 60 },
  { what: 'a lifetime of nothing is one', headers: ['Expires', '0'], rule: { ttl: '30s' }, seconds: 0 },
  {
    what: 'the rule where the origin is ignored',
    headers: ['Cache-Control', 'max-age=60', 'Expires', at(90_000)],
    rule: { ttl: '30s', origin_headers: 'ignore' },
    seconds: 30,
  },
  { what: 'Expires from Date', headers: ['Date', at(-10_000), 'Expires', at(50_000)], seconds: 60 },
  { what: 'Expires from arrival, where Date is none', headers: ['Date', 'soon', 'Expires', at(50_000)], seconds: 50 },
  { what: 'a guess', headers: ['Last-Modified', at(-100_000)], seconds: 10 },
  { what: 'the rule before a guess', headers: ['Last-Modified', at(-100_000)], rule: { ttl: '30s' }, seconds: 30 },
  { what: 'no guess for 302', headers: ['Last-Modified', at(-100_000)], status: 302, seconds: 0 },
]) {
  test(`RFC 9111 4.2.1: lifetime: ${what}`, async (t) => {
    t.equal(policy(headers, rule, status).lifetimeMs, seconds * 1_000);
  });
}

for (const { what, headers, seconds } of [
  { what: 'the time on the way', headers: [], seconds: 1 },
  { what: 'Age', headers: ['Age', '5'], seconds: 6 },
  { what: 'Age in two lines', headers: ['Age', '5', 'Age', '50'], seconds: 6 },
  { what: 'Date', headers: ['Date', at(-30_000)], seconds: 30 },
  { what: 'the first Date', headers: ['Date', at(-30_000), 'Date', at(0)], seconds: 30 },
  { what: 'a Date that is none', headers: ['Date', 'x'], seconds: 1 },
]) {
  test(`RFC 9111 4.2.3: age: ${what}`, async (t) => {
    t.equal(policy(headers).initialAgeMs, seconds * 1_000);
  });
}

const WINDOWS = { stale_while_revalidate: '20s', stale_if_error: '40s' };

for (const { what, control, rule = {}, windows } of [
  { what: 'none', control: 'max-age=1', windows: [0, 0] },
  { what: 'the origin’s', control: 'max-age=1, stale-while-revalidate=2, stale-if-error=3', windows: [2, 3] },
  { what: 'the rule’s', control: 'max-age=1', rule: WINDOWS, windows: [20, 40] },
  { what: 'the origin’s before the rule’s', control: 'max-age=1, stale-if-error=3', rule: WINDOWS, windows: [20, 3] },
  { what: 'the rule’s, without a lifetime', control: '', rule: WINDOWS, windows: [0, 0] },
  { what: 'the rule’s, with a lifetime of nothing', control: 'max-age=0', rule: WINDOWS, windows: [0, 0] },
  { what: 'the rule’s, with its ttl', control: '', rule: { ...WINDOWS, ttl: '1s' }, windows: [20, 40] },
  { what: 'the origin’s, without a lifetime', control: 'stale-while-revalidate=2', windows: [0, 0] },
  { what: 'the origin’s, with a lifetime of nothing', control: 'max-age=0, stale-if-error=2', windows: [0, 2] },
  { what: 'a window of nothing is one', control: 'max-age=1, stale-if-error=0', rule: WINDOWS, windows: [20, 0] },
  {
    what: 'must-revalidate forbids',
    control: 'must-revalidate, stale-while-revalidate=2',
    rule: WINDOWS,
    windows: [0, 0],
  },
  { what: 'proxy-revalidate forbids', control: 'proxy-revalidate, stale-if-error=3', rule: WINDOWS, windows: [0, 0] },
  { what: 'no-cache forbids', control: 'no-cache, stale-if-error=3', rule: WINDOWS, windows: [0, 0] },
  { what: 's-maxage forbids the rule’s', control: 's-maxage=1', rule: WINDOWS, windows: [0, 0] },
  {
    what: 's-maxage does not forbid the origin’s own',
    control: 's-maxage=1, stale-while-revalidate=2',
    windows: [2, 0],
  },
]) {
  test(`RFC 9111 4.2.4 and RFC 5861: windows: ${what}`, async (t) => {
    const { staleWhileRevalidateMs, staleIfErrorMs } = policy(['Cache-Control', control], rule);
    t.same(
      [staleWhileRevalidateMs, staleIfErrorMs],
      windows.map((seconds) => seconds * 1_000),
    );
  });
}

test('targeted fields and origin_headers: ignore address this cache', async (t) => {
  t.equal(policy(['Cache-Control', 'max-age=1']).addressed, false);
  t.equal(policy(['CDN-Cache-Control', 'max-age=1']).addressed, true);
  t.equal(policy(['Cache-Control', 'max-age=1'], { origin_headers: 'ignore' }).addressed, true);
  t.equal(policy(['Cache-Control', 'private'], { origin_headers: 'ignore' }).directives.isPrivate, false);
});
