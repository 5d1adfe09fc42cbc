/**
 * Sets of IP networks, with a membership test.
 * @module
 */
import { type ParsedAddress, parseAddress } from '../address.ts';

/** @param blocks - Addresses and CIDR blocks, as the config has checked them. */
export function networkTest(blocks: readonly string[]): (address: ParsedAddress) => boolean {
  const networks = blocks.flatMap((block) => {
    const [text = '', bits] = block.split('/');
    const base = parseAddress(text);
    return base === undefined ? [] : [{ base, bits: bits === undefined ? 128 : Number(bits) }];
  });
  return (address) => networks.some(({ base, bits }) => isIn(address, base, bits));
}

function isIn(address: ParsedAddress, base: ParsedAddress, bits: number): boolean {
  if (address.family !== base.family) return false;
  if (address.family === 4)
    return bits >= 32 ? address.ipv4 === base.ipv4 : bits === 0 || (address.ipv4 ^ base.ipv4) >>> (32 - bits) === 0;
  return address.groups.every((group, index) => {
    const left = bits - index * 16;
    if (left <= 0) return true;
    return (group ^ (base.groups[index] as number)) >> Math.max(0, 16 - left) === 0;
  });
}
