/**
 * Sites of the whole network, and the site of a host.
 *
 * Regions have files of their own, and may not all have read the newest
 * version yet. Where they disagree about a host, each one's opinion counts: a
 * purge has to find what any of them has stored.
 * @module
 */
import { hostMatcher } from '../config/match.ts';
import type { RegionConfig, SiteConfig } from '../config/schema.ts';

export interface SiteDirectory {
  /** Names of all sites. */
  readonly names: ReadonlySet<string>;
  /**
   * @param host - In lower case, without port.
   * @returns The config of its site in each region that serves it.
   */
  sitesOf(host: string): readonly SiteConfig[];
}

export function siteDirectory(regions: readonly Pick<RegionConfig, 'sites'>[]): SiteDirectory {
  const matchers = regions.map(({ sites }) => hostMatcher(sites));
  return {
    names: new Set(regions.flatMap(({ sites }) => sites.map(({ name }) => name))),
    sitesOf: (host) =>
      matchers.flatMap((match) => {
        const site = match(host);
        return site ? [site] : [];
      }),
  };
}
