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
import type { RawHeaders } from '../fields/headers.ts';
import { ChunkedReader } from '../http1/chunked.ts';
import type { ResponseHead, ResponseSink } from '../message.ts';
import type { RepeatedHead } from './repeated-head.ts';
import { CR, Framing, type Grammar, LENIENT, ResponseError, readFields, STRICT } from './response-fields.ts';

/** Receiver of what the parser reads: a response as far as its bytes say it. */
export type ParserSink = Pick<ResponseSink, 'onInterim' | 'onHead' | 'onData' | 'onEnd'>;

export interface ParserOptions {
  /** Bound of all header sections and trailers of one response. */
  readonly maxHeadBytes: number;
  /** Accepts lines of a header section that end with LF alone (RFC 9112, section 2.2). */
  readonly bareLf?: boolean | undefined;
  /** Takes a body in a coding other than chunked as it comes, until the connection closes (RFC 9112, section 6.3). */
  readonly anyCoding?: boolean | undefined;
  /** Last head of the server, which others may repeat. */
  readonly repeated?: RepeatedHead | undefined;
}

/** The kind of request that the next response answers. */
export type RequestKind = 'head' | 'upgrade' | 'other';

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
  readonly #repeated: RepeatedHead | undefined;
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

  constructor({ maxHeadBytes, bareLf = false, anyCoding = false, repeated }: ParserOptions) {
    this.#maxHeadBytes = maxHeadBytes;
    this.#repeated = repeated;
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
    return this.#readRepeated(bytes, at, length) || this.#readText(bytes, at, length);
  }

  /** @returns End of a head that repeats the last one; 0: it is another one. */
  #readRepeated(bytes: Buffer, at: number, length: number): number {
    const repeated = this.#repeated;
    if (repeated === undefined || this.#text !== '') return 0;
    const end = repeated.read(bytes, at, length);
    if (end < 0 || this.#headBytes + end - at > this.#maxHeadBytes) return 0;
    const { status, statusText, headers } = repeated;
    const framing = new Framing();
    for (let i = 0; i < headers.length; i += 2) {
      const value = headers[i + 1] as string;
      if (framing.note(headers[i] as string, value) !== value) return 0;
    }
    this.#headBytes += end - at;
    this.#answer({ status, statusText, headers }, framing, this.#codingOf(framing, false), false);
    return end;
  }

  #readText(bytes: Buffer, at: number, length: number): number {
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
    const head = { status, statusText: match[3] ?? '', headers };
    if (!isOld) this.#repeated?.remember(head);
    this.#answer(head, framing, coding, isOld);
  }

  /** Begins the body of a response other than 1xx. */
  #answer(
    head: ResponseHead,
    { length, connection, keepAlive }: Framing,
    coding: 'chunked' | 'until-close' | undefined,
    isOld: boolean,
  ): void {
    const { status } = head;
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
    this.#sink?.onHead(head);
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

function brokenChunks(detail: string, isTooLarge: boolean): ResponseError {
  return new ResponseError(isTooLarge ? 'head_too_large' : 'bad_framing', detail);
}

/** Returns the beginning of what a server sent, for a log. */
function quoted(text: string): string {
  return `begins with ${JSON.stringify(text.slice(0, 32))}`;
}
