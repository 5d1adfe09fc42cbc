/**
 * The regions that a region takes shields from, as the checks see them.
 * @module
 */

import type { Named } from './duplicates.ts';
import { type Listener, nodeListeners } from './listener.ts';
import { realPath } from './path.ts';
import type { Neighbour, Placed, RegionReading } from './read.ts';
import type { ShieldConfig } from './schema.ts';

/** @returns Each other region once, and never this one. */
export function otherNeighbours(reading: RegionReading): Placed<Neighbour>[] {
  const own = realPath(reading.file);
  const distinct = new Map<string, Placed<Neighbour>>();
  for (const neighbour of reading.neighbours) {
    if (neighbour && realPath(neighbour.source.file) !== own) distinct.set(realPath(neighbour.source.file), neighbour);
  }
  return [...distinct.values()];
}

/** @returns Every shield that the region’s edges may use: its own first. */
export function reachableShields(reading: RegionReading): ShieldConfig[] {
  return [...(reading.body?.config.shields ?? []), ...otherNeighbours(reading).flatMap(({ config }) => config.shields)];
}

/** @returns The names of the shields of other regions. */
export function foreignNames(reading: RegionReading): Named[] {
  return otherNeighbours(reading).flatMap(({ config, source }) =>
    config.shields.map(({ name }, index) => ({ name, source, path: ['shields', index, 'name'] })),
  );
}

/** @returns The listeners of the shields of other regions. */
export function foreignListeners(reading: RegionReading): Listener[] {
  return otherNeighbours(reading).flatMap(({ config, source }) =>
    config.shields.flatMap((shield, index) => nodeListeners(shield, source, ['shields', index])),
  );
}
