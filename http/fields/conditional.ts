/**
 * Preconditions of a request, as a cache evaluates them against the stored
 * response it has chosen (RFC 9110, section 13; RFC 9111, section 4.3.2).
 * @module
 */

import type { EpochMs } from '../../lib/clock.ts';
import { parseHttpDate } from './date.ts';
import { parseEntityTag, parseEntityTagList, strongMatch, weakMatch } from './etag.ts';
import { fieldLines, fieldValue, hasField, type RawHeaders } from './headers.ts';

/** Properties of the selected response that preconditions compare with; `undefined` means absent. */
export interface Selected {
  readonly status: number;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  readonly date: string | undefined;
}

/**
 * RFC 9110, section 13.2.2, steps 3 and 4, for GET and HEAD.
 *
 * Steps 1 and 2 belong to the origin ({@link isForOriginOnly}), so `'failed'`
 * (412), which only they can produce, never comes from here; it is in the type
 * because it is the third outcome that the section knows.
 *
 * @returns `'not-modified'` (answer 304) or `'send'`.
 */
export function evaluateConditional(
  request: RawHeaders,
  selected: Selected,
  now: EpochMs,
): 'send' | 'not-modified' | 'failed' {
  // Section 13.2.1: ignored when the answer without them would not be a 2xx; others have no representation to match.
  if (selected.status !== 200 && selected.status !== 206) return 'send';

  const ifNoneMatch = fieldValue(request, 'if-none-match');
  // Section 13.1.3: If-None-Match, even one that cannot be read, puts If-Modified-Since out of force.
  if (ifNoneMatch !== undefined) return namesTag(ifNoneMatch, selected.etag) ? 'not-modified' : 'send';
  return isUnmodifiedSince(request, selected, now) ? 'not-modified' : 'send';
}

/**
 * Returns whether the request has a precondition for the origin only (RFC 9111, section 4.3.2: "not applicable to a
 * cache"). A cache "MUST NOT evaluate" it and sends the request upstream as it is.
 */
export function isForOriginOnly(request: RawHeaders): boolean {
  return hasField(request, 'if-match') || hasField(request, 'if-unmodified-since');
}

/**
 * Returns whether the preconditions that speak to the origin hold for a response (RFC 9110, section 13.2.2, steps 1 and
 * 2). A cache answers with it then, which is what ignoring them comes to (sections 13.1.1 and 13.1.4: it "MAY ignore"
 * them); where they do not hold, the verdict is the origin's.
 */
export function preconditionsHold(
  request: RawHeaders,
  selected: Pick<Selected, 'etag' | 'lastModified'>,
  now: EpochMs,
): boolean {
  const ifMatch = fieldValue(request, 'if-match');
  if (ifMatch !== undefined) {
    const tags = parseEntityTagList(ifMatch);
    const { etag } = selected;
    return tags === '*' || (etag !== undefined && tags?.some((tag) => strongMatch(tag, etag)) === true);
  }
  const [since, ...others] = fieldLines(request, 'if-unmodified-since');
  const sinceMs = since === undefined || others.length > 0 ? undefined : parseHttpDate(since, now);
  if (sinceMs === undefined) return true; // section 13.1.4: ignored when it "is not a valid HTTP-date"
  const lastModifiedMs = optionalDate(selected.lastModified, now);
  return lastModifiedMs !== undefined && lastModifiedMs <= sinceMs;
}

/** @returns Whether `Range` may be applied (RFC 9110, section 13.1.5); if not, it is ignored. */
export function evaluateIfRange(request: RawHeaders, selected: Selected, now: EpochMs): boolean {
  const [validator, ...others] = fieldLines(request, 'if-range');
  if (validator === undefined) return true;
  if (others.length > 0) return false; // the grammar has one member; the whole response is always right
  if (parseEntityTag(validator) !== undefined) {
    return selected.etag !== undefined && strongMatch(validator, selected.etag);
  }
  const since = parseHttpDate(validator, now);
  const lastModified = optionalDate(selected.lastModified, now);
  if (since === undefined || lastModified === undefined) return false;
  return since === lastModified && isStrongDate(lastModified, selected, now);
}

/** Section 13.1.2: weak comparison; `*` matches any representation, and a stored one exists. */
function namesTag(ifNoneMatch: string, etag: string | undefined): boolean {
  const tags = parseEntityTagList(ifNoneMatch);
  if (tags === undefined) return false;
  if (tags === '*') return true;
  return etag !== undefined && tags.some((tag) => weakMatch(tag, etag));
}

function isUnmodifiedSince(request: RawHeaders, selected: Selected, now: EpochMs): boolean {
  // Section 13.1.3: ignored when it "is not a valid HTTP-date" or "has more than one member".
  const [since, ...others] = fieldLines(request, 'if-modified-since');
  if (since === undefined || others.length > 0) return false;
  const sinceMs = parseHttpDate(since, now);
  // RFC 9111, section 4.3.2: where Last-Modified "is not present in a stored response, a cache SHOULD use the stored
  // response's Date field value". A response that came without Date was given one (RFC 9110, section 6.6.1).
  const modifiedMs = optionalDate(selected.lastModified ?? selected.date, now);
  return sinceMs !== undefined && modifiedMs !== undefined && modifiedMs <= sinceMs;
}

/** Section 8.8.2.2: strong when the response was made "at least one second after" the change. */
function isStrongDate(lastModified: number, selected: Selected, now: EpochMs): boolean {
  const date = optionalDate(selected.date, now);
  return date !== undefined && date - lastModified >= 1000;
}

function optionalDate(text: string | undefined, now: EpochMs): number | undefined {
  return text === undefined ? undefined : parseHttpDate(text, now);
}
