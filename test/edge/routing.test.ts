/** Routing is decided once: collapsing goes by it, so a fetch may not go further, whatever the rings are by then. */
import { type Test, test } from 'tap';
import { type RegionConfig, regionSchema, siteSchema } from '../../config/schema.ts';
import { Peers } from '../../edge/peers.ts';
import { EdgeRouting, type RoutingOptions } from '../../edge/routing.ts';
import type { Fetch } from '../../http/message.ts';
import { OriginPools } from '../../origin-shield/origin-pool.ts';
import { SECRET } from '../support/network.ts';
import { startOrigin, startTcp, type TcpServer, text } from '../support/origin.ts';

const SELF = { name: 'eu-1', listen: '127.0.0.1:0', tier: '127.0.0.1:1' };

const VISITOR = { asksOwner: true };
const EDGE = { asksOwner: false };

interface Bench {
  readonly peers: Peers;
  readonly other: TcpServer;
  /** Ring in which the key is this edge's own, or another edge's. */
  use(owner: 'self' | 'edge'): void;
  routing(asked: Pick<RoutingOptions, 'asksOwner'>): EdgeRouting;
  /** @returns Server that the fetch reaches. */
  reach(fetch: Fetch): Promise<string>;
}

async function bench(t: Test): Promise<Bench> {
  const origin = await startOrigin(text('origin'));
  const other = await startTcp((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nedge'));
  const site = siteSchema.parse({ name: 'site', hosts: ['site.test'], origin: { servers: [{ url: origin.url }] } });
  const regionOf = (edges: readonly object[]): RegionConfig => {
    const region = regionSchema.parse({ region: 'eu', tier_secret: SECRET, edges, sites: [{ include: 'site.yaml' }] });
    return { ...region, file: 'eu.yaml', sites: [site], reachableShields: [] };
  };
  const alone = regionOf([SELF]);
  const two = regionOf([SELF, { name: 'eu-2', listen: '127.0.0.1:0', tier: other.address }]);
  const peers = new Peers('eu-1', two);
  const origins = new OriginPools(alone.network, alone.sites);
  t.teardown(() => Promise.all([origin.close(), other.close(), peers.close(), origins.close()]));
  const find = (owns: (key: string) => boolean): string => {
    for (let i = 0; ; i++) if (owns(`https://site.test/${i}`)) return `https://site.test/${i}`;
  };
  const key = find((one) => peers.owners(one).length > 0); // that the other edge owns
  return {
    peers,
    other,
    use: (owner) => peers.update(owner === 'edge' ? two : alone),
    routing: ({ asksOwner }) =>
      new EdgeRouting({
        peers,
        origin: origins,
        site,
        key,
        asksOwner,
        call: () => ({ id: 'id', from: 'eu-1', proto: 'https', position: { identity: undefined, seq: 0 } }),
      }),
    reach: (fetch) =>
      new Promise((resolve, reject) => {
        let reached = '';
        fetch(
          { method: 'GET', target: '/', headers: ['Host', 'site.test'], body: undefined },
          {
            onInterim: () => undefined,
            onHead: () => undefined,
            onData: (piece) => {
              reached += piece.toString();
            },
            onEnd: () => resolve(reached),
            onError: reject,
          },
        );
      }),
  };
}

for (const { decided, later, reached } of [
  { decided: 'self', later: 'self', reached: 'origin' },
  { decided: 'self', later: 'edge', reached: 'origin' },
  { decided: 'edge', later: 'self', reached: 'origin' },
  { decided: 'edge', later: 'edge', reached: 'edge' },
] as const) {
  test(`with ${decided} as owner at routing and ${later} at the fetch, ${reached}`, async (t) => {
    const { use, routing, reach } = await bench(t);
    use(decided);
    const { asksPeer, isOwner, fetch } = routing(VISITOR);
    t.equal(asksPeer, decided === 'edge');
    t.equal(isOwner, decided === 'self');
    use(later);
    t.equal(await reach(fetch), reached);
  });
}

test('a request of another edge asks no further edge, whichever owns the key', async (t) => {
  const { use, routing } = await bench(t);
  for (const owner of ['self', 'edge'] as const) {
    use(owner);
    t.equal(routing(EDGE).asksPeer, false);
  }
});

test('an edge that stands in for the owner stores the response, one that relays it does not', async (t) => {
  const { use, routing, reach, other } = await bench(t);
  use('edge');
  const relayed = routing(VISITOR);
  t.equal(await reach(relayed.fetch), 'edge');
  t.equal(relayed.shouldStore(), false);
  await other.close();
  const standsIn = routing(VISITOR);
  t.equal(await reach(standsIn.fetch), 'origin');
  t.equal(standsIn.shouldStore(), true);
});
