/**
 * The threads that share an edge's work: how many, and what each of them has
 * of what the edge as a whole may use.
 * @module
 */
import { availableParallelism } from 'node:os';
import type { EdgeConfig, RegionConfig, ShieldConfig, SiteConfig } from './schema.ts';

/** @returns `memory` of an edge or shield, as the region says now. */
export function memoryOf(region: RegionConfig, node: EdgeConfig | ShieldConfig): number {
  const { edges, shields, memory } = region;
  return ([...edges, ...shields].find(({ name }) => name === node.name) ?? node).memory ?? memory;
}

/** @param cores - Of this machine; what the file says counts more. */
export function workersOf({ workers }: EdgeConfig, cores: number = availableParallelism()): number {
  return workers ?? cores;
}

/** @returns The name by which one worker of an edge is known in logs: `eu-1#2`. */
export function workerName(edge: string, index: number): string {
  return `${edge}#${index}`;
}

/**
 * @returns The region as one of `count` workers of an edge is to see it: with its share of the connections and the
 *   spool that the edge may have, and at least one connection. They share a store.
 */
export function shareOf(region: RegionConfig, count: number): RegionConfig {
  const share = (bound: number): number => Math.ceil(bound / count);
  return {
    ...region,
    limits: {
      ...region.limits,
      max_connections: share(region.limits.max_connections),
      connections_per_address: share(region.limits.connections_per_address),
      requests_per_address: share(region.limits.requests_per_address),
    },
    spool: { ...region.spool, memory: share(region.spool.memory), file: share(region.spool.file) },
    sites: region.sites.map(
      (site): SiteConfig => ({
        ...site,
        origin: { ...site.origin, max_connections: share(site.origin.max_connections) },
      }),
    ),
  };
}
