/**
 * Contradictions in a region whose keys are each well-formed.
 * @module
 */
import { addressProblems, clashProblems, originProblems, proxyProblems } from './check-addresses.ts';
import { controlProblems } from './check-control.ts';
import { geoProblems } from './check-geo.ts';
import { namesOf, nodeNameProblems, siteProblems } from './check-names.ts';
import { linkedRegionProblems, shieldProblems } from './check-shields.ts';
import { checkSite } from './check-site.ts';
import { spoolProblems } from './check-spool.ts';
import { certificateProblems, tlsListenerProblems } from './check-tls.ts';
import { trustProblems } from './check-trust.ts';
import { dnsProblems } from './dns/check.ts';
import { foreignListeners, foreignNames } from './linked-regions.ts';
import { listenersOf } from './listener.ts';
import type { ConfigProblem } from './problem.ts';
import type { RegionReading } from './read.ts';

/** @returns Problems of the region itself, and between it and the regions it takes shields from. */
export function checkRegion(reading: RegionReading): ConfigProblem[] {
  const problems = [
    ...reading.sites.flatMap(({ config, source }) => checkSite(config, source)),
    ...siteProblems(reading.sites),
    ...reading.sites.flatMap(({ config, source }) => certificateProblems(config, source)),
  ];
  const { body } = reading;
  if (!body) return problems;

  // What is elsewhere comes first, so that problems point at this file.
  const names = [...foreignNames(reading), ...namesOf(body)];
  const listeners = [...foreignListeners(reading), ...listenersOf(body.config, body.source)];
  return [
    ...problems,
    ...addressProblems(body),
    ...nodeNameProblems(names),
    ...clashProblems(listeners),
    ...originProblems(reading, listeners),
    ...proxyProblems(body),
    ...geoProblems(body),
    ...spoolProblems(body),
    ...controlProblems(body),
    ...trustProblems(body),
    ...tlsListenerProblems(reading, body),
    ...dnsProblems(reading, body),
    ...linkedRegionProblems(reading, body),
    ...shieldProblems(reading, body),
  ];
}
