/** Numbers that look random and are the same in each run with the same seed. @module */

/** @returns A number in [0, 1). */
export type Random = () => number;

/** Mulberry32 (Tommy Ettinger, public domain): small, and good enough to simulate with. */
export function seededRandom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Ranks 0 to `count - 1`, where rank `r` is drawn in proportion to
 * `1 / (r + 1) ** exponent`.
 */
export function zipf(count: number, exponent: number, random: Random): () => number {
  const upTo = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank += 1) {
    sum += 1 / (rank + 1) ** exponent;
    upTo[rank] = sum;
  }
  return () => {
    const drawn = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((upTo[middle] as number) <= drawn) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}
