/**
 * Connections, or requests, that blocks of addresses have at the moment.
 * @module
 */

/** Holds only blocks that have any, so it is bounded by what is under way. */
export class AddressCounts {
  readonly #counts = new Map<string, number>();

  /** Number of blocks that have any. */
  get size(): number {
    return this.#counts.size;
  }

  of(block: string): number {
    return this.#counts.get(block) ?? 0;
  }

  /**
   * Counts one more, unless the block has the most already.
   *
   * @param most - 0: any number.
   * @returns Whether it was counted; then `end` must follow.
   */
  begin(block: string, most: number): boolean {
    const count = this.of(block);
    if (most > 0 && count >= most) return false;
    this.#counts.set(block, count + 1);
    return true;
  }

  end(block: string): void {
    const count = this.of(block);
    if (count > 1) this.#counts.set(block, count - 1);
    else this.#counts.delete(block);
  }
}
