import { once } from 'node:events';
import { test } from 'tap';
import type { z } from 'zod';
import { NO_PATH } from '../../config/rule-path.ts';
import type { rateLimitSchema } from '../../config/schema/rate-limit.ts';
import { type SiteConfig, siteSchema } from '../../config/schema.ts';
import { networkOf, RateLimits, refusalFields, type SiteLimits } from '../../edge/rate-limits.ts';
import { monotonicMs } from '../../lib/clock.ts';

type LimitInput = z.input<typeof rateLimitSchema>;

function siteOf(...rate_limits: LimitInput[]): SiteConfig {
  return siteSchema.parse({
    name: 'shop',
    hosts: ['*'],
    origin: { servers: [{ url: 'http://127.0.0.1:1' }] },
    rate_limits,
  });
}

/** One request in ten seconds. */
const ONE: LimitInput = { name: 'one', requests: 1, per: '10s' };

function limitsOf(site: SiteConfig, limited: string[] = []): SiteLimits {
  const limits = new RateLimits(
    [site],
    (_site, { name, action }) => limited.push(`${name} ${action}`),
    undefined,
    () => monotonicMs(0),
  );
  return limits.of(site) as SiteLimits;
}

interface Request {
  readonly method?: string;
  readonly headers?: readonly string[];
  readonly visitor?: string;
  readonly path?: string;
}

for (const { rule, limit, first, second, isRefused } of [
  { rule: 'one address', limit: {}, first: {}, second: {}, isRefused: true },
  { rule: 'two addresses', limit: {}, first: {}, second: { visitor: '192.0.2.2' }, isRefused: false },
  {
    rule: 'two addresses of a network',
    limit: { by: 'network' },
    first: {},
    second: { visitor: '192.0.2.2' },
    isRefused: true,
  },
  { rule: 'two networks', limit: { by: 'network' }, first: {}, second: { visitor: '192.0.3.1' }, isRefused: false },
  { rule: 'everyone', limit: { by: 'everyone' }, first: {}, second: { visitor: '2001:db8:0:1::/64' }, isRefused: true },
  {
    rule: 'one value of a header',
    limit: { by: { header: 'X-Api-Key' } },
    first: { headers: ['x-api-key', 'a'] },
    second: { headers: ['X-API-KEY', 'a'], visitor: '192.0.2.2' },
    isRefused: true,
  },
  {
    rule: 'two values of a header',
    limit: { by: { header: 'X-Api-Key' } },
    first: { headers: ['x-api-key', 'a'] },
    second: { headers: ['X-API-KEY', 'b'] },
    isRefused: false,
  },
  {
    rule: 'one address without the header',
    limit: { by: { header: 'X-Api-Key' } },
    first: {},
    second: {},
    isRefused: true,
  },
  {
    rule: 'a header with another one’s address',
    limit: { by: { header: 'X-Api-Key' } },
    first: {},
    second: { headers: ['X-Api-Key', '192.0.2.1'], visitor: '192.0.2.2' },
    isRefused: false,
  },
  { rule: 'another method', limit: { methods: ['POST'] }, first: {}, second: {}, isRefused: false },
  {
    rule: 'the method of the limit',
    limit: { methods: ['POST'] },
    first: { method: 'POST' },
    second: { method: 'POST' },
    isRefused: true,
  },
  {
    rule: 'another path',
    limit: { path: '/login*' },
    first: { path: '/login' },
    second: { path: '/' },
    isRefused: false,
  },
  {
    rule: 'a path that servers read in different ways',
    limit: { path: '/login*' },
    first: { path: NO_PATH },
    second: { path: NO_PATH },
    isRefused: true,
  },
  {
    rule: 'paths of the limit',
    limit: { path: ['/x', '/login*'] },
    first: { path: '/login' },
    second: { path: '/login.php' },
    isRefused: true,
  },
] as readonly {
  readonly rule: string;
  readonly limit: Partial<LimitInput>;
  readonly first: Request;
  readonly second: Request;
  readonly isRefused: boolean;
}[]) {
  test(`a limit of one request: ${rule}, the second one is ${isRefused ? 'refused' : 'not counted'}`, async (t) => {
    const limits = limitsOf(siteOf({ ...ONE, ...limit }));
    const refusal = ({ method = 'GET', headers = [], visitor = '192.0.2.1', path = '/' }: Request) =>
      limits.refusal({ method, headers }, visitor, path);
    t.equal(refusal(first), undefined);
    t.equal(refusal(second) !== undefined, isRefused);
  });
}

test('a limit that only logs refuses nothing, and all limits count', async (t) => {
  const limited: string[] = [];
  const limits = limitsOf(siteOf({ ...ONE, action: 'log' }, { ...ONE, name: 'two', requests: 2 }), limited);
  const refusals = [1, 2, 3].map(() => limits.refusal({ method: 'GET', headers: [] }, '192.0.2.1', '/')?.limit.name);
  t.strictSame(refusals, [undefined, undefined, 'two']);
  t.strictSame(limited, ['one log', 'one log', 'two refuse']);
});

test('a refusal names the limit, and when requests are within it again', async (t) => {
  const [limit] = siteOf({ name: 'login', requests: 10, per: '1m' }).rate_limits;
  if (limit === undefined) throw new Error('no limit');
  t.strictSame(refusalFields({ limit, waitMs: 5_001 }), [
    ...['Retry-After', '6'],
    ...['RateLimit-Policy', '"login";q=10;w=60'],
    ...['RateLimit', '"login";r=0;t=6'],
  ]);
});

test('networks of addresses are those that their holders usually have', async (t) => {
  t.equal(networkOf('192.0.2.77'), '192.0.2.0/24');
  t.equal(networkOf('2001:db8:7:1::/64'), '2001:db8:7::/48');
});

test('a reload keeps what was counted, unless the limit has changed', async (t) => {
  const site = siteOf(ONE);
  const all = new RateLimits([site], () => undefined);
  const isRefused = (of: SiteConfig): boolean =>
    all.of(of)?.refusal({ method: 'GET', headers: [] }, '192.0.2.1', '/') !== undefined;
  t.notOk(isRefused(site));
  all.update([site]);
  t.ok(isRefused(site));
  const other = siteOf({ ...ONE, per: '20s' });
  all.update([other]);
  t.notOk(isRefused(other));
  t.equal(all.of(siteOf()), undefined);
});

test('threads of one edge tell each other what they have counted', async (t) => {
  const site = siteOf({ name: 'ten', requests: 10, per: '1h' });
  const threads = [1, 2].map(() => new RateLimits([site], () => undefined, 'an-edge'));
  t.teardown(() => threads.forEach((thread) => void thread.close()));
  const [first, second] = threads.map((thread) => thread.of(site) as SiteLimits) as [SiteLimits, SiteLimits];
  const request = { method: 'GET', headers: [] };
  for (let i = 0; i < 10; i++) t.equal(first.refusal(request, '192.0.2.1', '/'), undefined);
  const channel = new BroadcastChannel('seawall-rate-limits-an-edge');
  await once(channel as unknown as EventTarget, 'message');
  channel.close();
  t.ok(second.refusal(request, '192.0.2.1', '/'));
  t.equal(second.refusal(request, '192.0.2.2', '/'), undefined);
});
