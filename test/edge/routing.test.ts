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

interface Bench {
  readonly peers: Peers;
  readonly other: TcpServer;
  readonly worker: TcpServer;
  /** Rings in which the key is this process's own, another worker's, or another edge's. */
  use(owner: 'self' | 'worker' | 'edge'): void;
  routing(asked: RoutingOptions['requester']): EdgeRouting;
  /** @returns Server that the fetch reaches. */
  reach(fetch: Fetch): Promise<string>;
}

async function bench(t: Test): Promise<Bench> {
  const origin = await startOrigin(text('origin'));
  const node = (name: string): Promise<TcpServer> =>
    startTcp((socket) => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`));
  const [other, worker] = [await node('edge'), await node('worker')];
  const site = siteSchema.parse({ name: 'site', hosts: ['site.test'], origin: { servers: [{ url: origin.url }] } });
  const regionOf = (edges: readonly object[]): RegionConfig => {
    const region = regionSchema.parse({ region: 'eu', tier_secret: SECRET, edges, sites: [{ include: 'site.yaml' }] });
    return { ...region, file: 'eu.yaml', sites: [site], reachableShields: [] };
  };
  const alone = regionOf([SELF]);
  const two = regionOf([SELF, { name: 'eu-2', listen: '127.0.0.1:0', tier: other.address }]);
  const peers = new Peers('eu-1', two);
  const origins = new OriginPools(alone.network, alone.sites);
  t.teardown(() => Promise.all([origin.close(), other.close(), worker.close(), peers.close(), origins.close()]));
  const self = { name: 'w-1', tier: '127.0.0.1:1' };
  const workers = { self: 'w-1', all: [self, { name: 'w-2', tier: worker.address }] };
  const find = (owns: (key: string) => boolean): string => {
    for (let i = 0; ; i++) if (owns(`https://site.test/${i}`)) return `https://site.test/${i}`;
  };
  // One that another edge owns among two, and another worker among two.
  peers.setWorkers(workers);
  const key = find((one) => peers.owners(one).length > 0 && peers.workers(one).length > 0);
  return {
    peers,
    other,
    worker,
    use(owner) {
      peers.update(owner === 'edge' ? two : alone);
      peers.setWorkers(owner === 'worker' ? workers : { self: 'w-1', all: [self] });
    },
    routing: (asked) =>
      new EdgeRouting({
        peers,
        origin: origins,
        site,
        key,
        requester: asked,
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
  { decided: 'self', later: 'worker', reached: 'origin' },
  { decided: 'self', later: 'edge', reached: 'origin' },
  { decided: 'worker', later: 'self', reached: 'origin' },
  { decided: 'worker', later: 'worker', reached: 'worker' },
  { decided: 'worker', later: 'edge', reached: 'origin' },
  { decided: 'edge', later: 'self', reached: 'origin' },
  { decided: 'edge', later: 'worker', reached: 'worker' },
  { decided: 'edge', later: 'edge', reached: 'edge' },
] as const) {
  test(`with ${decided} as owner at routing and ${later} at the fetch, ${reached}`, async (t) => {
    const { use, routing, reach } = await bench(t);
    use(decided);
    const { asksPeer, isOwner, fetch } = routing('by-visitor');
    t.equal(asksPeer, { self: false, worker: 'near', edge: true }[decided]);
    t.equal(isOwner, decided === 'self');
    use(later);
    t.equal(await reach(fetch), reached);
  });
}

for (const { asked, owner, asksPeer } of [
  { asked: 'by-edge', owner: 'edge', asksPeer: false },
  { asked: 'by-edge', owner: 'worker', asksPeer: 'near' },
  { asked: 'by-worker', owner: 'edge', asksPeer: false },
  { asked: 'by-worker', owner: 'worker', asksPeer: false },
] as const) {
  test(`a request ${asked} for a key that the ${owner} owns asks ${asksPeer || 'no peer'}`, async (t) => {
    const { use, routing } = await bench(t);
    use(owner);
    t.equal(routing(asked).asksPeer, asksPeer);
  });
}

test('an edge that stands in for the owner stores the response, one that relays it does not', async (t) => {
  const { use, routing, reach, other } = await bench(t);
  use('edge');
  const relayed = routing('by-visitor');
  t.equal(await reach(relayed.fetch), 'edge');
  t.equal(relayed.shouldStore(), false);
  await other.close();
  const standsIn = routing('by-visitor');
  t.equal(await reach(standsIn.fetch), 'origin');
  t.equal(standsIn.shouldStore(), true);
});
