/** Medians and spreads over rounds. @module */

/** Summary of a set of numbers. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** @returns NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  if (Number.isInteger(middle)) return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
  return sorted[Math.floor(middle)] ?? Number.NaN;
}

/** The middle of a set of numbers, and the bounds of its middle half. */
export interface Quartiles {
  readonly first: number;
  readonly median: number;
  readonly third: number;
}

/** @returns Quartiles between which numbers are interpolated (type 7 of Hyndman and Fan, 1996); NaN for no numbers. */
export function quartilesOf(values: readonly number[]): Quartiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => {
    const position = share * (sorted.length - 1);
    const below = sorted[Math.floor(position)] ?? Number.NaN;
    const above = sorted[Math.ceil(position)] ?? Number.NaN;
    return below + (above - below) * (position - Math.floor(position));
  };
  return { first: at(0.25), median: at(0.5), third: at(0.75) };
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/**
 * Ratios round by round: what disturbs the machine for a while disturbs both
 * of a round, and leaves their ratio alone.
 *
 * @param ours - A number for each round; rounds that one side has not are left out.
 */
export function ratioOf(ours: readonly number[], theirs: readonly number[]): Spread {
  const ratios = ours.slice(0, theirs.length).map((value, round) => value / (theirs[round] ?? Number.NaN));
  return spreadOf(ratios.filter(Number.isFinite));
}
