/**
 * The rest of a body that broke off, from another server: it is requested by Range and If-Range, with the strong
 * validator of the response (RFC 9110, section 13.1.5), and taken only if it is the rest of that very representation.
 * @module
 */
import { CONDITIONAL_FIELDS } from '../cache/policy/validation.ts';
import { type BodyRange, bodyRangeOf, isRest } from '../cache/resume.ts';
import { withoutFields } from '../http/fields/headers.ts';
import type { ResponseHead, UpstreamRequest } from '../http/message.ts';

/** Bytes of a representation that could be requested again. */
export type Continuable = BodyRange;

/** Returns the bytes of a response that could be requested again; `undefined` if none can. */
export function continuable({ method, upgrade }: UpstreamRequest, head: ResponseHead): Continuable | undefined {
  return method === 'GET' && upgrade === undefined ? bodyRangeOf(head) : undefined;
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
