/** Shapes that are beyond a goal, and why; docs/performance.md has the numbers. @module */
import type { Beyond } from './report.ts';

export const KNOWN: Readonly<Record<string, Beyond>> = {};
