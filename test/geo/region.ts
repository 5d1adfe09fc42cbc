/**
 * Regions for tests, as their files would have them.
 * @module
 */
import type { NetworkRegion } from '../../geo/network.ts';
import { monotonicMs } from '../../lib/clock.ts';

/** A region that is well, with two edges; `changes` says what is otherwise. */
export function regionOf(name: string, changes: Partial<NetworkRegion> = {}): NetworkRegion {
  return {
    name,
    coordinates: undefined,
    weight: 1,
    countries: [],
    continents: [],
    isDefault: false,
    drained: false,
    minHealth: 0.5,
    recoveryMs: 10_000,
    health: 'healthy',
    healthyAt: monotonicMs(0),
    shed: 0,
    edges: [1, 2].map((n) => ({
      name: `${name}-${n}`,
      addresses: [`192.0.2.${n}`, `2001:db8::${n}`],
      probe: `127.0.0.1:${n}`,
      up: true,
    })),
    ...changes,
  };
}

/** Cities of large networks. */
export const CITIES: Readonly<Record<string, readonly [number, number]>> = {
  ams: [52.37, 4.89],
  bom: [19.08, 72.88],
  fra: [50.11, 8.68],
  gru: [-23.55, -46.63],
  iad: [39.04, -77.49],
  jnb: [-26.2, 28.05],
  lax: [34.05, -118.24],
  nrt: [35.68, 139.77],
  sin: [1.35, 103.82],
  syd: [-33.87, 151.21],
  dxb: [25.2, 55.27],
  scl: [-33.45, -70.67],
};
