/**
 * An edge: the node that visitors reach.
 * @module
 */
import type { Logger } from 'pino';
import type { EdgeConfig, RegionConfig } from '../config/schema.ts';
import { trustedProxies } from '../http/forwarding.ts';
import { listen, openAll } from '../http/listener.ts';
import { nodeControl } from '../tier/control.ts';
import { failover } from '../tier/failover.ts';
import { type FetchFor, listenForNodes } from '../tier/listener.ts';
import { NodeCore } from '../tier/node-core.ts';
import { once } from '../tier/once.ts';
import { followPurges } from '../tier/purges.ts';
import { HotKeys } from './hot.ts';
import { type OriginAccess, Peers, route } from './peers.ts';
import { answerUpgrade, answerVisitor, type Visit } from './visitor.ts';

export interface EdgeOptions {
  readonly region: RegionConfig;
  readonly edge: EdgeConfig;
  /** How to reach the origin without a shield; absent: never. */
  readonly origin?: OriginAccess | undefined;
  readonly log: Logger;
}

export interface EdgeNode {
  readonly name: string;
  readonly addresses: { readonly listen: string; readonly tier: string; readonly control: string | undefined };
  /** Serves what the new config says; its addresses must be the same. */
  reload(region: RegionConfig): void;
  /** Resolves when requests under way have finished, or had the time that the config gives them. */
  close(): Promise<void>;
}

/** How long a key's requests are counted for `hot_after`. */
const HOT_WINDOW_MS = 10_000;

/** Keys that are counted at a time. */
const MAX_COUNTED_KEYS = 100_000;

export async function startEdge({ region, edge, origin, log }: EdgeOptions): Promise<EdgeNode> {
  const { name } = edge;
  const { limits, sites } = region;
  const core = new NodeCore({ name, role: 'edge', memoryBytes: edge.memory ?? region.memory, limits, sites, log });
  const peers = new Peers(name, region);
  let visit = visiting(core, region, origin, peers);
  const secret = (): string => visit.region.tier_secret;
  const listenForVisitors = () =>
    listen({
      address: edge.listen,
      limits,
      onRequest: (request, response) => void answerVisitor(visit, request, response),
      onRefused: (error) => core.refused('public', error),
      onUpgrade: (request, socket, head) => answerUpgrade(visit, request, socket, head),
    });
  const listenForOthers = () => listenForNodes({ core, address: edge.tier, secret, fetchFor: asOwner });
  const asOwner: FetchFor = (call, { site }, key) =>
    failover(() => {
      const position = core.ledger.positionFor(call.position);
      const asked = { id: call.id, from: name, proto: call.proto, position };
      return route({ peers, site, key, call: asked, asOwner: true, origin, onOwner: () => undefined });
    }, Date.now);
  const [visitors, tier, control] = await openAll([
    listenForVisitors,
    listenForOthers,
    edge.control === undefined ? undefined : nodeControl(core, edge.control, secret),
  ]);
  const purges = followPurges(core, region);
  core.purging = purges;
  return {
    name,
    addresses: { listen: visitors.address, tier: tier.address, control: control?.address },
    reload: (next) => {
      const memoryBytes = next.edges.find((other) => other.name === name)?.memory ?? next.memory;
      core.update({ limits: next.limits, sites: next.sites, memoryBytes });
      for (const listener of [visitors, tier, control]) listener?.update(next.limits);
      origin?.update(next.sites);
      peers.update(next);
      visit = visiting(core, next, origin, peers);
      purges.reload(next);
    },
    close: once(async () => {
      await Promise.all([visitors.close(), tier.close()]);
      await Promise.all([control?.close(), peers.close(), origin?.close(), purges.close()]);
    }),
  };
}

function visiting(core: NodeCore, region: RegionConfig, origin: OriginAccess | undefined, peers: Peers): Visit {
  return {
    core,
    region,
    origin,
    peers,
    trusted: trustedProxies(region.trusted_proxies),
    hot: new HotKeys({ after: region.limits.hot_after, windowMs: HOT_WINDOW_MS, maxKeys: MAX_COUNTED_KEYS }),
  };
}
