/**
 * Decides whether a stored response may answer a request (RFC 9111, section 4, and RFC 5861). Milliseconds.
 * @module
 */

import type { EpochMs } from '../../lib/clock.ts';
import type { RequestDirectives } from './directives.ts';
import type { ResponsePolicy } from './response-policy.ts';
import { isFailure, isOriginError } from './status.ts';

/** Properties of a stored response that section 4.2 needs. */
export interface Aging {
  readonly status: number;
  readonly policy: ResponsePolicy;
  readonly responseTime: EpochMs;
}

export type Reuse =
  /** Usable as it is. */
  | 'fresh'
  /** Stale, usable now, to be revalidated in the background (RFC 5861, section 3). */
  | 'while-revalidate'
  /** Stale, and the visitor takes it so (`max-stale`). */
  | 'max-stale'
  /** Validate first: it is stale, or must always be validated. */
  | 'stale'
  /** Validate first: the request demands it. */
  | 'request';

/** A clock that is set right by less than this is no matter. */
const MAX_AHEAD_MS = 1_000;

/** Age of a response whose age is not known: the most that `Age` can say (section 1.2.2). */
const UNKNOWN_AGE_MS = 2 ** 31 * 1_000;

/** `current_age` (section 4.2.3). A response that is from the future, as the clock was set back, may be of any age. */
export function currentAge(stored: Aging, now: EpochMs): number {
  const residentMs = now - stored.responseTime;
  if (residentMs < -MAX_AHEAD_MS) return UNKNOWN_AGE_MS;
  return stored.policy.initialAgeMs + Math.max(0, residentMs);
}

/** @returns How much longer the response is fresh; negative when it is stale. The `ttl` of RFC 9211. */
export function remainingLifetime(stored: Aging, now: EpochMs): number {
  return stored.policy.lifetimeMs - currentAge(stored, now);
}

/** @param request - The request's directives where the site's rule honours them, else `NO_REQUEST_DIRECTIVES`. */
export function reuse(stored: Aging, request: RequestDirectives, now: EpochMs): Reuse {
  const { directives, staleWhileRevalidateMs } = stored.policy;
  if (request.noCache || request.noStore) return 'request'; // sections 5.2.1.4 and 5.2.1.5
  if (directives.noCache) return 'stale'; // section 5.2.2.4
  const age = currentAge(stored, now);
  const remaining = stored.policy.lifetimeMs - age;
  if (request.maxAge !== undefined && age > request.maxAge * 1_000 && request.maxStale === undefined) return 'request'; // 5.2.1.1
  if (request.minFresh !== undefined && remaining < request.minFresh * 1_000) return 'request'; // 5.2.1.3
  if (remaining > 0) return 'fresh';
  if (request.maxStale !== undefined && permitsStale(stored) && -remaining <= request.maxStale * 1_000)
    return 'max-stale'; // 5.2.1.2
  return -remaining < staleWhileRevalidateMs ? 'while-revalidate' : 'stale';
}

/**
 * Returns whether a stale response may be served because the origin failed (RFC 5861, section 4). An old error is no
 * help against a new one.
 */
export function mayServeOnError(stored: Aging, now: EpochMs): boolean {
  if (isOriginError(stored.status)) return false;
  const staleness = -remainingLifetime(stored, now);
  return staleness <= 0 ? !stored.policy.directives.noCache : staleness < stored.policy.staleIfErrorMs;
}

/** Returns whether a stored response that is no error is fresh, or within a stale window. */
export function mayStillServe(stored: Aging, now: EpochMs): boolean {
  const { directives, staleWhileRevalidateMs, staleIfErrorMs } = stored.policy;
  if (isFailure(stored.status) || directives.noCache) return false;
  const staleness = -remainingLifetime(stored, now);
  return staleness < Math.max(0, staleWhileRevalidateMs, staleIfErrorMs);
}

/** Section 4.2.4: what forbids every stale answer, whatever the visitor accepts. */
export function permitsStale({ policy: { directives } }: Aging): boolean {
  return (
    !directives.noCache && !directives.mustRevalidate && !directives.proxyRevalidate && directives.sMaxage === undefined
  );
}
