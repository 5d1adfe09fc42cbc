/**
 * Grammar of a response's head (RFC 9112, sections 4, 5 and 6): its lines, its fields, and what these say of the body's
 * framing.
 * @module
 */
import { interned, isFieldName, lowerCase, remembered } from '../fields/headers.ts';
import { UPSTREAM_CAUSES, type UpstreamCause, UpstreamError } from './errors.ts';

/** The bytes are not a response, or not a whole one. */
export class ResponseError extends UpstreamError {
  constructor(cause: UpstreamCause, detail: string) {
    super(UPSTREAM_CAUSES[cause].code, UPSTREAM_CAUSES[cause], `${cause}: ${detail}`, { reason: cause });
  }
}

export const CR = 0x0d;
const SPACE = 0x20;

/** Rules for the lines of a header section. */
export interface Grammar {
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

export const STRICT: Grammar = {
  ...linesOf('\\r\\n'),
  headEnd: (text, before) => {
    const found = text.indexOf('\r\n\r\n', Math.max(0, before - 3));
    return found < 0 ? -1 : found + 4;
  },
  isBroken: (text) => /(?<!\r)\n/.test(text),
};

/** Accepts LF where CRLF belongs, as nginx and llhttp's lenient mode do. */
export const LENIENT: Grammar = {
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

/** Message framing, from the fields. */
export class Framing {
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
export function readFields(
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
