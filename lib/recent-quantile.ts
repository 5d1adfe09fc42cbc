/**
 * Quantiles of recent durations, from counts in buckets whose bounds grow by a quarter of an octave (19 %). Older
 * durations count for less: all counts are halved after every few thousand.
 * @module
 */

/** Buckets of a quarter of an octave, up to 2^20 ms: 17 minutes. */
const BUCKETS = 81;

/** Durations after which all counts are halved. */
const HALVED_AFTER = 2_048;

/** Fewer say too little about a 99th percentile. */
const MIN_SAMPLES = 100;

/** Durations after which a quantile is calculated anew. */
const CALCULATED_AFTER = 32;

export class RecentQuantile {
  readonly #quantile: number;
  readonly #counts = new Float64Array(BUCKETS);
  #total = 0;
  #sinceCalculated = 0;
  #value: number | undefined;

  /** @param quantile - Such as 0.99. */
  constructor(quantile: number) {
    this.#quantile = quantile;
  }

  observe(ms: number): void {
    const bucket = ms <= 1 ? 0 : Math.min(BUCKETS - 1, Math.ceil(4 * Math.log2(ms)));
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#total++;
    this.#sinceCalculated++;
    if (this.#total >= HALVED_AFTER) this.#halve();
  }

  /** Upper bound of the bucket with the quantile, in milliseconds; `undefined` while too few durations are known. */
  get value(): number | undefined {
    if (this.#total < MIN_SAMPLES) return undefined;
    if (this.#value === undefined || this.#sinceCalculated >= CALCULATED_AFTER) this.#value = this.#calculate();
    return this.#value;
  }

  #calculate(): number {
    this.#sinceCalculated = 0;
    const wanted = this.#total * this.#quantile;
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket] as number;
      if (seen >= wanted) return 2 ** (bucket / 4);
    }
    return 2 ** ((BUCKETS - 1) / 4);
  }

  #halve(): void {
    for (let bucket = 0; bucket < BUCKETS; bucket++) this.#counts[bucket] = (this.#counts[bucket] as number) / 2;
    this.#total /= 2;
  }
}
