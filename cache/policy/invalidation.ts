/**
 * Invalidation by unsafe requests (RFC 9111, section 4.4).
 * @module
 */
import { firstLine, type RawHeaders } from '../../http/fields/headers.ts';

/** RFC 9110, section 9.2.1. An unknown method is unsafe. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

export function isSafe(method: string): boolean {
  return SAFE_METHODS.has(method);
}

/** RFC 9110, section 9.2.2: may be retried when it is unknown whether it arrived. */
export function isIdempotent(method: string): boolean {
  return isSafe(method) || method === 'PUT' || method === 'DELETE';
}

/** Returns whether a request with this status invalidates its target: an unsafe one that did not fail. */
export function invalidates(method: string, status: number): boolean {
  return !isSafe(method) && status >= 200 && status < 400;
}

/**
 * @param base - The target URI of the request.
 * @returns Path and query of every URI to invalidate: the target, and where
 *   Location and Content-Location point on the same origin. Empty after an
 *   error, and after safe methods.
 */
export function invalidatedTargets(method: string, status: number, base: URL, response: RawHeaders): string[] {
  if (!invalidates(method, status)) return [];
  const targets = new Set([base.pathname + base.search]);
  for (const name of ['location', 'content-location']) {
    const value = firstLine(response, name);
    if (value === undefined || !URL.canParse(value, base)) continue;
    const url = new URL(value, base);
    if (url.origin === base.origin) targets.add(url.pathname + url.search);
  }
  return [...targets];
}
