/**
 * The search tree of an .mmdb file: from the bits of an address to where its
 * record stands.
 *
 * `maxmind` walks it as well, but from text, which it splits and parses
 * anew: that takes it longer than the walk (`npm run bench:geo`). What stands
 * at the end of the walk is left to `maxmind`.
 *
 *     node: left record, right record, of 24, 28 or 32 bits each; of 28 bits,
 *     the middle byte has the four highest bits of both
 *
 * https://maxmind.github.io/MaxMind-DB/, "Binary Search Tree Section"
 * @module
 */

/** Result of `find4` and `find6` for addresses that the file does not know. */
export const NOTHING = -1;

export interface TreeShape {
  readonly bytes: Uint8Array;
  readonly nodeCount: number;
  /** Bits of a record: 24, 28 or 32. */
  readonly recordSize: number;
  readonly ipVersion: 4 | 6;
}

export class Tree {
  /** So many leading bits the last answer holds for. */
  prefix = 0;
  readonly #bytes: Uint8Array;
  readonly #nodeCount: number;
  readonly #recordSize: number;
  /** Root of IPv4 addresses: in an IPv6 tree, behind 96 zero bits. */
  readonly #start4: number;

  constructor({ bytes, nodeCount, recordSize, ipVersion }: TreeShape) {
    this.#bytes = bytes;
    this.#nodeCount = nodeCount;
    this.#recordSize = recordSize;
    let start = 0;
    for (let i = 0; ipVersion === 6 && i < 96 && start < nodeCount; i += 1) start = this.#child(start, 0);
    this.#start4 = start;
  }

  /** @param address - 32 bits. @returns A number that stands for the record, the same for the same record. */
  find4(address: number): number {
    let node = this.#start4;
    let depth = 0;
    for (; depth < 32 && node < this.#nodeCount; depth += 1) node = this.#child(node, (address >>> (31 - depth)) & 1);
    return this.#found(node, depth);
  }

  /** @param groups - Eight, of 16 bits. */
  find6(groups: readonly number[]): number {
    let node = 0;
    let depth = 0;
    for (; depth < 128 && node < this.#nodeCount; depth += 1) {
      node = this.#child(node, ((groups[depth >> 4] as number) >> (15 - (depth & 15))) & 1);
    }
    return this.#found(node, depth);
  }

  #found(node: number, depth: number): number {
    this.prefix = depth;
    return node > this.#nodeCount ? node - this.#nodeCount : NOTHING;
  }

  #child(node: number, bit: number): number {
    const bytes = this.#bytes;
    if (this.#recordSize === 24) {
      const at = node * 6 + bit * 3;
      return ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    }
    if (this.#recordSize === 28) {
      const at = node * 7;
      const middle = bytes[at + 3] as number;
      const high = bit === 0 ? middle >> 4 : middle & 15;
      const low = at + bit * 4;
      return (
        (high << 24) | ((bytes[low] as number) << 16) | ((bytes[low + 1] as number) << 8) | (bytes[low + 2] as number)
      );
    }
    const at = node * 8 + bit * 4;
    const high = bytes[at] as number;
    return (
      high * 2 ** 24 +
      (((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number))
    );
  }
}
