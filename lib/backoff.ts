/**
 * Growing pauses between retries: each is twice as long as the one before, up
 * to a longest one.
 * @module
 */

export interface BackoffOptions {
  /** Milliseconds of the first pause. */
  readonly firstMs: number;
  readonly maxMs: number;
  /**
   * From 0 to below 1. If given, pauses are drawn between half of their length and all of it, so that clients that have
   * failed together do not come back together ("equal jitter": Brooker, "Exponential Backoff And Jitter", 2015).
   */
  readonly random?: (() => number) | undefined;
}

/** Returns the pause after a number of failures before it, in milliseconds. @param before - 0 for the first pause. */
export function backoffMs({ firstMs, maxMs, random }: BackoffOptions, before: number): number {
  const ms = Math.min(maxMs, firstMs * 2 ** before);
  return random === undefined ? ms : (ms / 2) * (1 + random());
}

/** Pauses of one series of attempts. */
export class Backoff {
  readonly #options: BackoffOptions;
  #before = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Returns the next pause, in milliseconds. */
  next(): number {
    return backoffMs(this.#options, this.#before++);
  }

  /** An attempt has succeeded: the next pause is the first again. */
  reset(): void {
    this.#before = 0;
  }
}
