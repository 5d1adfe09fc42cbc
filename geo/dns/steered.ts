/**
 * Addresses of edges for one visitor: those of the best region that has any of
 * the kind, other ones first in each answer.
 * @module
 */
import ipaddr from 'ipaddr.js';
import { TYPE } from '../../lib/dns/numbers.ts';
import type { Decision, RankedRegion } from '../steering.ts';

/** Kinds of answers for a steered name. */
export interface Choice {
  /** 4 or 16 bytes each; none: there is nothing of the type. */
  readonly addresses: readonly Uint8Array[];
  readonly region: RankedRegion;
  /** No region is healthy; this is the default one. */
  readonly isLastResort: boolean;
}

/** The addresses of a region of one kind, and where the next answer begins. */
interface Wheel {
  readonly bytes: readonly Uint8Array[];
  next: number;
}

export class AddressChooser {
  /** By the list of addresses, which is another one when any of them goes down. */
  readonly #wheels = new WeakMap<readonly string[], Wheel>();

  /** @returns `undefined` when no region has any address at all. */
  choose({ regions, reason }: Decision, type: number, max: number): Choice | undefined {
    const isLastResort = reason === 'none-healthy';
    const order = isLastResort ? regions.toSorted((a, b) => Number(b.isDefault) - Number(a.isDefault)) : regions;
    const region = regionFor(order, type);
    if (region === undefined) return undefined;
    return { addresses: this.#turned(type === TYPE.A ? region.ipv4 : region.ipv6, max), region, isLastResort };
  }

  #turned(list: readonly string[], max: number): readonly Uint8Array[] {
    let wheel = this.#wheels.get(list);
    if (wheel === undefined) {
      wheel = { bytes: list.map((address) => Uint8Array.from(ipaddr.parse(address).toByteArray())), next: 0 };
      this.#wheels.set(list, wheel);
    }
    const { bytes, next } = wheel;
    if (bytes.length < 2) return bytes;
    wheel.next = (next + 1) % bytes.length;
    return [...bytes.slice(next), ...bytes.slice(0, next)].slice(0, max);
  }
}

/**
 * For A the best region that has IPv4. For AAAA the best one that has any
 * address, and nothing where that one has no IPv6: a browser would rather use
 * IPv6, though it lead to another continent.
 */
function regionFor(regions: readonly RankedRegion[], type: number): RankedRegion | undefined {
  return regions.find(({ ipv4, ipv6 }) => ipv4.length > 0 || (ipv6.length > 0 && type !== TYPE.A));
}
