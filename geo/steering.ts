/**
 * Picks the region for a visitor: the nearest healthy one, adjusted by pins, weights and drains.
 * @module
 */

import type { MonotonicMs } from '../lib/clock.ts';
import type { Coordinates, GeoLocation } from './location.ts';

/** Reasons for the first region of a decision. */
export const STEERING_REASONS = [
  /** The country of the visitor is pinned to it. */
  'pinned-country',
  /** The continent of the visitor is pinned to it. */
  'pinned-continent',
  /** It is the nearest one, weights counted in. */
  'nearest',
  /** One that would come before it is drained, down, coming back or full. */
  'fallback',
  /** Unknown location: the default region. */
  'default',
  /** No region is healthy: they are tried all the same, in the order in which they would be. */
  'none-healthy',
  /** There is no region at all. */
  'no-region',
] as const;

export type SteeringReason = (typeof STEERING_REASONS)[number];

/** Reasons to use a region or to leave it out. */
export const REGION_STATES = [
  /** It takes visitors. */
  'healthy',
  /** An operator has taken it out. */
  'drained',
  /** Too few of its edges are up. */
  'down',
  /** It is up again, but not for long enough. */
  'recovering',
  /** It has more to do than its capacity: some of its visitors go elsewhere, this one among them. */
  'full',
] as const;

export type RegionState = (typeof REGION_STATES)[number];

/** A region as one visitor sees it. */
export interface RankedRegion {
  readonly name: string;
  readonly state: RegionState;
  readonly coordinates: Coordinates | undefined;
  /** Great-circle distance to the visitor in kilometres; `undefined` where one of the two places is not known. */
  readonly distanceKm: number | undefined;
  /** The distance that counts: divided by the weight. */
  readonly weightedKm: number | undefined;
  readonly weight: number;
  /** Kind of pin that applies to the visitor, if any. */
  readonly pin: 'country' | 'continent' | undefined;
  readonly isDefault: boolean;
  readonly edges: { readonly up: number; readonly total: number };
  /**
   * Public addresses of its edges that are up, or of all of them where none is; canonical, in the order of the file.
   * The caller rotates them.
   */
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
}

/** Regions for a visitor, in order. Frozen, and shared by all visitors of the same location. */
export interface Decision {
  /** In canonical form; as it was given when it is no address. */
  readonly address: string;
  readonly place: GeoLocation | undefined;
  /**
   * Every region, best first: healthy ones come before all others (full, recovering, drained, down, in that
   * order), and within each group the order is that of pins, then of the weighted distance, then of names. The same
   * question with the same health has the same answer.
   */
  readonly regions: readonly RankedRegion[];
  /** The first of them. */
  readonly chosen: RankedRegion | undefined;
  readonly reason: SteeringReason;
  /**
   * So many leading bits of the address the decision holds for: the scope prefix of EDNS Client Subnet
   * (RFC 7871, section 7.2.1). In the family of `address`.
   */
  readonly prefix: number;
}

export interface Steering {
  /**
   * @param address - Of the visitor, or any address of the network that ECS tells.
   * @param now - When it is asked.
   */
  where(address: string, now: MonotonicMs): Decision;
}
