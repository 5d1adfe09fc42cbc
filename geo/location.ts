/**
 * Location of an address according to the databases.
 * @module
 */

/** Two letters, as databases write them. */
export const CONTINENTS = ['AF', 'AN', 'AS', 'EU', 'NA', 'OC', 'SA'] as const;

export type Continent = (typeof CONTINENTS)[number];

/** Degrees: north and east are positive. */
export type Coordinates = readonly [latitude: number, longitude: number];

/** Location of an address. Frozen, and shared by all lookups in the same network. */
export interface GeoLocation {
  /** ISO 3166-1 alpha-2, in capitals; `XK` for Kosovo, as all databases have it. */
  readonly country?: string;
  readonly continent?: Continent;
  /** Coordinates of the city if the database has it, else the centre of the country's addresses. */
  readonly coordinates?: Coordinates;
  /** Number of the autonomous system that announces the address. */
  readonly asn?: number;
  readonly asOrganization?: string;
  /** In English. */
  readonly city?: string;
  /**
   * The largest division of the country: a state, a province. ISO 3166-2 without the country where known (`BY`), else
   * its name.
   */
  readonly subdivision?: string;
  /**
   * So many leading bits of the address all of this holds for: every address that shares them is in the same place.
   * From 0 to 32 for IPv4 (and for IPv4 mapped into IPv6, which is IPv4), from 0 to 128 for IPv6.
   */
  readonly prefix: number;
}
