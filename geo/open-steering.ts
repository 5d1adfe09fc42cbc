/**
 * Steering in one piece: the databases, the network state from the control node, and the decision.
 * @module
 */
import { controlUrls } from '../config/control-urls.ts';
import type { RegionConfig } from '../config/schema.ts';
import { monotonicNow } from '../lib/clock.ts';
import type { Logger } from '../telemetry/log.ts';
import type { NodeCertificates } from '../trust/node-certificates.ts';
import { followNetwork } from './follow-network.ts';
import type { Locator } from './locator.ts';
import { type Network, networkOf } from './network.ts';
import { openRegionLocator } from './region-locator.ts';
import { createSteering } from './steer.ts';
import type { Steering } from './steering.ts';

export interface OpenSteeringOptions {
  /** The region that the node is of: its databases, its secret, and where its control node is. */
  readonly region: RegionConfig;
  /** Every region that the node was told of when it was started, its own among them. */
  readonly regions: readonly RegionConfig[];
  /** Name of the node. */
  readonly node: string;
  readonly log: Logger;
  /** Certificates of the node, where nodes know each other by them. */
  readonly certificates?: NodeCertificates | undefined;
}

export interface OpenedSteering extends Steering {
  readonly locator: Locator;
  /** The network as it is known now. */
  readonly network: Network;
  /** Goes by the new configs; new databases are opened beside the old ones, which stay if they cannot be used. */
  reload(region: RegionConfig, regions: readonly RegionConfig[]): void;
  close(): Promise<void>;
}

/** @throws {ConfigError} when a database cannot be used. */
export async function openSteering({
  region,
  regions,
  node,
  log,
  certificates,
}: OpenSteeringOptions): Promise<OpenedSteering> {
  const locator = await openRegionLocator(region, log);
  const follow = (from: RegionConfig, initial: Network) => {
    const { tier_secret: secret } = from;
    const urls = controlUrls(from);
    const control = urls.join(', ');
    const reached = (isReached: boolean, reason: string): void => {
      if (isReached) log.info({ control }, 'region states are received from the control node');
      else log.warn({ control, detail: reason }, 'control node unreachable: this node probes the regions itself');
    };
    return {
      key: keyOf(from),
      network: followNetwork({ urls, secret, node, certificates, initial, now: monotonicNow, reached }),
    };
  };
  let followed = follow(region, networkOf(regions));
  let closingOthers = Promise.resolve();

  const steering = createSteering({ locator, network: () => followed.network.current });

  return {
    where: (address, now) => steering.where(address, now),
    locator,
    get network() {
      return followed.network.current;
    },
    reload(newRegion, newRegions) {
      locator.reload(newRegion);
      if (keyOf(newRegion) === followed.key) {
        followed.network.reset(networkOf(newRegions));
        return;
      }
      const before = followed;
      followed = follow(newRegion, networkOf(newRegions));
      closingOthers = Promise.all([closingOthers, before.network.close()]).then(() => undefined);
    },
    async close() {
      locator.close();
      await Promise.all([followed.network.close(), closingOthers]);
    },
  };
}

function keyOf(region: RegionConfig): string {
  return [...controlUrls(region), region.tier_secret].join(' ');
}
