/** Owners of keys among the edges of a region: by the ring, and by the load where there is any. */
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { type RegionConfig, regionSchema, siteSchema } from '../../config/schema.ts';
import { Peers } from '../../edge/peers.ts';
import { SECRET } from '../support/network.ts';

const SITE = siteSchema.parse({
  name: 'site',
  hosts: ['site.test'],
  origin: { servers: [{ url: 'http://origin.test' }] },
});

/** Requests in flight below which an owner is never passed over. */
const LOAD_FLOOR = 16;

function regionOf(count: number): RegionConfig {
  const edges = Array.from({ length: count }, (_, i) => ({
    name: `eu-${i + 1}`,
    listen: '127.0.0.1:0',
    tier: `127.0.0.1:${i + 1}`,
  }));
  const region = regionSchema.parse({ region: 'eu', tier_secret: SECRET, edges, sites: [{ include: 'site.yaml' }] });
  return { ...region, file: 'eu.yaml', sites: [SITE], reachableShields: [] };
}

function peersOf(t: Test, edges: number): Peers {
  const peers = new Peers('eu-1', regionOf(edges));
  t.teardown(() => peers.close());
  return peers;
}

const keysOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `https://site.test/${i}`);

test('property: an edge is the owner of a key exactly when it asks no other edge for it', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.nat({ max: 40 }), fc.webPath(), (edges, load, path) => {
      const peers = peersOf(t, edges);
      peers.ownInFlight = load;
      const key = `https://site.test${path}`;
      t.equal(peers.isOwner(peers.ownerOf(key)), peers.owners(key).length === 0);
    }),
    { numRuns: 200 },
  );
});

test('an owner below the load floor is never passed over; above it, it is when others have none', async (t) => {
  const peers = peersOf(t, 2);
  const own = keysOf(200).filter((key) => peers.owners(key).length === 0);
  t.ok(own.length > 0 && own.length < 200, 'both edges own some keys');
  peers.ownInFlight = LOAD_FLOOR - 1;
  t.ok(own.every((key) => peers.isOwner(peers.ownerOf(key))));
  peers.ownInFlight = LOAD_FLOOR;
  t.ok(own.every((key) => !peers.isOwner(peers.ownerOf(key)) && peers.owners(key).length === 1));
});

test('a reload makes a new version, and keeps the clients of nodes that have not changed', async (t) => {
  const peers = peersOf(t, 2);
  const key = keysOf(200).find((one) => peers.owners(one).length > 0) as string;
  const [client] = peers.owners(key);
  const { version } = peers;
  peers.update(regionOf(2));
  t.not(peers.version, version);
  t.equal(peers.owners(key)[0], client);
});
