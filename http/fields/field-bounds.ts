/**
 * Bounds of the request fields that the edge itself takes apart. A field that is only passed on
 * counts towards `limits.max_header`; one that is read member by member costs far more for each byte, so
 * it may have no more than is needed in practice.
 * @module
 */
import { HttpError } from '../errors.ts';
import { fieldFacts } from './forwarding-fields.ts';
import { type RawHeaders, withoutFields } from './headers.ts';
import { hasTooManyRanges } from './range.ts';

/** Bytes of a field, all its lines together. Browsers and proxies stay below 300. */
export const MAX_READ_FIELD_BYTES = 2_048;

/** Fields that change what is answered, and cannot be left out: a longer one is refused with 431. */
const REFUSED: ReadonlySet<string> = new Set([
  'connection',
  'cache-control',
  'pragma',
  'cdn-loop',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-proto',
  'transfer-encoding',
]);

/**
 * Fields that a server may always ignore, as the whole response is a right answer as well (RFC 9110, sections 13.1
 * and 14.2), each with those that mean something else without it.
 */
const IGNORED: ReadonlyMap<string, readonly string[]> = new Map([
  ['range', ['range', 'if-range']],
  ['if-range', ['range', 'if-range']],
  ['if-none-match', ['if-none-match', 'if-modified-since']],
  ['if-modified-since', ['if-modified-since']],
]);

/** Bounds of fields: refused beyond it, or left out with these. */
const BOUNDS: ReadonlyMap<string, 'refused' | readonly string[]> = new Map<string, 'refused' | readonly string[]>([
  ...[...REFUSED].map((name) => [name, 'refused'] as const),
  ...IGNORED,
]);

/**
 * @returns The same headers, without fields that are too long to be read and need not be; these are not passed on
 * either.
 * @throws {HttpError} `header_too_large` where such a field may not be left out.
 */
export function boundedFields(headers: RawHeaders): RawHeaders {
  let dropped: Set<string> | undefined;
  let sums: Map<string, number> | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const name = fieldFacts(headers[i] as string).lower;
    const bound = BOUNDS.get(name);
    if (bound === undefined) continue;
    const value = headers[i + 1] as string;
    sums ??= new Map();
    const sum = (sums.get(name) ?? 0) + value.length;
    sums.set(name, sum);
    if (sum <= MAX_READ_FIELD_BYTES && (name !== 'range' || !hasTooManyRanges(value))) continue;
    if (bound === 'refused') {
      throw new HttpError('header_too_large', `${name} of more than ${MAX_READ_FIELD_BYTES} bytes`);
    }
    dropped ??= new Set();
    for (const field of bound) dropped.add(field);
  }
  return dropped === undefined ? headers : withoutFields(headers, dropped);
}
