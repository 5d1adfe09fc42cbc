import { test } from 'tap';
import { type RegionConfig, regionSchema, siteSchema } from '../../config/schema.ts';
import { shareOf, workerName, workersOf } from '../../config/workers.ts';

function region(edge: object): RegionConfig {
  const parsed = regionSchema.parse({
    region: 'eu',
    tier_secret: 'a-secret-of-the-network',
    edges: [{ name: 'eu-1', listen: '127.0.0.1:0', tier: '127.0.0.1:0', ...edge }],
    sites: [{ include: 'site.yaml' }],
  });
  const site = siteSchema.parse({
    name: 'shop',
    hosts: ['*'],
    origin: { servers: [{ url: 'http://o.test' }], max_connections: 5 },
  });
  return { ...parsed, file: 'eu.yaml', sites: [site], reachableShields: [] };
}

test('an edge has as many workers as the machine has cores, unless the file says how many', async (t) => {
  const [edge] = region({}).edges;
  t.equal(workersOf(edge as never, 4), 4);
  t.equal(workersOf({ ...edge, workers: 2 } as never, 4), 2);
  t.equal(workerName('eu-1', 2), 'eu-1#2');
});

test('a worker has its share of the connections, and at least one; the memory is for all', async (t) => {
  const whole = region({ memory: '1GiB' });
  const share = shareOf(whole, 4);
  t.equal(share.edges[0]?.memory, 2 ** 30);
  t.equal(share.sites[0]?.origin.max_connections, 2, 'rounded up');
  t.equal(share.limits.max_connections, Math.ceil(whole.limits.max_connections / 4));
  const tiny = shareOf(whole, 2 ** 40);
  t.equal(tiny.sites[0]?.origin.max_connections, 1);
});
