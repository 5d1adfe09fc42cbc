import { epochMs, type Instant, monotonicMs } from '../../lib/clock.ts';

/** A moment at which both clocks of a test show the same number, or two that a test has moved apart. */
export function instant(wallMs: number, monotonic: number = wallMs): Instant {
  return { wall: epochMs(wallMs), monotonic: monotonicMs(monotonic) };
}
