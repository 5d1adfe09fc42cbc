/**
 * What was looked up lately, as objects, so that what is asked for often is
 * read from its record once. Two generations, bounded in bytes: what is not
 * asked for in the time in which one fills up goes.
 *
 * What is looked up for the first time in a while is not kept here: most of it
 * is not asked for again soon, and an object that lives for a while, but not
 * long, is what costs the garbage collector most.
 * @module
 */
import type { StoredResponse } from '../stored-response.ts';

/** Of each generation, and the part of all memory that it may be. */
const GENERATION_BYTES = 8 * 1024 * 1024;
const PART_OF_ALL = 32;

/** What a response costs as an object, besides its body, of which there is no copy. */
const OBJECT_BYTES = 1_200;

/** Records that are read in what counts as a while; twice as many, at most. */
const WHILE = 16_384;

/** Marks of a row: kept here, not looked up yet; above that, the number of the while in which it was. */
export const KEPT = -1;
const NEVER = 0;

export interface LookedUp {
  readonly key: string;
  readonly row: number;
  readonly variants: readonly StoredResponse[];
}

export class LookedUpLately {
  readonly #onForgotten: (row: number) => void;
  #young = new Map<string, LookedUp>();
  #old = new Map<string, LookedUp>();
  #bytes = 0;
  #maxBytes = 0;
  #reads = 0;
  #while = 1;

  /** @param onForgotten - Called with the row of what goes by itself. */
  constructor(maxBytes: number, onForgotten: (row: number) => void) {
    this.maxBytes = maxBytes;
    this.#onForgotten = onForgotten;
  }

  /** What all memory is. */
  set maxBytes(maxBytes: number) {
    this.#maxBytes = Math.min(GENERATION_BYTES, maxBytes / PART_OF_ALL);
  }

  get(key: string): LookedUp | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) {
      this.#old.delete(key);
      this.add(old);
    }
    return old;
  }

  /**
   * A record has been read.
   *
   * @param mark - The row's until now.
   * @returns The row's new mark; `KEPT` says that it is worth to be kept here.
   */
  markOf(mark: number): number {
    if (++this.#reads % WHILE === 0) this.#while = (this.#while + 1) & 0x3fffffff || 1;
    return mark !== NEVER && this.#while - mark <= 1 ? KEPT : this.#while;
  }

  add(found: LookedUp): void {
    if (this.#bytes > this.#maxBytes) this.#turn();
    this.#young.set(found.key, found);
    this.#bytes += OBJECT_BYTES * found.variants.length;
  }

  delete(key: string): void {
    if (!this.#young.delete(key)) this.#old.delete(key);
  }

  #turn(): void {
    for (const { row } of this.#old.values()) this.#onForgotten(row);
    this.#old = this.#young;
    this.#young = new Map();
    this.#bytes = 0;
  }
}
