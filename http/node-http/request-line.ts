/**
 * Request lines that are valid and that the parser of `node:http` refuses:
 * methods that it does not know, and targets with bytes beyond ASCII. They are
 * written so that it takes them, and nothing else of a request changes.
 * @module
 */
import { METHODS } from 'node:http';
import { TOKEN_CHARS } from '../fields/headers.ts';
import type { Progress } from '../http1/head-progress.ts';

/** A request line as the parser takes it, and what follows it. */
export interface WrittenAnew {
  readonly bytes: Buffer;
  /** The method of the request, where the line has another one instead. */
  readonly method: string | undefined;
}

const PARSED: ReadonlySet<string> = new Set(METHODS);

/** A method that means nothing to the parser: whether there is a body is for the fields to say. */
const STAND_IN = 'POST';

const CR = 0x0d;
const LF = 0x0a;

const TOKEN = new RegExp(`^${TOKEN_CHARS}$`);
const LINE = new RegExp(`^(${TOKEN_CHARS}) ([^ ]+) (HTTP/1\\.[01])$`);
const BEYOND_ASCII = /[\x80-\xff]/g;

/**
 * @param bytes - From where a request begins.
 * @returns `undefined` where they are to be read as they are.
 */
export function writtenAnew(bytes: Buffer): WrittenAnew | undefined {
  const start = emptyLines(bytes);
  const end = bytes.indexOf('\r\n', start);
  const match = end < 0 ? null : LINE.exec(bytes.toString('latin1', start, end));
  if (match === null) return undefined;
  const [, method = '', target = '', version = ''] = match;
  const isParsed = PARSED.has(method);
  const isAscii = target.search(BEYOND_ASCII) < 0;
  if (isParsed && isAscii) return undefined;
  // As http/request-target.ts escapes it.
  const written = target.replace(BEYOND_ASCII, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
  const line = Buffer.from(`${isParsed ? method : STAND_IN} ${written} ${version}`, 'latin1');
  return { bytes: Buffer.concat([line, bytes.subarray(end)]), method: isParsed ? undefined : method };
}

/** RFC 9112, section 2.2: empty lines before a request are ignored. */
function emptyLines(bytes: Buffer): number {
  let at = 0;
  while (bytes[at] === CR && bytes[at + 1] === LF) at += 2;
  return at;
}

/**
 * A request line that arrives in pieces: it is waited for as a whole, so that it
 * can be written anew. What is wrong already is for `node:http` to answer at once.
 */
export class LineProgress {
  readonly #maxBytes: number;
  /** Text so far. */
  text = '';
  #pieces = 0;
  #state: 'method' | 'rest' | 'end' = 'method';

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @param piece - What has come since the last call; the first one begins with the request line. */
  add(piece: string): Progress {
    this.text += piece;
    if (++this.#pieces % MAX_PIECES === 0) this.text = Buffer.from(this.text, 'latin1').toString('latin1');
    for (let at = 0; at < piece.length; at++) {
      const char = piece.charCodeAt(at);
      if (this.#state === 'end') return char === LF ? 'whole' : 'other';
      if (char === LF) return 'other';
      if (char === CR) this.#state = 'end';
      else if (this.#state === 'method' && char === SPACE && this.text.length + at > piece.length) this.#state = 'rest';
      else if (this.#state === 'method' && !IS_TOKEN[char]) return 'other';
    }
    return this.text.length >= this.#maxBytes ? 'other' : 'more';
  }
}

const SPACE = 0x20;

/** Pieces that are held one by one, until they are made one string. */
const MAX_PIECES = 64;

const IS_TOKEN: readonly boolean[] = Array.from({ length: 256 }, (_, code) => {
  return TOKEN.test(String.fromCharCode(code));
});

/**
 * Returns whether the parser may have stopped at an unknown method.
 *
 * @param text - From where it stopped, as far as it has come.
 */
export function isMethodUnknown(text: string): boolean {
  const end = text.indexOf('\r\n');
  return end < 0 ? TOKEN_SO_FAR.test(text) : REST_OF_LINE.test(text.slice(0, end));
}

const TOKEN_SO_FAR = new RegExp(`^${TOKEN_CHARS}(?: |$)`);
const REST_OF_LINE = new RegExp(`^${TOKEN_CHARS} [^ ]+ HTTP/1\\.[01]$`);
