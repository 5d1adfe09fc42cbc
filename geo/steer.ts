/**
 * Steering over a locator and the network as it is known at the moment.
 * @module
 */

import { formatAddress, parseAddress } from '../lib/address.ts';
import { earlierOf, type MonotonicMs, NEVER } from '../lib/clock.ts';
import { type Direction, directionOf, distanceKm } from './distance.ts';
import type { GeoLocation } from './location.ts';
import type { Locator } from './locator.ts';
import type { Network, NetworkRegion } from './network.ts';
import type { Decision, RankedRegion, RegionState, Steering, SteeringReason } from './steering.ts';

export interface SteererOptions {
  readonly locator: Locator;
  /** As it is now; a change makes another object. */
  readonly network: () => Network;
}

/** State derived once for each state of the network. */
interface Prepared {
  readonly network: Network;
  readonly regions: readonly PreparedRegion[];
  /** Default region, for visitors without a known location. */
  readonly fallback: PreparedRegion | undefined;
  readonly isShedding: boolean;
  /** Time at which the next recovering region becomes healthy. */
  readonly validUntil: MonotonicMs;
  readonly byLocation: WeakMap<GeoLocation, Ranking>;
}

interface PreparedRegion {
  readonly region: NetworkRegion;
  readonly direction: Direction | undefined;
  /** For the visitor that it can take. */
  readonly state: RegionState;
  readonly isDefault: boolean;
  readonly edges: RankedRegion['edges'];
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
}

type Ranking = Pick<Decision, 'regions' | 'chosen' | 'reason'>;

/** Networks of this size go to one region as a whole when a region sheds visitors. */
const SHED_BITS = { 4: 24, 6: 48 } as const;

export function createSteering({ locator, network }: SteererOptions): Steering {
  let prepared: Prepared | undefined;

  function preparedAt(now: MonotonicMs): Prepared {
    const current = network();
    if (prepared?.network !== current || now >= prepared.validUntil) prepared = prepare(current, now);
    return prepared;
  }

  return {
    where(address, now) {
      const { regions, fallback, isShedding, byLocation } = preparedAt(now);
      const place = locator.locate(address);
      if (place === undefined || isShedding) {
        const located = locator.explain(address);
        const shed = isShedding ? shedKey(address) : undefined;
        const ranking = rank(regions, fallback, located.place, shed?.key);
        const prefix = Math.max(located.prefix, shed?.bits ?? 0);
        return { address: located.address, place: located.place, prefix, ...ranking };
      }
      let ranking = byLocation.get(place);
      if (ranking === undefined) {
        ranking = rank(regions, fallback, place, undefined);
        byLocation.set(place, ranking);
      }
      const { chosen, reason } = ranking;
      return { address: canonical(address), place, regions: ranking.regions, chosen, reason, prefix: place.prefix };
    },
  };
}

function prepare(network: Network, now: MonotonicMs): Prepared {
  const byName = network.regions.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const defaultRegion = byName.find(({ isDefault }) => isDefault) ?? byName[0];
  const regions = byName.map((region): PreparedRegion => {
    const up = region.edges.filter((edge) => edge.up);
    const addresses = [...new Set((up.length > 0 ? up : region.edges).flatMap((edge) => edge.addresses))];
    return {
      region,
      direction: region.coordinates === undefined ? undefined : directionOf(region.coordinates),
      state: stateOf(region, now),
      isDefault: region === defaultRegion,
      edges: Object.freeze({ up: up.length, total: region.edges.length }),
      ipv4: Object.freeze(addresses.filter((address) => !address.includes(':'))),
      ipv6: Object.freeze(addresses.filter((address) => address.includes(':'))),
    };
  });
  const waits = network.regions.flatMap(({ health, healthyAt }) =>
    health === 'recovering' && healthyAt > now ? healthyAt : [],
  );
  return {
    network,
    regions,
    fallback: regions.find(({ isDefault }) => isDefault),
    isShedding: regions.some(({ region, state }) => region.shed > 0 && state === 'healthy'),
    validUntil: waits.reduce(earlierOf, NEVER),
    byLocation: new WeakMap(),
  };
}

function stateOf({ drained, health, healthyAt }: NetworkRegion, now: MonotonicMs): RegionState {
  if (drained) return 'drained';
  if (health === 'down') return 'down';
  return health === 'recovering' && now < healthyAt ? 'recovering' : 'healthy';
}

/** Preference among regions when none is healthy: a full region still answers, and a drained one most likely does. */
const STATE_ORDER: Readonly<Record<RegionState, number>> = { healthy: 0, full: 1, recovering: 2, drained: 3, down: 4 };
const PIN_ORDER = { country: 0, continent: 1, none: 2 } as const;

function rank(
  regions: readonly PreparedRegion[],
  fallback: PreparedRegion | undefined,
  place: GeoLocation | undefined,
  shedAt: number | undefined,
): Ranking {
  const from = place?.coordinates === undefined ? undefined : directionOf(place.coordinates);
  const ranked = regions.map((prepared) => rankedRegion(prepared, place, from, shedAt));
  // Visitors of unknown location: the default region, and the others as near as they are to it.
  const isUnknown = from === undefined && !ranked.some(({ pin }) => pin !== undefined);
  const middle = isUnknown ? fallback?.direction : undefined;
  const detours = new Map(
    regions.map(({ region, direction }, index) => {
      const { weightedKm, isDefault } = ranked[index] as RankedRegion;
      if (isUnknown && isDefault) return [region.name, -1];
      const detour = middle && direction ? distanceKm(middle, direction) / region.weight : Number.POSITIVE_INFINITY;
      return [region.name, weightedKm ?? detour];
    }),
  );
  const wanted = ranked.toSorted((a, b) => {
    const byPin = PIN_ORDER[a.pin ?? 'none'] - PIN_ORDER[b.pin ?? 'none'];
    if (byPin !== 0) return byPin;
    const [aKm, bKm] = [detours.get(a.name) as number, detours.get(b.name) as number];
    // toSorted is stable, and the regions come in the order of their names.
    return aKm === bKm ? 0 : aKm - bKm;
  });
  const ordered = Object.freeze(wanted.toSorted((a, b) => STATE_ORDER[a.state] - STATE_ORDER[b.state]));
  const chosen = ordered[0];
  return { regions: ordered, chosen, reason: reasonOf(chosen, wanted[0], isUnknown) };
}

function rankedRegion(
  { region, direction, state, isDefault, edges, ipv4, ipv6 }: PreparedRegion,
  place: GeoLocation | undefined,
  from: Direction | undefined,
  shedAt: number | undefined,
): RankedRegion {
  const { name, coordinates, weight, countries, continents, shed } = region;
  const km = from && direction ? distanceKm(from, direction) : undefined;
  const isShed = state === 'healthy' && shedAt !== undefined && shedAt < shed;
  return Object.freeze({
    name,
    state: isShed ? 'full' : state,
    coordinates,
    distanceKm: km,
    weightedKm: km === undefined ? undefined : km / weight,
    weight,
    pin: pinOf(place, countries, continents),
    isDefault,
    edges,
    ipv4,
    ipv6,
  });
}

function pinOf(
  place: GeoLocation | undefined,
  countries: readonly string[],
  continents: readonly string[],
): RankedRegion['pin'] {
  if (place?.country !== undefined && countries.includes(place.country)) return 'country';
  return place?.continent !== undefined && continents.includes(place.continent) ? 'continent' : undefined;
}

function reasonOf(
  chosen: RankedRegion | undefined,
  wanted: RankedRegion | undefined,
  isUnknown: boolean,
): SteeringReason {
  if (chosen === undefined) return 'no-region';
  if (chosen.state !== 'healthy') return 'none-healthy';
  if (chosen !== wanted) return 'fallback';
  if (chosen.pin !== undefined) return `pinned-${chosen.pin}`;
  return isUnknown ? 'default' : 'nearest';
}

function canonical(address: string): string {
  if (!address.includes(':')) return address;
  const parsed = parseAddress(address);
  return parsed === undefined ? address : formatAddress(parsed);
}

/** @returns A number from 0 to below 1 that is the same for all addresses of a network; `undefined` for no address. */
function shedKey(text: string): { key: number; bits: number } | undefined {
  const address = parseAddress(text);
  if (address === undefined) return undefined;
  const { family, ipv4, groups } = address;
  const bits = SHED_BITS[family];
  const parts = family === 4 ? [ipv4 >>> 16, (ipv4 >>> 8) & 255] : groups.slice(0, bits / 16);
  let hash = 0x811c9dc5;
  for (const part of parts) hash = Math.imul(hash ^ part, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return { key: ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32, bits };
}
