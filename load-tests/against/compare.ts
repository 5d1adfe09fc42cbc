/**
 * Compares two versions of a server in one scenario. Both run at the same time, on one processor, under the same load:
 * the system gives it to each for some milliseconds in turn, so that whatever slows the machine down slows both.
 * Measured one after the other, for a second each, the ratio of a version to itself was up to a twentieth off.
 *
 * Each start of a process has luck of its own besides (where its memory lies, what the compiler assumes), which lasts
 * until it ends: so both are started anew again and again, and a start is one observation, however long it runs.
 * @module
 */
import { BenchError } from '../bench/errors.ts';
import type { Context, Scenario } from '../bench/scenario.ts';
import type { Server, ServerKind } from '../bench/server.ts';
import { median, type Quartiles, quartilesOf } from '../bench/statistics.ts';

/** The two versions: the one that is judged, and the one that it is compared with. */
export type Versions = readonly [ours: ServerKind, theirs: ServerKind];

/** Microseconds for a request of both versions, of one start each. */
export interface Observation {
  readonly ours: number;
  readonly theirs: number;
}

export interface Comparison {
  /** Ratios of the observations. */
  readonly ratio: Quartiles;
  /** Medians in microseconds. */
  readonly ours: number;
  readonly theirs: number;
  readonly starts: number;
}

/**
 * @param start - Number of this one: the version that is started first is the other one each time.
 * @returns One observation: both versions started, measured at the same time, and ended.
 */
export async function observe(
  scenario: Scenario,
  versions: Versions,
  context: Context,
  start: number,
): Promise<Observation> {
  const servers = new Map<ServerKind, Server>();
  try {
    for (const kind of start % 2 === 0 ? versions : versions.toReversed()) {
      const server = await kind.start(context.stage, scenario.setup);
      servers.set(kind, server);
      await scenario.prepare(server, context);
    }
    const [ours, theirs] = await Promise.all(
      versions.map(async (kind) => {
        const { cpuMicros } = await scenario.measure(servers.get(kind) as Server, context, start);
        if (cpuMicros === undefined) throw new BenchError(`${scenario.name} does not measure processor time`);
        return cpuMicros;
      }),
    );
    return { ours: ours as number, theirs: theirs as number };
  } finally {
    await Promise.all([...servers.values()].map((server) => server.stop()));
  }
}

/** Summary of the observations: the quartiles of their ratios are what a reader sees of the noise. */
export function comparisonOf(observations: readonly Observation[]): Comparison {
  return {
    ratio: quartilesOf(observations.map(({ ours, theirs }) => ours / theirs)),
    ours: median(observations.map(({ ours }) => ours)),
    theirs: median(observations.map(({ theirs }) => theirs)),
    starts: observations.length,
  };
}
