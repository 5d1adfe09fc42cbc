/** Shapes that are beyond a goal, and why; docs/performance.md has the numbers. @module */
import type { Beyond } from './report.ts';

export const KNOWN: Readonly<Record<string, Beyond>> = {
  '1-fields': { micros: 350, times: 3, why: '192 new fields, each looked at by a dozen functions that read a request' },
  '1-too-large': { micros: 900, times: 3, why: 'a connection for each, and the rest of what was sent is read' },
  '1-chunks': { micros: 360, times: 3, why: 'a request to the origin, with a body' },
  '1-chunk-extensions': { micros: 350, times: 3, why: 'a request to the origin, with a body' },
  '2-padding': { micros: 300, times: 3, why: 'a request to the origin costs as much without padding' },
  '2-post': { micros: 300, times: 3, why: 'a request to the origin' },
  '2-data-bytes': { micros: 450, times: 3, why: '1,000 frames in 10 KB, and a request to the origin' },
};
