/**
 * Checks that the shields that edges and sites refer to exist, and that the regions that share them agree.
 *
 * A request only ever goes edge → owner → shield → origin, whatever the files
 * say: a shield never asks another shield or an edge. So two regions that have
 * shields may use each other's. What goes in a circle, and is refused, is a
 * region that takes shields from itself, and regions that take shields from
 * each other while neither has any.
 * @module
 */

import { reachableShields } from './linked-regions.ts';
import { nearest } from './nearest.ts';
import { realPath, siblingPath } from './path.ts';
import type { ConfigProblem } from './problem.ts';
import type { LinkedRegion, Placed, RegionBody, RegionReading } from './read.ts';
import { joinList } from './words.ts';

/** @returns Problems of `shields_from`. */
export function linkedRegionProblems(reading: RegionReading, { config, source }: Placed<RegionBody>): ConfigProblem[] {
  const own = realPath(reading.file);
  const seen = new Set<string>();
  return reading.linkedRegions.flatMap((linkedRegion, index) => {
    const other = realPath(linkedRegionFile(reading, config, index));
    const refuse = (message: string, fix: string) => [source.problem(['shields_from', index], message, fix)];
    if (other === own) {
      return refuse('the region takes shields from itself', 'Remove it; its own shields are used anyway.');
    }
    if (seen.has(other)) return refuse('the region is in the list already', 'Remove it here.');
    seen.add(other);
    return linkedRegion ? disagreements(reading, config, linkedRegion, own).flatMap((words) => refuse(...words)) : [];
  });
}

function disagreements(
  reading: RegionReading,
  config: RegionBody,
  linkedRegion: Placed<LinkedRegion>,
  own: string,
): (readonly [message: string, fix: string])[] {
  const { config: other, source } = linkedRegion;
  const words: (readonly [message: string, fix: string])[] = [];
  if (other.shields.length === 0) {
    const back = other.shields_from.some((file) => realPath(siblingPath(source.file, file)) === own);
    words.push(
      back && config.shields.length === 0
        ? [
            `${source.file} and this region take shields from each other, and neither has any`,
            'Give one of them a shield under `shields`.',
          ]
        : [
            `${source.file} has no shields of its own, and those that it uses are not handed on`,
            'Name the region that has the shields.',
          ],
    );
  }
  if (other.region === config.region) {
    words.push([`${source.file} is called ${other.region} too`, 'Give each region a name of its own.']);
  }
  if (other.network !== config.network) {
    words.push([
      `${source.file} belongs to the network ${other.network}, this region to ${config.network}`,
      'Write the same `network` in both files.',
    ]);
  }
  if ((other.tier_tls === undefined) !== (config.tier_tls === undefined)) {
    const [has, lacks] = other.tier_tls === undefined ? ['this region', source.file] : [source.file, 'this region'];
    words.push([`${has} has \`tier_tls\` and ${lacks} has not`, 'Write it in both files, or in neither.']);
  }
  // Of an unknown secret nothing can be said; it is a problem of its own.
  if (reading.problems.length === 0 && config.tier_tls === undefined && other.tier_secret !== config.tier_secret) {
    words.push([
      `${source.file} has another tier_secret, so its shields would refuse this region’s edges`,
      'Use the same `tier_secret` in both files.',
    ]);
  }
  return words;
}

/** @returns Problems of sites that count on shields. */
export function shieldProblems(reading: RegionReading, { config }: Placed<RegionBody>): ConfigProblem[] {
  // What an unreadable region has is not known; that it cannot be read is a problem of its own.
  if (reading.linkedRegions.includes(undefined)) return [];
  const known = reachableShields(reading).map(({ name }) => name);
  return reading.sites.flatMap(({ config: site, source }) => {
    const unknown = (site.shields ?? []).flatMap((name, index) =>
      known.includes(name)
        ? []
        : [unknownShield(name, (...words) => source.problem(['shields', index], ...words), known)],
    );
    if (unknown.length > 0 || known.length > 0 || site.direct_to_origin || config.edges.length === 0) return unknown;
    return [
      source.problem(
        ['direct_to_origin'],
        'the edges may not ask the origin, and there is no shield that could',
        'Add a shield under `shields` or `shields_from`, or allow `direct_to_origin: true`.',
      ),
    ];
  });
}

function unknownShield(
  name: string,
  problem: (message: string, fix: string) => ConfigProblem,
  known: readonly string[],
): ConfigProblem {
  const meant = nearest(name, known);
  if (meant !== undefined) return problem(`there is no shield ${name}`, `Did you mean \`${meant}\`?`);
  const fix =
    known.length === 0
      ? 'Add it under `shields`, or name its region in `shields_from`.'
      : `The shields that this region can use are ${joinList(known, 'and')}.`;
  return problem(`there is no shield ${name}`, fix);
}

function linkedRegionFile(reading: RegionReading, config: RegionBody, index: number): string {
  return siblingPath(reading.file, config.shields_from[index] ?? '');
}
