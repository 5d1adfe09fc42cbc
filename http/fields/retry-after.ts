/**
 * `Retry-After` (RFC 9110, section 10.2.3).
 * @module
 */
import type { EpochMs } from '../../lib/clock.ts';
import { parseHttpDate } from './date.ts';

/** Returns the pause that the field asks for, in milliseconds; `undefined` for what is no such field. */
export function parseRetryAfter(value: string | undefined, now: EpochMs): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000;
  const date = parseHttpDate(value, now);
  return date === undefined ? undefined : Math.max(0, date - now);
}
