/**
 * A head that arrives in pieces: whether more bytes could make it one that is recognised (recogniser.ts). Each byte is
 * looked at once, however small the pieces are. What is wrong already is for `node:http` to answer at once.
 * @module
 */
import type { LimitsConfig } from '../../config/schema.ts';
import { TOKEN_CHARS, trimOws } from '../fields/headers.ts';
import { isPrintable } from '../fields/printable.ts';
import { fieldName, isFieldRecognised, line, readLine } from './field-line.ts';

/** `whole`: its empty line has come. `other`: it cannot be recognised, whatever follows. */
export type Progress = 'more' | 'whole' | 'other';

export interface HeadBounds {
  readonly maxBytes: number;
  readonly maxLines: number;
}

type State = 'target' | 'version' | 'line' | 'name' | 'colon' | 'space' | 'value' | 'line-end' | 'end';

const VERSION = 'HTTP/1.1\r\n';
const CONNECTION = 'connection';
const [TAB, LF, CR, SPACE, COLON, DEL] = [0x09, 0x0a, 0x0d, 0x20, 0x3a, 0x7f] as const;

/** Pieces that are held one by one, until they are made one string: each takes more than its byte. */
const MAX_PIECES = 64;

/** Characters of a name: none that makes a difference is as long. */
const MOST_KEPT = 32;

/** The last characters of a target and of a name, so far as they have come. */
const VISIBLE = /[\x21-\x7e]*/y;
const TOKEN = new RegExp(`(?:${TOKEN_CHARS})?`, 'y');

/** Colon, space and line end of a field. */
const LINE_OVERHEAD_BYTES = 4;

/** Method, version and the ends of the request line and the head. */
const HEAD_OVERHEAD_BYTES = 64;

/** Maximum size of a head within the limits: `node:http` counts the target, names and values towards `max_header`. */
export function mostHeadBytes({ max_header, max_headers }: Pick<LimitsConfig, 'max_header' | 'max_headers'>): number {
  return max_header + LINE_OVERHEAD_BYTES * max_headers + HEAD_OVERHEAD_BYTES;
}

const REQUEST_LINE = /[A-Z]+ \/[\x21-\x7e]*(?: HTTP\/1\.1\r\n|$)/y;

/** Returns whether a request begins there whose head does not end within so many bytes, whatever follows. */
export function isHeadBeyond(text: string, most: number): boolean {
  const head = text.slice(0, most);
  REQUEST_LINE.lastIndex = 0;
  return REQUEST_LINE.test(head) && !head.includes('\r\n\r\n');
}

const HEAD_END = Buffer.from('\r\n\r\n');

/** As `isHeadBeyond`, for bytes: no string is made of a head that is refused. */
export function isHeadOfBytesBeyond(bytes: Buffer, length: number, most: number): boolean {
  if (length < most) return false;
  const head = bytes.subarray(0, most);
  if (head.includes(HEAD_END)) return false;
  const lineEnd = head.indexOf('\n');
  const line = head.toString('latin1', 0, lineEnd < 0 ? most : lineEnd + 1);
  REQUEST_LINE.lastIndex = 0;
  return REQUEST_LINE.test(line);
}

export class HeadProgress {
  readonly #bounds: HeadBounds;
  /** Text so far. */
  text = '';
  #pieces = 0;
  #state: State = 'target';
  #version = 0;
  #lines = 0;
  /** Name of the current line, as far as it matters. */
  #name = '';
  /** Value of the current line, if it is a Connection: no other one matters. */
  #value = '';
  #progress: Progress = 'more';

  constructor(bounds: HeadBounds) {
    this.#bounds = bounds;
  }

  /** @param piece - What has come since the last call; the first one begins with the request line. */
  add(piece: string): Progress {
    const isFirst = this.text === '';
    this.text += piece;
    if (++this.#pieces >= MAX_PIECES) {
      this.text = Buffer.from(this.text, 'latin1').toString('latin1');
      this.#pieces = 0;
    }
    if (this.#progress !== 'more') return this.#progress;
    this.#progress = this.#read(piece, isFirst);
    if (this.#progress === 'more' && this.text.length >= this.#bounds.maxBytes) this.#progress = 'other';
    return this.#progress;
  }

  #read(piece: string, isFirst: boolean): Progress {
    let at = 0;
    if (isFirst) {
      at = piece.startsWith('GET /') ? 5 : piece.startsWith('HEAD /') ? 6 : 0;
      if (at === 0) return 'other';
    }
    let progress: Progress = 'more';
    while (at < piece.length && progress === 'more') {
      if (this.#state === 'line') at = this.#readLines(piece, at);
      if (at === piece.length) break;
      at = this.#skip(piece, at);
      if (at < 0) return 'other';
      if (at === piece.length) break;
      const next = this.#step(piece.charCodeAt(at));
      if (next === undefined) return 'other';
      if (next === 'end' && piece.charCodeAt(at) === LF) progress = 'whole';
      this.#state = next;
      at++;
    }
    // The bytes of all values at once: the other ones were looked at by themselves.
    return isPrintable(piece.slice(0, at)) ? progress : 'other';
  }

  /** @returns Where the first line begins that is not there as a whole, or that there is something to say about. */
  #readLines(piece: string, from: number): number {
    let at = from;
    while (this.#lines < this.#bounds.maxLines && readLine(piece, at)) {
      const { name, next } = line;
      if (!isFieldRecognised(name, name.isConnection ? piece.slice(line.from, line.to) : '')) break;
      this.#lines++;
      at = next;
    }
    return at;
  }

  /** @returns Where the target, the name or the value ends, or the piece; below 0 where it is wrong. */
  #skip(piece: string, at: number): number {
    switch (this.#state) {
      case 'target':
        return endOf(VISIBLE, piece, at);
      case 'name': {
        const end = endOf(TOKEN, piece, at);
        this.#name = withMore(this.#name, piece, at, end);
        return end;
      }
      case 'value': {
        const found = piece.indexOf('\r', at);
        const end = found < 0 ? piece.length : found;
        if (end === at) return at;
        const feed = piece.indexOf('\n', at);
        if (feed >= 0 && feed < end) return -1;
        if (this.#isConnection) this.#value += piece.slice(at, end);
        return end;
      }
      default:
        return at;
    }
  }

  get #isConnection(): boolean {
    return this.#name.length === CONNECTION.length && this.#name.toLowerCase() === CONNECTION;
  }

  /** @returns `undefined` for a byte that cannot stand there. */
  #step(char: number): State | undefined {
    switch (this.#state) {
      case 'target':
        return char === SPACE ? 'version' : undefined;
      case 'version':
        if (char !== VERSION.charCodeAt(this.#version)) return undefined;
        return ++this.#version === VERSION.length ? 'line' : 'version';
      case 'line':
        if (char === CR) return this.#lines > 0 ? 'end' : undefined;
        this.#name = String.fromCharCode(char);
        this.#value = '';
        return endOf(TOKEN, this.#name, 0) === 1 && ++this.#lines <= this.#bounds.maxLines ? 'name' : undefined;
      case 'name':
        return char === COLON ? 'colon' : undefined;
      case 'colon':
      case 'space':
        if (char === CR) return 'line-end';
        if (char === SPACE || char === TAB) return 'space';
        if (char < SPACE || char >= DEL) return undefined;
        if (this.#isConnection) this.#value = String.fromCharCode(char);
        return 'value';
      case 'value':
        return 'line-end';
      case 'line-end':
        return char === LF && isFieldRecognised(fieldName(this.#name), trimOws(this.#value)) ? 'line' : undefined;
      case 'end':
        return char === LF ? 'end' : undefined;
    }
  }
}

function endOf(chars: RegExp, text: string, from: number): number {
  chars.lastIndex = from;
  chars.test(text);
  return chars.lastIndex;
}

/** @returns The beginning of a name, as far as it makes a difference. */
function withMore(kept: string, piece: string, from: number, to: number): string {
  return kept.length >= MOST_KEPT ? kept : kept + piece.slice(from, Math.min(to, from + MOST_KEPT - kept.length));
}
