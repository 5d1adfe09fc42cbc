/**
 * Puts together what several databases say of one address.
 * @module
 */
import { formatAddress, formatIpv4, type ParsedAddress, parseAddress } from '../lib/address.ts';
import type { Database, Entry } from './database.ts';
import type { GeoLocation } from './location.ts';
import type { Located } from './locator.ts';
import { type Facts, locationOf, merged } from './record.ts';

/** The databases of a locator, by the addresses that they know. */
export interface DatabaseSet {
  readonly ipv4: readonly Database[];
  readonly ipv6: readonly Database[];
}

/** Skips IPv6 lookups in IPv4-only files: they read the first 32 bits and return nonsense. */
export function databaseSet(databases: readonly Database[]): DatabaseSet {
  // IPv6 files may or may not hold IPv4, and those that do not say that they know nothing of it.
  return { ipv4: databases, ipv6: databases.filter(({ info }) => info.ipVersion === 6) };
}

/** @returns The place of an address; `undefined` when it is none, is not public, or is not known. */
export function findLocation(set: DatabaseSet, text: string): GeoLocation | undefined {
  const address = parseAddress(text);
  return address === undefined || address.kind !== 'public' ? undefined : look(set, address, text).place;
}

/** @returns The same, and why it is so. */
export function explainLocation(set: DatabaseSet, text: string): Located {
  const address = parseAddress(text);
  if (address === undefined) return { address: text, kind: 'malformed', place: undefined, prefix: 0 };
  const canonical = formatAddress(address);
  if (address.kind !== 'public') {
    return { address: canonical, kind: address.kind, place: undefined, prefix: address.kindPrefix };
  }
  return { address: canonical, kind: 'public', ...look(set, address, text) };
}

function look(
  set: DatabaseSet,
  address: ParsedAddress,
  text: string,
): { place: GeoLocation | undefined; prefix: number } {
  const { family, embeddedAt } = address;
  const isIpv4 = family === 4 || embeddedAt >= 0;
  const asked = isIpv4 ? set.ipv4 : set.ipv6;
  const wanted = isIpv4 && text.includes(':') ? formatIpv4(address.ipv4) : text;
  let first: Entry | undefined;
  let facts: Facts | undefined;
  let prefix = 0;
  for (const database of asked) {
    const entry = database.find(address, wanted);
    if (database.prefix > prefix) prefix = database.prefix;
    if (entry?.facts === undefined) continue;
    if (facts === undefined) [first, facts] = [entry, entry.facts];
    else [first, facts] = [undefined, merged(facts, entry.facts)];
  }
  if (embeddedAt >= 0) prefix += embeddedAt;
  if (facts === undefined) return { place: undefined, prefix };
  const made = first?.places[prefix];
  if (made !== undefined) return { place: made, prefix };
  const place = locationOf(facts, prefix);
  if (first !== undefined) first.places[prefix] = place;
  return { place, prefix };
}
