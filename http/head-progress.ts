/**
 * A head that arrives in pieces: whether more bytes could make it one that is recognised (recogniser.ts). Each byte is
 * looked at once, however small the pieces are. What is wrong already is for `node:http` to answer at once.
 * @module
 */

/** `whole`: its empty line has come. `other`: it cannot be recognised, whatever follows. */
export type Progress = 'more' | 'whole' | 'other';

export interface HeadBounds {
  readonly maxBytes: number;
  readonly maxLines: number;
  /** Returns whether the line is one that the recogniser handles. */
  readonly isRecognised: (name: string, value: string) => boolean;
}

type State = 'target' | 'version' | 'line' | 'name' | 'colon' | 'space' | 'value' | 'line-end' | 'end';

const VERSION = 'HTTP/1.1\r\n';
const [TAB, LF, CR, SPACE, COLON, DEL] = [0x09, 0x0a, 0x0d, 0x20, 0x3a, 0x7f] as const;

/** Pieces that are held one by one, until they are made one string: each takes more than its byte. */
const MAX_PIECES = 64;

/** Characters of a name or a value: none that makes a difference is as long. */
const MOST_KEPT = 32;

const IS_TOKEN = Uint8Array.from({ length: 256 }, (_, code) =>
  /^[!#$%&'*+.^_`|~0-9A-Za-z-]$/.test(String.fromCharCode(code)) ? 1 : 0,
);

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
  #value = '';
  #last = 0;
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
    for (; at < piece.length; at++) {
      const next = this.#step(piece.charCodeAt(at));
      if (next === undefined) return 'other';
      if (next === 'end' && piece.charCodeAt(at) === LF) return 'whole';
      this.#state = next;
    }
    return 'more';
  }

  /** @returns `undefined` for a byte that cannot stand there. */
  #step(char: number): State | undefined {
    const isVisible = char > SPACE && char < DEL;
    switch (this.#state) {
      case 'target':
        return char === SPACE ? 'version' : isVisible ? 'target' : undefined;
      case 'version':
        if (char !== VERSION.charCodeAt(this.#version)) return undefined;
        return ++this.#version === VERSION.length ? 'line' : 'version';
      case 'line':
        if (char === CR) return this.#lines > 0 ? 'end' : undefined;
        this.#name = String.fromCharCode(char);
        this.#value = '';
        return IS_TOKEN[char] === 1 && ++this.#lines <= this.#bounds.maxLines ? 'name' : undefined;
      case 'name':
        if (char === COLON) return 'colon';
        if (this.#name.length < MOST_KEPT) this.#name += String.fromCharCode(char);
        return IS_TOKEN[char] === 1 ? 'name' : undefined;
      case 'colon':
        if (char === SPACE) return 'space';
        return isVisible ? this.#addToValue(char) : undefined;
      case 'space':
        return isVisible ? this.#addToValue(char) : undefined;
      case 'value':
        if (char === CR) return this.#last > SPACE ? 'line-end' : undefined;
        return isVisible || char === SPACE || char === TAB ? this.#addToValue(char) : undefined;
      case 'line-end':
        return char === LF && this.#bounds.isRecognised(this.#name, this.#value) ? 'line' : undefined;
      case 'end':
        return char === LF ? 'end' : undefined;
    }
  }

  #addToValue(char: number): State {
    this.#last = char;
    if (this.#value.length < MOST_KEPT) this.#value += String.fromCharCode(char);
    return 'value';
  }
}
