/**
 * Sets of response statuses, as the `status` of a rule names them.
 * @module
 */
import type { RuleConfig } from './schema.ts';

/** Every status that a response can have at its end (RFC 9110, section 15), without the interim ones. */
export const EVERY_STATUS: ReadonlySet<number> = statusRange(200, 599);

/** @returns The statuses that `rule` is about; exactly `EVERY_STATUS` when it excludes none. */
export function statusesOf(rule: RuleConfig): ReadonlySet<number> {
  if (rule.status === undefined) return EVERY_STATUS;
  const statuses = new Set<number>();
  for (const pattern of [rule.status].flat()) {
    const first = typeof pattern === 'number' ? pattern : Number(pattern.charAt(0)) * 100;
    const last = typeof pattern === 'number' ? pattern : first + 99;
    for (const status of statusRange(first, last)) statuses.add(status);
  }
  return statuses.size === EVERY_STATUS.size ? EVERY_STATUS : statuses;
}

function statusRange(first: number, last: number): ReadonlySet<number> {
  return new Set(Array.from({ length: last - first + 1 }, (_, index) => first + index));
}
