/**
 * Age of a response (RFC 9111, section 4.2.3). Milliseconds.
 * @module
 */
import { listMembers } from '../../http/fields/headers.ts';
import type { EpochMs } from '../../lib/clock.ts';
import { deltaSeconds } from './directives.ts';

export interface AgeFields {
  /** `Age`, parsed by `parseAge`. */
  readonly ageMs: number;
  /** `Date`, or when the response arrived if it has none (RFC 9110, section 6.6.1). */
  readonly dateMs: number;
  readonly requestTime: EpochMs;
  readonly responseTime: EpochMs;
}

/**
 * @returns The first member's milliseconds; 0 for anything that is no
 *   delta-seconds (section 5.1: a list is a mistake of some sender, its first
 *   member counts and the others do not; a value that is no number is ignored).
 */
export function parseAge(value: string | undefined): number {
  if (value === undefined) return 0;
  return (deltaSeconds(listMembers(value)[0]) ?? 0) * 1_000;
}

/** `corrected_initial_age`: the age at the moment the response arrived. */
export function correctedInitialAge(fields: AgeFields): number {
  const apparentAge = Math.max(0, fields.responseTime - fields.dateMs);
  const correctedAge = fields.ageMs + (fields.responseTime - fields.requestTime);
  return Math.max(apparentAge, correctedAge);
}
