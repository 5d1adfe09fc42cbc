/**
 * Loads the config of a region, or of one site, complete and checked: what is
 * returned can be run, and what cannot is refused with all its problems.
 * @module
 */
import { checkRegion } from './check-region.ts';
import { checkSite } from './check-site.ts';
import { certificateProblems } from './check-tls.ts';
import { readYaml } from './document.ts';
import { ConfigError, type ConfigProblem, inOrder } from './problem.ts';
import { assembleRegion, type Environment, readRegion, readSite, type SiteOverrides } from './read.ts';
import { type RegionConfig, regionSchema, type SiteConfig, siteSchema } from './schema.ts';

export { ConfigError, type ConfigProblem } from './problem.ts';
export type { Environment, SiteOverrides } from './read.ts';

/**
 * Loads a region file with the sites it includes and the shields it refers to.
 *
 * @param env - Where `${NAME}` in `tier_secret` is looked up.
 * @throws {ConfigError} `config_refused` with every problem of every file involved.
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
 * @throws {ConfigError} `config_refused` with every problem.
 */
export function loadSite(file: string, overrides: SiteOverrides = {}): SiteConfig {
  const { site, problems } = checkSiteFile(file, overrides);
  if (!site || problems.length > 0) throw new ConfigError(problems);
  return site;
}

/** A site file that was checked. */
export interface SiteCheck {
  readonly file: string;
  readonly site: SiteConfig | undefined;
  readonly problems: readonly ConfigProblem[];
}

/** Placeholder for the origin that `serve --origin` supplies and the file omits. */
const ORIGIN_ELSEWHERE = { origin: 'http://127.0.0.1' } as const;

/** @param overrides - By default what lets a file without `origin` be checked. */
export function checkSiteFile(
  file: string,
  overrides: SiteOverrides = namesServers(file) ? {} : ORIGIN_ELSEWHERE,
): SiteCheck {
  const { site, problems: shape } = readSite(file, overrides);
  const deeper = site ? [...checkSite(site.config, site.source), ...certificateProblems(site.config, site.source)] : [];
  return { file, site: site?.config, problems: inOrder([...shape, ...deeper]) };
}

function namesServers(file: string): boolean {
  const { origin } = mappingIn(file) as { origin?: { servers?: unknown } | null };
  return typeof origin === 'object' && origin !== null && 'servers' in origin;
}

/** Returns whether a file describes one site: it has keys of a site, and none that only a region has. */
export function isSiteFile(file: string): boolean {
  const keys = Object.keys(mappingIn(file));
  return (
    keys.some((key) => Object.hasOwn(siteSchema.shape, key)) &&
    !keys.some((key) => Object.hasOwn(regionSchema.shape, key) && !Object.hasOwn(siteSchema.shape, key))
  );
}

/** Empty where it is none, or cannot be read. */
function mappingIn(file: string): object {
  const yaml = readYaml(file);
  const value = 'source' in yaml ? yaml.value : undefined;
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
}
