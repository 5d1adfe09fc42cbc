/**
 * Time after which an answer is late, from the round trips before it: their smoothed mean and four times their smoothed
 * deviation (Jacobson and Karels 1988, as RFC 6298, section 2, has it for TCP).
 * @module
 */

const GAIN = 1 / 8;
const DEVIATION_GAIN = 1 / 4;
const DEVIATIONS = 4;

/** A round trip counts for so many times the limit at most: a pause of the other side must not hide the next one. */
const MOST = 1.25;

export class RoundTrip {
  #meanMs: number | undefined;
  #deviationMs = 0;

  /** @param leastMs - Limit below which nothing is late: what is shorter counts in full. */
  observe(measuredMs: number, leastMs = 0): void {
    if (this.#meanMs === undefined) {
      this.#meanMs = measuredMs;
      this.#deviationMs = measuredMs / 2;
      return;
    }
    const ms = Math.min(measuredMs, MOST * Math.max(leastMs, this.lateAfterMs ?? 0));
    this.#deviationMs += DEVIATION_GAIN * (Math.abs(this.#meanMs - ms) - this.#deviationMs);
    this.#meanMs += GAIN * (ms - this.#meanMs);
  }

  /** An answer that takes longer is late; `undefined` while no round trip is known. */
  get lateAfterMs(): number | undefined {
    return this.#meanMs === undefined ? undefined : this.#meanMs + DEVIATIONS * this.#deviationMs;
  }
}
