/**
 * Parser of HTTP/1.1 responses: the only one towards origins and other nodes.
 * A response that two parsers could read differently is an error, and so is
 * one that breaks off (RFC 9112, sections 2 to 7).
 *
 * A field is on one line, names are tokens, `chunked` is the only coding
 * unless `anyCoding` is set, and lines end with CRLF unless `bareLf` is set.
 * Deviations that have one reading are taken, and not passed on: whitespace
 * before a field's colon or behind a chunk size, and one Content-Length
 * repeated.
 * @module
 */

import { copyToPool, wholeBody } from '../body/buffer-pool.ts';
import { interned, isFieldName, lowerCase, type RawHeaders, remembered } from '../fields/headers.ts';
import { ChunkedReader } from '../http1/chunked.ts';
import type { ResponseHead, ResponseSink } from '../message.ts';
import { UPSTREAM_CAUSES, type UpstreamCause, UpstreamError } from './errors.ts';

/** Receiver of what the parser reads: a response as far as its bytes say it. */
export type ParserSink = Pick<ResponseSink, 'onInterim' | 'onHead' | 'onData' | 'onEnd'>;

export interface ParserOptions {
  /** Bound of all header sections and trailers of one response. */
  readonly maxHeadBytes: number;
  /** Accepts lines of a header section that end with LF alone (RFC 9112, section 2.2). */
  readonly bareLf?: boolean | undefined;
  /** Takes a body in a coding other than chunked as it comes, until the connection closes (RFC 9112, section 6.3). */
  readonly anyCoding?: boolean | undefined;
}

/** The kind of request that the next response answers. */
export type RequestKind = 'head' | 'upgrade' | 'other';

/** The bytes are not a response, or not a whole one. */
export class ResponseError extends UpstreamError {
  constructor(cause: UpstreamCause, detail: string) {
    super(UPSTREAM_CAUSES[cause].code, UPSTREAM_CAUSES[cause], `${cause}: ${detail}`, { reason: cause });
  }
}

type State = 'head' | 'length' | 'chunked' | 'until-close' | 'done';

/** Length of the start of a chunk that is searched first for the end of a head. */
const FIRST_PROBE_BYTES = 4_096;
/** Margin for heads after the first: a few bytes more than the last one had, as the rest may be a body. */
const PROBE_MARGIN_BYTES = 64;

export class ResponseParser {
  #sink: ParserSink | undefined;
  readonly #maxHeadBytes: number;
  readonly #anyCoding: boolean;
  readonly #grammar: Grammar;
  #state: State = 'done';
  #kind: RequestKind = 'other';
  /** A head of which the end has not come. */
  #text = '';
  /** Characters of heads so far, those of 1xx included. */
  #headBytes = 0;
  #chunks: ChunkedReader | undefined;
  /** Bytes that a body of a known length still has to bring. */
  #left = 0;
  #probeBytes = FIRST_PROBE_BYTES;
  /** Content-Length of a body that it frames. */
  #length = 0;
  /** True if the connection can be reused after this response. */
  keepsAlive = false;
  /** Keep-alive time of the other side in seconds, if it sends one (RFC 2068, section 19.7.1.1). */
  keepAliveSeconds: number | undefined;

  /** True if the response ended with its head; some servers send a body all the same. */
  endedWithHead = false;

  /** True from the head of the response on. */
  hasHead = false;
  /** Number of 1xx before it. */
  interims = 0;
  /** Head of a 101 that was requested: what follows is another protocol's. */
  switched: ResponseHead | undefined;

  constructor({ maxHeadBytes, bareLf = false, anyCoding = false }: ParserOptions) {
    this.#maxHeadBytes = maxHeadBytes;
    this.#anyCoding = anyCoding;
    this.#grammar = bareLf ? LENIENT : STRICT;
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** Prepares for the response to the next request, which goes to this sink. */
  begin(kind: RequestKind, sink: ParserSink): void {
    this.#sink = sink;
    this.hasHead = false;
    this.interims = 0;
    this.#state = 'head';
    this.#kind = kind;
    this.#text = '';
    this.#chunks = undefined;
    this.#headBytes = 0;
  }

  /**
   * @param bytes - Written over where they are read, and by others once this returns.
   * @returns How many of them belong to the response: fewer than `length` only if it ends before.
   * @throws {ResponseError}
   */
  read(bytes: Buffer, length: number): number {
    let at = 0;
    while (at < length && this.#state !== 'done') {
      if (this.#state === 'head') at = this.#readHead(bytes, at, length);
      else if (this.#chunks !== undefined) at = this.#readChunks(this.#chunks, bytes, at, length);
      else at = this.#readBody(bytes, at, length);
    }
    return at;
  }

  /** The other side sends no more. @throws {ResponseError} when the response is not whole. */
  close(): void {
    if (this.#state === 'until-close') this.#end([]);
    else if (this.#state !== 'done') throw new ResponseError('closed', 'the server closed the connection');
  }

  #readHead(bytes: Buffer, at: number, length: number): number {
    const before = this.#text.length;
    const { headEnd } = this.#grammar;
    const probe = Math.min(length, at + this.#probeBytes);
    let text = this.#text + bytes.toString('latin1', at, probe);
    let end = headEnd(text, before);
    if (end < 0 && length > probe) {
      text += bytes.toString('latin1', probe, length);
      end = headEnd(text, before);
    }
    const size = end < 0 ? text.length : end;
    if (this.#headBytes + size > this.#maxHeadBytes) {
      throw new ResponseError('head_too_large', `more than ${this.#maxHeadBytes} bytes`);
    }
    if (end < 0) {
      // What is wrong already is not waited for.
      if (!this.#grammar.statusLineSoFar.test(text)) throw new ResponseError('not_http', quoted(text));
      if (this.#grammar.isBroken(text)) throw new ResponseError('bad_field', 'a line ends with LF alone');
      this.#text = text;
      return length;
    }
    this.#text = '';
    this.#headBytes += end;
    this.#probeBytes = end + PROBE_MARGIN_BYTES;
    // The empty line is LF or CRLF.
    this.#take(text, text.charCodeAt(end - 2) === CR ? end - 2 : end - 1);
    return at + end - before;
  }

  /** @param end - Where the last field line ends. */
  #take(text: string, end: number): void {
    const { statusLine, fieldLine } = this.#grammar;
    statusLine.lastIndex = 0;
    const match = statusLine.exec(text);
    if (match === null) throw new ResponseError('not_http', quoted(text));
    const isOld = match[1] === '0';
    const status = Number(match[2]);
    const headers: string[] = [];
    const framing = new Framing();
    readFields(fieldLine, text, statusLine.lastIndex, end, headers, framing);
    const coding = this.#codingOf(framing, isOld);
    if (status < 200) {
      if (status === 101) this.#switch(headers);
      else {
        this.interims++;
        this.#sink?.onInterim(status, headers);
      }
      return;
    }
    const { length, connection, keepAlive } = framing;
    this.keepsAlive = !isOld && !(connection !== undefined && /(?:^|,)[\t ]*close[\t ]*(?:,|$)/i.test(connection));
    this.keepAliveSeconds = keepAlive;
    this.endedWithHead = this.#kind === 'head' || status === 204 || status === 304 || length === 0;
    if (this.endedWithHead) this.#state = 'done';
    else if (coding === 'chunked') {
      this.#state = 'chunked';
      this.#chunks = new ChunkedReader({
        maxTrailerBytes: this.#maxHeadBytes - this.#headBytes,
        spaceAfterSize: true,
        fault: brokenChunks,
      });
    } else if (length !== undefined) {
      this.#state = 'length';
      this.#left = length;
      this.#length = length;
    } else {
      this.#state = 'until-close';
      this.keepsAlive = false;
    }
    const isDone = this.endedWithHead;
    this.hasHead = true;
    this.#sink?.onHead({ status, statusText: match[3] ?? '', headers });
    if (isDone) this.#finish([]);
  }

  #switch(headers: RawHeaders): void {
    if (this.#kind !== 'upgrade') throw new ResponseError('bad_upgrade', 'not requested');
    this.#state = 'done';
    this.keepsAlive = false;
    this.switched = { status: 101, statusText: 'Switching Protocols', headers };
  }

  /** Returns the coding that frames the body: the request never said that it understands others (section 7). */
  #codingOf({ coding, length }: Framing, isOld: boolean): 'chunked' | 'until-close' | undefined {
    if (coding === undefined) return undefined;
    // Section 6.1: "the framing is faulty" in HTTP/1.0; section 6.3: both is "an attempt to perform request smuggling".
    if (isOld || length !== undefined) throw new ResponseError('bad_framing', 'Transfer-Encoding where it must not be');
    if (coding.toLowerCase() === 'chunked') return 'chunked';
    if (!this.#anyCoding) throw new ResponseError('bad_framing', `Transfer-Encoding: ${coding}`);
    return /(?:^|,)[\t ]*chunked$/i.test(coding) ? 'chunked' : 'until-close';
  }

  #readBody(bytes: Buffer, at: number, length: number): number {
    const end = this.#state === 'until-close' ? length : Math.min(length, at + this.#left);
    this.#left -= end - at;
    const isLast = this.#state === 'length' && this.#left === 0;
    // Of its own, so that it can be kept as it is. A whole body is copied once more when it is stored.
    const isWhole = isLast && end - at === this.#length;
    const piece = isWhole ? wholeBody(bytes, at, end) : copyToPool(bytes, at, end);
    if (isLast) this.#state = 'done';
    this.#sink?.onData(piece);
    if (isLast) this.#finish([]);
    return end;
  }

  #readChunks(chunks: ChunkedReader, bytes: Buffer, at: number, length: number): number {
    let end: number;
    try {
      end = chunks.read(bytes, at, length);
    } finally {
      const { dataFrom, dataTo } = chunks;
      if (dataTo > dataFrom) this.#sink?.onData(copyToPool(bytes, dataFrom, dataTo));
    }
    if (chunks.isDone && this.#state === 'chunked') {
      const trailers: string[] = [];
      readFields(STRICT.fieldLine, chunks.trailers, 0, chunks.trailers.length, trailers, undefined);
      this.#end(trailers);
    }
    return end;
  }

  #end(trailers: RawHeaders): void {
    this.#state = 'done';
    this.#finish(trailers);
  }

  #finish(trailers: RawHeaders): void {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.onEnd(trailers);
  }
}

const CR = 0x0d;
const SPACE = 0x20;

/** Rules for the lines of a header section. */
interface Grammar {
  /** Returns the end of the header section, or -1. @param before - Characters that were searched already. */
  headEnd(text: string, before: number): number;
  /** Section 4; the reason phrase may be missing with its space, as some servers send it. */
  readonly statusLine: RegExp;
  readonly statusLineSoFar: RegExp;
  /**
   * Sections 5 and 5.1: a token, a colon, and a value on one line. Whitespace before the colon is removed: "a proxy
   * MUST remove any such whitespace from a response message".
   */
  readonly fieldLine: RegExp;
  /** Returns whether no end can make a header section of the text. */
  isBroken(text: string): boolean;
}

/** @param lineEnd - Source of a regular expression. */
function linesOf(lineEnd: string): Pick<Grammar, 'statusLine' | 'statusLineSoFar' | 'fieldLine'> {
  const TEXT = '[\\t\\x20-\\x7e\\x80-\\xff]*';
  const VISIBLE = '[\\x21-\\x7e\\x80-\\xff]';
  return {
    statusLine: new RegExp(`HTTP/1\\.([01]) ([1-9]\\d\\d)(?: (${TEXT}))?${lineEnd}`, 'y'),
    statusLineSoFar: new RegExp(
      '^(?:H|HT|HTT|HTTP|HTTP/|HTTP/1|HTTP/1\\.|HTTP/1\\.[01]|' +
        `HTTP/1\\.[01] (?:[1-9]?|[1-9]\\d|[1-9]\\d\\d(?:\\r|(?:${lineEnd}| )[\\s\\S]*)?))$`,
    ),
    fieldLine: new RegExp(
      `([!#$%&'*+.^_\`|~0-9A-Za-z-]+)[\\t ]*:[\\t ]*(${VISIBLE}(?:${TEXT}${VISIBLE})?)?[\\t ]*${lineEnd}`,
      'y',
    ),
  };
}

const STRICT: Grammar = {
  ...linesOf('\\r\\n'),
  headEnd: (text, before) => {
    const found = text.indexOf('\r\n\r\n', Math.max(0, before - 3));
    return found < 0 ? -1 : found + 4;
  },
  isBroken: (text) => /(?<!\r)\n/.test(text),
};

/** Accepts LF where CRLF belongs, as nginx and llhttp's lenient mode do. */
const LENIENT: Grammar = {
  ...linesOf('\\r?\\n'),
  headEnd: (text, before) => {
    const crlf = text.indexOf('\n\r\n', Math.max(0, before - 2));
    // The first one counts: what is behind it is the body, which may have line ends of its own.
    const from = Math.max(0, before - 1);
    if (crlf >= 0 && text.lastIndexOf('\n\n', crlf) < from) return crlf + 3;
    const lf = text.indexOf('\n\n', from);
    return lf < 0 ? -1 : lf + 2;
  },
  isBroken: () => false,
};

function brokenChunks(detail: string, isTooLarge: boolean): ResponseError {
  return new ResponseError(isTooLarge ? 'head_too_large' : 'bad_framing', detail);
}

/** Returns the beginning of what a server sent, for a log. */
function quoted(text: string): string {
  return `begins with ${JSON.stringify(text.slice(0, 32))}`;
}

/** Message framing, from the fields. */
class Framing {
  length: number | undefined;
  coding: string | undefined;
  connection: string | undefined;
  keepAlive: number | undefined;

  /** @returns The value to pass on, or `undefined` where another line has said the same. */
  note(name: string, value: string): string | undefined {
    switch (name.length) {
      case 14:
        return lowerCase(name) === 'content-length' ? this.#noteLength(value) : value;
      case 17:
        if (lowerCase(name) !== 'transfer-encoding') return value;
        this.coding = this.coding === undefined ? value : `${this.coding}, ${value}`;
        return value;
      case 10: {
        const lower = lowerCase(name);
        if (lower === 'connection') {
          this.connection = this.connection === undefined ? value : `${this.connection}, ${value}`;
        } else if (lower === 'keep-alive') {
          const seconds = /(?:^|[\t ,])timeout=(\d{1,9})/i.exec(value)?.[1];
          this.keepAlive = seconds === undefined ? undefined : Number(seconds);
        }
      }
    }
    return value;
  }

  /** Section 6.3: one valid value, however often, is that value; everything else is an unrecoverable error. */
  #noteLength(value: string): string | undefined {
    const match = LENGTHS.exec(value);
    if (match === null) throw new ResponseError('bad_framing', `Content-Length: ${value}`);
    const length = Number(match[1]);
    if (this.length === undefined) {
      this.length = length;
      return match[1];
    }
    if (this.length !== length) throw new ResponseError('bad_framing', 'Content-Length differs from another one');
    return undefined;
  }
}

/** One number, or the same one repeated. */
const LENGTHS = /^(\d{1,15})(?:[\t ]*,[\t ]*\1)*$/;

/** @throws {ResponseError} unless there are field lines from `at` to `end`, and nothing else. */
function readFields(
  fieldLine: RegExp,
  text: string,
  at: number,
  end: number,
  headers: string[],
  framing: Framing | undefined,
): void {
  while (at < end) {
    const next = readPlainField(text, at, end) || readField(fieldLine, text, at);
    const { name, value } = field;
    const noted = framing === undefined ? value : framing.note(name, value);
    if (noted !== undefined) headers.push(name, noted);
    at = next;
  }
}

/** The field line that was read last. */
const field = { name: '', value: '' };

/** @returns End of a field line as nearly all are: the rest of the grammar is `readField`'s; 0: it is another one. */
function readPlainField(text: string, at: number, end: number): number {
  const colon = text.indexOf(':', at);
  const from = colon + 2;
  const to = text.indexOf('\n', from) - 1; // not CR, which may not come in thousands of lines
  if (colon < 0 || text.charCodeAt(colon + 1) !== SPACE || to <= from || to >= end) return 0;
  if (text.charCodeAt(to) !== CR || text.charCodeAt(from) === SPACE || text.charCodeAt(to - 1) === SPACE) return 0;
  const name = tokenOf(text.slice(at, colon));
  const value = text.slice(from, to);
  if (name === NO_TOKEN || !PLAIN_VALUE.test(value)) return 0;
  field.name = name;
  field.value = value;
  return to + 2;
}

/** A value without a tab, which may have to be taken off. */
const PLAIN_VALUE = /^[\x20-\x7e\x80-\xff]+$/;

const NO_TOKEN = '';

/** Returns the same text as one object for equal names, and `NO_TOKEN` for what is no name. */
const tokenOf = remembered((name) => (isFieldName(name) ? interned(name) : NO_TOKEN));

/** @returns End of the field line. */
function readField(fieldLine: RegExp, text: string, at: number): number {
  fieldLine.lastIndex = at;
  const match = fieldLine.exec(text);
  if (match === null)
    throw new ResponseError('bad_field', `not a field line: ${JSON.stringify(text.slice(at, at + 64))}`);
  field.name = interned(match[1] as string);
  field.value = match[2] ?? '';
  return fieldLine.lastIndex;
}
