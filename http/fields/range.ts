/**
 * Byte ranges: what a request asks for, what a response carries, and the
 * multipart form that carries several (RFC 9110, section 14).
 *
 * On the wire the last position is included; here ranges are half-open.
 * @module
 */
import { listMembers } from './headers.ts';

/** The bytes `start` ≤ i < `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** One member of `Range`, as on the wire: `last` is included, and `undefined` in `5-`. */
export type RangeSpec = { readonly first: number; readonly last: number | undefined } | { readonly suffix: number };

/**
 * @returns The members, or `undefined` when `Range` is to be ignored: absent,
 *   in another unit, or malformed (section 14.2 permits ignoring it always).
 */
export function parseRange(value: string | undefined): RangeSpec[] | undefined {
  if (value === undefined || !BYTES_EQUALS.test(value) || hasTooManyRanges(value)) return undefined;
  const specs: RangeSpec[] = [];
  for (const member of listMembers(value.slice('bytes='.length))) {
    const spec = parseSpec(member);
    if (spec === undefined) return undefined;
    specs.push(spec);
  }
  return specs.length === 0 ? undefined : specs;
}

/** Returns whether a value of `Range` has more members than are ever answered; empty ones count. */
export function hasTooManyRanges(value: string): boolean {
  if (value.length > MAX_RANGE_CHARS) return true;
  let commas = 0;
  for (let at = value.indexOf(','); at >= 0; at = value.indexOf(',', at + 1)) if (++commas >= MAX_RANGES) return true;
  return false;
}

/**
 * Lays the members over a representation.
 *
 * @param length - Bytes in the whole representation.
 * @returns Ranges that neither overlap nor touch, in the order of the request
 *   (section 15.3.7.2); `'unsatisfiable'` (answer 416); or `'whole'` (ignore
 *   `Range`): there are no bytes to choose from, or the set is abusive.
 */
export function resolveRanges(specs: readonly RangeSpec[], length: number): ByteRange[] | 'unsatisfiable' | 'whole' {
  // Section 17.15: many or overlapping ranges multiply the work of one small request; section 14.2 lets us ignore them.
  if (specs.length > MAX_RANGES) return 'whole';
  // Section 14.2: "MAY ignore" where the representation "has no content"; Content-Range cannot express zero bytes.
  if (length === 0) return 'whole';
  const ranges = specs.map((spec) => resolve(spec, length)).filter((range) => range !== undefined);
  if (ranges.length === 0) return 'unsatisfiable';
  const total = ranges.reduce((sum, range) => sum + (range.end - range.start), 0);
  return total > length ? 'whole' : coalesce(ranges);
}

/**
 * @returns Where the bytes belong, or the length that a 416 names, or
 *   `undefined` when malformed or contradictory, which a recipient "MUST NOT
 *   attempt to recombine" (section 14.4).
 */
export function parseContentRange(
  value: string | undefined,
): { start: number; end: number; length: number | undefined } | { unsatisfied: number } | undefined {
  const match = value === undefined ? null : CONTENT_RANGE.exec(value);
  if (match === null) return undefined;
  const [, firstDigits, lastDigits, lengthDigits, unsatisfiedDigits] = match;
  if (unsatisfiedDigits !== undefined) {
    const unsatisfied = Number(unsatisfiedDigits);
    return Number.isSafeInteger(unsatisfied) ? { unsatisfied } : undefined;
  }
  const [start, last] = [Number(firstDigits), Number(lastDigits)];
  const end = last + 1;
  const length = lengthDigits === '*' ? undefined : Number(lengthDigits);
  if (!Number.isSafeInteger(end) || last < start) return undefined;
  if (length !== undefined && !(Number.isSafeInteger(length) && last < length)) return undefined;
  return { start, end, length };
}

export function formatContentRange(range: ByteRange, length: number): string {
  return `bytes ${range.start}-${range.end - 1}/${length}`;
}

/** For a 416 (section 15.5.17). */
export function unsatisfiedContentRange(length: number): string {
  return `bytes */${length}`;
}

/**
 * The head of one part of `multipart/byteranges` (section 14.6), from the line
 * break that ends what came before to the empty line; the bytes follow.
 *
 * @param boundary - One that does not occur in the representation (RFC 2046, section 5.1.1).
 */
export function multipartPart(
  range: ByteRange,
  length: number,
  contentType: string | undefined,
  boundary: string,
): Buffer {
  const type = contentType === undefined ? '' : `Content-Type: ${contentType}\r\n`;
  const head = `\r\n--${boundary}\r\n${type}Content-Range: ${formatContentRange(range, length)}\r\n\r\n`;
  return Buffer.from(head, 'latin1');
}

/** Delimiter after the last part. */
export function multipartEnd(boundary: string): Buffer {
  return Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1');
}

/** @returns The `Content-Length` of the whole multipart body. */
export function multipartLength(
  ranges: readonly ByteRange[],
  length: number,
  contentType: string | undefined,
  boundary: string,
): number {
  let total = multipartEnd(boundary).length;
  for (const range of ranges) {
    total += multipartPart(range, length, contentType, boundary).length + (range.end - range.start);
  }
  return total;
}

/** More are taken for an attack. No known client asks for as many. */
const MAX_RANGES = 16;

/** Room for as many, each of two positions of 16 digits. */
const MAX_RANGE_CHARS = 1_024;

/** Unit names have no case (section 14.1). */
const BYTES_EQUALS = /^bytes=/i;
const RANGE_SPEC = /^(\d*)-(\d*)$/;
const CONTENT_RANGE = /^bytes (?:(\d+)-(\d+)\/(\d+|\*)|\*\/(\d+))$/i;

function parseSpec(text: string): RangeSpec | undefined {
  const match = RANGE_SPEC.exec(text);
  if (match === null) return undefined;
  const first = position(match[1] as string);
  const last = position(match[2] as string);
  if (first === 'too-large' || last === 'too-large') return undefined;
  if (first !== undefined) {
    // Section 14.1.1: "An int-range is invalid if the last-pos value is present and less than first-pos".
    return last !== undefined && last < first ? undefined : { first, last };
  }
  return last === undefined ? undefined : { suffix: last };
}

/** Section 14.1.2: guard against numerals that lose digits on the way. */
function position(digits: string): number | undefined | 'too-large' {
  if (digits === '') return undefined;
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : 'too-large';
}

/** @returns `undefined` if no byte is in it (section 14.1.2). */
function resolve(spec: RangeSpec, length: number): ByteRange | undefined {
  if ('suffix' in spec) {
    return spec.suffix === 0 ? undefined : { start: Math.max(0, length - spec.suffix), end: length };
  }
  if (spec.first >= length) return undefined;
  return { start: spec.first, end: spec.last === undefined ? length : Math.min(spec.last + 1, length) };
}

/** Joins ranges that overlap or touch; each takes the earliest place that one of its members had. */
function coalesce(ranges: readonly ByteRange[]): ByteRange[] {
  const ascending = ranges.map(({ start, end }, place) => ({ start, end, place })).sort((a, b) => a.start - b.start);
  const joined: { start: number; end: number; place: number }[] = [];
  for (const range of ascending) {
    const previous = joined.at(-1);
    if (previous === undefined || range.start > previous.end) {
      joined.push(range);
    } else {
      previous.end = Math.max(previous.end, range.end);
      previous.place = Math.min(previous.place, range.place);
    }
  }
  return joined.sort((a, b) => a.place - b.place).map(({ start, end }) => ({ start, end }));
}
