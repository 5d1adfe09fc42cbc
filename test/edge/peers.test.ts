/** Owners of keys among the edges and workers of a region: by the ring, and by the load where there is any. */
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

function peersOf(t: Test, edges: number, workers: number): Peers {
  const all = Array.from({ length: workers }, (_, i) => ({ name: `w-${i + 1}`, tier: `127.0.0.1:${100 + i}` }));
  const peers = new Peers('eu-1', regionOf(edges), { self: 'w-1', all });
  t.teardown(() => peers.close());
  return peers;
}

const keysOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `https://site.test/${i}`);

test('property: a thread is the owner of a key exactly when it asks no other node for it', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 4 }),
      fc.nat({ max: 40 }),
      fc.webPath(),
      (edges, workers, load, path) => {
        const peers = peersOf(t, edges, workers);
        peers.ownInFlight = load;
        const key = `https://site.test${path}`;
        const { owners, workers: siblings } = peers.hops(key, 'by-visitor');
        t.equal(peers.isOwner(peers.ownerOf(key)), owners.length === 0 && siblings.length === 0);
      },
    ),
    { numRuns: 200 },
  );
});

test('an owner below the load floor is never passed over; above it, it is when others have none', async (t) => {
  const peers = peersOf(t, 2, 1);
  const own = keysOf(200).filter((key) => peers.owners(key).length === 0);
  t.ok(own.length > 0 && own.length < 200, 'both edges own some keys');
  peers.ownInFlight = LOAD_FLOOR - 1;
  t.ok(own.every((key) => peers.isOwner(peers.ownerOf(key))));
  peers.ownInFlight = LOAD_FLOOR;
  t.ok(own.every((key) => !peers.isOwner(peers.ownerOf(key)) && peers.owners(key).length === 1));
});

test('an edge asks no edge for another edge, and a worker none for a worker', async (t) => {
  const peers = peersOf(t, 3, 3);
  for (const key of keysOf(50)) {
    t.equal(peers.hops(key, 'by-edge').owners.length, 0);
    t.strictSame(peers.hops(key, 'by-worker'), { owners: [], workers: [] });
  }
});

test('a reload makes a new version, and keeps the clients of nodes that have not changed', async (t) => {
  const peers = peersOf(t, 2, 1);
  const key = keysOf(200).find((one) => peers.owners(one).length > 0) as string;
  const [client] = peers.owners(key);
  const { version } = peers;
  peers.update(regionOf(2));
  t.not(peers.version, version);
  t.equal(peers.owners(key)[0], client);
});
