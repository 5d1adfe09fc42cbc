/**
 * Policy of which responses may be sent in an encoding that this network makes of them.
 * @module
 */
import type { CompiledCompression } from '../../config/compression.ts';
import { fieldValue, hasField, listMembers, type RawHeaders } from '../../http/fields/headers.ts';
import { parseDirectives } from './directives.ts';

/** Statuses whose content is a representation of its own, or an error page that may be long. */
const STATUSES: ReadonlySet<number> = new Set([200, 203, 300, 403, 404, 405, 410, 451]);

/**
 * Fields that forbid it: `Set-Cookie` makes the content one visitor's, and a secret in it could be guessed from lengths
 * (docs/compression.md); the others speak of the very bytes of the content.
 */
const FORBIDDING = ['set-cookie', 'content-range', 'content-md5', 'digest', 'content-digest', 'repr-digest'];

export interface EncodableHead {
  readonly status: number;
  readonly headers: RawHeaders;
}

/**
 * Returns whether a response may be sent in an encoding.
 *
 * @param bytes - Length of its content, where it is known.
 */
export function isEncodable(
  { status, headers }: EncodableHead,
  compression: CompiledCompression,
  bytes: number | undefined,
): boolean {
  if (!STATUSES.has(status) || (bytes !== undefined && !compression.fitsSize(bytes))) return false;
  if (!compression.fitsType(fieldValue(headers, 'content-type')) || isEncoded(headers)) return false;
  if (FORBIDDING.some((name) => hasField(headers, name))) return false;
  const directives = parseDirectives(fieldValue(headers, 'cache-control'));
  // RFC 9110, section 7.7: no-transform; private and no-store speak of one visitor's content.
  return !directives.has('no-transform') && !directives.has('private') && !directives.has('no-store');
}

/** Returns whether content has a coding; `identity` is none (RFC 9110, section 12.5.3). */
export function isEncoded(headers: RawHeaders): boolean {
  const value = fieldValue(headers, 'content-encoding');
  return value !== undefined && listMembers(value).some((coding) => coding.toLowerCase() !== 'identity');
}
