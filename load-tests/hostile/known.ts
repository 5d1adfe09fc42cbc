/** Shapes that are beyond a goal, and why; docs/performance.md has the numbers. @module */
import type { Beyond } from './report.ts';

const DECODED: Beyond = {
  micros: 260,
  times: 3,
  why: '25 KB decoded from 19 bytes, which are charged to the connection',
};

export const KNOWN: Readonly<Record<string, Beyond>> = {
  '1-fields': { micros: 350, times: 3, why: '192 new fields, each looked at by a dozen functions that read a request' },
  '1-too-large': { micros: 900, times: 3, why: 'a connection for each, and the rest of what was sent is read' },
  '2-encoding-lines': DECODED,
  '2-crumbs-names': DECODED,
  '2-control': DECODED,
  '2-data-bytes': { micros: 450, times: 3, why: '1,000 frames in 10 KB, and a request to the origin' },
};
