/**
 * Pace of the transactions of a journal: what comes soon after the last one waits, and goes into the next one together.
 * @module
 */
import { LONG_AGO, later, monotonicNow, msSince } from '../lib/clock.ts';

/**
 * From one transaction to the next. Each costs an fsync, a message to every
 * node and a report from every node, whatever is in it.
 */
const TRANSACTION_INTERVAL_MS = 10;

/** @returns A `defer` that leaves {@link TRANSACTION_INTERVAL_MS} between two callbacks. */
export function paced(): (flush: () => void) => void {
  let nextAt = LONG_AGO;
  return (flush) => {
    const run = (): void => {
      nextAt = later(monotonicNow(), TRANSACTION_INTERVAL_MS);
      flush();
    };
    const waitMs = -msSince(nextAt);
    if (waitMs > 0) setTimeout(run, waitMs);
    else setImmediate(run);
  };
}
