/**
 * The regions of a network as those see them who send visitors to them: what
 * their files say, and how they are. The control node puts it together and
 * informs all nodes (follow-network.ts); a node without a control node makes it from
 * the region files it was started with.
 * @module
 */
import ipaddr from 'ipaddr.js';
import { canonicalHost, isAnyHost, splitAddress } from '../config/listener.ts';
import type { EdgeConfig, RegionConfig } from '../config/schema.ts';
import { LONG_AGO, later, type MonotonicMs, msBetween } from '../lib/clock.ts';
import { CONTINENTS, type Continent, type Coordinates } from './location.ts';

export interface NetworkEdge {
  readonly name: string;
  /** Public addresses of the region, in canonical form. */
  readonly addresses: readonly string[];
  /** HOST:PORT that is probed by TCP where no report is available. */
  readonly probe: string;
  readonly up: boolean;
}

export interface NetworkRegion {
  readonly name: string;
  readonly coordinates: Coordinates | undefined;
  readonly weight: number;
  readonly countries: readonly string[];
  readonly continents: readonly Continent[];
  readonly isDefault: boolean;
  readonly drained: boolean;
  readonly minHealth: number;
  readonly recoveryMs: number;
  /** `recovering` ends at `healthyAt`. */
  readonly health: 'healthy' | 'down' | 'recovering';
  /** On the clock of the process that has this map. */
  readonly healthyAt: MonotonicMs;
  /** Share of its visitors that it cannot take, from 0 to 1. */
  readonly shed: number;
  readonly edges: readonly NetworkEdge[];
}

export interface Network {
  readonly regions: readonly NetworkRegion[];
}

/** @returns The network as its files say, all of it healthy. */
export function networkOf(regions: readonly RegionConfig[]): Network {
  return { regions: regions.filter(hasEdges).map(networkRegion) };
}

/** Visitors are sent to no other region. */
export function hasEdges({ edges }: Pick<RegionConfig, 'edges'>): boolean {
  return edges.length > 0;
}

function networkRegion({ region, coordinates, geo, edges }: RegionConfig): NetworkRegion {
  return {
    name: region,
    coordinates,
    weight: geo.weight,
    countries: geo.countries,
    continents: geo.continents,
    isDefault: geo.default,
    drained: geo.drained,
    minHealth: geo.min_health,
    recoveryMs: geo.recovery,
    health: 'healthy',
    healthyAt: LONG_AGO,
    shed: 0,
    edges: edges.map((edge) => {
      const addresses = publicAddresses(edge);
      return { name: edge.name, addresses, probe: visitorAddress(edge, addresses), up: true };
    }),
  };
}

/** @returns Where visitors reach an edge, as far as its file tells: canonical addresses. */
export function publicAddresses(edge: Pick<EdgeConfig, 'listen' | 'public'>): readonly string[] {
  if (edge.public.length > 0) return edge.public.map(canonicalHost);
  const { host } = splitAddress(edge.listen);
  return ipaddr.isValid(host) && !isAnyHost(host) ? [host] : [];
}

/** At port 0 the edge took a port that no file tells: then the address where other nodes reach it. */
function visitorAddress({ listen, tier }: EdgeConfig, [address]: readonly string[]): string {
  const { port } = splitAddress(listen);
  if (address === undefined || port === 0) return tier;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Maximum length of a message; a large network takes a tenth of it. */
export const MAX_NETWORK_BYTES = 4 * 2 ** 20;
const MAX_REGIONS = 1_000;
const MAX_EDGES = 256;

/**
 * @param value - Parsed JSON: a network whose times are milliseconds from now, as {@link networkMessage} makes it.
 * @throws {TypeError} that names what is not of the form.
 */
export function readNetwork(value: unknown, now: MonotonicMs): Network {
  const { regions } = object(value, 'network');
  if (!Array.isArray(regions) || regions.length > MAX_REGIONS) throw new TypeError('regions');
  return { regions: regions.map((region) => readRegion(region, now)) };
}

/** @returns What {@link readNetwork} reads. */
export function networkMessage({ regions }: Network, now: MonotonicMs): object {
  return {
    regions: regions.map(({ healthyAt, ...region }) => ({
      ...region,
      healthyInMs: Math.max(0, msBetween(now, healthyAt)),
    })),
  };
}

function readRegion(value: unknown, now: MonotonicMs): NetworkRegion {
  const region = object(value, 'region');
  const { edges, health, coordinates } = region;
  if (!Array.isArray(edges) || edges.length > MAX_EDGES) throw new TypeError('edges');
  if (health !== 'healthy' && health !== 'down' && health !== 'recovering') throw new TypeError('health');
  return {
    name: text(region['name'], 'name'),
    coordinates: coordinates === undefined ? undefined : readCoordinates(coordinates),
    weight: number(region['weight'], 'weight', 0.001, 1_000),
    countries: texts(region['countries'], 'countries'),
    continents: texts(region['continents'], 'continents').filter((code) =>
      CONTINENTS.includes(code as Continent),
    ) as Continent[],
    isDefault: region['isDefault'] === true,
    drained: region['drained'] === true,
    minHealth: number(region['minHealth'], 'minHealth', 0, 1),
    recoveryMs: number(region['recoveryMs'], 'recoveryMs', 0, Number.MAX_SAFE_INTEGER),
    health,
    healthyAt: later(now, number(region['healthyInMs'], 'healthyInMs', 0, Number.MAX_SAFE_INTEGER)),
    shed: number(region['shed'], 'shed', 0, 1),
    edges: edges.map(readEdge),
  };
}

function readEdge(value: unknown): NetworkEdge {
  const edge = object(value, 'edge');
  return {
    name: text(edge['name'], 'name'),
    addresses: texts(edge['addresses'], 'addresses').filter((address) => ipaddr.isValid(address)),
    probe: text(edge['probe'], 'probe'),
    up: edge['up'] === true,
  };
}

function readCoordinates(value: unknown): Coordinates {
  if (!Array.isArray(value) || value.length !== 2) throw new TypeError('coordinates');
  return [number(value[0], 'coordinates', -90, 90), number(value[1], 'coordinates', -180, 180)];
}

function object(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw new TypeError(what);
  return value as Record<string, unknown>;
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string' || value === '' || value.length > 300) throw new TypeError(what);
  return value;
}

function texts(value: unknown, what: string): string[] {
  if (!Array.isArray(value) || value.length > MAX_EDGES) throw new TypeError(what);
  return value.map((item) => text(item, what));
}

function number(value: unknown, what: string, least: number, most: number): number {
  if (typeof value !== 'number' || !(value >= least && value <= most)) throw new TypeError(what);
  return value;
}
