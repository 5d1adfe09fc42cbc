/**
 * A decision for people and their tools: what `GET /v1/where` answers and
 * `seawall where` prints.
 * @module
 */
import type { AddressKind } from '../lib/address.ts';
import type { Coordinates, GeoLocation } from './location.ts';
import type { Locator } from './locator.ts';
import type { Decision, RankedRegion, RegionState, SteeringReason } from './steering.ts';

export interface WhereAnswer {
  readonly address: string;
  readonly kind: AddressKind;
  readonly place: GeoLocation | null;
  /** Name of the region; null where there is none. */
  readonly region: string | null;
  readonly reason: SteeringReason;
  /** The reason in words. */
  readonly because: string;
  /** Leading bits of the address that the answer holds for. */
  readonly prefix: number;
  /** All regions, best first. */
  readonly order: readonly {
    readonly region: string;
    readonly state: RegionState;
    readonly distance_km: number | null;
    readonly weight: number;
    /** The distance divided by the weight. */
    readonly counts_as_km: number | null;
    readonly pin: 'country' | 'continent' | null;
    readonly is_default: boolean;
    readonly edges_up: number;
    readonly edges: number;
    readonly coordinates: Coordinates | null;
    readonly addresses: readonly string[];
  }[];
  /** Attributions of the databases that the location comes from. */
  readonly sources: readonly string[];
}

export function whereAnswer(decision: Decision, locator: Locator): WhereAnswer {
  const { address, place, chosen, reason, prefix, regions } = decision;
  const { kind } = locator.explain(address);
  return {
    address,
    kind,
    place: place ?? null,
    region: chosen?.name ?? null,
    reason,
    because: because(decision, kind),
    prefix,
    order: regions.map((region) => ({
      region: region.name,
      state: region.state,
      distance_km: rounded(region.distanceKm),
      weight: region.weight,
      counts_as_km: rounded(region.weightedKm),
      pin: region.pin ?? null,
      is_default: region.isDefault,
      edges_up: region.edges.up,
      edges: region.edges.total,
      coordinates: region.coordinates ?? null,
      addresses: [...region.ipv4, ...region.ipv6],
    })),
    sources: place === undefined ? [] : locator.databases.map(({ name, attribution }) => attribution ?? name),
  };
}

const KIND_WORDS: Readonly<Record<AddressKind, string>> = {
  public: 'an address that no database knows',
  loopback: 'a loopback address',
  private: 'a private address',
  'carrier-nat': 'an address behind a provider’s NAT',
  'link-local': 'a link-local address',
  documentation: 'an address for documentation',
  multicast: 'a multicast address',
  unspecified: 'the unspecified address',
  reserved: 'a reserved address',
  malformed: 'no address',
};

const STATE_WORDS: Readonly<Record<RegionState, string>> = {
  healthy: 'healthy',
  drained: 'drained',
  down: 'down',
  recovering: 'coming back, but not healthy for long enough yet',
  full: 'full, and this visitor is among those that go elsewhere',
};

function because({ place, chosen, reason, regions }: Decision, kind: AddressKind): string {
  if (chosen === undefined) return 'There is no region.';
  const { name } = chosen;
  switch (reason) {
    case 'no-region':
      return 'There is no region.';
    case 'pinned-country':
      return `Visitors from ${place?.country} go to ${name}.`;
    case 'pinned-continent':
      return `Visitors from ${place?.continent} go to ${name}.`;
    case 'nearest':
      return `${name} is the nearest region${regions.some(({ weight }) => weight !== 1) ? ', weights counted in' : ''}.`;
    case 'default': {
      const which = place === undefined ? KIND_WORDS[kind] : 'an address of which only the network is known';
      return `It is ${which}, so the default region answers: ${name}.`;
    }
    case 'fallback':
      return `${name} comes next: ${betterOnes(regions, chosen)}.`;
    case 'none-healthy':
      return `No region is healthy: ${regions.map((region) => `${region.name} is ${STATE_WORDS[region.state]}`).join('; ')}.`;
  }
}

/** Describes the unhealthy regions that rank above the chosen one. */
function betterOnes(regions: readonly RankedRegion[], chosen: RankedRegion): string {
  const better = regions.filter((region) => region.state !== 'healthy' && isBefore(region, chosen));
  return better.map((region) => `${region.name} is ${STATE_WORDS[region.state]}`).join('; ');
}

const PIN_ORDER = { country: 0, continent: 1 } as const;

function isBefore(a: RankedRegion, b: RankedRegion): boolean {
  const order = ({ pin }: RankedRegion) => (pin === undefined ? 2 : PIN_ORDER[pin]);
  if (order(a) !== order(b)) return order(a) < order(b);
  const km = ({ weightedKm }: RankedRegion) => weightedKm ?? Number.POSITIVE_INFINITY;
  return km(a) === km(b) ? a.isDefault || a.name < b.name : km(a) < km(b);
}

function rounded(km: number | undefined): number | null {
  return km === undefined ? null : Math.round(km);
}
