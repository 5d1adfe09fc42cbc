/**
 * `Content-Length` of a response (RFC 9110, section 8.6).
 * @module
 */
import { firstLine, type RawHeaders } from './headers.ts';

/** Returns the length; `undefined` where there is none, or what is there is no length. */
export function contentLength(headers: RawHeaders): number | undefined {
  const value = firstLine(headers, 'content-length');
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
