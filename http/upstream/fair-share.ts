/**
 * A bounded resource, such as connections, shared between visitors: the more
 * of it is in use, the less a single visitor may hold.
 *
 * The rule is that of dynamic thresholds (Choudhury and Hahne, "Dynamic Queue
 * Length Thresholds for Shared-Memory Packet Switches", 1998): a visitor may
 * hold up to a multiple of what is free. The multiple is such that one visitor
 * alone gets `share` of the whole. Fifty that all want everything get a fiftieth
 * of most of it each, and some stays free for a visitor that holds nothing yet.
 * @module
 */

export interface FairShareOptions {
  /** Units there are; may change. */
  readonly capacity: () => number;
  /** Largest part of them that a single visitor may hold, above 0; 1: all of them. */
  readonly share: number;
}

/** Fewer units than this are not worth sharing out: they go to the first requester. */
const LEAST_SHARED = 8;

export class FairShare {
  readonly #capacity: () => number;
  /** Multiple of the free units that a visitor may hold. */
  readonly #multiple: number;
  readonly #held = new Map<string, number>();
  #taken = 0;

  constructor({ capacity, share }: FairShareOptions) {
    this.#capacity = capacity;
    this.#multiple = share >= 1 ? Number.POSITIVE_INFINITY : share / (1 - share);
  }

  /** Units in use. */
  get taken(): number {
    return this.#taken;
  }

  /** Number of visitors that hold any. */
  get size(): number {
    return this.#held.size;
  }

  /** Units that the visitor holds. */
  heldBy(visitor: string): number {
    return this.#held.get(visitor) ?? 0;
  }

  /** @param visitor - Undefined: no visitor, bounded by the capacity alone. */
  mayTake(visitor: string | undefined, units = 1): boolean {
    const capacity = this.#capacity();
    const free = capacity - this.#taken;
    if (units > free) return false;
    if (visitor === undefined || capacity < LEAST_SHARED || this.#multiple === Number.POSITIVE_INFINITY) return true;
    const held = this.heldBy(visitor);
    return (held === 0 && units === 1) || held + units <= this.#multiple * free;
  }

  /** Takes the units if the visitor may have them. */
  tryTake(visitor: string | undefined, units = 1): boolean {
    if (!this.mayTake(visitor, units)) return false;
    this.take(visitor, units);
    return true;
  }

  take(visitor: string | undefined, units = 1): void {
    this.#taken += units;
    if (visitor !== undefined) this.#held.set(visitor, this.heldBy(visitor) + units);
  }

  release(visitor: string | undefined, units = 1): void {
    this.#taken -= units;
    this.leave(visitor, units);
  }

  /** Counts units for the visitor no more that have been released for no visitor. */
  leave(visitor: string | undefined, units = 1): void {
    if (visitor === undefined) return;
    const left = this.heldBy(visitor) - units;
    if (left > 0) this.#held.set(visitor, left);
    else this.#held.delete(visitor);
  }
}
