/** Shapes that are beyond a goal, and why; docs/performance.md has the numbers. @module */
import type { Beyond } from './report.ts';

const AFTER_MISS: Beyond = { micros: 850, times: 3, why: '37 KB on the wire each time, for a refusal' };

export const KNOWN: Readonly<Record<string, Beyond>> = {
  '1-fields': { micros: 350, times: 3, why: '192 new fields, each looked at by a dozen functions that read a request' },
  '1-range': AFTER_MISS,
  '1-range-miss': AFTER_MISS,
  '1-chunks': {
    micros: 2_000,
    times: 3,
    why: '2,000 chunks in 12 KB, of which node:http tells one by one: 0.9 µs each',
  },
  '1-chunk-extensions': { micros: 650, times: 3, why: '100 chunks of 300 bytes, and a request to the origin' },
  '2-padding': { micros: 300, times: 3, why: 'a request to the origin costs as much without padding' },
  '2-post': { micros: 300, times: 3, why: 'a request to the origin' },
  '2-data-bytes': { micros: 500, times: 3, why: '1,000 frames in 10 KB: 0.3 µs each, and a request to the origin' },
};
