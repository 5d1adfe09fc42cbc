/**
 * The documented sites to play against: those that differ in nothing but name
 * and origin are played once.
 * @module
 */
import { type RegionConfig, regionSchema, type SiteConfig } from '../../config/schema.ts';
import { documentedConfigs, load } from './configs.ts';
import { PLAIN_SITE } from './people.ts';

export interface Played {
  /** Places in the docs; several if the sites are the same. */
  readonly places: string[];
  readonly region: RegionConfig;
  readonly site: SiteConfig;
}

/** @param folderFor - Makes an empty folder for the files of one config. */
export function playedConfigs(folderFor: (place: string) => string): Played[] {
  const played = new Map<string, Played>();
  const add = (place: string, region: RegionConfig, site: SiteConfig): void => {
    const key = whatCounts(region, site);
    const known = played.get(key);
    if (known === undefined) played.set(key, { places: [place], region, site });
    else known.places.push(place);
  };
  for (const config of documentedConfigs()) {
    const { region } = load(config, folderFor(config.place));
    for (const site of region.sites) add(config.place, region, site);
  }
  // What README runs first has no file at all.
  const { sites: _, ...body } = regionSchema.parse({
    region: 'local',
    tier_secret: 'x'.repeat(16),
    edges: [{ name: 'edge', listen: '127.0.0.1:0', tier: '127.0.0.1:0' }],
    sites: [{ include: 'none.yaml' }],
  });
  add('serve --origin', { ...body, file: 'none.yaml', sites: [PLAIN_SITE], reachableShields: [] }, PLAIN_SITE);
  return [...played.values()];
}

/** Returns the settings that make a difference to visitors. */
function whatCounts(region: RegionConfig, { name: _, hosts, origin: __, tls, ...site }: SiteConfig): string {
  const { edges, reachableShields, trusted_proxies, client_address, limits } = region;
  const nodes = [edges.length, reachableShields.length, edges.some(({ listen_tls }) => listen_tls !== undefined)];
  return JSON.stringify([site, hosts.length, tls !== undefined, nodes, trusted_proxies, client_address, limits]);
}
