/** Shapes that are beyond a goal, and why; docs/performance.md has the numbers. @module */
import type { Beyond } from './report.ts';

export const KNOWN: Readonly<Record<string, Beyond>> = {
  '1-fields': { micros: 250, times: 3, why: '192 fields of 150 bytes, each of them new' },
  '1-too-large': { micros: 320, times: 3, why: 'a connection for each, and the rest of what was sent is read' },
  '2-data-bytes': { micros: 240, times: 3, why: '1,000 frames in 10 KB, and a request to the origin' },
  '1-query-tracking-escaped': { micros: 230, times: 3, why: 'every second of 600 parameters stays in a key of 3 KB' },
};
