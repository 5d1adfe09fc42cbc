/**
 * Addresses of edges for one visitor: those of the best region that has any of
 * the kind, other ones first in each answer.
 * @module
 */
import ipaddr from 'ipaddr.js';
import { TYPE } from '../../config/dns/numbers.ts';
import type { Decision, RankedRegion } from '../steering.ts';

/** What there is to answer. */
export interface Choice {
  /** 4 or 16 bytes each; none: there is nothing of the type. */
  readonly addresses: readonly Uint8Array[];
  readonly region: RankedRegion;
  /** No region is well; this is the default one. */
  readonly isLastResort: boolean;
}

/** Addresses are few, and stay; if they do not, they are forgotten all together. */
const MAX_KNOWN_ADDRESSES = 10_000;

export class AddressChooser {
  readonly #bytes = new Map<string, Uint8Array>();
  /** Answers given, by region and type: where the next one begins. */
  readonly #turns = new Map<string, number>();

  /** @returns `undefined` when no region has any address at all. */
  choose({ regions, reason }: Decision, type: number, max: number): Choice | undefined {
    const isLastResort = reason === 'nothing-well';
    const order = isLastResort ? [...regions].sort((a, b) => Number(b.isDefault) - Number(a.isDefault)) : regions;
    const region = regionFor(order, type);
    if (region === undefined) return undefined;
    return { addresses: this.#rotated(region, type, max), region, isLastResort };
  }

  #rotated(region: RankedRegion, type: number, max: number): Uint8Array[] {
    const list = type === TYPE.A ? region.ipv4 : region.ipv6;
    const count = Math.min(max, list.length);
    if (count === 0) return [];
    const key = `${type}${region.name}`;
    const turn = (this.#turns.get(key) ?? 0) % list.length;
    // By as many as are given out, where not all are; so that each is the first one as often.
    this.#turns.set(key, turn + 1);
    return Array.from({ length: count }, (_, i) => this.#bytesOf(list[(turn + i) % list.length] as string));
  }

  #bytesOf(address: string): Uint8Array {
    const known = this.#bytes.get(address);
    if (known !== undefined) return known;
    if (this.#bytes.size >= MAX_KNOWN_ADDRESSES) this.#bytes.clear();
    const bytes = Uint8Array.from(ipaddr.parse(address).toByteArray());
    this.#bytes.set(address, bytes);
    return bytes;
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
