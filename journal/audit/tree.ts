/**
 * Merkle tree hashes of RFC 6962, section 2.1, with SHA-256.
 *
 * A tree that only grows is known by its *frontier*: the hashes of the complete subtrees that it consists of, largest
 * first, one for each bit of its size. Appending a leaf, and the root, need no more than that.
 * @module
 */
import { hash } from 'node:crypto';

export const HASH_BYTES = 32;

const LEAF = Buffer.from([0]);
const NODE = 1;

/** Leaves, by the hashes of the complete subtrees over them. */
export interface Frontier {
  readonly size: number;
  readonly hashes: readonly Buffer[];
}

/** @returns The hash of an entry (section 2.1: "SHA-256(0x00 || d(0))"). */
export function leafHash(entry: string | Uint8Array): Buffer {
  const bytes = typeof entry === 'string' ? Buffer.from(entry) : entry;
  return hash('sha256', Buffer.concat([LEAF, bytes]), 'buffer');
}

/** @returns The hash of two subtrees (section 2.1: "SHA-256(0x01 || MTH(D[0:k]) || MTH(D[k:n]))"). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(1 + 2 * HASH_BYTES);
  bytes[0] = NODE;
  bytes.set(left, 1);
  bytes.set(right, 1 + HASH_BYTES);
  return hash('sha256', bytes, 'buffer');
}

/** @returns The root of the tree; of an empty one "the hash of an empty string". */
export function rootOf({ hashes }: Frontier): Buffer {
  const last = hashes.at(-1);
  if (last === undefined) return hash('sha256', Buffer.alloc(0), 'buffer');
  return hashes.slice(0, -1).reduceRight((right, left) => nodeHash(left, right), last);
}

/** A tree to which leaves are appended. */
export class GrowingTree {
  #size: number;
  readonly #hashes: Buffer[];

  constructor({ size, hashes }: Frontier) {
    this.#size = size;
    this.#hashes = [...hashes];
  }

  get size(): number {
    return this.#size;
  }

  push(leaf: Buffer): void {
    let hashed = leaf;
    // Each complete subtree of the same size is joined with what comes after it.
    for (let rest = this.#size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      hashed = nodeHash(this.#hashes.pop() as Buffer, hashed);
    }
    this.#hashes.push(hashed);
    this.#size += 1;
  }

  get frontier(): Frontier {
    return { size: this.#size, hashes: [...this.#hashes] };
  }

  get root(): Buffer {
    return rootOf({ size: this.#size, hashes: this.#hashes });
  }
}

/** @returns The number of subtrees in the frontier of a tree of this size. */
export function frontierLength(size: number): number {
  let length = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) length += rest % 2;
  return length;
}
