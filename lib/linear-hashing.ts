/**
 * Growth of a hash table by one bucket at a time (linear hashing, W. Litwin,
 * 1980), so that no single entry costs more than another.
 *
 * Only the arithmetic: what a bucket is, an array of rows or a chain of
 * objects, is for the table that uses it. Hashes are integers of 32 bits.
 * @module
 */
export class LinearBuckets {
  /** Buckets at the beginning of the round, a power of two: of these, the first `#split` have been split in two. */
  #base: number;
  #split = 0;

  /** @param first - Buckets of an empty table; a power of two. */
  constructor(first: number) {
    this.#base = first;
  }

  get count(): number {
    return this.#base + this.#split;
  }

  bucketOf(hash: number): number {
    const bucket = hash & (2 * this.#base - 1);
    return bucket < this.#base + this.#split ? bucket : bucket - this.#base;
  }

  /** Bucket that is split when the table grows; what goes from it goes to a new one, whose number is `count`. */
  get next(): number {
    return this.#split;
  }

  /** Returns whether an entry of the bucket `next` goes to the new one when the table grows. */
  goes(hash: number): boolean {
    return (hash & this.#base) !== 0;
  }

  /** Adds a bucket, when the entries of `next` have been divided. */
  grow(): void {
    if (++this.#split < this.#base) return;
    this.#base *= 2;
    this.#split = 0;
  }
}
