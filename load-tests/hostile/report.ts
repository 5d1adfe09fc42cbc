/** What was measured of the shapes, and whether it is within the goals. @module */
import type { Like, Shape } from './shape.ts';

export const MAX_CPU_MICROS = 200;
export const MAX_TIMES_PLAIN = 3;
export const WAIT_MS = 50;

/** What a plain hit takes on a machine on which nobody else works. */
export const USUAL_HIT_MICROS = 10;

export interface Measured {
  readonly shape: Shape;
  /** Of the edge, less what the normal visitor costs. */
  readonly cpuMicros: number;
  /** The part of it outside the kernel. */
  readonly userMicros: number;
  readonly requests: number;
  /** Sent by the hostile side, before encryption. */
  readonly bytes: number;
  /** Connections that were made while it was measured. */
  readonly connections: number;
  /** The longest wait of the normal visitor: by the clock, and what the edge worked meanwhile. */
  readonly waitMs: number;
  readonly busyMs: number;
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

/** By the decoded KB; what is dripped comes a byte at a time, so each counts as one request of up to a KB. */
function perKilobyte(measured: Measured): number {
  const { decodedBytes, isDripped } = measured.shape;
  return perRequest(measured) / (isDripped ? 1 : Math.max(1, decodedBytes / KILOBYTE));
}

function timesPlain(one: Measured, all: readonly Measured[]): number {
  const { name, like } = one.shape;
  const plain = all.find(({ shape }) => shape.name === `${name[0]}-${PLAIN[like]}`);
  return plain === undefined ? Number.NaN : perKilobyte(one) / perKilobyte(plain);
}

/** How much slower this machine is, at the moment, than one for which the goals are made. */
function slowness(all: readonly Measured[]): number {
  const plain = all.find(({ shape }) => shape.name === '1-plain');
  return Math.max(1, (plain === undefined ? 0 : perRequest(plain)) / USUAL_HIT_MICROS);
}

/** @returns A line for each goal that was missed. */
export function judge(all: readonly Measured[], maxWaitMs: number): string[] {
  return all.flatMap((one) => {
    const { name } = one.shape;
    if (BASELINES.has(name)) return [];
    const [own, times] = [one.userMicros / Math.max(1, one.requests), timesPlain(one, all)];
    const most = MAX_CPU_MICROS * slowness(all);
    const isLocal = one.shape.like === 'hit' || one.shape.like === 'read';
    return [
      ...(isLocal && own > most ? [`${name}: ${own.toFixed(0)} µs a request, at most ${most.toFixed(0)}`] : []),
      ...(times > MAX_TIMES_PLAIN
        ? [`${name}: ${times.toFixed(1)} times a plain one by the KB, at most ${MAX_TIMES_PLAIN}`]
        : []),
      ...(one.busyMs > WAIT_MS
        ? [`${name}: the edge works for ${one.busyMs.toFixed(0)} ms before it answers a visitor, at most ${WAIT_MS}`]
        : []),
      ...(one.waitMs > maxWaitMs ? [`${name}: a visitor waits ${one.waitMs.toFixed(0)} ms, at most ${maxWaitMs}`] : []),
    ];
  });
}

const COLUMNS = ['requests', 'µs each', 'own µs', 'µs/KB', 'x plain', 'ns/byte', 'busy ms', 'wait ms'];

/** @param rows - Those to print. */
export function table(
  rows: readonly Measured[],
  all: readonly Measured[],
  hasHead: boolean,
  maxWaitMs: number,
): string {
  const heading = `${'shape'.padEnd(24)}${COLUMNS.map((column) => column.padStart(10)).join('')}`;
  const lines = rows.map((one) => {
    const numbers = [
      String(one.requests),
      perRequest(one).toFixed(1),
      (one.userMicros / Math.max(1, one.requests)).toFixed(1),
      perKilobyte(one).toFixed(1),
      timesPlain(one, all).toFixed(2),
      ((one.cpuMicros * 1_000) / Math.max(1, one.bytes)).toFixed(1),
      one.busyMs.toFixed(1),
      one.waitMs.toFixed(1),
    ];
    const isKept = judge(all, maxWaitMs).every((line) => !line.startsWith(`${one.shape.name}:`));
    const verdict = isKept ? '' : '  MISSED';
    return `${one.shape.name.padEnd(24)}${numbers.map((text) => text.padStart(10)).join('')}${verdict}`;
  });
  return [...(hasHead ? [heading] : []), ...lines].join('\n');
}
