/**
 * Loads the config of a region, or of one site, complete and checked: what is
 * returned can be run, and what cannot is refused with all its problems.
 * @module
 */
import { checkRegion } from './check-region.ts';
import { checkSite } from './check-site.ts';
import { certificateProblems } from './check-tls.ts';
import { ConfigError, inOrder } from './problem.ts';
import { assembleRegion, type Environment, readRegion, readSite, type SiteOverrides } from './read.ts';
import type { RegionConfig, SiteConfig } from './schema.ts';

export { ConfigError, type ConfigProblem } from './problem.ts';
export type { Environment, SiteOverrides } from './read.ts';

/**
 * Loads a region file with the sites it includes and the shields it refers to.
 *
 * @param env - Where `${NAME}` in `tier_secret` is looked up.
 * @throws {ConfigError} `CONFIG_REFUSED` with every problem of every file involved.
 */
export function loadRegion(file: string, env: Environment = process.env): RegionConfig {
  const reading = readRegion(file, env);
  const problems = [...reading.problems, ...checkRegion(reading)];
  if (problems.length > 0) throw new ConfigError(inOrder(problems));
  return assembleRegion(reading);
}

/**
 * Loads one site file, to be served without a region.
 *
 * Where the file does not say, the site is called `site` and answers for every
 * host (`*`). An origin given in `overrides` counts more than the servers in
 * the file; the other keys of `origin` stay.
 *
 * @throws {ConfigError} `CONFIG_REFUSED` with every problem.
 */
export function loadSite(file: string, overrides: SiteOverrides = {}): SiteConfig {
  const { site, problems: shape } = readSite(file, overrides);
  const problems = [
    ...shape,
    ...(site ? [...checkSite(site.config, site.source), ...certificateProblems(site.config, site.source)] : []),
  ];
  if (!site || problems.length > 0) throw new ConfigError(inOrder(problems));
  return site.config;
}
