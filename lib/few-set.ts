/**
 * Set that mostly has one member: a `Set` of its own costs more than what is in
 * it.
 * @module
 */

export class FewSet<T extends object> {
  #only: T | undefined;
  /** In the place of `#only` from the second member on. */
  #all: Set<T> | undefined;

  get size(): number {
    return this.#all?.size ?? (this.#only === undefined ? 0 : 1);
  }

  add(member: T): void {
    if (this.#all !== undefined) this.#all.add(member);
    else if (this.#only === undefined) this.#only = member;
    else if (this.#only !== member) {
      this.#all = new Set([this.#only, member]);
      this.#only = undefined;
    }
  }

  /** @returns Whether it was a member. */
  delete(member: T): boolean {
    if (this.#all !== undefined) return this.#all.delete(member);
    if (this.#only !== member) return false;
    this.#only = undefined;
    return true;
  }

  /** Members in the order in which they were added; those that are deleted meanwhile are left out. */
  values(): Iterable<T> {
    if (this.#all !== undefined) return this.#all;
    return this.#only === undefined ? NONE : [this.#only];
  }
}

const NONE: readonly never[] = [];
