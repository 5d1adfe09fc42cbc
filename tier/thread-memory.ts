/**
 * Memory of a thread's own, beside what is stored. While the process is near its bound (process-memory.ts) the thread
 * holds few buffers, gives readers small pieces, and collects the garbage that V8 would let lie: 64 MiB of buffers for
 * each thread. One that has nothing to do collects what is left of the requests before.
 * @module
 */
import { getHeapStatistics } from 'node:v8';
import { setScarce } from '../http/body/buffer-pool.ts';
import { type MonotonicMs, monotonicNow, msBetween } from '../lib/clock.ts';

const MIB = 2 ** 20;

/**
 * Growth after which a collection is worth while: when memory is scarce, and when the thread is idle.
 */
const SCARCE_GROWTH_BYTES = 32 * MIB;
const IDLE_GROWTH_BYTES = 8 * MIB;

/** Pause before the next collection while memory is scarce. */
const PAUSE_MS = 10_000;

/** Part of its time that an idle thread is busy at most, and the number of checks in a row that find it so. */
const IDLE_UTILIZATION = 0.02;
const IDLE_CHECKS = 8;

/** Pause between two checks. */
export const CHECK_MS = 250;

export interface ThreadMemoryOptions {
  readonly now: () => MonotonicMs;
  /** Memory of which a collection may free a part. */
  readonly ownBytes: () => number;
  /** Part of the time since the last call in which the thread was busy. */
  readonly utilization: () => number;
  readonly collect: () => void;
}

export class ThreadMemory {
  readonly #options: ThreadMemoryOptions;
  /** Own memory after the last collection. */
  #after = 0;
  #at: MonotonicMs;
  #idleChecks = 0;

  constructor(options: ThreadMemoryOptions) {
    this.#options = options;
    this.#at = options.now();
  }

  check(isScarce: boolean): void {
    const { now, ownBytes, utilization, collect } = this.#options;
    this.#idleChecks = utilization() < IDLE_UTILIZATION ? this.#idleChecks + 1 : 0;
    const growth = ownBytes() - this.#after;
    const at = now();
    const isDue = isScarce
      ? growth >= SCARCE_GROWTH_BYTES && msBetween(this.#at, at) >= PAUSE_MS
      : growth >= IDLE_GROWTH_BYTES && this.#idleChecks >= IDLE_CHECKS;
    if (!isDue) return;
    collect();
    this.#at = at;
    this.#after = ownBytes();
  }
}

/** Looks after this thread's memory from now on. @param isScarce - Whether memory of the process is scarce. */
export function watchThreadMemory(isScarce: () => boolean): NodeJS.Timeout {
  let before = performance.eventLoopUtilization();
  const memory = new ThreadMemory({
    now: monotonicNow,
    ownBytes() {
      const { external_memory: external, total_physical_size: heap } = getHeapStatistics();
      return external + heap;
    },
    utilization() {
      const after = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(after, before);
      before = after;
      return utilization;
    },
    collect: () => globalThis.gc?.({ type: 'major', execution: 'sync' }),
  });
  return setInterval(() => {
    const scarce = isScarce();
    setScarce(scarce);
    memory.check(scarce);
  }, CHECK_MS).unref();
}
