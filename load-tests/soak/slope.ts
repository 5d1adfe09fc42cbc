/** Slopes of samples over time. @module */

export interface Sample {
  readonly seconds: number;
  readonly value: number;
}

/** Pairs beyond this number are not looked at: every n-th sample is left out. */
const MOST_SAMPLES = 400;

/**
 * Median of the slopes of all pairs (Theil and Sen): a third of the samples may be anything.
 *
 * @returns Per second; 0 for fewer than two samples.
 */
export function slopeOf(samples: readonly Sample[]): number {
  const step = Math.ceil(samples.length / MOST_SAMPLES);
  const chosen = samples.filter((_, index) => index % step === 0);
  const slopes: number[] = [];
  for (const [index, a] of chosen.entries()) {
    for (const b of chosen.slice(index + 1)) {
      if (b.seconds > a.seconds) slopes.push((b.value - a.value) / (b.seconds - a.seconds));
    }
  }
  return median(slopes);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
