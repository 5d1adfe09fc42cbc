/**
 * Addresses as bits, and what kind of address one is. Strict: what two
 * programs could read differently (`010.1.1.1`, `1.1`, `fe80::1%eth0`) is no
 * address.
 *
 * Written out rather than taken from a library because it stands in front of
 * every look-up: `ipaddr.js` takes several times as long as the look-up
 * itself. The tests hold it against that library and against `node:net`.
 * @module
 */

/**
 * Purpose of an address range (the IANA special-purpose registries, RFC 6890). Only `public` addresses have a location.
 */
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

/** An address that was understood. */
export interface ParsedAddress {
  readonly family: 4 | 6;
  /** The 32 bits of an IPv4 address; of an IPv6 address, those of the IPv4 address in it, if it has one. */
  readonly ipv4: number;
  /** The eight groups of an IPv6 address; empty for IPv4. */
  readonly groups: readonly number[];
  /**
   * Offset in bits of the embedded IPv4 address of the visitor in an IPv6 address: NAT64 (RFC 6052), 6to4 (RFC 3056).
   * -1 if there is none.
   */
  readonly embeddedAt: number;
  /** Kind of the embedded address, if there is one. */
  readonly kind: Exclude<AddressKind, 'malformed'>;
  /** Bits of the block that makes it special; 0 for `public`. In the address's own family. */
  readonly kindPrefix: number;
}

const NAT64_AT = 96;
const SIX_TO_FOUR_AT = 16;

/** @returns `undefined` when it is no address. IPv4 mapped into IPv6 is IPv4. */
export function parseAddress(text: string): ParsedAddress | undefined {
  if (!text.includes(':')) {
    const ipv4 = parseIpv4(text, 0);
    return ipv4 < 0 ? undefined : ipv4Address(ipv4);
  }
  const groups = parseIpv6(text);
  if (groups === undefined) return undefined;
  if (isMapped(groups)) return ipv4Address(ipv4At(groups, 6));
  const [first = 0, second] = groups;
  if (first === 0x64 && second === 0xff9b && groups.slice(2, 6).every(isZero)) {
    return embedded(groups, ipv4At(groups, 6), NAT64_AT);
  }
  if (first === 0x2002) return embedded(groups, ipv4At(groups, 1), SIX_TO_FOUR_AT);
  // Only 2000::/3 is given out, and in it only a few blocks are special.
  const isPlain = first >> 13 === 1 && first !== 0x2001 && first >> 4 !== 0x3ff;
  const block = isPlain ? undefined : blockOf6(groups);
  if (block === undefined && first >> 13 !== 1) {
    return { family: 6, ipv4: 0, groups, embeddedAt: -1, kind: 'reserved', kindPrefix: 3 };
  }
  return { family: 6, ipv4: 0, groups, embeddedAt: -1, kind: block?.kind ?? 'public', kindPrefix: block?.bits ?? 0 };
}

/** @returns The four parts with dots between. */
export function formatIpv4(bits: number): string {
  return `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`;
}

/**
 * @returns The address as RFC 5952 has it: in lower case, without leading zeros, `::` for the longest run of zeros, the
 * first of several.
 */
export function formatAddress({ family, ipv4, groups }: ParsedAddress): string {
  if (family === 4) return formatIpv4(ipv4);
  let [bestAt, bestLength] = [-1, 1]; // section 4.2.2: not for a single group
  for (let i = 0; i < 8; i += 1) {
    let end = i;
    while (end < 8 && groups[end] === 0) end += 1;
    if (end - i > bestLength) [bestAt, bestLength] = [i, end - i];
    i = Math.max(i, end - 1);
  }
  const hex = groups.map((group) => group.toString(16));
  if (bestAt < 0) return hex.join(':');
  return `${hex.slice(0, bestAt).join(':')}::${hex.slice(bestAt + bestLength).join(':')}`;
}

function ipv4Address(ipv4: number): ParsedAddress {
  const block = MAY_BE_SPECIAL[ipv4 >>> 24] === 1 ? blockOf4(ipv4) : undefined;
  return {
    family: 4,
    ipv4,
    groups: NO_GROUPS,
    embeddedAt: -1,
    kind: block?.kind ?? 'public',
    kindPrefix: block?.bits ?? 0,
  };
}

function embedded(groups: readonly number[], ipv4: number, embeddedAt: number): ParsedAddress {
  const { kind, kindPrefix } = ipv4Address(ipv4);
  return { family: 6, ipv4, groups, embeddedAt, kind, kindPrefix: kind === 'public' ? 0 : embeddedAt + kindPrefix };
}

const NO_GROUPS: readonly number[] = [];
const DOT = 46;
const COLON = 58;

/** @returns The 32 bits of what stands from `start` to the end, or -1. */
function parseIpv4(text: string, start: number): number {
  const end = text.length;
  if (end - start < 7 || end - start > 15) return -1;
  let bits = 0;
  let part = -1;
  let dots = 0;
  for (let i = start; i < end; i += 1) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (part < 0 || dots === 3) return -1;
      bits = bits * 256 + part;
      part = -1;
      dots += 1;
    } else {
      const digit = code - 48;
      if (digit < 0 || digit > 9 || part === 0) return -1; // 010 is eight to some, and ten to others
      part = part < 0 ? digit : part * 10 + digit;
      if (part > 255) return -1;
    }
  }
  return part < 0 || dots !== 3 ? -1 : bits * 256 + part;
}

/** @returns The eight groups (RFC 4291, section 2.2), or `undefined`. */
function parseIpv6(text: string): readonly number[] | undefined {
  const { length } = text;
  if (length < 2 || length > 45) return undefined;
  const groups: number[] = [];
  let gapAt = -1;
  let group = -1;
  let groupStart = 0;
  let i = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return undefined;
    gapAt = 0;
    i = 2;
    groupStart = 2;
  }
  for (; i < length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === COLON) {
      if (group < 0) {
        if (gapAt >= 0 || i === 0) return undefined;
        gapAt = groups.length;
      } else {
        groups.push(group);
        if (groups.length > 7) return undefined;
        group = -1;
        if (i + 1 === length) return undefined;
      }
      groupStart = i + 1;
    } else if (code === DOT) {
      const ipv4 = parseIpv4(text, groupStart);
      if (ipv4 < 0 || groups.length > 6) return undefined;
      groups.push(ipv4 >>> 16, ipv4 & 0xffff);
      return filled(groups, gapAt);
    } else {
      const digit = HEX[code] ?? -1;
      if (digit < 0 || i - groupStart > 3) {
        // A dotted ending may be longer than a group: its first part is at most three digits, so this is none.
        return undefined;
      }
      group = group < 0 ? digit : group * 16 + digit;
    }
  }
  if (group >= 0) groups.push(group);
  return filled(groups, gapAt);
}

/** With zeros in the place of `::`. */
function filled(groups: number[], gapAt: number): readonly number[] | undefined {
  if (gapAt < 0) return groups.length === 8 ? groups : undefined;
  if (groups.length > 7) return undefined; // RFC 5952, 4.2.2 forbids to write `::` for one group, RFC 4291 does not; for none both do
  groups.splice(gapAt, 0, ...Array<number>(8 - groups.length).fill(0));
  return groups;
}

const HEX: readonly number[] = Array.from({ length: 128 }, (_, code) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(code).toLowerCase());
  return code < 48 ? -1 : digit;
});

function isMapped(groups: readonly number[]): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every(isZero);
}

function isZero(group: number): boolean {
  return group === 0;
}

function ipv4At(groups: readonly number[], index: number): number {
  return (groups[index] as number) * 65_536 + (groups[index + 1] as number);
}

interface Block {
  readonly kind: Exclude<AddressKind, 'malformed'>;
  readonly bits: number;
  readonly groups: readonly number[];
  readonly ipv4: number;
}

/** The IANA registries of special-purpose addresses (RFC 6890), and what is not given out at all. */
const SPECIAL: readonly (readonly [kind: Block['kind'], ...blocks: string[]])[] = [
  ['unspecified', '0.0.0.0/32', '::/128'],
  ['loopback', '127.0.0.0/8', '::1/128'],
  ['private', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7', '64:ff9b:1::/48'],
  ['carrier-nat', '100.64.0.0/10'],
  ['link-local', '169.254.0.0/16', 'fe80::/10'],
  ['documentation', '192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32', '3fff::/20'],
  ['multicast', '224.0.0.0/4', 'ff00::/8'],
  ['reserved', '0.0.0.0/8', '192.0.0.0/24', '192.88.99.0/24', '198.18.0.0/15', '240.0.0.0/4'],
  // Teredo, and what else IETF protocols use of 2001::/23: they have no location.
  ['reserved', '2001::/23', '5f00::/16', '100::/64', 'fec0::/10'],
];

const BLOCKS: readonly Block[] = SPECIAL.flatMap(([kind, ...blocks]) =>
  blocks.map((block): Block => {
    const [address = '', bits] = block.split('/');
    const groups = address.includes(':') ? (parseIpv6(address) ?? []) : [];
    return { kind, bits: Number(bits), groups, ipv4: parseIpv4(address, 0) };
  }),
);
const BLOCKS_4 = BLOCKS.filter(({ groups }) => groups.length === 0);
const BLOCKS_6 = BLOCKS.filter(({ groups }) => groups.length > 0);

/** First parts of IPv4 addresses that any block has. */
const MAY_BE_SPECIAL = Uint8Array.from({ length: 256 }, (_, first) =>
  BLOCKS_4.some(({ ipv4, bits }) => startsLike(first * 2 ** 24, ipv4, Math.min(bits, 8))) ? 1 : 0,
);

function blockOf4(address: number): Block | undefined {
  return BLOCKS_4.find(({ ipv4, bits }) => startsLike(address, ipv4, bits));
}

/** `bits` is at least 1. */
function startsLike(a: number, b: number, bits: number): boolean {
  return (a ^ b) >>> (32 - bits) === 0;
}

function blockOf6(address: readonly number[]): Block | undefined {
  return BLOCKS_6.find(({ groups, bits }) => {
    const whole = bits >> 4;
    for (let i = 0; i < whole; i += 1) if (groups[i] !== address[i]) return false;
    const rest = bits & 15;
    return rest === 0 || ((groups[whole] as number) ^ (address[whole] as number)) >> (16 - rest) === 0;
  });
}
