/**
 * Checks region files together, as `seawall check FILE...` does: each on its
 * own, and what only shows when they stand side by side.
 * @module
 */

import { wallNow } from '../lib/clock.ts';
import { clashProblems, originProblems } from './check-addresses.ts';
import { defaultProblems } from './check-geo.ts';
import { namesOf, nodeNameProblems } from './check-names.ts';
import { purgeWarnings } from './check-purges.ts';
import { checkRegion } from './check-region.ts';
import { certificateWarnings } from './check-tls.ts';
import { repeated } from './duplicates.ts';
import { listenersOf } from './listener.ts';
import { realPath } from './path.ts';
import { type ConfigProblem, inOrder } from './problem.ts';
import {
  assembleRegion,
  type Environment,
  type Placed,
  type RegionBody,
  type RegionReading,
  readRegion,
} from './read.ts';
import type { RegionConfig } from './schema.ts';

/** Result of checking several files. */
export interface CheckResult {
  /** The regions whose own files have no problem. */
  readonly regions: RegionConfig[];
  /** Empty when the files can be used together. */
  readonly problems: ConfigProblem[];
  /** Problems that do not keep the config from running, but are probably mistakes. */
  readonly warnings: ConfigProblem[];
}

/**
 * @param files - Region files; one that is named twice counts once.
 * @param env - Where `${NAME}` in `tier_secret` is looked up.
 */
export function checkRegions(files: readonly string[], env: Environment = process.env): CheckResult {
  const distinct = new Map(files.map((file) => [realPath(file), file]));
  const readings = [...distinct.values()].map((file) => readRegion(file, env));
  return {
    regions: readings.filter((reading) => ownProblems(reading).length === 0).map(assembleRegion),
    warnings: inOrder(
      readings.flatMap((reading) => [
        ...reading.sites.flatMap(({ config, source }) => certificateWarnings(config, source, wallNow())),
        ...purgeWarnings(reading),
      ]),
    ),
    problems: readingProblems(readings),
  };
}

/** @returns What is wrong with files that stand side by side: empty when they can be used together. */
export function readingProblems(readings: readonly RegionReading[]): ConfigProblem[] {
  return inOrder([...readings.flatMap(ownProblems), ...problemsBetween(readings)]);
}

function ownProblems(reading: RegionReading): ConfigProblem[] {
  return [...reading.problems, ...checkRegion(reading)];
}

function problemsBetween(readings: readonly RegionReading[]): ConfigProblem[] {
  const bodies = readings.flatMap(({ body }) => (body ? [body] : []));
  const listeners = bodies.flatMap(({ config, source }) => listenersOf(config, source));
  // Networks know nothing of each other: only their addresses can get into each other's way.
  const networks = Map.groupBy(bodies, ({ config }) => config.network);
  return [
    ...[...networks.values()].flatMap((network) => [
      ...regionNameProblems(network),
      ...nodeNameProblems(network.flatMap(namesOf)),
      ...defaultProblems(network),
    ]),
    ...clashProblems(listeners),
    ...readings.flatMap((reading) => {
      const elsewhere = listeners.filter(({ source }) => source.file !== reading.file);
      return originProblems(reading, elsewhere);
    }),
  ];
}

function regionNameProblems(bodies: readonly Placed<RegionBody>[]): ConfigProblem[] {
  const names = bodies.map(({ config, source }) => ({ name: config.region, source, path: ['region'] }));
  return repeated(names, ({ name }) => name).map(([{ name, source, path }, first]) =>
    source.problem(path, `${first.source.file} is called ${name} too`, 'Give each region a name of its own.'),
  );
}
