/**
 * The nodes of a documented config in this process, between visitors and an
 * origin of the test’s own. Addresses, certificates and the origin’s URL are
 * the test’s; everything else is as documented.
 * @module
 */
import { type RegionConfig, regionSchema } from '../../config/schema.ts';
import { type EdgeNode, startEdge } from '../../edge/node.ts';
import { type EpochMs, epochMs, wallNow } from '../../lib/clock.ts';
import { type ShieldNode, startShield } from '../../origin-shield/node.ts';
import { OriginPools } from '../../origin-shield/origin-pool.ts';
import { createLog } from '../../telemetry/log.ts';
import { Clients, type Got, PROXY_ADDRESS } from './clients.ts';
import type { Asked } from './oracle.ts';
import { type IdentityOrigin, type OriginOptions, startIdentityOrigin } from './origin.ts';
import { usesPlaces } from './people.ts';

export interface Stage {
  readonly region: RegionConfig;
  readonly origin: IdentityOrigin;
  readonly clock: { now: number };
  /** Requests that were answered before HTTP was parsed. */
  readonly answeredPrepared: number;
  /** Sends a request to one of the edges; with TLS every second one by HTTP/2. */
  send(asked: Asked, edge: number): Promise<Got>;
  close(): Promise<void>;
}

const log = createLog({ name: 'documented', level: process.env['SEAWALL_LOG'] === 'debug' ? 'debug' : 'silent' });

export async function startStage(documented: RegionConfig, options: Omit<OriginOptions, 'now'>): Promise<Stage> {
  const clock: { now: number } = { now: wallNow() };
  const now = (): EpochMs => epochMs(clock.now);
  const origin = await startIdentityOrigin({ ...options, now });
  const isBehindProxy = documented.sites.some(usesPlaces);
  const region = onLoopback(documented, origin.url, isBehindProxy);
  const shields = await Promise.all(
    region.reachableShields.map((shield) =>
      startShield({ region: { ...region, shields: [shield] }, shield, log, now }),
    ),
  );
  const edges = await Promise.all(
    region.edges.map((edge) =>
      startEdge({ region, edge, origin: new OriginPools(region.network, region.sites), log, now }),
    ),
  );
  const nodes = [...edges, ...shields];
  const known = withAddresses(region, nodes);
  for (const node of nodes) node.reload(known);
  const clients = new Clients(isBehindProxy);
  return {
    region: known,
    origin,
    clock,
    get answeredPrepared() {
      return edges.reduce((sum, edge) => sum + edge.answeredPrepared, 0);
    },
    send: (asked, edge) => clients.send(edges[edge % edges.length] as EdgeNode, asked),
    close: async () => {
      clients.close();
      await Promise.all(edges.map((node) => node.close()));
      await Promise.all(shields.map((node) => node.close()));
      await origin.close();
    },
  };
}

const PORT_0 = '127.0.0.1:0';

function onLoopback(region: RegionConfig, originUrl: string, isBehindProxy: boolean): RegionConfig {
  const { databases } = regionSchema.shape.geo.parse({});
  return {
    ...region,
    edges: region.edges.map((edge) => ({
      ...edge,
      listen: PORT_0,
      listen_tls: edge.listen_tls === undefined ? undefined : PORT_0,
      tier: PORT_0,
      control: undefined,
    })),
    shields: region.shields.map((shield) => ({ ...shield, tier: PORT_0, control: undefined })),
    reachableShields: region.reachableShields.map((shield) => ({ ...shield, tier: PORT_0, control: undefined })),
    control: undefined,
    dns: undefined,
    tier_tls: undefined, // its files are not there
    purges: { ...region.purges, journal: [] },
    access_log: undefined,
    geo: { ...region.geo, databases },
    trusted_proxies: isBehindProxy ? [...region.trusted_proxies, PROXY_ADDRESS] : region.trusted_proxies,
    sites: region.sites.map((site) => ({
      ...site,
      origin: { ...site.origin, servers: [{ url: originUrl, weight: 1, backup: false }] },
    })),
  };
}

function withAddresses(region: RegionConfig, nodes: readonly (EdgeNode | ShieldNode)[]): RegionConfig {
  const placed = <N extends { readonly name: string; readonly tier: string }>(node: N): N => ({
    ...node,
    tier: nodes.find(({ name }) => name === node.name)?.addresses.tier ?? node.tier,
  });
  return {
    ...region,
    edges: region.edges.map(placed),
    shields: region.shields.map(placed),
    reachableShields: region.reachableShields.map(placed),
  };
}
