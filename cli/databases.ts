/**
 * Checks that the location databases of a region can be used, by opening them.
 * @module
 */
import { ConfigError, type ConfigProblem } from '../config/problem.ts';
import type { RegionConfig } from '../config/schema.ts';
import { openLocator } from '../geo/open-locator.ts';

/** @returns A problem for each database that cannot be used. */
export async function databaseProblems(regions: readonly RegionConfig[]): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  for (const { file, geo } of regions) {
    try {
      const locator = await openLocator({ file, databases: geo.databases });
      locator.close();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
    }
  }
  return problems;
}
