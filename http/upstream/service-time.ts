/**
 * Mean time that a server takes for a request, where some are given up before their response.
 *
 * The mean of those that were answered would be too short: what takes long is given up. With times that are distributed
 * exponentially, the sum of all times, of answered requests and of those given up, divided by the number of answers is
 * the most likely mean (censored samples; Epstein and Sobel, "Life Testing", 1953), and what is left of a request takes
 * as long as one that begins.
 * @module
 */

/** Part of the sums that is left after another request: they are of the last hundred. */
const FADES = 0.99;

/** Less than one answer in a hundred requests: it is not known how long they take. */
const LEAST_ANSWERS = 0.5;

export class ServiceTime {
  #totalMs = 0;
  #answers = 0;

  /** @param isAnswered - False for a request that was given up after this time. */
  observe(ms: number, isAnswered: boolean): void {
    this.#totalMs = this.#totalMs * FADES + ms;
    this.#answers = this.#answers * FADES + (isAnswered ? 1 : 0);
  }

  /** Undefined as long as it is not known. */
  get meanMs(): number | undefined {
    return this.#answers < LEAST_ANSWERS ? undefined : this.#totalMs / this.#answers;
  }
}
