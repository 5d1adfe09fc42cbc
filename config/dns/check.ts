/**
 * Contradictions in the config of a DNS server whose keys are each well-formed.
 * @module
 */
import { networkProblems } from '../check-addresses.ts';
import { repeated } from '../duplicates.ts';
import type { ConfigProblem } from '../problem.ts';
import type { Placed, RegionBody, RegionReading } from '../read.ts';
import { zoneContent } from './zone-content.ts';

/** @returns Problems of `dns`. */
export function dnsProblems(
  { sites }: Pick<RegionReading, 'sites'>,
  { config, source }: Placed<RegionBody>,
): ConfigProblem[] {
  const { dns } = config;
  if (!dns) return [];
  const hosts = sites.flatMap(({ config: site }) => site.hosts);
  const zones = dns.zones.map((zone, index) => ({ zone, source: source.within(['dns', 'zones', index]) }));
  return [
    ...networkProblems(dns.rate_limit.exempt, source, ['dns', 'rate_limit', 'exempt']),
    ...zones.flatMap(({ zone, source: place }) =>
      zoneContent(zone, hosts).problems.map((problem) => place.problem(...problem)),
    ),
    ...repeated(zones, ({ zone }) => zone.name).map(([{ zone, source: place }]) =>
      place.problem(['name'], `there is a zone ${zone.name} already`, 'Write what is in it in one place.'),
    ),
  ];
}
