/**
 * Requests that are not GET or HEAD and have arrived as a whole, body included: in HTTP/1.1, strictly well-formed, and
 * of the connection with no word but that it is to be kept or closed (http/http1/recogniser.ts). Whatever is not found
 * here is for `node:http`.
 *
 * Most bodies are as small as that. Nothing of such a request is still to come while it is answered, so an early answer
 * leaves nothing unread.
 * @module
 */

import { fieldLines, type RawHeaders } from '../fields/headers.ts';
import { ChunkedReader } from './chunked.ts';
import { parseFramedSection } from './recogniser.ts';
import { WholeBody } from './whole-body.ts';

export interface WholeRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: RawHeaders;
  /** True if it asks for the connection to be closed behind the answer. */
  readonly isLast: boolean;
  /** Absent: it announces none. */
  readonly body: WholeBody | undefined;
  /** Offset at which the next request begins. */
  readonly end: number;
}

export interface WholeRequestBounds {
  /** Bytes of a head. */
  readonly maxBytes: number;
  /** Header lines of a head. */
  readonly maxLines: number;
}

interface Content {
  readonly body: WholeBody | undefined;
  readonly end: number;
}

const REQUEST_LINE = /(POST|PUT|PATCH|DELETE|OPTIONS) (\/[\x21-\x7e]*) HTTP\/1\.1\r\n/y;

const LENGTH = /^\d{1,9}$/;

/** Bytes of chunks that are looked at in one go: what is behind the body is not copied with each request before it. */
const STEP_BYTES = 16 * 1024;

/** @param text - What came, one byte a character, from where a request begins. */
export function wholeRequest(text: string, { maxBytes, maxLines }: WholeRequestBounds): WholeRequest | undefined {
  REQUEST_LINE.lastIndex = 0;
  const line = REQUEST_LINE.exec(text);
  if (line === null) return undefined;
  const [{ length }, method = '', target = ''] = line;
  const headEnd = text.indexOf('\r\n\r\n', length);
  if (headEnd < 0 || headEnd + 4 > maxBytes) return undefined;
  const section = parseFramedSection(text.slice(length, headEnd + 2), maxLines);
  const content = section && contentOf(section.headers, text, headEnd + 4, maxBytes);
  return content && section && { method, target, ...section, ...content };
}

/** @returns `undefined` where a part of it is still to come, or another reader could see another end. */
function contentOf(headers: RawHeaders, text: string, from: number, maxTrailerBytes: number): Content | undefined {
  const [length, ...otherLengths] = fieldLines(headers, 'content-length');
  const [coding, ...otherCodings] = fieldLines(headers, 'transfer-encoding');
  if (otherLengths.length > 0 || otherCodings.length > 0) return undefined;
  if (coding !== undefined) {
    return coding === 'chunked' && length === undefined ? chunksOf(text, from, maxTrailerBytes) : undefined;
  }
  if (length === undefined) return { body: undefined, end: from };
  const end = from + Number(length);
  if (!LENGTH.test(length) || end > text.length) return undefined;
  return { body: end === from ? undefined : new WholeBody(Buffer.from(text.slice(from, end), 'latin1')), end };
}

function chunksOf(text: string, from: number, maxTrailerBytes: number): Content | undefined {
  const reader = new ChunkedReader({ maxTrailerBytes, spaceAfterSize: false, fault: (detail) => new Error(detail) });
  const pieces: Buffer[] = [];
  let at = from;
  while (at < text.length && !reader.isDone) {
    const bytes = Buffer.from(text.slice(at, at + STEP_BYTES), 'latin1');
    try {
      at += reader.read(bytes, 0, bytes.length);
    } catch {
      return undefined;
    }
    pieces.push(bytes.subarray(reader.dataFrom, reader.dataTo));
  }
  if (!reader.isDone || reader.trailers !== '') return undefined;
  return { body: new WholeBody(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)), end: at };
}
