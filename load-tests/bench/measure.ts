/** One round of one server: a load, and what the server used meanwhile. @module */

import { BenchError } from './errors.ts';
import type { Seen } from './loads.ts';
import type { Measures } from './metrics.ts';
import { busyMicros, threadMicros } from './proc.ts';
import { CORES, canPin } from './processes.ts';

/** Share of requests that may fail before a round counts for nothing. */
const MAX_FAILED = 0.001;

export interface Used {
  readonly cpuMicros: number;
  /** Share of the server's processor that others took meanwhile, in percent; undefined where nothing is pinned. */
  readonly othersPercent: number | undefined;
}

/** @param pids - What was started: the server's processes are these and their descendants. */
export async function whileUsed<T>(
  pids: readonly number[],
  work: () => Promise<T>,
): Promise<{ result: T; used: Used }> {
  const cpu = (): number => pids.reduce((sum, pid) => sum + threadMicros(pid), 0);
  const [cpuBefore, busyBefore, startedAt] = [cpu(), busyMicros(CORES.server), performance.now()];
  const result = await work();
  const [cpuAfter, busyAfter, elapsedMicros] = [cpu(), busyMicros(CORES.server), (performance.now() - startedAt) * 1e3];
  const cpuMicros = cpuAfter - cpuBefore;
  const others = ((busyAfter - busyBefore - cpuMicros) / elapsedMicros) * 100;
  return { result, used: { cpuMicros, othersPercent: canPin() ? Math.max(0, others) : undefined } };
}

/** Measures of a server under a load that it answered completely. @throws {BenchError} when too much of it failed. */
export function measuresOf(seen: Seen, { cpuMicros, othersPercent }: Used): Measures {
  checkSeen(seen);
  return {
    cpuMicros: cpuMicros / seen.requests,
    requestsPerSecond: seen.requests / seen.seconds,
    p50Millis: seen.p50Micros / 1e3,
    p99Millis: seen.p99Micros / 1e3,
    gigabytesPerSecond: seen.bytes / seen.seconds / 1e9,
    ...(othersPercent === undefined ? {} : { othersPercent }),
  };
}

export function checkSeen({ requests, failed, refused }: Seen): void {
  if (requests === 0) throw new BenchError('no request was answered');
  if (failed + refused > requests * MAX_FAILED) {
    throw new BenchError(`${refused} answers of ${requests} were errors, ${failed} requests failed`);
  }
}
