/**
 * Sends a representation that the demo origin holds in memory: with validators, preconditions, byte ranges and HEAD
 * (RFC 9110, sections 13 and 14).
 * @module
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { evaluateConditional, evaluateIfRange, type Selected } from '../../http/fields/conditional.ts';
import { formatHttpDate, parseHttpDate } from '../../http/fields/date.ts';
import { parseEntityTagList, strongMatch } from '../../http/fields/etag.ts';
import {
  type ByteRange,
  formatContentRange,
  multipartEnd,
  multipartPart,
  parseRange,
  resolveRanges,
  unsatisfiedContentRange,
} from '../../http/fields/range.ts';
import { type EpochMs, wallNow } from '../../lib/clock.ts';

export interface Representation {
  readonly status?: number;
  readonly type: string;
  readonly body: Buffer;
  /** Strong, with its quotes. */
  readonly etag?: string;
  /** An HTTP date. */
  readonly lastModified?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** @returns A strong entity tag: the same for the same bytes only. */
export function strongEtag(body: Buffer): string {
  return `"${createHash('sha256').update(body).digest('base64url').slice(0, 16)}"`;
}

/** Answers a GET or HEAD with `representation`, or with what its preconditions and ranges ask for. */
export function respond(request: IncomingMessage, response: ServerResponse, representation: Representation): void {
  const { status = 200, type, body, etag, lastModified } = representation;
  const now = wallNow();
  const selected: Selected = { status, etag, lastModified, date: formatHttpDate(now) };
  const headers: Record<string, string | number> = { date: formatHttpDate(now), ...representation.headers };
  if (etag !== undefined) headers['etag'] = etag;
  if (lastModified !== undefined) headers['last-modified'] = lastModified;

  if (status === 200) {
    // The order is that of section 13.2.2.
    if (failsForOrigin(request, selected, now)) {
      response.writeHead(412, { ...headers, 'content-length': 0 }).end();
      return;
    }
    if (evaluateConditional(request.rawHeaders, selected, now) === 'not-modified') {
      response.writeHead(304, headers).end();
      return;
    }
    headers['accept-ranges'] = 'bytes';
    const specs = request.method === 'GET' ? parseRange(request.headers.range) : undefined;
    if (specs && evaluateIfRange(request.rawHeaders, selected, now)) {
      const ranges = resolveRanges(specs, body.length);
      if (ranges === 'unsatisfiable') {
        headers['content-range'] = unsatisfiedContentRange(body.length);
        response.writeHead(416, { ...headers, 'content-length': 0 }).end();
        return;
      }
      if (ranges !== 'whole') {
        sendRanges(response, headers, representation, ranges);
        return;
      }
    }
  }
  headers['content-type'] = type;
  headers['content-length'] = body.length;
  // node:http keeps the body back from an answer to HEAD.
  response.writeHead(status, headers).end(body);
}

function sendRanges(
  response: ServerResponse,
  headers: Record<string, string | number>,
  { type, body }: Representation,
  ranges: readonly ByteRange[],
): void {
  const [only, ...others] = ranges;
  if (only && others.length === 0) {
    headers['content-type'] = type;
    headers['content-range'] = formatContentRange(only, body.length);
    headers['content-length'] = only.end - only.start;
    response.writeHead(206, headers).end(body.subarray(only.start, only.end));
    return;
  }
  const boundary = strongEtag(body).slice(1, -1);
  const parts = ranges.flatMap((range) => [
    multipartPart(range, body.length, type, boundary),
    body.subarray(range.start, range.end),
  ]);
  const multipart = Buffer.concat([...parts, multipartEnd(boundary)]);
  headers['content-type'] = `multipart/byteranges; boundary=${boundary}`;
  headers['content-length'] = multipart.length;
  response.writeHead(206, headers).end(multipart);
}

/** Sections 13.1.1 and 13.1.4: the preconditions that only an origin evaluates. */
function failsForOrigin(request: IncomingMessage, { etag, lastModified }: Selected, now: EpochMs): boolean {
  const { 'if-match': ifMatch, 'if-unmodified-since': ifUnmodifiedSince } = request.headers;
  if (ifMatch !== undefined) {
    const tags = parseEntityTagList(ifMatch);
    return tags !== '*' && !tags?.some((tag) => etag !== undefined && strongMatch(tag, etag));
  }
  if (ifUnmodifiedSince === undefined || lastModified === undefined) return false;
  const limit = parseHttpDate(ifUnmodifiedSince, now);
  const modified = parseHttpDate(lastModified, now);
  return limit !== undefined && modified !== undefined && modified > limit;
}
