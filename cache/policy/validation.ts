/**
 * Validating a stored response with its origin (RFC 9111, section 4.3).
 * @module
 */
import { weakMatch } from '../../http/fields/etag.ts';
import { fieldValue, firstLine, hasField, type RawHeaders, withoutFields } from '../../http/fields/headers.ts';

/** Fields with which a visitor asks conditionally (RFC 9110, section 13.1). */
export const CONDITIONAL_FIELDS: ReadonlySet<string> = new Set([
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
]);

/** @returns The request's headers with the stored response's validators as conditions (section 4.3.1). */
export function withConditions(request: RawHeaders, stored: RawHeaders): string[] {
  const headers = [...withoutFields(request, CONDITIONAL_FIELDS)];
  const etag = firstLine(stored, 'etag');
  const lastModified = firstLine(stored, 'last-modified');
  if (etag !== undefined) headers.push('If-None-Match', etag);
  if (lastModified !== undefined) headers.push('If-Modified-Since', lastModified);
  return headers;
}

export function hasValidator(headers: RawHeaders): boolean {
  return hasField(headers, 'etag') || hasField(headers, 'last-modified');
}

/**
 * @returns Whether a 304 speaks of this stored response (section 4.3.4). We
 *   asked about one stored response only, so a 304 without validators does.
 */
export function selectedBy304(stored: RawHeaders, received: RawHeaders): boolean {
  const etag = firstLine(received, 'etag');
  const storedEtag = firstLine(stored, 'etag');
  if (etag !== undefined && storedEtag !== undefined) return etag === storedEtag || weakMatch(etag, storedEtag);
  const lastModified = firstLine(received, 'last-modified');
  const storedLastModified = firstLine(stored, 'last-modified');
  if (etag === undefined && lastModified !== undefined && storedLastModified !== undefined) {
    return lastModified === storedLastModified;
  }
  return true;
}

/** Fields that describe the stored bytes; a 304 or HEAD does not change them (section 3.2). */
const DESCRIBES_BODY: ReadonlySet<string> = new Set(['content-length', 'content-encoding', 'content-range']);

/** @returns The stored headers with the received ones in place of those of the same names (section 3.2). */
export function updatedHeaders(stored: RawHeaders, received: RawHeaders): string[] {
  const update = withoutFields(received, DESCRIBES_BODY);
  const names = new Set<string>(['age']);
  for (let i = 0; i < update.length; i += 2) names.add((update[i] as string).toLowerCase());
  return [...withoutFields(stored, names), ...update];
}

/**
 * Returns whether the headers of a 200 to HEAD agree with a stored response (section 4.3.5): then they update it, else
 * the stored one is outdated.
 */
export function agreesWithHead(stored: RawHeaders, head: RawHeaders): boolean {
  for (const name of ['etag', 'last-modified', 'content-length']) {
    const value = fieldValue(head, name);
    if (value !== undefined && value !== fieldValue(stored, name)) return false;
  }
  return true;
}
