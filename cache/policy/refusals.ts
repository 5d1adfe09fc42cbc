/**
 * Why a response was not stored, or a stored one not used. The same names in
 * code, log, metric and Cache-Status (promise P7).
 * @module
 */

/** Why a response was not stored (RFC 9111, section 3, unless noted). */
export const STORE_REFUSALS = [
  'method', // not GET, nor a POST with its own Content-Location
  'rule-never', // the site's rule says `cache: never`
  'no-store',
  'private',
  'authorization', // section 3.5; nor where the origin does not declare it shareable
  'cookies', // the request has cookies that are not in the key, and the origin does not declare the response shareable
  'set-cookie', // Set-Cookie without a word that it is for everybody
  'vary-star', // section 4.1: never matches
  'status', // status not understood, or not cacheable without explicit freshness
  'no-freshness', // neither a lifetime nor a validator: never reusable
  'partial', // a 206 that cannot be kept (section 3.3)
  'too-large',
  'tags', // more tags than can be kept, or one too long: a purge might miss it
  'no-memory',
  'incomplete', // the body broke off (section 3.3)
  'not-hot', // this edge does not own the key, and the key is not asked for often
  'request-no-store', // section 5.2.1.5, where the site's rule honours it
] as const;

export type StoreRefusal = (typeof STORE_REFUSALS)[number];

/** Refusals of what is for one visitor only. */
export const PERSONAL_REFUSALS: ReadonlySet<string | undefined> = new Set<StoreRefusal>(['authorization', 'cookies']);

/** Why a stored response did not answer: the `fwd` parameter of Cache-Status (RFC 9211, section 2.2). */
export const FORWARD_REASONS = ['bypass', 'method', 'uri-miss', 'vary-miss', 'request', 'stale', 'partial'] as const;

export type ForwardReason = (typeof FORWARD_REASONS)[number];
