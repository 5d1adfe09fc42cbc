/**
 * Rows of a job (table.ts), and their keys.
 *
 *     job/ID                     the job: what is wanted, and its state
 *     active/ID                  present while the job has not ended
 *     chunk/ID/NUMBER            URLs of a step; never changed
 *     lane/ID/LANE               progress of a region that has not ended, and who works on it
 *     ended/ID/LANE              progress of a region that has ended
 *     result/ID/LANE/NUMBER      what came of each URL of a step
 *     dead/ID/LANE/NUMBER        URLs of a step that have failed: the dead-letter list
 *     once/TOKEN/KEY             idempotency key: the job that came with it
 *
 * A **lane** is what one node at a time works on: a warm job has one for each region. It goes through the steps of the
 * job one after the other, so that the rate of a job in a region is that of one node.
 * @module
 */
import { randomBytes } from 'node:crypto';
import type { Outcome, UrlResult } from '../../jobs/wire.ts';
import type { EpochMs } from '../../lib/clock.ts';

export const JOB_STATES = {
  starting: 'it is taken; its work is being handed out',
  running: 'nodes work on it, or will',
  done: 'all of it was tried; what failed is in the dead-letter list',
  cancelled: 'a call has ended it; what was done stays',
  expired: 'its deadline came first; what was done stays',
} as const;

export type JobState = keyof typeof JOB_STATES;

export function isEnded(state: JobState): boolean {
  return state !== 'starting' && state !== 'running';
}

export interface WarmSpec {
  readonly kind: 'warm';
  readonly regions: readonly string[];
  /** Requests a second in each region. */
  readonly rate: number;
  readonly acceptEncoding: readonly string[];
}

export type JobSpec = WarmSpec;

export interface Job {
  readonly id: string;
  readonly spec: JobSpec;
  readonly state: JobState;
  /** Names of the sites that it concerns. */
  readonly sites: readonly string[];
  /** Milliseconds since the epoch, as are the others. */
  readonly created: number;
  readonly ended: number | undefined;
  readonly deadline: number;
  /** Name and id of the token. */
  readonly by: string;
  readonly reason: string;
  /** Names of its lanes. */
  readonly lanes: readonly string[];
  /** Steps of each lane. */
  readonly steps: number;
  /** URLs of each lane. */
  readonly urls: number;
}

/** Number of URLs by what came of them. */
export type Counts = Readonly<Record<Outcome, number>>;

export const NO_COUNTS: Counts = { stored: 0, fresh: 0, not_stored: 0, failed: 0 };

/** Lease of a step. */
export interface Holder {
  readonly node: string;
  /** Random: a lease that was lost is not taken for a later one. */
  readonly claim: string;
  /** URLs of the step that are done. */
  readonly done: number;
}

export interface Lane {
  /** Step that comes next. */
  readonly next: number;
  /** True if only what has failed is tried once more. */
  readonly isRetry: boolean;
  readonly holder: Holder | undefined;
  /** Times that the step was begun, and not reported. */
  readonly attempts: number;
  /** The step is not begun before this moment, in milliseconds since the epoch. */
  readonly notBefore: number;
  /** Time of the last claim: of several lanes the one that has waited longest is next. */
  readonly claimed: number;
  readonly counts: Counts;
}

export const NEW_LANE: Lane = {
  next: 0,
  isRetry: false,
  holder: undefined,
  attempts: 0,
  notBefore: 0,
  claimed: 0,
  counts: NO_COUNTS,
};

/** URLs of a step. */
export type Chunk = readonly string[];

/** Results of a step, in the order of its URLs. */
export type Results = readonly UrlResult[];

/** URLs of a step that have failed. */
export interface DeadLetters {
  /** Their places in the step. */
  readonly places: readonly number[];
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export interface OnceRow {
  readonly job: string;
  /** Digest of the request, in base64. */
  readonly body: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

const DIGITS = 6;

function numbered(number: number): string {
  return String(number).padStart(DIGITS, '0');
}

/** Returns the number at the end of a key. */
export function numberOf(key: string): number {
  return Number(key.slice(-DIGITS));
}

export const KEYS = {
  jobs: 'job/',
  active: 'active/',
  lanes: 'lane/',
  once: 'once/',
  dead: 'dead/',
  job: (id: string): string => `job/${id}`,
  activeJob: (id: string): string => `active/${id}`,
  chunk: (id: string, step: number): string => `chunk/${id}/${numbered(step)}`,
  lane: (id: string, lane: string): string => `lane/${id}/${lane}`,
  endedLane: (id: string, lane: string): string => `ended/${id}/${lane}`,
  result: (id: string, lane: string, step: number): string => `result/${id}/${lane}/${numbered(step)}`,
  deadLetters: (id: string, lane: string, step: number): string => `dead/${id}/${lane}/${numbered(step)}`,
  deadOf: (id: string, lane: string): string => `dead/${id}/${lane}/`,
  onceKey: (token: string, key: string): string => `once/${token}/${key}`,
} as const;

/** Beginnings of the keys of all rows. */
export const ALL_ROWS = ['chunk/', 'lane/', 'ended/', 'result/', 'dead/', 'once/', 'job/', 'active/'] as const;

/** Beginnings of the keys of what a job has beside its own row. */
export function partsOf(id: string): string[] {
  return ['chunk', 'lane', 'ended', 'result', 'dead'].map((part) => `${part}/${id}/`);
}

/** Returns what a key says after its beginning, by its slashes. */
export function stepsOf(key: string): string[] {
  return key.split('/').slice(1);
}

const TIME_DIGITS = 9;
const ID = /^[0-9a-z]{9}-[0-9a-f]{12}$/;

/** Makes an id that cannot be guessed. Ids are in the order of their times. */
export function newJobId(now: EpochMs): string {
  return `${Math.floor(now).toString(36).padStart(TIME_DIGITS, '0')}-${randomBytes(6).toString('hex')}`;
}

export function isJobId(text: string): boolean {
  return ID.test(text);
}

/** Returns when the job of an id was made, in milliseconds since the epoch. */
export function timeOfId(id: string): number {
  return Number.parseInt(id.slice(0, TIME_DIGITS), 36);
}

/** @returns The same with what came of further URLs; `before` is what came of the same ones before. */
export function counted(counts: Counts, results: readonly UrlResult[], before: readonly UrlResult[] = []): Counts {
  const sum = { ...counts };
  for (const { outcome } of before) sum[outcome] -= 1;
  for (const { outcome } of results) sum[outcome] += 1;
  return sum;
}
