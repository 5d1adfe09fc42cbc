/**
 * Names that are used twice: of nodes, of sites, of hosts.
 * @module
 */
import { redirectHost } from './check-site.ts';
import { type Named, positionText, repeated } from './duplicates.ts';
import { hostTable } from './host.ts';
import type { ConfigProblem, KeyPath } from './problem.ts';
import type { Placed, RegionBody } from './read.ts';
import type { SiteConfig } from './schema.ts';

/** @returns The names of all nodes of a region. */
export function namesOf({ config, source }: Placed<RegionBody>): Named[] {
  const named = (name: string, path: KeyPath): Named => ({ name, source, path: [...path, 'name'] });
  return [
    ...config.edges.map(({ name }, index) => named(name, ['edges', index])),
    ...config.shields.map(({ name }, index) => named(name, ['shields', index])),
    ...(config.control ? [named(config.control.name, ['control'])] : []),
    ...(config.dns ? [named(config.dns.name, ['dns'])] : []),
  ];
}

/** @returns A problem for every name that stands further up already. */
export function nodeNameProblems(names: readonly Named[]): ConfigProblem[] {
  return repeated(names, ({ name }) => name).map(([{ name, source, path }, first]) =>
    source.problem(
      path,
      `${positionText(first, source.file)} is called ${name} too`,
      'Give each node of the network a name of its own.',
    ),
  );
}

/** @returns A problem for every site name and every host that another site has already. */
export function siteProblems(sites: readonly Placed<SiteConfig>[]): ConfigProblem[] {
  return [...siteNameProblems(sites), ...hostProblems(sites), ...redirectProblems(sites)];
}

function siteNameProblems(sites: readonly Placed<SiteConfig>[]): ConfigProblem[] {
  const names = sites.map(({ config, source }) => ({ name: config.name, source, path: ['name'] }));
  return repeated(names, ({ name }) => name).map(([{ name, source, path }, first]) =>
    source.problem(
      path,
      `${positionText(first, source.file)} is called ${name} too`,
      'Give each site a name of its own.',
    ),
  );
}

function hostProblems(sites: readonly Placed<SiteConfig>[]): ConfigProblem[] {
  const hosts = sites.flatMap(({ config, source }) =>
    // A host twice in one site is that site's own problem (check-site.ts).
    [...new Set(config.hosts)].map((name) => ({
      name,
      source,
      path: ['hosts', config.hosts.indexOf(name)],
      site: config.name,
    })),
  );
  return repeated(hosts, ({ name }) => name).map(([{ name, source, path }, first]) =>
    source.problem(
      path,
      `site ${first.site} has the host ${name} already (${positionText(first, source.file)})`,
      'Keep it in one of the two sites.',
    ),
  );
}

function redirectProblems(sites: readonly Placed<SiteConfig>[]): ConfigProblem[] {
  const siteOf = hostTable(sites.flatMap(({ config }) => config.hosts.map((host) => [host, config] as const)));
  return sites.flatMap(({ config, source }) => {
    const host = redirectHost(config);
    const target = host === undefined ? undefined : siteOf(host);
    const takesIt = hostTable(config.hosts.map((name) => [name, true] as const));
    if (host === undefined || !target || target === config || !takesIt(host)) return [];
    const message = `${host} belongs to the site ${target.name}, whose host name for it is more precise`;
    const fix = 'Redirect to a host of this site that no other site names.';
    return [source.problem(['redirect', 'host'], message, fix)];
  });
}
