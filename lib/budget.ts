/**
 * Budget for additional requests: a share of the ordinary ones, saved up to a burst (Finagle's retry budget). It bounds
 * what retries can add to the load of a server that fails because of its load.
 * @module
 */

export interface BudgetOptions {
  /** Additional requests for each ordinary one, such as 0.02. */
  readonly share: number;
  /** Additional requests that can be saved up; a new budget has as many. */
  readonly burst: number;
}

export class Budget {
  readonly #options: BudgetOptions;
  #left: number;

  constructor(options: BudgetOptions) {
    this.#options = options;
    this.#left = options.burst;
  }

  /** Counts an ordinary request. */
  earn(): void {
    const { share, burst } = this.#options;
    if (this.#left < burst) this.#left = Math.min(burst, this.#left + share);
  }

  /** Takes one additional request, if one is left. */
  trySpend(): boolean {
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
