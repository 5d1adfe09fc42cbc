/**
 * Reads HTTP/1.1 responses, strictly, from the bytes of one connection: a
 * response that two parsers could read differently is an error, and so is one
 * that breaks off (RFC 9112, sections 2 to 7).
 *
 * Lines end with CRLF and nothing else, a field is on one line, names are
 * tokens, Content-Length stands alone and once, `chunked` is the only coding.
 * @module
 */
import type { RawHeaders } from './headers.ts';
import { pieceOf } from './pieces.ts';

/** What the parser tells of one response, in this order. */
export interface ResponseEvents {
  /** A 1xx. */
  onInterim(status: number, headers: RawHeaders): void;
  onHead(status: number, statusText: string, headers: RawHeaders): void;
  /** @param piece - The receiver's own. */
  onBody(piece: Buffer): void;
  onEnd(trailers: RawHeaders): void;
}

/** The bytes are not a response, or not a whole one. */
export class ResponseError extends Error {}

type State = 'head' | 'length' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailers' | 'until-close' | 'done';

const IN_LINES: ReadonlySet<State> = new Set<State>(['chunk-size', 'chunk-end', 'trailers']);

/** A chunk's size with its extensions (RFC 9112, section 7.1.1), which nobody uses. */
const MAX_CHUNK_LINE_BYTES = 4_096;

/** Of a piece, what is first looked at for the end of a head. */
const PROBE_BYTES = 4_096;

export class ResponseParser {
  readonly #events: ResponseEvents;
  readonly #maxHeadBytes: number;
  #state: State = 'done';
  #isHead = false;
  /** A head of which the end has not come, or the trailers so far. */
  #text = '';
  /** A line of which the end has not come. */
  #line = '';
  /** Characters of heads and trailers so far, those of 1xx included. */
  #headBytes = 0;
  /** Bytes that the body, or the chunk, still has to bring. */
  #left = 0;
  /** Whether the connection can be used again after this response. */
  keepsAlive = false;
  /** How long the other side keeps the connection at least, where it says so, in seconds (RFC 2068, section 19.7.1.1). */
  keepAliveSeconds: number | undefined;

  /** @param maxHeadBytes - Of all heads and trailers of one response. */
  constructor(events: ResponseEvents, maxHeadBytes: number) {
    this.#events = events;
    this.#maxHeadBytes = maxHeadBytes;
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** The next response begins. @param isHead - Whether it answers HEAD. */
  begin(isHead: boolean): void {
    this.#state = 'head';
    this.#isHead = isHead;
    this.#text = '';
    this.#line = '';
    this.#headBytes = 0;
  }

  /**
   * @param bytes - May be written over once this returns.
   * @returns How many of them belong to the response: fewer than `length` only if it ends before.
   * @throws {ResponseError}
   */
  read(bytes: Buffer, length: number): number {
    let at = 0;
    while (at < length && this.#state !== 'done') {
      if (this.#state === 'head') at = this.#readHead(bytes, at, length);
      else if (IN_LINES.has(this.#state)) at = this.#readLine(bytes, at, length);
      else at = this.#readBody(bytes, at, length);
    }
    return at;
  }

  /** The other side sends no more. @throws {ResponseError} when the response is not whole. */
  close(): void {
    if (this.#state === 'until-close') this.#end([]);
    else if (this.#state !== 'done') throw new ResponseError('other side closed');
  }

  #readHead(bytes: Buffer, at: number, length: number): number {
    const before = this.#text.length;
    let text = this.#text + bytes.toString('latin1', at, Math.min(length, at + PROBE_BYTES));
    let end = headEnd(text, before);
    if (end < 0 && length - at > PROBE_BYTES) {
      text += bytes.toString('latin1', at + PROBE_BYTES, length);
      end = headEnd(text, before);
    }
    const size = end < 0 ? text.length : end;
    if (this.#headBytes + size > this.#maxHeadBytes) throw new ResponseError('the header section is too large');
    if (end < 0) {
      // What is wrong already is not waited for.
      if (!STATUS_LINE_SO_FAR.test(text) || BARE_LF.test(text)) throw new ResponseError('not a header section');
      this.#text = text;
      return length;
    }
    this.#text = '';
    this.#headBytes += end;
    this.#take(text, end - 2);
    return at + end - before;
  }

  /** @param end - Where the last field line ends. */
  #take(text: string, end: number): void {
    STATUS_LINE.lastIndex = 0;
    const match = STATUS_LINE.exec(text);
    if (match === null) throw new ResponseError('not a status line');
    const isOld = match[1] === '0';
    const status = Number(match[2]);
    const headers: string[] = [];
    const framing = new Framing();
    readFields(text, STATUS_LINE.lastIndex, end, headers, framing);
    if (status < 200) {
      if (status === 101) throw new ResponseError('bad upgrade');
      this.#events.onInterim(status, headers);
      return;
    }
    const { length, coding, connection, keepAlive } = framing;
    if (coding !== undefined) {
      // Section 6.1: "the framing is faulty" in HTTP/1.0; section 6.3: both is "an attempt to perform request smuggling".
      if (isOld || length !== undefined) throw new ResponseError('Transfer-Encoding where it must not be');
      if (coding.toLowerCase() !== 'chunked') throw new ResponseError(`Transfer-Encoding: ${coding}`);
    }
    this.keepsAlive = !isOld && !(connection !== undefined && /(?:^|,)[\t ]*close[\t ]*(?:,|$)/i.test(connection));
    this.keepAliveSeconds = keepAlive;
    const hasBody = !this.#isHead && status !== 204 && status !== 304;
    if (!hasBody || length === 0) this.#state = 'done';
    else if (coding !== undefined) this.#state = 'chunk-size';
    else if (length !== undefined) {
      this.#state = 'length';
      this.#left = length;
    } else {
      this.#state = 'until-close';
      this.keepsAlive = false;
    }
    const isDone = this.#state === 'done';
    this.#events.onHead(status, match[3] ?? '', headers);
    if (isDone) this.#events.onEnd([]);
  }

  #readBody(bytes: Buffer, at: number, length: number): number {
    const end = this.#state === 'until-close' ? length : Math.min(length, at + this.#left);
    this.#left -= end - at;
    const piece = pieceOf(bytes, at, end); // of its own, so that it can be kept as it is
    const isLast = this.#state === 'length' && this.#left === 0;
    if (isLast) this.#state = 'done';
    else if (this.#state === 'chunk' && this.#left === 0) this.#state = 'chunk-end';
    this.#events.onBody(piece);
    if (isLast) this.#events.onEnd([]);
    return end;
  }

  /** Reads up to the end of a line of the chunked coding, or of the trailers. */
  #readLine(bytes: Buffer, at: number, length: number): number {
    const isTrailer = this.#state === 'trailers';
    const most = isTrailer ? this.#maxHeadBytes - this.#headBytes : MAX_CHUNK_LINE_BYTES;
    const found = bytes.indexOf(LF, at);
    const end = found < 0 || found >= length ? length : found + 1;
    const line = this.#line + bytes.toString('latin1', at, end);
    if (this.#text.length + line.length > most) throw new ResponseError('a line is too long');
    this.#line = end === found + 1 ? '' : line;
    if (this.#line !== '') return end;
    if (isTrailer) {
      // They are read together when the empty line behind them is there.
      if (line !== '\r\n') {
        this.#text += line;
        return end;
      }
      const trailers: string[] = [];
      readFields(this.#text, 0, this.#text.length, trailers, undefined);
      this.#text = '';
      this.#end(trailers);
    } else if (this.#state === 'chunk-end') {
      if (line !== '\r\n') throw new ResponseError('a chunk does not end where it says');
      this.#state = 'chunk-size';
    } else {
      const size = CHUNK_LINE.exec(line)?.[1];
      if (size === undefined) throw new ResponseError('not the size of a chunk');
      this.#left = Number.parseInt(size, 16);
      this.#state = this.#left === 0 ? 'trailers' : 'chunk';
    }
    return end;
  }

  #end(trailers: RawHeaders): void {
    this.#state = 'done';
    this.#events.onEnd(trailers);
  }
}

const LF = 0x0a;

/** @returns Where the head ends, or -1. @param before - What was looked through already. */
function headEnd(text: string, before: number): number {
  const found = text.indexOf('\r\n\r\n', Math.max(0, before - 3));
  return found < 0 ? -1 : found + 4;
}

/** RFC 9112, section 4; the reason phrase may be missing with its space, as some servers send it. */
const STATUS_LINE = /HTTP\/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?\r\n/y;

const STATUS_LINE_SO_FAR =
  /^(?:H|HT|HTT|HTTP|HTTP\/|HTTP\/1|HTTP\/1\.|HTTP\/1\.[01]|HTTP\/1\.[01] (?:[1-9]?|[1-9]\d|[1-9]\d\d(?:\r|[ \r][\s\S]*)?))$/;

const BARE_LF = /(?<!\r)\n/;

/** Sections 5 and 5.1: a token, a colon right behind it, and a value on one line. */
const FIELD_LINE =
  /([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?[\t ]*\r\n/y;

const CHUNK_LINE = /^([0-9a-fA-F]{1,13})(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?\r\n$/;

/** What fields say of the message, not of what is in it. */
class Framing {
  length: number | undefined;
  coding: string | undefined;
  connection: string | undefined;
  keepAlive: number | undefined;

  note(name: string, value: string): void {
    switch (name.length) {
      case 14:
        if (name.toLowerCase() !== 'content-length') return;
        // Section 6.3: repeated, or not a number, it is an unrecoverable error.
        if (this.length !== undefined || !/^\d{1,15}$/.test(value)) throw new ResponseError('Content-Length');
        this.length = Number(value);
        return;
      case 17:
        if (name.toLowerCase() !== 'transfer-encoding') return;
        this.coding = this.coding === undefined ? value : `${this.coding}, ${value}`;
        return;
      case 10: {
        const lower = name.toLowerCase();
        if (lower === 'connection') {
          this.connection = this.connection === undefined ? value : `${this.connection}, ${value}`;
        } else if (lower === 'keep-alive') {
          const seconds = /(?:^|[\t ,])timeout=(\d{1,9})/i.exec(value)?.[1];
          this.keepAlive = seconds === undefined ? undefined : Number(seconds);
        }
      }
    }
  }
}

/** @throws {ResponseError} unless there are field lines from `at` to `end`, and nothing else. */
function readFields(text: string, at: number, end: number, headers: string[], framing: Framing | undefined): void {
  FIELD_LINE.lastIndex = at;
  while (at < end) {
    const match = FIELD_LINE.exec(text);
    if (match === null) throw new ResponseError('not a header field');
    const name = match[1] as string;
    const value = match[2] ?? '';
    headers.push(name, value);
    framing?.note(name, value);
    at = FIELD_LINE.lastIndex;
  }
}
