/** Measurements of the shapes, and their comparison with the goals. @module */
import type { Like, Shape } from './shape.ts';

export const MAX_CPU_MICROS = 200;
export const MAX_TIMES_PLAIN = 3;
export const WAIT_MS = 50;

export interface Measured {
  readonly shape: Shape;
  /** Processor time of the edge, user and system, without that for the normal visitor. */
  readonly cpuMicros: number;
  readonly requests: number;
  /** Sent by the hostile side, before encryption. */
  readonly bytes: number;
  /** Connections that were made while it was measured. */
  readonly connections: number;
  /** The longest wait of the normal visitor: by the clock, and what the edge worked meanwhile. */
  readonly waitMs: number;
  readonly busyMs: number;
}

export interface Judging {
  /** Tolerance for processor time; 1: the goals as they are. */
  readonly margin: number;
  /** The wait of the normal visitor: by the clock, or what the edge worked before it answered. */
  readonly wait: 'clock' | 'processor';
}

const PLAIN: Readonly<Record<Like, string>> = {
  hit: 'plain',
  read: 'plain-read',
  miss: 'plain-miss',
  pass: 'plain-pass',
};

/** Names of the plain shapes. */
export const BASELINES: ReadonlySet<string> = new Set(
  ['1', '2'].flatMap((p) => Object.values(PLAIN).map((n) => `${p}-${n}`)),
);

const KILOBYTE = 1_024;

function perRequest({ cpuMicros, requests }: Measured): number {
  return cpuMicros / Math.max(1, requests);
}

function plainOf(one: Measured, all: readonly Measured[], like: Like): Measured | undefined {
  return all.find(({ shape }) => shape.name === `${one.shape.name[0]}-${PLAIN[like]}`);
}

/**
 * Decoded KB of a request: at least those of a plain hit, so that a smaller one may cost as much as a hit may; each
 * byte that is dripped counts as a request.
 */
function kilobytes({ shape }: Measured, plain: Measured): number {
  const least = plain.shape.decodedBytes;
  return (shape.isDripped ? least : Math.max(least, shape.decodedBytes)) / KILOBYTE;
}

/** Processor time for a decoded KB. */
function perKilobyte(one: Measured, all: readonly Measured[]): number {
  return perRequest(one) / kilobytes(one, plainOf(one, all, 'hit') ?? one);
}

function timesPlain(one: Measured, all: readonly Measured[], like: Like): number {
  const plain = plainOf(one, all, like);
  return plain === undefined ? Number.NaN : perKilobyte(one, all) / perKilobyte(plain, all);
}

function goesToOrigin({ like }: Shape): boolean {
  return like === 'miss' || like === 'pass';
}

/** @returns The goals that one shape misses, in words. */
function missedBy(one: Measured, all: readonly Measured[], { margin, wait }: Judging): string[] {
  if (BASELINES.has(one.shape.name)) return [];
  const times = timesPlain(one, all, goesToOrigin(one.shape) ? one.shape.like : 'hit');
  const mostMicros = MAX_CPU_MICROS * margin;
  const mostTimes = MAX_TIMES_PLAIN * margin;
  const waited = wait === 'clock' ? one.waitMs : one.busyMs;
  const than = goesToOrigin(one.shape) ? `a plain ${one.shape.like}` : 'a plain hit';
  return [
    ...(perRequest(one) > mostMicros ? [`${perRequest(one).toFixed(0)} µs a request, at most ${mostMicros}`] : []),
    ...(times > mostTimes ? [`${times.toFixed(1)} times ${than} by the decoded KB, at most ${mostTimes}`] : []),
    ...(waited > WAIT_MS ? [`a visitor waits ${waited.toFixed(0)} ms (${wait}), at most ${WAIT_MS}`] : []),
  ];
}

const AS_THEY_ARE: Judging = { margin: 1, wait: 'clock' };

/** @returns A line for each goal that was missed. */
export function judge(all: readonly Measured[], judging: Judging): string[] {
  return all.flatMap((one) => missedBy(one, all, judging).map((line) => `${one.shape.name}: ${line}`));
}

/** @returns A line for each shape that is beyond a goal as it is. */
export function beyondGoals(all: readonly Measured[]): string[] {
  return all.flatMap((one) => {
    const missed = missedBy(one, all, AS_THEY_ARE);
    return missed.length === 0 ? [] : [`  ${one.shape.name}: ${missed.join('; ')}`];
  });
}

const COLUMNS = ['requests', 'µs each', 'wire B', 'KB', 'µs/KB', 'x hit', 'x kind', 'busy ms', 'wait ms'];

/** @param rows - Those to print. */
export function table(rows: readonly Measured[], all: readonly Measured[], hasHead: boolean): string {
  const heading = `${'shape'.padEnd(24)}${COLUMNS.map((column) => column.padStart(9)).join('')}`;
  const lines = rows.map((one) => {
    const numbers = [
      String(one.requests),
      perRequest(one).toFixed(1),
      (one.bytes / Math.max(1, one.requests)).toFixed(0),
      kilobytes(one, plainOf(one, all, 'hit') ?? one).toFixed(2),
      perKilobyte(one, all).toFixed(1),
      timesPlain(one, all, 'hit').toFixed(2),
      timesPlain(one, all, one.shape.like).toFixed(2),
      one.busyMs.toFixed(1),
      one.waitMs.toFixed(1),
    ];
    const verdict = missedBy(one, all, AS_THEY_ARE).length > 0 ? '  BEYOND' : '';
    return `${one.shape.name.padEnd(24)}${numbers.map((text) => text.padStart(9)).join('')}${verdict}`;
  });
  return [...(hasHead ? [heading] : []), ...lines].join('\n');
}
