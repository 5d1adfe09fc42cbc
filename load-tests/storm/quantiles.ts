/** Durations, and how often each occurs. @module */

/** @param sorted - In ascending order, not empty. */
export function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}

const BOUNDS_MS = [1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 500, 1_000, 2_000];
const WIDEST_BAR = 40;

/** @returns A line for each range in which there are any. */
export function histogram(durationsMs: readonly number[]): string[] {
  const counts = new Array<number>(BOUNDS_MS.length + 1).fill(0);
  for (const ms of durationsMs) {
    const index = BOUNDS_MS.findIndex((bound) => ms < bound);
    const place = index < 0 ? BOUNDS_MS.length : index;
    counts[place] = (counts[place] ?? 0) + 1;
  }
  const most = Math.max(...counts);
  return counts.flatMap((count, index) => {
    if (count === 0) return [];
    const bound = BOUNDS_MS[index];
    const range = bound === undefined ? `≥ ${BOUNDS_MS.at(-1)}` : `< ${bound}`;
    const bar = '█'.repeat(Math.max(1, Math.round((count / most) * WIDEST_BAR)));
    return [`  ${range.padStart(7)} ms ${String(count).padStart(7)}  ${bar}`];
  });
}
