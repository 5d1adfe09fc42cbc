/**
 * Results: names for the ways in which a request can end, in `seawall_requests_total` and in the access log. Most are
 * those of Cache-Status; the table has the others.
 * @module
 */
import type { CacheDetail } from '../cache/cache-status.ts';
import { FORWARD_REASONS, type ForwardReason } from '../cache/policy/refusals.ts';

export const RESULT_MEANINGS = {
  hit: 'A stored response, fresh; from this node.',
  'peer-hit': 'Another edge of the region, or another worker of this one, had the response.',
  revalidated: 'The stored response was stale, and the next node or the origin answered 304.',
  expired: 'The stored response was stale, and there was a new one.',
  upgrade: 'The connection changed its protocol, such as to WebSocket.',
  'upgrade-declined': 'The origin gave an ordinary response to a request for another protocol.',
} as const;

export type Result = keyof typeof RESULT_MEANINGS | ForwardReason | CacheDetail;

const HITS: ReadonlySet<string> = new Set<Result>([
  'hit',
  'hot-copy',
  'peer-hit',
  'disk',
  'stale',
  'stale-while-revalidate',
  'stale-if-error',
  'unverified',
]);

const FORWARDED: ReadonlySet<string> = new Set<Result>([
  ...FORWARD_REASONS.filter((reason) => !HITS.has(reason)),
  'revalidated',
  'expired',
]);

/** Returns whether a stored response of the region answered, without any question to a shield or an origin. */
export function isHit(result: string): boolean {
  return HITS.has(result);
}

/** Returns whether a shield or an origin was asked. */
export function isForwarded(result: string): boolean {
  return FORWARDED.has(result);
}
