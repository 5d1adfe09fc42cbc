/**
 * Set of IP networks and single addresses, asked for one address at a time.
 *
 * Networks are ranges of numbers, sorted and without overlaps: a lookup is a
 * binary search, whatever the number of networks. IPv4 and IPv6 are kept
 * apart, so `::/0` holds no IPv4 address; an IPv4 address or network that is
 * mapped into IPv6 is one of IPv4.
 *
 * lib/address.ts has a list of special-purpose networks of its own, which
 * tells the kind of an address and not only whether it is in the list.
 * @module
 */
import { type ParsedAddress, parseAddress } from './address.ts';

/** Groups of 16 bits of an IPv6 address. */
const GROUPS = 8;

/** Prefix of the IPv6 addresses that are IPv4 addresses (RFC 4291, section 2.5.5.2). */
const MAPPED_BITS = 96;

interface Range {
  /** First and last address; one number for IPv4, eight for IPv6. */
  readonly first: readonly number[];
  readonly last: readonly number[];
}

export class CidrSet {
  readonly #four: Ranges;
  readonly #six: Ranges;

  /**
   * @param blocks - Networks (`10.0.0.0/8`, `2001:db8::/32`) and addresses. Bits beyond the prefix do not matter.
   * @throws {RangeError} that names the first entry that is neither.
   */
  constructor(blocks: readonly string[]) {
    const four: Range[] = [];
    const six: Range[] = [];
    for (const block of blocks) {
      const { address, bits } = parseBlock(block);
      if (address.family === 4) four.push(rangeOf([address.ipv4], bits, 32));
      else six.push(rangeOf(address.groups, bits, 16));
    }
    this.#four = new Ranges(four, 1);
    this.#six = new Ranges(six, GROUPS);
  }

  /** Returns whether an address is in one of the networks; its zone (`%eth0`) does not matter. False for other text. */
  has(text: string): boolean {
    const zoneAt = text.indexOf('%');
    const address = parseAddress(zoneAt < 0 ? text : text.slice(0, zoneAt));
    return address !== undefined && this.hasAddress(address);
  }

  hasAddress(address: ParsedAddress): boolean {
    return address.family === 4 ? this.#four.has([address.ipv4]) : this.#six.has(address.groups);
  }
}

const SETS = new WeakMap<readonly string[], CidrSet>();

/** Returns the set of a list that does not change, such as one of the config: made once. @throws as `CidrSet` does. */
export function cidrSetOf(blocks: readonly string[]): CidrSet {
  let set = SETS.get(blocks);
  if (set === undefined) {
    set = new CidrSet(blocks);
    SETS.set(blocks, set);
  }
  return set;
}

/** Ranges of numbers of `width` words, sorted and disjoint. */
class Ranges {
  readonly #first: Float64Array;
  readonly #last: Float64Array;
  readonly #width: number;
  readonly #size: number;

  constructor(ranges: readonly Range[], width: number) {
    // Two CIDR blocks are disjoint, or one has the other in it: the larger one comes first and the other is left out.
    const sorted = ranges.toSorted((a, b) => compare(a.first, b.first) || compare(b.last, a.last));
    const disjoint: Range[] = [];
    for (const range of sorted) {
      const before = disjoint.at(-1);
      if (before === undefined || compare(range.first, before.last) > 0) disjoint.push(range);
    }
    this.#first = Float64Array.from(disjoint.flatMap(({ first }) => first));
    this.#last = Float64Array.from(disjoint.flatMap(({ last }) => last));
    this.#width = width;
    this.#size = disjoint.length;
  }

  has(address: readonly number[]): boolean {
    let [low, high] = [0, this.#size];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compareAt(this.#first, middle, address) <= 0) low = middle + 1;
      else high = middle;
    }
    return low > 0 && this.#compareAt(this.#last, low - 1, address) >= 0;
  }

  #compareAt(words: Float64Array, index: number, address: readonly number[]): number {
    for (let i = 0; i < this.#width; i += 1) {
      const difference = (words[index * this.#width + i] as number) - (address[i] as number);
      if (difference !== 0) return difference;
    }
    return 0;
  }
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i += 1) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

function rangeOf(words: readonly number[], bits: number, wordBits: number): Range {
  const spans = words.map((_, index) => 2 ** Math.min(wordBits, Math.max(0, (index + 1) * wordBits - bits)));
  const first = words.map((word, index) => word - (word % (spans[index] as number)));
  return { first, last: first.map((word, index) => word + (spans[index] as number) - 1) };
}

function parseBlock(block: string): { address: ParsedAddress; bits: number } {
  const [text = '', length, ...rest] = block.split('/');
  const address = parseAddress(text);
  const isOfSix = text.includes(':');
  const bits = length === undefined ? (isOfSix ? 128 : 32) : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
  const isValid = address !== undefined && rest.length === 0 && bits <= (isOfSix ? 128 : 32);
  if (!isValid) throw new RangeError(`not a network or an address: ${block}`);
  if (!isOfSix || address.family === 6) return { address, bits };
  if (bits >= MAPPED_BITS) return { address, bits: bits - MAPPED_BITS };
  // A network that is larger than all of IPv4: its own first address is not one of IPv4.
  return {
    address: { ...address, family: 6, groups: [0, 0, 0, 0, 0, 0xffff, address.ipv4 >>> 16, address.ipv4 & 0xffff] },
    bits,
  };
}
