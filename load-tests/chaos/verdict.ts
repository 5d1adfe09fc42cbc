/**
 * Result of a fault: what the visitors got meanwhile, and the bounds that it has to keep.
 * @module
 */
import { exactly, number, type Row } from '../report.ts';
import { quantile } from '../storm/quantiles.ts';
import type { Visit } from './visitors.ts';

/** Moments of `performance.now`. */
export interface FaultTimes {
  readonly began: number;
  readonly healed: number;
  /** Moment at which everything was as before; `undefined` if it did not get so. */
  readonly recovered: number | undefined;
}

export interface FaultResult extends FaultTimes {
  /** Names of what was hit: requests to an edge among them are counted apart. */
  readonly victims: readonly string[];
  /** The same of the fault before this one. */
  readonly victimsBefore: readonly string[];
  readonly visits: readonly Visit[];
  /** Additional requests between nodes and to the origin, meanwhile. */
  readonly hedges: number;
  readonly retries: number;
}

export interface Bounds {
  /** Requests that have no right answer, those to the victim itself aside. */
  readonly errors: number | undefined;
  readonly p99Ms: number | undefined;
  readonly maxMs: number;
  readonly recoveryMs: number | undefined;
}

/** While one thing fails. */
export const ONE_FAULT: Bounds = { errors: 0, p99Ms: 250, maxMs: 2_000, recoveryMs: 10_000 };

/** While two things fail. */
export const TWO_FAULTS: Bounds = { errors: undefined, p99Ms: undefined, maxMs: 5_000, recoveryMs: undefined };

export function rowsOf(result: FaultResult, bounds: Bounds): Row[] {
  const { victims, began, healed, recovered } = result;
  const visits = visitsOf(result);
  const counted = visits.filter(({ edge }) => !victims.includes(edge));
  const aside = visits.length - counted.length;
  const failed = counted.filter(({ error }) => error !== undefined);
  const during = counted.filter((visit) => visit.began <= healed);
  const waits = during.map((visit) => visit.ended - visit.began).sort((a, b) => a - b);
  const [slowest] = counted.toSorted((a, b) => b.ended - b.began - (a.ended - a.began));
  const longest = slowest === undefined ? 0 : slowest.ended - slowest.began;
  return [
    { what: 'requests', value: number(counted.length) },
    ...(aside === 0
      ? []
      : [
          { what: '  to the victim itself, counted apart', value: number(aside) },
          {
            what: '    without a response',
            value: number(visits.filter(({ edge, error }) => victims.includes(edge) && error !== undefined).length),
          },
        ]),
    bounds.errors === undefined
      ? { what: 'errors', value: number(failed.length) }
      : exactly('errors', failed.length, bounds.errors),
    ...causesOf(failed),
    exactly('wrong bodies', visits.filter(({ isWrong }) => isWrong).length, 0),
    exactly('stale beyond what is allowed', visits.filter(({ isStale }) => isStale).length, 0),
    { what: 'wait, p50, ms', value: milliseconds(quantile(waits, 0.5)) },
    atMost('wait, p99, ms', quantile(waits, 0.99), bounds.p99Ms),
    atMost(`longest wait, ms (${slowest?.edge} ${slowest?.path})`, longest, bounds.maxMs),
    atMost(
      'as before after, ms',
      recovered === undefined ? Number.POSITIVE_INFINITY : recovered - healed,
      bounds.recoveryMs,
    ),
    { what: 'hedges, retries', value: `${number(result.hedges)}, ${number(result.retries)}` },
    { what: 'duration of the fault, s', value: ((healed - began) / 1_000).toFixed(1) },
  ];
}

/**
 * Returns the requests of a fault: without those to an edge that the fault before has hit, from its time, as their
 * packets were lost and are sent again late.
 */
function visitsOf({ visits, victimsBefore, began }: FaultResult): Visit[] {
  return visits.filter((visit) => visit.began >= began || !victimsBefore.includes(visit.edge));
}

/** Lines about the requests that took longer than they may, the longest first. */
export function slowRequests(result: FaultResult, { maxMs }: Bounds): string[] {
  const { victims, began } = result;
  return visitsOf(result)
    .filter((visit) => !victims.includes(visit.edge) && visit.ended - visit.began > maxMs)
    .sort((a, b) => b.ended - b.began - (a.ended - a.began))
    .slice(0, MAX_SLOW)
    .map((visit) => {
      const [at, waited] = [visit.began - began, visit.ended - visit.began].map((ms) => (ms / 1_000).toFixed(1));
      return `${visit.edge} ${visit.path} ${waited} s, from ${at} s on: ${visit.error ?? visit.cacheStatus}`;
    });
}

const MAX_SLOW = 8;

/** Requests while nodes are started again, one after the other: each has a response, of this edge or of another. */
export function rollingRows(visits: readonly Visit[], repeated: number): Row[] {
  const failed = visits.filter(({ error, isFinal }) => error !== undefined && isFinal);
  const waits = visits.map((visit) => visit.ended - visit.began).sort((a, b) => a - b);
  return [
    { what: 'requests', value: number(visits.length) },
    { what: '  made again at another edge, as the first one refused them', value: number(repeated) },
    exactly('failed', failed.length, 0),
    ...causesOf(failed),
    exactly('wrong bodies', visits.filter(({ isWrong }) => isWrong).length, 0),
    exactly('stale beyond what is allowed', visits.filter(({ isStale }) => isStale).length, 0),
    { what: 'wait, p50, ms', value: milliseconds(quantile(waits, 0.5)) },
    { what: 'wait, p99, ms', value: milliseconds(quantile(waits, 0.99)) },
    { what: 'longest wait, ms', value: milliseconds(quantile(waits, 1)) },
  ];
}

function atMost(what: string, value: number, most: number | undefined): Row {
  const row = { what, value: milliseconds(value) };
  return most === undefined ? row : { ...row, promise: { text: `≤ ${number(most)}`, kept: value <= most } };
}

function milliseconds(value: number): string {
  if (Number.isNaN(value)) return 'none';
  return Number.isFinite(value) ? number(Math.round(value)) : 'never';
}

function causesOf(failed: readonly Visit[]): Row[] {
  const counts = new Map<string, number>();
  for (const { error = '', path, edge } of failed) {
    const cause = `${edge} /${path.split('/')[1]}: ${error}`;
    counts.set(cause, (counts.get(cause) ?? 0) + 1);
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .slice(0, 8)
    .map(([cause, count]) => ({ what: `  ${cause}`, value: number(count) }));
}
