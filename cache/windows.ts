/**
 * Memory for bodies that pass through without being kept. One body's window is
 * bounded by the config; many at once share what the node has for all of them
 * (promise P5): the more there are, the sooner a reader that is behind goes on
 * by itself.
 * @module
 */

/** A body with a window. */
export interface Windowed {
  /** Holds no more than its share from now on. */
  fit(): void;
}

/** A few pieces as they come from a socket: with less, readers at one pace would lose each other. */
const LEAST_BYTES = 256 * 1024;

export class Windows {
  readonly #maxBytes: () => number;
  readonly #bodies = new Set<Windowed>();

  /** @param maxBytes - For all windows together; may change. */
  constructor(maxBytes: () => number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that each body may hold for readers that are behind. */
  get share(): number {
    return Math.max(LEAST_BYTES, this.#maxBytes() / Math.max(1, this.#bodies.size));
  }

  /** Idempotent. */
  add(body: Windowed): void {
    if (this.#bodies.has(body)) return;
    this.#bodies.add(body);
    for (const other of this.#bodies) other.fit();
  }

  /** Idempotent. */
  delete(body: Windowed): void {
    this.#bodies.delete(body);
  }
}
