/** Reading of what `strace -c` prints. @module */

export interface SystemCalls {
  readonly total: number;
  /** Counts of the calls, the most frequent first. */
  readonly byName: ReadonlyMap<string, number>;
}

/** A row: share of the time, seconds, microseconds a call, calls, perhaps errors, and the name of the call. */
const ROW = /^ *\d+\.\d+ +\d+\.\d+ +\d+ +(\d+)(?: +\d+)? +([a-z]\w*)$/gm;

/** @param text - Its standard error. */
export function callsOf(text: string): SystemCalls {
  const rows = [...text.matchAll(ROW)].filter(([, , name]) => name !== 'total');
  const counts = rows.map(([, count, name]): [string, number] => [name as string, Number(count)]);
  counts.sort(([, a], [, b]) => b - a);
  return { total: counts.reduce((sum, [, count]) => sum + count, 0), byName: new Map(counts) };
}
