/**
 * Heads of a server that repeat the last one but for some values: the lines are compared with the last ones byte for
 * byte, and only a value that differs is read. Whatever is spelt otherwise is left to the parser.
 * @module
 */
import { type FieldLine, fieldLineOf, type RawHeaders } from '../fields/headers.ts';
import type { ResponseHead } from '../message.ts';

/** Heads with more fields are not repeated. */
const MAX_FIELDS = 64;

/** A longer value is read each time. */
const MAX_VALUE_BYTES = 128;

/** A server may have several kinds of responses: of so many heads that differ, one is remembered. */
const REMEMBERED_OF = 8;

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const DELETE = 0x7f;

/** A field line: its name is always the same, its value may be another one. */
class RepeatedLine {
  readonly #name: Uint8Array;
  readonly #value = new Uint8Array(MAX_VALUE_BYTES);
  /** Bytes of the value with its line end; 0: they are not known. */
  #length = 0;
  readonly #line: FieldLine;
  value = '';

  constructor(name: string) {
    this.#line = fieldLineOf(name);
    this.#name = bytesOf(`${name}: `);
  }

  /** @returns End of the line; -1: it is another one, or spelt in another way, or not whole. */
  read(bytes: Buffer, at: number, length: number): number {
    const from = skip(bytes, at, length, this.#name, this.#name.length);
    if (from < 0) return -1;
    const same = this.#length === 0 ? -1 : skip(bytes, from, length, this.#value, this.#length);
    return same < 0 ? this.#readValue(bytes, from, length) : same;
  }

  /** Takes a value of visible characters and single spaces between them, as nearly all are. */
  #readValue(bytes: Buffer, from: number, length: number): number {
    let to = from;
    while (to < length && isPlain(bytes[to] as number)) to++;
    const end = to + 2;
    if (to === from || end > length || bytes[to] !== CR || bytes[to + 1] !== LF) return -1;
    if (bytes[from] === SPACE || bytes[to - 1] === SPACE) return -1;
    this.value = bytes.toString('latin1', from, to);
    this.#length = end - from <= MAX_VALUE_BYTES ? end - from : 0;
    if (this.#length > 0) this.#line.sound = this.value;
    for (let i = 0; i < this.#length; i++) this.#value[i] = bytes[from + i] as number;
    return end;
  }
}

export class RepeatedHead {
  #statusLine: Uint8Array = bytesOf('');
  #lines: readonly RepeatedLine[] = [];
  /** Names, and values of the last head. */
  #headers: string[] = [];
  /** Heads that were others since the last was remembered. */
  #others = REMEMBERED_OF;
  status = 0;
  statusText = '';

  /** Fields of the head that was read. */
  get headers(): string[] {
    return this.#headers.slice();
  }

  /** @returns End of a head with these lines; -1: there is none at `at`, or not all of it. */
  read(bytes: Buffer, at: number, length: number): number {
    const statusLine = this.#statusLine;
    if (statusLine.length === 0) return -1;
    const lines = this.#lines;
    let next = skip(bytes, at, length, statusLine, statusLine.length);
    for (let i = 0; i < lines.length && next >= 0; i++) {
      const line = lines[i] as RepeatedLine;
      next = line.read(bytes, next, length);
      this.#headers[2 * i + 1] = line.value;
    }
    return next >= 0 && next + 2 <= length && bytes[next] === CR && bytes[next + 1] === LF ? next + 2 : -1;
  }

  /** Notes a head of HTTP/1.1 that the parser has read. */
  remember({ status, statusText, headers }: ResponseHead): void {
    if (++this.#others < REMEMBERED_OF || headers.length > 2 * MAX_FIELDS) return;
    this.#others = 0;
    this.status = status;
    this.statusText = statusText;
    this.#statusLine = bytesOf(`HTTP/1.1 ${status} ${statusText}\r\n`);
    this.#lines = namesOf(headers).map((name) => new RepeatedLine(name));
    this.#headers = [...headers];
  }
}

function namesOf(headers: RawHeaders): readonly string[] {
  return headers.filter((_, i) => i % 2 === 0);
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}

/** @returns Where the expected bytes end; -1: there are others. */
function skip(bytes: Buffer, at: number, length: number, expected: Uint8Array, count: number): number {
  if (at + count > length) return -1;
  for (let i = 0; i < count; i++) if (bytes[at + i] !== expected[i]) return -1;
  return at + count;
}

function isPlain(byte: number): boolean {
  return byte >= SPACE && byte !== DELETE;
}
