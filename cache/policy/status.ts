/**
 * Caching semantics of status codes (RFC 9110, section 15.1; RFC 9111, section 3).
 * @module
 */

/**
 * Cacheable without a word from the origin (RFC 9110, section 15.1: "heuristically cacheable"). 206 is stored by its
 * own rules.
 */
const HEURISTIC = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);

/**
 * Statuses whose caching rules this cache knows, for `must-understand`
 * (RFC 9111, section 5.2.2.3): the registered final ones.
 */
const UNDERSTOOD = new Set([
  200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404,
  405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451,
  500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511,
]);

export function isHeuristicallyCacheable(status: number): boolean {
  return HEURISTIC.has(status);
}

export function isUnderstood(status: number): boolean {
  return UNDERSTOOD.has(status);
}

/** Errors that say how the resource is, not that a request was wrong, unwelcome or unlucky. */
const ANSWERS = new Set([404, 410, 451]);

/** An error that says nothing of the resource: it takes the place of no good answer that may still be served. */
export function isFailure(status: number): boolean {
  return status >= 400 && !ANSWERS.has(status);
}

/** An answer that says the origin failed: stale-if-error applies (RFC 5861, section 4). */
export function isOriginError(status: number): boolean {
  return status === 500 || status === 502 || status === 503 || status === 504;
}
