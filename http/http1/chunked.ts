/**
 * Reader of the chunked transfer coding (RFC 9112, section 7.1), for requests and responses: what one call brings
 * becomes one piece of the body, however many chunks it came in.
 *
 * Lines end with CRLF. Extensions are dropped; they hold no control characters, and a quoted string in one ends on its
 * line, so that no other reader sees the end of a line elsewhere.
 * @module
 */

export interface ChunkedOptions {
  /** Most bytes of the trailers, with their line ends. */
  readonly maxTrailerBytes: number;
  /** Accepts whitespace behind a chunk size, as some origins send it (section 7.1.1 has it before extensions only). */
  readonly spaceAfterSize: boolean;
  /** Makes the error that is thrown. @param isTooLarge - Trailers; else the coding is malformed. */
  readonly fault: (detail: string, isTooLarge: boolean) => Error;
}

/** A chunk's size with its extensions, which are not used. */
const MAX_LINE_BYTES = 4_096;

/** Hexadecimal digits of a size: up to 2^52. */
const MAX_DIGITS = 13;

/** A run of data up to this is moved byte by byte, which is cheaper than a call. */
const SHORT_RUN_BYTES = 24;

/** `1`, the end of its line, a byte, and its end. */
const SHORTEST_CHUNK_BYTES = 6;

const [TAB, LF, CR, SPACE, QUOTE, SEMICOLON, BACKSLASH, DEL] = [
  0x09, 0x0a, 0x0d, 0x20, 0x22, 0x3b, 0x5c, 0x7f,
] as const;

const STATE = {
  size: 0,
  space: 1,
  extension: 2,
  quoted: 3,
  escaped: 4,
  lineFeed: 5,
  data: 6,
  dataEnd: 7,
  dataLineFeed: 8,
  trailers: 9,
  done: 10,
} as const;

type State = (typeof STATE)[keyof typeof STATE];

/** Values of hexadecimal digits; 16 for all else. */
const DIGIT = Uint8Array.from({ length: 256 }, (_, code) => {
  const char = String.fromCharCode(code);
  return /^[0-9a-fA-F]$/.test(char) ? Number.parseInt(char, 16) : 16;
});

export class ChunkedReader {
  readonly #options: ChunkedOptions;
  #state: State = STATE.size;
  #size = 0;
  #digits = 0;
  #lineBytes = 0;
  /** Bytes that the chunk still has to bring. */
  #left = 0;
  /** A line of the trailers of which the end has not come. */
  #line = '';
  /** Lines of the trailers, each with its end. */
  trailers = '';
  /** Data of the last call, in the bytes that it was given. */
  dataFrom = 0;
  dataTo = 0;

  constructor(options: ChunkedOptions) {
    this.#options = options;
  }

  /** True once the body and its trailers are complete. */
  get isDone(): boolean {
    return this.#state === STATE.done;
  }

  /**
   * Reads what has come, and moves the data in it together: from `dataFrom` to `dataTo`, also when it throws.
   *
   * @param bytes - Written over where they are read.
   * @returns How far they are read: less than `to` only if the body ends before.
   */
  read(bytes: Buffer, from: number, to: number): number {
    this.dataFrom = from;
    this.dataTo = from;
    let at = from;
    while (at < to) {
      switch (this.#state) {
        case STATE.data:
          at = this.#readData(bytes, at, to);
          break;
        case STATE.dataEnd:
          if (bytes[at++] !== CR) throw this.#malformed('a chunk does not end where it says');
          this.#state = STATE.dataLineFeed;
          break;
        case STATE.dataLineFeed:
          if (bytes[at++] !== LF) throw this.#malformed('a chunk does not end where it says');
          this.#state = STATE.size;
          break;
        case STATE.trailers:
          at = this.#readTrailers(bytes, at, to);
          break;
        case STATE.done:
          return at;
        default:
          if (this.#state === STATE.size && this.#digits === 0) at = this.#readShortChunks(bytes, at, to);
          if (at < to) at = this.#readSize(bytes, at, to);
      }
    }
    return at;
  }

  /**
   * Reads chunks of up to 15 bytes without extensions that are all there: a body of single bytes has thousands.
   *
   * @returns Offset of the first chunk that is none of them.
   */
  #readShortChunks(bytes: Buffer, from: number, to: number): number {
    let at = from;
    let target = this.dataTo;
    while (at + SHORTEST_CHUNK_BYTES <= to) {
      const size = DIGIT[bytes[at] as number] as number;
      const start = at + 3;
      const end = start + size;
      const isShort = size > 0 && size < 16 && end + 2 <= to && bytes[at + 1] === CR && bytes[at + 2] === LF;
      if (!isShort || bytes[end] !== CR || bytes[end + 1] !== LF) break;
      if (this.dataFrom === target) {
        this.dataFrom = start;
        target = end;
      } else for (let i = start; i < end; i++) bytes[target++] = bytes[i] as number;
      at = end + 2;
    }
    this.dataTo = target;
    return at;
  }

  #readData(bytes: Buffer, at: number, to: number): number {
    const end = Math.min(to, at + this.#left);
    this.#left -= end - at;
    if (this.#left === 0) this.#state = STATE.dataEnd;
    if (this.dataFrom === this.dataTo) {
      this.dataFrom = at;
      this.dataTo = end;
      return end;
    }
    const target = this.dataTo;
    this.dataTo = target + end - at;
    if (end - at > SHORT_RUN_BYTES) bytes.copyWithin(target, at, end);
    else for (let i = at, j = target; i < end; i++, j++) bytes[j] = bytes[i] as number;
    return end;
  }

  /** Reads the line of a chunk's size, as far as it has come. */
  #readSize(bytes: Buffer, from: number, to: number): number {
    let state: State = this.#state;
    const end = Math.min(to, from + MAX_LINE_BYTES - this.#lineBytes);
    let at = from;
    for (; at < end && state <= STATE.lineFeed; at++) {
      const code = bytes[at] as number;
      switch (state) {
        case STATE.size: {
          const digit = DIGIT[code] as number;
          if (digit < 16) {
            if (++this.#digits > MAX_DIGITS) throw this.#malformed('the size of a chunk has too many digits');
            this.#size = this.#size * 16 + digit;
          } else if (this.#digits === 0) throw this.#malformed('not the size of a chunk');
          else state = this.#afterSize(code);
          break;
        }
        case STATE.space:
          state = this.#afterSize(code);
          break;
        case STATE.extension:
          if (IS_PLAIN[code] === 1) {
            while (at + 1 < end && IS_PLAIN[bytes[at + 1] as number] === 1) at++;
          } else if (code === CR) state = STATE.lineFeed;
          else if (code === QUOTE) state = STATE.quoted;
          else if (!isText(code)) throw this.#malformed('a control character in an extension');
          break;
        case STATE.quoted:
          if (code === QUOTE) state = STATE.extension;
          else if (code === BACKSLASH) state = STATE.escaped;
          else if (!isText(code)) throw this.#malformed('a control character in an extension');
          break;
        case STATE.escaped:
          if (!isText(code)) throw this.#malformed('a control character in an extension');
          state = STATE.quoted;
          break;
        default:
          if (code !== LF) throw this.#malformed('a line does not end with CRLF');
          state = this.#endLine();
      }
    }
    this.#state = state;
    if (state > STATE.lineFeed) return at;
    this.#lineBytes += at - from;
    if (this.#lineBytes === MAX_LINE_BYTES) throw this.#malformed('a line is too long');
    return at;
  }

  #afterSize(code: number): State {
    if (code === CR) return STATE.lineFeed;
    if (code === SEMICOLON) return STATE.extension;
    if (this.#options.spaceAfterSize && (code === SPACE || code === TAB)) return STATE.space;
    throw this.#malformed('not the size of a chunk');
  }

  #endLine(): State {
    const size = this.#size;
    this.#left = size;
    this.#size = 0;
    this.#digits = 0;
    this.#lineBytes = 0;
    return size === 0 ? STATE.trailers : STATE.data;
  }

  #readTrailers(bytes: Buffer, at: number, to: number): number {
    const found = bytes.indexOf(LF, at);
    const isWhole = found >= 0 && found < to;
    const end = isWhole ? found + 1 : to;
    const line = this.#line + bytes.toString('latin1', at, end);
    if (this.trailers.length + line.length > this.#options.maxTrailerBytes) {
      throw this.#options.fault('trailers are too large', true);
    }
    this.#line = isWhole ? '' : line;
    if (!isWhole) return end;
    // They are read together when the empty line behind them is there.
    if (line === '\r\n') this.#state = STATE.done;
    else this.trailers += line;
    return end;
  }

  #malformed(detail: string): Error {
    return this.#options.fault(detail, false);
  }
}

/** Bytes of an extension that neither end it nor begin a quoted string. */
const IS_PLAIN = Uint8Array.from({ length: 256 }, (_, code) => (isText(code) && code !== QUOTE ? 1 : 0));

function isText(code: number): boolean {
  return (code >= SPACE && code !== DEL) || code === TAB;
}
