/**
 * Addresses of trusted proxies.
 * @module
 */
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * @param cidrs - Networks (`10.0.0.0/8`, `2001:db8::/32`) and single addresses.
 * @throws {RangeError} naming the first entry that is neither.
 */
export function trustedProxies(cidrs: readonly string[]): (ip: string) => boolean {
  const networks = cidrs.map(parseNetwork);
  if (networks.length === 0) return () => false;
  return (ip) => {
    if (isIP(ip) === 0) return false;
    const address = ipaddr.process(ip);
    return networks.some(([network, bits]) => network.kind() === address.kind() && address.match([network, bits]));
  };
}

type Network = [ipaddr.IPv4 | ipaddr.IPv6, number];

function parseNetwork(text: string): Network {
  const [address, bits, ...rest] = text.split('/') as [string, string | undefined, ...string[]];
  const family = isIP(address);
  const width = family === 4 ? 32 : 128;
  const valid = family !== 0 && rest.length === 0 && (bits === undefined || /^\d{1,3}$/.test(bits));
  const prefix = bits === undefined ? width : Number(bits);
  if (!valid || prefix > width) throw new RangeError(`not a network or an address: ${text}`);
  const network = ipaddr.parse(address);
  // Addresses are unmapped before they are compared, so networks are too.
  if (network instanceof ipaddr.IPv6 && network.isIPv4MappedAddress() && prefix >= 96) {
    return [network.toIPv4Address(), prefix - 96];
  }
  return [network, prefix];
}
