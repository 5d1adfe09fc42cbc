/**
 * The regions that a region takes shields from, as the checks see them.
 * @module
 */

import type { Named } from './duplicates.ts';
import { type Listener, nodeListeners } from './listener.ts';
import { realPath } from './path.ts';
import type { LinkedRegion, Placed, RegionReading } from './read.ts';
import type { ShieldConfig } from './schema.ts';

/** @returns Each other region once, and never this one. */
export function otherLinkedRegions(reading: RegionReading): Placed<LinkedRegion>[] {
  const own = realPath(reading.file);
  const distinct = new Map<string, Placed<LinkedRegion>>();
  for (const linkedRegion of reading.linkedRegions) {
    if (linkedRegion && realPath(linkedRegion.source.file) !== own)
      distinct.set(realPath(linkedRegion.source.file), linkedRegion);
  }
  return [...distinct.values()];
}

/** @returns Every shield that the region’s edges may use: its own first. */
export function reachableShields(reading: RegionReading): ShieldConfig[] {
  return [
    ...(reading.body?.config.shields ?? []),
    ...otherLinkedRegions(reading).flatMap(({ config }) => config.shields),
  ];
}

/** @returns The names of the shields of other regions. */
export function foreignNames(reading: RegionReading): Named[] {
  return otherLinkedRegions(reading).flatMap(({ config, source }) =>
    config.shields.map(({ name }, index) => ({ name, source, path: ['shields', index, 'name'] })),
  );
}

/** @returns The listeners of the shields of other regions. */
export function foreignListeners(reading: RegionReading): Listener[] {
  return otherLinkedRegions(reading).flatMap(({ config, source }) =>
    config.shields.flatMap((shield, index) => nodeListeners(shield, source, ['shields', index])),
  );
}
