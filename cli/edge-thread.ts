/**
 * An edge in this thread: the whole of it, or one of its workers.
 * @module
 */
import type { EdgeConfig, RegionConfig } from '../config/schema.ts';
import { type EdgeNode, startEdge, type WorkerOptions } from '../edge/node.ts';
import { OriginPools } from '../origin-shield/origin-pool.ts';
import type { Logger } from '../telemetry/log.ts';

export interface EdgeThreadOptions {
  readonly region: RegionConfig;
  readonly edge: EdgeConfig;
  readonly log: Logger;
  readonly worker?: WorkerOptions;
}

export function startEdgeThread({ region, edge, log, worker }: EdgeThreadOptions): Promise<EdgeNode> {
  // An edge knows no origins: the shield's way to them is lent to it, for when no shield answers.
  const origin = new OriginPools(region.network, region.sites);
  return startEdge({ region, edge, origin, log, worker });
}
