/**
 * Decides whether a response is stored in chunks.
 * @module
 */
import { fieldValue, listMembers, type RawHeaders } from '../../http/fields/headers.ts';
import type { ByteRange } from '../../http/fields/range.ts';
import { strongValidator } from '../stored-response.ts';

/** Response that is stored in chunks: the place of its body in the representation. */
export interface LargeObject extends ByteRange {
  /** Bytes of the whole representation. */
  readonly length: number;
  /** Strong entity tag: with it every chunk is asked for, and only bytes that have it belong together. */
  readonly validator: string;
}

interface Received {
  readonly status: number;
  readonly headers: RawHeaders;
  /** Content-Length. */
  readonly length: number | undefined;
  /** Place of a 206 in its representation. */
  readonly part: { readonly start: number; readonly end: number; readonly representation: number } | undefined;
}

/**
 * Returns the place of the body if the response can be stored in chunks: it is longer than `above`, has a strong
 * validator (RFC 9110, section 13.1.5: a weak one cannot be used with ranges), and its origin answers ranges.
 */
export function largeObject({ status, headers, length, part }: Received, above: number): LargeObject | undefined {
  const whole = status === 206 ? part?.representation : length;
  if (whole === undefined || whole <= above) return undefined;
  const validator = strongValidator(headers);
  if (validator === undefined) return undefined;
  if (part !== undefined) return { start: part.start, end: part.end, length: whole, validator };
  return status === 200 && acceptsRanges(headers) ? { start: 0, end: whole, length: whole, validator } : undefined;
}

/** RFC 9110, section 14.3. */
function acceptsRanges(headers: RawHeaders): boolean {
  return listMembers(fieldValue(headers, 'accept-ranges') ?? '').some((unit) => unit.toLowerCase() === 'bytes');
}
