/**
 * An answer to one request, made from a representation that is stored or on
 * its way: conditions (RFC 9110, section 13), ranges (section 14), HEAD, Age.
 * @module
 */

import { allowsContent } from '../http/exchange.ts';
import { evaluateConditional, evaluateIfRange, type Selected } from '../http/fields/conditional.ts';
import { fieldValue, firstLine, hasField, type RawHeaders, withField, withoutFields } from '../http/fields/headers.ts';
import {
  type ByteRange,
  formatContentRange,
  multipartEnd,
  multipartLength,
  multipartPart,
  parseRange,
  type RangeSpec,
  resolveRanges,
  unsatisfiedContentRange,
} from '../http/fields/range.ts';
import type { BodyReader, ResponseHead } from '../http/message.ts';
import type { EpochMs } from '../lib/clock.ts';
import type { CacheStatus } from './cache-status.ts';
import type { Stamp } from './ledger.ts';

export interface Answer {
  readonly head: ResponseHead;
  readonly body: BodyReader | undefined;
  /** Complete once the body is read. */
  readonly trailers: () => RawHeaders;
  readonly status: CacheStatus;
  /** Cache-Status members of the tiers above and of the origin, where the request went there. */
  readonly above: string | undefined;
  /** Journal position that the response is as new as. */
  readonly stamp: Stamp;
  /** True if it has just arrived and was fresh when the request for it was sent, however long it was in flight. */
  readonly wasFresh?: boolean | undefined;
  /** Present if other requests have the same answer. */
  readonly shared?: SharedAnswer | undefined;
}

/** Answer that several requests have: they differ in nothing but their reader of the body. */
export interface SharedAnswer {
  /** Cache for the component that finishes it. */
  finished?: object | undefined;
}

export interface Representation {
  readonly head: ResponseHead;
  /** Bytes, where known. */
  readonly length: number | undefined;
  /** Returns whether the body covers these ranges. */
  readonly covers: (ranges: readonly ByteRange[]) => boolean;
  /** @param range - Absent: all of it. */
  readonly open: (range?: ByteRange) => BodyReader;
  readonly trailers: () => RawHeaders;
}

/**
 * Fields that a 304 omits, as they add nothing for a cache that updates its stored response (RFC 9110, section 15.4.5).
 */
const NOT_IN_304: ReadonlySet<string> = new Set(['content-length', 'content-encoding', 'content-range']);

const NOT_IN_416: ReadonlySet<string> = new Set([
  ...NOT_IN_304,
  'content-type',
  'content-language',
  'etag',
  'last-modified',
]);

const LENGTH_FIELDS: ReadonlySet<string> = new Set(['content-length', 'content-range']);

const NOT_IN_MULTIPART: ReadonlySet<string> = new Set([...LENGTH_FIELDS, 'content-type']);

interface Part {
  readonly head: ResponseHead;
  readonly body: BodyReader | undefined;
}

/** Parts of a request that the form of its answer depends on. */
export interface Conditions {
  readonly headers: RawHeaders;
  readonly hasConditions: boolean;
  /** Defined if it has a Range field. */
  readonly ranges: readonly RangeSpec[] | undefined;
}

/** Form of an answer; `part`: what comes of asking for ranges. */
export type AnswerForm = 'whole' | 'head' | 'not-modified' | 'part';

/**
 * Form of the answer to a request that selects this response (RFC 9110, section 13.2.2).
 *
 * @param method - GET or HEAD.
 * @param isNamed - True if it is known that an If-None-Match of the request names the response's entity tag.
 */
export function answerForm(
  method: string,
  request: Conditions,
  { status, headers }: Pick<ResponseHead, 'status' | 'headers'>,
  now: EpochMs,
  isNamed = false,
): AnswerForm {
  // Section 13.2.1: conditions count, and ranges are defined, where the answer without them would be a 200.
  if (status === 200 && request.hasConditions) {
    if (isNamed || evaluateConditional(request.headers, selectedBy(headers), now) === 'not-modified') {
      return 'not-modified';
    }
  }
  if (method === 'HEAD') return 'head';
  return status === 200 && request.ranges !== undefined ? 'part' : 'whole';
}

/** @returns The same of a header section of which nothing else is known. */
export function conditionsIn(headers: RawHeaders): Conditions {
  const hasConditions = hasField(headers, 'if-none-match') || hasField(headers, 'if-modified-since');
  return { headers, hasConditions, ranges: parseRange(fieldValue(headers, 'range')) };
}

/**
 * @param method - GET or HEAD.
 * @returns 200, 206, 304 or 416 for a representation with status 200; any other status as it is.
 */
export function select(method: string, request: Conditions, from: Representation, now: EpochMs): Part {
  const { headers } = from.head;
  switch (answerForm(method, request, from.head, now)) {
    case 'whole':
      return whole(from);
    case 'head':
      return { head: from.head, body: undefined };
    case 'not-modified':
      return {
        head: { status: 304, statusText: 'Not Modified', headers: withoutFields(headers, NOT_IN_304) },
        body: undefined,
      };
    case 'part':
      return part(request, from, now);
  }
}

function part(request: Conditions, from: Representation, now: EpochMs): Part {
  const { headers } = from.head;
  const ranges = resolved(request.ranges, from.length);
  if (ranges === undefined || !evaluateIfRange(request.headers, selectedBy(headers), now)) return whole(from);
  if (ranges === 'unsatisfiable') {
    const kept = [...withoutFields(headers, NOT_IN_416)];
    kept.push('Content-Range', unsatisfiedContentRange(from.length as number), 'Content-Length', '0');
    return { head: { status: 416, statusText: 'Range Not Satisfiable', headers: kept }, body: undefined };
  }
  if (!from.covers(ranges)) return whole(from);
  if (ranges.length === 1) return singlePart(from, ranges[0] as ByteRange);
  return manyParts(from, ranges) ?? whole(from);
}

/** Returns whether the request's Range applies to a stored response, given its If-Range (RFC 9110, section 13.1.5). */
export function rangeApplies(request: RawHeaders, stored: RawHeaders, now: EpochMs): boolean {
  return evaluateIfRange(request, selectedBy(stored), now);
}

function selectedBy(headers: RawHeaders): Selected {
  return {
    status: 200,
    etag: firstLine(headers, 'etag'),
    lastModified: firstLine(headers, 'last-modified'),
    date: firstLine(headers, 'date'),
  };
}

/** @returns What the request asks for, in bytes; `undefined` when it is the whole representation. */
export function requestedRanges(request: RawHeaders, length: number | undefined): ReturnType<typeof resolved> {
  return resolved(parseRange(fieldValue(request, 'range')), length);
}

/** @returns The same of ranges that are read already. */
export function resolved(
  specs: readonly RangeSpec[] | undefined,
  length: number | undefined,
): readonly ByteRange[] | 'unsatisfiable' | undefined {
  if (specs === undefined || length === undefined) return undefined;
  const ranges = resolveRanges(specs, length);
  return ranges === 'whole' ? undefined : ranges;
}

/** @returns The headers with the age of a response from the store (RFC 9111, section 5.1: whole seconds). */
export function withAge(headers: RawHeaders, ageMs: number): string[] {
  return withField(headers, 'Age', String(Math.floor(ageMs / 1_000)));
}

function whole(from: Representation): Part {
  const { headers } = from.head;
  const known = from.length !== undefined && from.trailers().length === 0;
  const head =
    known && !hasField(headers, 'content-length') && allowsContent(from.head.status)
      ? { ...from.head, headers: withField(headers, 'Content-Length', String(from.length)) }
      : from.head;
  return { head, body: from.open() };
}

function singlePart(from: Representation, range: ByteRange): Part {
  const headers = [...withoutFields(from.head.headers, LENGTH_FIELDS)];
  headers.push('Content-Range', formatContentRange(range, from.length as number));
  headers.push('Content-Length', String(range.end - range.start));
  return { head: { status: 206, statusText: 'Partial Content', headers }, body: from.open(range) };
}

/**
 * RFC 9110, section 15.3.7.2.
 *
 * @returns `undefined` where the parts with their heads would be no smaller than the whole: section 14.2 lets a server
 *   ignore Range.
 */
function manyParts(from: Representation, ranges: readonly ByteRange[]): Part | undefined {
  const length = from.length as number;
  const type = fieldValue(from.head.headers, 'content-type');
  const boundary = `seawall-${crypto.randomUUID()}`;
  const bodyLength = multipartLength(ranges, length, type, boundary);
  if (bodyLength >= length) return undefined;
  const headers = [...withoutFields(from.head.headers, NOT_IN_MULTIPART)];
  headers.push('Content-Type', `multipart/byteranges; boundary=${boundary}`);
  headers.push('Content-Length', String(bodyLength));
  // All are opened now: the bytes are stored, and are referenced until the last part is sent.
  const parts = ranges.map((range) => ({
    intro: multipartPart(range, length, type, boundary),
    body: from.open(range),
  }));
  const body = new MultipartReader(parts, multipartEnd(boundary));
  return { head: { status: 206, statusText: 'Partial Content', headers }, body };
}

interface MultipartSource {
  readonly intro: Buffer;
  readonly body: BodyReader;
}

class MultipartReader implements BodyReader {
  readonly #parts: MultipartSource[];
  #end: Buffer | undefined;
  #current: BodyReader | undefined;

  constructor(parts: readonly MultipartSource[], end: Buffer) {
    this.#parts = [...parts];
    this.#end = end;
  }

  next(): Buffer | null | Promise<Buffer | null> {
    const piece = this.#current?.next();
    if (piece instanceof Promise) return piece.then((arrived) => arrived ?? this.#nextPart());
    return piece ?? this.#nextPart();
  }

  close(): void {
    for (const { body } of this.#parts) body.close();
    this.#parts.length = 0;
    this.#end = undefined;
    this.#current?.close();
    this.#current = undefined;
  }

  #nextPart(): Buffer | null {
    this.#current = undefined;
    const part = this.#parts.shift();
    if (part !== undefined) {
      this.#current = part.body;
      return part.intro;
    }
    const end = this.#end ?? null;
    this.#end = undefined;
    return end;
  }
}
