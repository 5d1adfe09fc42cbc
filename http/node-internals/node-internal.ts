/**
 * Use of something that Node does not document. What such a use needs may
 * look different in another version of Node: so each is checked before a node
 * serves (checks.ts), has a fallback, and is reported by a metric.
 * @module
 */

export interface NodeInternalOptions {
  /** As a metric's label. */
  readonly name: string;
  /** Property of Node that is used. */
  readonly uses: string;
  /** Effect of the fallback. */
  readonly without: string;
}

export class NodeInternal {
  readonly name: string;
  readonly uses: string;
  readonly without: string;
  /** Undefined: not checked yet. */
  #isPresent: boolean | undefined;
  #isOff = false;

  constructor({ name, uses, without }: NodeInternalOptions) {
    this.name = name;
    this.uses = uses;
    this.without = without;
  }

  get isChecked(): boolean {
    return this.#isPresent !== undefined;
  }

  /** False if a check has failed; then the fallback is taken. */
  get isUsable(): boolean {
    return this.#isPresent !== false && !this.#isOff;
  }

  get isInUse(): boolean {
    return this.#isPresent === true && !this.#isOff;
  }

  /** Sets the result of a check. */
  found(isPresent: boolean): void {
    this.#isPresent = isPresent;
  }

  /** Has the fallback taken, as if a check had failed: for tests of it. */
  set isOff(isOff: boolean) {
    this.#isOff = isOff;
  }
}
