/**
 * The block of addresses that counts as one visitor.
 * @module
 */
import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * Returns an IPv4 address as it is, and the /64 network of an IPv6 address: that is what one household or one server
 * has (RFC 6177), so the holder of one address holds them all.
 *
 * @param address - In any spelling; IPv4 mapped into IPv6 counts as IPv4. What is no address stays as it is.
 */
export function addressBlock(address: string): string {
  if (!isIPv6(address)) return address;
  const parsed = ipaddr.process(address);
  if (!(parsed instanceof ipaddr.IPv6)) return parsed.toString();
  const network = parsed.parts.slice(0, 4).map((part) => part.toString(16));
  return `${network.join(':')}::/64`;
}
