/** Shapes that are beyond a goal, and why; docs/performance.md has the numbers. @module */
import type { Beyond } from './report.ts';

/** It is sent anew each time, and read anew: some 15 ns for a byte on the wire, half of what a plain hit costs by the KB. */
const LARGE: Beyond = {
  micros: 600,
  times: 3,
  why: '20 to 30 KB on the wire each time, of which nothing can be remembered',
};
const AFTER_MISS: Beyond = { micros: 850, times: 3, why: '30 KB on the wire each time' };

export const KNOWN: Readonly<Record<string, Beyond>> = {
  '1-vary-list': LARGE,
  '1-fields': { ...LARGE, micros: 650 },
  '1-none-match-commas': LARGE,
  '1-none-match-open': LARGE,
  '1-modified-since': LARGE,
  '1-range': AFTER_MISS,
  '1-range-miss': AFTER_MISS,
  '1-range-commas': LARGE,
  '1-range-digits': LARGE,
  '1-accept': LARGE,
  '1-via': LARGE,
  '1-none-match-commas-read': {
    micros: 200,
    times: 3.6,
    why: 'a plain hit that is read anew costs 2 times one that is remembered',
  },
  '1-chunks': {
    micros: 2_000,
    times: 3,
    why: '2,000 chunks in 12 KB, of which node:http tells one by one: 0.9 µs each',
  },
  '1-chunk-extensions': { micros: 650, times: 3, why: '100 chunks of 300 bytes, and a request to the origin' },
  '2-crumbs-names': { micros: 250, times: 3, why: '28 KB decoded, which are charged to the connection' },
  '2-padding': { micros: 300, times: 3, why: 'a request to the origin costs as much without padding' },
  '2-post': { micros: 300, times: 3, why: 'a request to the origin' },
  '2-data-bytes': { micros: 500, times: 3, why: '1,000 frames in 10 KB: 0.3 µs each, and a request to the origin' },
};
