/**
 * Compares two versions of a server in one scenario. Both run at the same time, on one processor, under the same load:
 * the system gives it to each for some milliseconds in turn, so that whatever slows the machine down slows both.
 * Measured one after the other, for a second each, the ratio of a version to itself was up to a twentieth off.
 *
 * Each start of a process has luck of its own besides (where its memory lies, what the compiler assumes), which lasts
 * until it ends: so both are started anew again and again, and a start is one observation, however long it runs.
 *
 * An observation is the median of several rounds. New connections and a pause between two loads show V8 cases that it
 * has not compiled for, so after a first load it compiles once more: up to an eighth of the processor time of a round,
 * and more for the version that has more code there. Those rounds are left out. And now and then V8 collects all
 * garbage, which is a fifth of a round: of HTTP/2, that made a version up to 1.3 times as dear as itself.
 * @module
 */
import { BenchError } from '../bench/errors.ts';
import type { Context, Scenario } from '../bench/scenario.ts';
import type { Server, ServerKind } from '../bench/server.ts';
import { median, type Quartiles, quartilesOf } from '../bench/statistics.ts';

/** The two versions: the one that is judged, and the one that it is compared with. */
export type Versions = readonly [ours: ServerKind, theirs: ServerKind];

/** Microseconds for a request of both versions, in one round. */
export interface Round {
  readonly ours: number;
  readonly theirs: number;
}

/** Rounds of one start of each version. */
export type Observation = readonly Round[];

/** Requests that each version has answered, under the load that it is measured with, before its code is compiled. */
const WARM_UP_REQUESTS = 200_000;

/** Loads for those, where a request takes long. */
const MOST_WARM_UPS = 4;

export interface Comparison {
  /** Ratios of the observations. */
  readonly ratio: Quartiles;
  /** Ratio of the sums of all rounds. */
  readonly together: number;
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
    const both = versions.map((kind) => servers.get(kind) as Server);
    let answered = 0;
    for (let load = 0; load < MOST_WARM_UPS && answered < WARM_UP_REQUESTS; load += 1) {
      answered += (await measureBoth(scenario, both, context, start)).requests;
    }
    const rounds: Round[] = [];
    while (rounds.length < context.options.rounds) {
      rounds.push((await measureBoth(scenario, both, context, start)).round);
    }
    return rounds;
  } finally {
    await Promise.all([...servers.values()].map((server) => server.stop()));
  }
}

/** @returns One round, and the requests of the version that answered fewer. */
async function measureBoth(
  scenario: Scenario,
  servers: readonly Server[],
  context: Context,
  start: number,
): Promise<{ round: Round; requests: number }> {
  const measures = await Promise.all(servers.map((server) => scenario.measure(server, context, start)));
  const [ours = Number.NaN, theirs = Number.NaN] = measures.map(({ cpuMicros }) => {
    if (cpuMicros === undefined) throw new BenchError(`${scenario.name} does not measure processor time`);
    return cpuMicros;
  });
  const rates = measures.map(({ requestsPerSecond = 0 }) => requestsPerSecond);
  return { round: { ours, theirs }, requests: Math.min(...rates) * context.options.seconds };
}

/** Summary of the observations: the quartiles of their ratios are what a reader sees of the noise. */
export function comparisonOf(observations: readonly Observation[]): Comparison {
  const rounds = observations.flat();
  const sum = (of: (round: Round) => number): number => rounds.reduce((total, round) => total + of(round), 0);
  return {
    ratio: quartilesOf(observations.map((observed) => median(observed.map(({ ours, theirs }) => ours / theirs)))),
    together: sum(({ ours }) => ours) / sum(({ theirs }) => theirs),
    ours: median(rounds.map(({ ours }) => ours)),
    theirs: median(rounds.map(({ theirs }) => theirs)),
    starts: observations.length,
  };
}
