import type { ConfigProblem } from './problem.ts';
import type { RegionReading } from './read.ts';
export function checkRegion(_reading: RegionReading): ConfigProblem[] {
  return [];
}
