/**
 * Numbers of the DNS that code here speaks of, from the IANA registry "Domain
 * Name System (DNS) Parameters". Names of all record types are dns-packet's.
 * @module
 */

export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

export const CLASS_IN = 1;

/** RFC 1035, section 4.1.1; those above 15 need EDNS (RFC 6891, section 6.1.3). */
export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
  BADCOOKIE: 23,
} as const;

export type Rcode = (typeof RCODE)[keyof typeof RCODE];

/** EDNS options. */
export const OPTION = { CLIENT_SUBNET: 8, COOKIE: 10, TCP_KEEPALIVE: 11 } as const;

/** Bits of the second word of a header. */
export const FLAG = { QR: 0x8000, AA: 0x0400, TC: 0x0200, RD: 0x0100 } as const;

export const HEADER_BYTES = 12;
/** RFC 1035, section 2.3.4: labels of 63, names of 255 with the root's. */
export const MAX_LABEL_BYTES = 63;
export const MAX_NAME_BYTES = 255;
/**
 * Smallest message size: the limit for clients without EDNS (RFC 1035, section 2.3.4), and the least that EDNS can
 * announce (RFC 6891, section 6.2.3).
 */
export const MIN_UDP_BYTES = 512;
export const MAX_MESSAGE_BYTES = 65_535;
