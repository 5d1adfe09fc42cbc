/**
 * The rest of a body that broke off, from another server: it is requested by Range and If-Range, with the strong
 * validator of the response (RFC 9110, section 13.1.5), and taken only if it is the rest of that very representation.
 * @module
 */
import { CONDITIONAL_FIELDS } from '../cache/policy/validation.ts';
import { isRest } from '../cache/resume.ts';
import { strongValidator } from '../cache/stored-response.ts';
import { contentLength } from '../http/fields/content-length.ts';
import { fieldValue, withoutFields } from '../http/fields/headers.ts';
import { type ByteRange, parseContentRange } from '../http/fields/range.ts';
import type { ResponseHead, UpstreamRequest } from '../http/message.ts';

/** Bytes of a representation, `end` not included. */
export interface Continuable extends ByteRange {
  readonly validator: string;
}

/** Returns the bytes of a response that could be requested again; `undefined` if none can. */
export function continuable({ method, upgrade }: UpstreamRequest, head: ResponseHead): Continuable | undefined {
  const validator = method === 'GET' && upgrade === undefined ? strongValidator(head.headers) : undefined;
  if (validator === undefined) return undefined;
  if (head.status === 200) {
    const length = contentLength(head.headers);
    return length === undefined ? undefined : { start: 0, end: length, validator };
  }
  const range = head.status === 206 ? parseContentRange(fieldValue(head.headers, 'content-range')) : undefined;
  return range === undefined || 'unsatisfied' in range ? undefined : { start: range.start, end: range.end, validator };
}

const REPLACED: ReadonlySet<string> = new Set([...CONDITIONAL_FIELDS, 'range']);

/** Returns the request for what is missing. */
export function restRequest({ target, headers, visitor }: UpstreamRequest, rest: Continuable): UpstreamRequest {
  const { start, end, validator } = rest;
  const fields = [...withoutFields(headers, REPLACED), 'Range', `bytes=${start}-${end - 1}`, 'If-Range', validator];
  return { method: 'GET', target, headers: fields, body: undefined, visitor };
}

/** Returns whether a response is what `restRequest` asked for. */
export function isContinuation({ status, headers }: ResponseHead, rest: Continuable): boolean {
  return isRest(status, headers, rest);
}
