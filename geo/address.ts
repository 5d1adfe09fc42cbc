/**
 * What kind of address an address is.
 * @module
 */

/** What an address is for (the IANA special-purpose registries, RFC 6890). Only a `public` one is somewhere. */
export const ADDRESS_KINDS = [
  'public',
  'loopback',
  'private',
  'carrier-nat',
  'link-local',
  'documentation',
  'multicast',
  'unspecified',
  'reserved',
  'malformed',
] as const;

export type AddressKind = (typeof ADDRESS_KINDS)[number];
