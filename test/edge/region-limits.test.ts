import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { test } from 'tap';
import { type SiteConfig, siteSchema } from '../../config/schema.ts';
import { RateLimits, type SiteLimits } from '../../edge/rate-limits.ts';
import { type CountsOwner, RegionLimits } from '../../edge/region-limits.ts';
import { HttpError } from '../../http/errors.ts';
import { monotonicMs } from '../../lib/clock.ts';

const REQUESTS = 20;
const PER_SECONDS = 10;

function site(): SiteConfig {
  return siteSchema.parse({
    name: 'shop',
    hosts: ['*'],
    origin: { servers: [{ url: 'http://127.0.0.1:1' }] },
    rate_limits: [{ name: 'few', requests: REQUESTS, per: `${PER_SECONDS}s` }],
  });
}

interface Edge {
  readonly limits: RateLimits;
  readonly region: RegionLimits;
  /** Sends requests until one is refused. @returns The number of those that were not. */
  flood(visitor: string): number;
}

/** Edges of which the first one owns all keys, with a clock of their own. */
function edgesOf(count: number, ask?: (owner: Edge, body: object) => Promise<unknown>) {
  let now = 0;
  const edges: Edge[] = [];
  const hear = async (owner: Edge, body: object): Promise<unknown> => owner.region.hear(body);
  const owner: CountsOwner = {
    name: 'first',
    askJson: async (body) => {
      const sent = JSON.parse(JSON.stringify(body)) as object;
      return JSON.parse(JSON.stringify(await (ask ?? hear)(edges[0] as Edge, sent))) as unknown;
    },
  };
  for (let i = 0; i < count; i++) {
    const config = site();
    const limits = new RateLimits(
      [config],
      () => undefined,
      undefined,
      () => monotonicMs(now),
    );
    const of = limits.of(config) as SiteLimits;
    edges.push({
      limits,
      region: new RegionLimits(limits, () => (i === 0 ? undefined : owner)),
      flood: (visitor) => {
        for (let taken = 0; ; taken++) {
          if (of.refusal({ method: 'GET', headers: [] }, visitor, '/') !== undefined) return taken;
        }
      },
    });
  }
  return {
    edges,
    async pass(ms: number): Promise<void> {
      now += ms;
      for (const { limits } of edges) limits.share();
      for (let turns = 0; turns < 5; turns++) await nextTurn();
    },
  };
}

test('a visitor that has used up what it may have at one edge hears of it at the others', async (t) => {
  const { edges, pass } = edgesOf(3);
  const [first, second, third] = edges as [Edge, Edge, Edge];
  t.equal(second.flood('192.0.2.1'), REQUESTS);
  await pass(100);
  t.equal(first.flood('192.0.2.1'), 0, 'the owner');
  t.equal(third.flood('192.0.2.2'), REQUESTS, 'another visitor');
  t.ok(third.flood('192.0.2.1') <= REQUESTS);
  await pass(100);
  t.equal(third.flood('192.0.2.1'), 0, 'and every edge that it tries');
});

test('in the long run all edges together let through what one would', async (t) => {
  const { edges, pass } = edgesOf(3);
  let taken = 0;
  const seconds = 100;
  for (let tenths = 0; tenths < seconds * 10; tenths++) {
    for (const edge of edges) taken += edge.flood('192.0.2.1');
    await pass(100);
  }
  const allowed = (REQUESTS * seconds) / PER_SECONDS;
  t.ok(taken <= allowed + REQUESTS * edges.length, `${taken} of ${allowed}`);
  t.ok(taken >= allowed * 0.8, `${taken} of ${allowed}`);
});

test('an owner that does not answer leaves each edge with its own limit, and gets one message at a time', async (t) => {
  let messages = 0;
  const { promise: answer, reject } = Promise.withResolvers<unknown>();
  const { edges, pass } = edgesOf(2, () => {
    messages++;
    return answer;
  });
  const second = edges[1] as Edge;
  for (let i = 0; i < 5; i++) {
    t.equal(second.flood(`192.0.2.${i}`), REQUESTS);
    await pass(100);
  }
  t.equal(messages, 1);
  reject(new Error('it did not answer'));
  await pass(0);
  second.flood('192.0.2.9');
  await pass(100);
  t.equal(messages, 2);
});

test('of more keys than a message has, those with the most requests are told', async (t) => {
  const sent: unknown[] = [];
  const { edges, pass } = edgesOf(2, async (_owner, body) => {
    sent.push(...(body as { counts: unknown[] }).counts);
    return {};
  });
  const { limits, flood } = edges[1] as Edge;
  for (let i = 0; i < 3_000; i++) {
    limits.of(site())?.refusal({ method: 'GET', headers: [] }, `10.0.${i >> 8}.${i & 255}`, '/');
  }
  flood('192.0.2.1');
  await pass(100);
  t.equal(sent.length, 1_000);
  t.strictSame(sent[0], [0, '192.0.2.1', REQUESTS]);
});

test('property: what is no message is refused, and changes nothing', async (t) => {
  const { edges } = edgesOf(1);
  const { region, flood } = edges[0] as Edge;
  const message = fc.record({ limits: fc.anything(), counts: fc.array(fc.anything()) });
  fc.assert(
    fc.property(fc.oneof(fc.anything(), message), (body) => {
      try {
        region.hear(body);
        return true;
      } catch (error) {
        return error instanceof HttpError && error.code === 'bad_request';
      }
    }),
  );
  for (const counts of [[[0, 'a', -1]], [[0, 'a', 0.5]], [[9, 'a', 1]], [['length', 'a', 1]], [[0, 'a', 1e300]]]) {
    t.throws(() => region.hear({ limits: ['x'], counts }), { code: 'bad_request' }, JSON.stringify(counts));
  }
  t.strictSame(region.hear({ limits: ['unknown'], counts: [[0, 'a', 1]] }), { full_in: [null] });
  t.equal(flood('192.0.2.1'), REQUESTS);
});
