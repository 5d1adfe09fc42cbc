/**
 * EDNS of a query (RFC 6891), with the options used here: client subnet (RFC 7871), cookie (RFC 7873), TCP keep-alive
 * (RFC 7828).
 *
 *     OPT      root 1 | 41 2 | UDP size 2 | extended rcode 1 | version 1 | flags 2 | RDLENGTH 2 | options
 *     option   code 2 | length 2 | data
 *     subnet   family 2 | source prefix 1 | scope prefix 1 | address, as many bytes as the source prefix needs
 *     cookie   of the client 8 | of the server 8 to 32, or nothing
 * @module
 */

import { formatIpv4 } from '../../lib/address.ts';
import { MIN_UDP_BYTES, OPTION, RCODE, type Rcode } from '../../lib/dns/numbers.ts';

export interface Edns {
  /** Largest answer over UDP that the client takes, in bytes. */
  readonly udpBytes: number;
  /** The bit that asks for DNSSEC; it is repeated (RFC 3225, section 3), nothing else. */
  readonly dnssecOk: boolean;
  readonly subnet: ClientSubnet | undefined;
  /** As sent: 8, or 16 to 40 bytes. */
  readonly cookie: Buffer | undefined;
  readonly wantsKeepAlive: boolean;
  /** NOERROR, BADVERS, or FORMERR. */
  readonly rcode: Rcode;
}

/** EDNS Client Subnet of a query, which is well-formed. */
export interface ClientSubnet {
  /**
   * 1: IPv4, 2: IPv6 (IANA "Address Family Numbers"). 0 with nothing but that, from some that want to be left alone.
   */
  readonly family: number;
  /** So many bits of the address are given. 0: the client does not want to be located by its address. */
  readonly sourcePrefix: number;
  /** As sent: the bytes that `sourcePrefix` needs. */
  readonly bytes: Buffer;
}

/** @param at - Of the CLASS of the OPT record, which is there; one past its data is `end`. */
export function readOptions(message: Buffer, at: number, end: number): Edns {
  const udpBytes = Math.max(MIN_UDP_BYTES, message.readUInt16BE(at));
  const version = message[at + 3] as number;
  const dnssecOk = ((message[at + 4] as number) & 0x80) !== 0;
  let subnet: ClientSubnet | undefined;
  let cookie: Buffer | undefined;
  let wantsKeepAlive = false;
  const result = (rcode: Rcode): Edns => ({ udpBytes, dnssecOk, subnet, cookie, wantsKeepAlive, rcode });

  // What the options of another version mean is not known (RFC 6891, section 6.1.3).
  if (version !== 0) return result(RCODE.BADVERS);
  for (let next = at + 8; next < end; ) {
    if (next + 4 > end) return result(RCODE.FORMERR);
    const code = message.readUInt16BE(next);
    const start = next + 4;
    const length = message.readUInt16BE(next + 2);
    next = start + length;
    if (next > end) return result(RCODE.FORMERR);
    if (code === OPTION.CLIENT_SUBNET) {
      const read = subnet === undefined ? readSubnet(message, start, next) : undefined;
      if (read === undefined) return result(RCODE.FORMERR);
      subnet = read;
    } else if (code === OPTION.COOKIE) {
      // RFC 7873, section 5.2.2; of several the first counts.
      if (length !== 8 && (length < 16 || length > 40)) return result(RCODE.FORMERR);
      cookie ??= message.subarray(start, next);
    } else if (code === OPTION.TCP_KEEPALIVE) {
      if (length !== 0) return result(RCODE.FORMERR); // RFC 7828, section 3.2.1: a client names no time
      wantsKeepAlive = true;
    }
  }
  return result(RCODE.NOERROR);
}

/** RFC 7871, section 6. @returns `undefined` when it is malformed: the answer is FORMERR (section 7.1.2). */
function readSubnet(message: Buffer, start: number, end: number): ClientSubnet | undefined {
  if (end - start < 4) return undefined;
  const family = message.readUInt16BE(start);
  const sourcePrefix = message[start + 2] as number;
  const bytes = message.subarray(start + 4, end);
  const maxPrefix = MAX_PREFIX[family];
  // "SCOPE PREFIX-LENGTH ... MUST be set to 0" in a query.
  if (maxPrefix === undefined || sourcePrefix > maxPrefix || message[start + 3] !== 0) return undefined;
  if (bytes.length !== (sourcePrefix + 7) >> 3) return undefined;
  const bitsInLast = sourcePrefix & 7;
  const last = bytes[bytes.length - 1] ?? 0;
  if (bitsInLast !== 0 && (last & (0xff >> bitsInLast)) !== 0) return undefined;
  return { family, sourcePrefix, bytes };
}

const MAX_PREFIX: readonly (number | undefined)[] = [0, 32, 128];

/** @returns The first address of the subnet as text; `undefined` when it tells nothing. */
export function subnetAddress({ family, sourcePrefix, bytes }: ClientSubnet): string | undefined {
  if (sourcePrefix === 0) return undefined;
  const byte = (index: number): number => bytes[index] ?? 0;
  if (family === 1) return formatIpv4(byte(0) * 2 ** 24 + (byte(1) << 16) + (byte(2) << 8) + byte(3));
  let text = '';
  for (let i = 0; i < 16; i += 2) text += `${i === 0 ? '' : ':'}${((byte(i) << 8) | byte(i + 1)).toString(16)}`;
  return text;
}
