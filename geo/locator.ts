/**
 * From an address to a place: the seam between the databases and those who
 * want to know (steering, DNS, the headers and rules of sites).
 * @module
 */
import type { AddressKind } from '../lib/address.ts';
import type { GeoLocation } from './location.ts';

/** Lookup result for an address, with or without a location. */
export interface Located {
  /** In canonical form (RFC 5952), IPv4 never mapped into IPv6; as it was given when it is `malformed`. */
  readonly address: string;
  /** Only `public` addresses have places. */
  readonly kind: AddressKind;
  /** Absent where no database knows the address, or it is not public. */
  readonly place: GeoLocation | undefined;
  /** So many leading bits of the address all of this holds for; 0 when it is malformed. */
  readonly prefix: number;
}

/** A database that answers, for those who want to name their source. */
export interface DatabaseInfo {
  /** As the config names it. */
  readonly name: string;
  /** As its metadata says: `GeoLite2-City`, `city ipv4`. */
  readonly type: string;
  /** 4: it knows nothing of IPv6 addresses, whatever it answers. */
  readonly ipVersion: 4 | 6;
  /** Milliseconds since the epoch. */
  readonly builtAt: number;
  /** Attribution that the database's licence requires. */
  readonly attribution: string | undefined;
}

/** Finds places. All methods are synchronous, and none throws for what an address looks like. */
export interface Locator {
  /**
   * @param address - As text; IPv4 mapped into IPv6 (`::ffff:192.0.2.1`) counts as IPv4.
   * @returns The place, or `undefined` when none is known; `explain` says why.
   */
  locate(address: string): GeoLocation | undefined;
  /** The same with what else there is to say. Slower: for people, and for the prefix of what has no place. */
  explain(address: string): Located;
  readonly databases: readonly DatabaseInfo[];
  /** Looks for new files no more. */
  close(): void;
}
