/** Shapes that are beyond a goal, and why; docs/performance.md has the numbers. @module */
import type { Beyond } from './report.ts';

export const KNOWN: Readonly<Record<string, Beyond>> = {
  '2-data-bytes': { micros: 240, times: 3, why: '1,000 frames in 10 KB, and a request to the origin' },
  '1-query-tracking-escaped': { micros: 260, times: 3, why: 'every second of 600 parameters stays in a key of 3 KB' },
};
