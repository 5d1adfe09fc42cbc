/**
 * Fair queue for connections, by visitor: the visitor with the fewest is served first, however many requests of others
 * wait, and among equals the one that has waited longest. One visitor's requests go in their order.
 * @module
 */

export interface Waiting {
  /** Undefined: not assigned to a visitor; all of these count as one. */
  readonly visitor: string | undefined;
}

/** Visitors that are compared for the one that holds least, counted from the one that has waited longest. */
const COMPARED = 64;

export class FairQueue<T extends Waiting> {
  /** By visitor; those that hold nothing apart, as they are served first. */
  readonly #newcomers = new Map<string | undefined, Set<T>>();
  readonly #others = new Map<string | undefined, Set<T>>();
  readonly #heldBy: (visitor: string | undefined) => number;
  #size = 0;

  /** @param heldBy - Connections that the visitor has. */
  constructor(heldBy: (visitor: string | undefined) => number) {
    this.#heldBy = heldBy;
  }

  get size(): number {
    return this.#size;
  }

  add(one: T): void {
    const { visitor } = one;
    const known = this.#newcomers.get(visitor) ?? this.#others.get(visitor);
    if (known !== undefined) known.add(one);
    else (this.#heldBy(visitor) === 0 ? this.#newcomers : this.#others).set(visitor, new Set([one]));
    this.#size++;
  }

  /** @returns Whether it waited. */
  delete(one: T): boolean {
    for (const visitors of [this.#newcomers, this.#others]) {
      const waiting = visitors.get(one.visitor);
      if (waiting === undefined || !waiting.delete(one)) continue;
      if (waiting.size === 0) visitors.delete(one.visitor);
      this.#size--;
      return true;
    }
    return false;
  }

  /**
   * Takes out the one whose turn it is.
   *
   * @param isAllowed - Whether a visitor may have one more connection.
   * @returns `undefined` if no visitor among those that are compared may.
   */
  take(isAllowed: (visitor: string | undefined) => boolean): T | undefined {
    const visitor = this.#next(this.#newcomers, isAllowed) ?? this.#next(this.#others, isAllowed);
    if (visitor === undefined) return undefined;
    const { of, waiting } = visitor;
    const [one] = waiting as ReadonlySet<T> as unknown as [T];
    waiting.delete(one);
    this.#size--;
    // It holds one more now, and goes behind the others.
    this.#newcomers.delete(of);
    this.#others.delete(of);
    if (waiting.size > 0) this.#others.set(of, waiting);
    return one;
  }

  /** The visitor whose turn it is, without taking it out. */
  first(): T | undefined {
    const visitor = this.#next(this.#newcomers, () => true) ?? this.#next(this.#others, () => true);
    if (visitor === undefined) return undefined;
    const [one] = visitor.waiting as ReadonlySet<T> as unknown as [T];
    return one;
  }

  #next(
    visitors: ReadonlyMap<string | undefined, Set<T>>,
    isAllowed: (visitor: string | undefined) => boolean,
  ): { readonly of: string | undefined; readonly waiting: Set<T> } | undefined {
    let best: { of: string | undefined; waiting: Set<T>; held: number } | undefined;
    let compared = 0;
    for (const [of, waiting] of visitors) {
      if (++compared > COMPARED) break;
      const held = this.#heldBy(of);
      if ((best === undefined || held < best.held) && isAllowed(of)) best = { of, waiting, held };
      if (best?.held === 0) break;
    }
    return best;
  }
}
