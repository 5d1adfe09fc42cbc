/** Results of one run, as written to load-tests/results/. @module */
import type { Machine } from './machine.ts';
import { METRICS, type Measures, type Metric } from './metrics.ts';
import { median, ratioOf, type Spread, spreadOf } from './statistics.ts';

export interface Results {
  readonly date: string;
  readonly commit: string;
  /** True if the working tree differed from that commit. */
  readonly isChanged: boolean;
  readonly machine: Machine;
  /** Name of each server → its version; those that are not installed have none. */
  readonly versions: Readonly<Record<string, string | null>>;
  readonly rounds: number;
  readonly seconds: number;
  readonly scenarios: readonly ScenarioResult[];
  readonly goals: readonly GoalResult[];
}

export interface ScenarioResult {
  readonly name: string;
  readonly title: string;
  readonly primary: Metric;
  readonly metrics: readonly Metric[];
  /** Reason why it was not run; absent if it was. */
  readonly unavailable?: string;
  readonly servers: readonly ServerResult[];
}

export interface ServerResult {
  readonly name: string;
  readonly title: string;
  /** Reason why there are no numbers; absent if there are. */
  readonly problem?: string;
  readonly rounds: readonly Measures[];
  /** Median over the rounds. */
  readonly medians: Measures;
  /** Least and most over the rounds, of what is compared. */
  readonly spread?: Spread;
  /** Seawall's number over this server's, round by round; absent for Seawall itself. */
  readonly ratios: Readonly<Partial<Record<Metric, Spread>>>;
}

export interface GoalResult {
  /** Number of the goal, with a letter where it has several parts. */
  readonly id: string;
  readonly what: string;
  readonly goal: string;
  /** Null: not measured in this run. */
  readonly measured: number | null;
  /** As people read it. */
  readonly shown: string;
  readonly isReached: boolean | null;
}

export const SEAWALL = 'seawall';

/** Result of a server that cannot take part here. */
export const NOT_AVAILABLE = 'not available';

/** @returns What went wrong with Seawall, by scenario. */
export function failuresOf(scenarios: readonly ScenarioResult[]): string[] {
  return scenarios.flatMap(({ name, servers }) =>
    servers
      .filter((server) => server.name === SEAWALL && server.problem !== undefined && server.problem !== NOT_AVAILABLE)
      .map(({ problem }) => `${name}: ${problem}`),
  );
}

/** The rounds of one server. */
export interface Measured {
  readonly name: string;
  readonly title: string;
  readonly problem?: string;
  readonly rounds: readonly Measures[];
}

/** Medians of each server, and the ratios of Seawall to it. */
export function compare(measured: readonly Measured[], primary: Metric): ServerResult[] {
  const ours = measured.find(({ name, problem }) => name === SEAWALL && problem === undefined);
  return measured.map((server) => {
    const rounds = server.problem === undefined ? server.rounds : [];
    const own = numbersOf(rounds, primary);
    return {
      ...server,
      rounds,
      medians: mediansOf(rounds),
      ...(own.length > 0 ? { spread: spreadOf(own) } : {}),
      ratios: ours === undefined || server === ours ? {} : ratiosOf(ours.rounds, rounds),
    };
  });
}

const NAMES = Object.keys(METRICS) as Metric[];

function mediansOf(rounds: readonly Measures[]): Measures {
  const present = NAMES.filter((name) => numbersOf(rounds, name).length > 0);
  return Object.fromEntries(present.map((name) => [name, median(numbersOf(rounds, name))]));
}

function ratiosOf(ours: readonly Measures[], theirs: readonly Measures[]): Partial<Record<Metric, Spread>> {
  const compared = NAMES.filter((name) => METRICS[name].better !== 'neither').flatMap((name) => {
    const ratio = ratioOf(numbersOf(ours, name), numbersOf(theirs, name));
    return Number.isFinite(ratio.median) ? [[name, ratio] as const] : [];
  });
  return Object.fromEntries(compared);
}

function numbersOf(rounds: readonly Measures[], name: Metric): number[] {
  return rounds.flatMap((round) => round[name] ?? []);
}
