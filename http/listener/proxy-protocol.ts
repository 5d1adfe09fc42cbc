/**
 * The PROXY protocol, versions 1 and 2: what a load balancer says of a
 * connection before the connection's own bytes begin.
 *
 *     v1    "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"    at most 107 bytes
 *           "PROXY UNKNOWN …\r\n"
 *     v2    12 bytes of signature | version 2, command | family, protocol | length of the rest, 16 bits
 *           | addresses and ports | TLVs
 *
 * https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt (sections 2.1 and 2.2)
 * @module
 */
import { isIPv4, isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Kind of a connection's first bytes. */
export type ProxyHeader =
  /** It may become one: more bytes are needed to say. */
  | { readonly kind: 'partial' }
  /** It is none, or a broken one: the specification has the connection closed. */
  | { readonly kind: 'invalid'; readonly reason: string }
  | {
      readonly kind: 'header';
      /**
       * Address of the visitor, canonical; absent if the sender speaks for itself (LOCAL, UNKNOWN) or the address is no
       * IP address.
       */
      readonly source: ProxyEndpoint | undefined;
      readonly destination: ProxyEndpoint | undefined;
      /** Bytes of the header; what comes after them is the connection's own. */
      readonly length: number;
    };

export interface ProxyEndpoint {
  /** Canonical (RFC 5952), IPv4 never mapped into IPv6. */
  readonly address: string;
  readonly port: number;
}

/** Section 2.1: "the longest possible line", its CRLF and no zero byte. */
const MAX_V1_BYTES = 107;
const V1_START = Buffer.from('PROXY ');
const V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const V2_HEAD_BYTES = 16;
/** Section 2.2 allows 65,535; senders write some hundred bytes of TLVs, and a certificate makes a few thousand. */
export const MAX_V2_BYTES = 16 * 1024;

const PARTIAL: ProxyHeader = { kind: 'partial' };

/** @param bytes - From the beginning of the connection on, as far as they have come. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (bytes.length === 0) return PARTIAL;
  if (beginsLike(bytes, V2_SIGNATURE)) return bytes.length < V2_HEAD_BYTES ? PARTIAL : parseV2(bytes);
  if (beginsLike(bytes, V1_START)) return parseV1(bytes);
  return invalid('the connection does not begin with a PROXY header');
}

/** As far as there are bytes. */
function beginsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, length, 0, length) === 0;
}

const LINE =
  /^PROXY (?:(TCP[46]) ([0-9a-fA-F.:]{2,39}) ([0-9a-fA-F.:]{2,39}) (\d{1,5}) (\d{1,5})|UNKNOWN(?: [\x20-\x7e]*)?)$/;

function parseV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MAX_V1_BYTES).indexOf('\r\n');
  if (end < 0) return bytes.length < MAX_V1_BYTES ? PARTIAL : invalid('the line of a PROXY header is too long');
  const match = LINE.exec(bytes.toString('latin1', 0, end));
  if (match === null) return invalid('the line of a PROXY header is malformed');
  const length = end + 2;
  const [, family, ...parts] = match;
  if (family === undefined) return { kind: 'header', source: undefined, destination: undefined, length };
  const [sourceAddress = '', destinationAddress = '', sourcePort = '', destinationPort = ''] = parts;
  const isOfFamily = family === 'TCP4' ? isIPv4 : isIPv6;
  const [from, to] = [portOf(sourcePort), portOf(destinationPort)];
  if (!isOfFamily(sourceAddress) || !isOfFamily(destinationAddress) || from === undefined || to === undefined) {
    return invalid('an address or a port of a PROXY header is malformed');
  }
  const source = { address: canonical(sourceAddress), port: from };
  return { kind: 'header', source, destination: { address: canonical(destinationAddress), port: to }, length };
}

/** Without leading zeros, up to 65535 (section 2.1). */
function portOf(text: string): number | undefined {
  const port = Number(text);
  return String(port) === text && port <= 65_535 ? port : undefined;
}

/** Family → bytes of one address. */
const ADDRESS_BYTES: Readonly<Record<number, 4 | 16>> = { 1: 4, 2: 16 };
const STREAM = 1;

function parseV2(bytes: Buffer): ProxyHeader {
  const version = bytes.readUInt8(12) >> 4;
  const command = bytes.readUInt8(12) & 15;
  const family = bytes.readUInt8(13) >> 4;
  const protocol = bytes.readUInt8(13) & 15;
  const rest = bytes.readUInt16BE(14);
  const length = V2_HEAD_BYTES + rest;
  if (version !== 2 || command > 1) return invalid('the version or the command of a PROXY header is unknown');
  if (family > 3 || protocol > 2) return invalid('the family or the protocol of a PROXY header is unknown');
  if (length > MAX_V2_BYTES) return invalid('a PROXY header is too long');
  const width = ADDRESS_BYTES[family];
  const isLocal = command === 0;
  if (!isLocal && width !== undefined && rest < 2 * width + 4) return invalid('a PROXY header is too short');
  if (bytes.length < length) return PARTIAL;
  // LOCAL: the sender's own, such as a health check. Unix sockets and datagrams have no address here.
  if (isLocal || width === undefined || protocol !== STREAM) {
    return { kind: 'header', source: undefined, destination: undefined, length };
  }
  const endpoint = (addressAt: number, portAt: number): ProxyEndpoint => ({
    address: fromBytes(bytes.subarray(addressAt, addressAt + width)),
    port: bytes.readUInt16BE(portAt),
  });
  const ports = V2_HEAD_BYTES + 2 * width;
  return {
    kind: 'header',
    source: endpoint(V2_HEAD_BYTES, ports),
    destination: endpoint(V2_HEAD_BYTES + width, ports + 2),
    length,
  };
}

function fromBytes(bytes: Buffer): string {
  const address = ipaddr.fromByteArray([...bytes]);
  return canonical(address.toString());
}

function canonical(address: string): string {
  return ipaddr.process(address).toString();
}

function invalid(reason: string): ProxyHeader {
  return { kind: 'invalid', reason };
}
