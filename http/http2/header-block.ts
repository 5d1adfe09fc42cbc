/**
 * Writes header blocks (RFC 7541). They refer to the static table only: a block
 * that is made once is good for every connection, and nothing has to be kept
 * for those that wait.
 * @module
 */

import { TwoGenerationCache } from '../../lib/two-generation-cache.ts';
import type { RawHeaders } from '../fields/headers.ts';
import { ID_CHARS } from '../request-id.ts';
import { encodeHuffman, huffmanLength } from './huffman.ts';
import { STATIC_FIELDS } from './static-table.ts';

const NAMES = new Map<string, number>();
const WHOLE = new Map<string, number>();
STATIC_FIELDS.forEach(([name, value], index) => {
  if (!NAMES.has(name)) NAMES.set(name, index + 1);
  WHOLE.set(`${name}: ${value}`, index + 1);
});

/**
 * Fields whose values are of one response only, or secret: their codes are not remembered. Nor are values that are as
 * long as the identifier of a request.
 */
const NOT_REMEMBERED: ReadonlySet<string> = new Set([
  'age',
  'cache-status',
  'content-length',
  'content-range',
  'etag',
  'last-modified',
  'location',
  'set-cookie',
]);

/** RFC 7541, section 7.1.3: what must not be put into the table of a proxy further on. */
const SECRET: ReadonlySet<string> = new Set(['set-cookie', 'authorization']);

/** Maximum size of each of two generations. */
const GENERATION_BYTES = 256 * 1024;
const MAX_REMEMBERED_CHARS = 256;

/** Encoded lines. */
const codes = new TwoGenerationCache<string, Buffer>({
  generationWeight: GENERATION_BYTES,
  weightOf: (line, code) => line.length + code.length,
});

let scratch = Buffer.allocUnsafeSlow(16 * 1024);

/**
 * @param fields - Names in lower case, and values, one character for each byte; `:status` first in a response.
 */
export function headerBlock(fields: RawHeaders): Buffer {
  let most = 0;
  for (const text of fields) most += text.length + MAX_INTEGER_BYTES;
  if (most > scratch.length) scratch = Buffer.allocUnsafeSlow(most);
  let at = 0;
  for (let i = 0; i < fields.length; i += 2) at = writeField(fields[i] as string, fields[i + 1] as string, at);
  return Buffer.from(scratch.subarray(0, at));
}

function writeField(name: string, value: string, at: number): number {
  if (NOT_REMEMBERED.has(name) || value.length === ID_CHARS || value.length > MAX_REMEMBERED_CHARS)
    return writeAnew(name, value, at);
  const line = `${name}: ${value}`;
  let code = codes.get(line);
  if (code === undefined) {
    code = Buffer.from(scratch.subarray(at, writeAnew(name, value, at)));
    codes.set(line, code);
  }
  scratch.set(code, at);
  return at + code.length;
}

function writeAnew(name: string, value: string, at: number): number {
  const whole = WHOLE.get(`${name}: ${value}`);
  if (whole !== undefined && value !== '') return writeInteger(0x80, 0x7f, whole, at);
  const index = NAMES.get(name) ?? 0;
  const start = writeInteger(SECRET.has(name) ? 0x10 : 0x00, 0x0f, index, at);
  return writeString(value, index === 0 ? writeString(name, start) : start);
}

function writeString(text: string, at: number): number {
  const length = huffmanLength(text);
  if (length < text.length) return encodeHuffman(text, scratch, writeInteger(0x80, 0x7f, length, at));
  const start = writeInteger(0, 0x7f, text.length, at);
  return start + scratch.write(text, start, 'latin1');
}

/** The pattern, and the number behind it or in bytes of its own: no text is longer than they can say. */
const MAX_INTEGER_BYTES = 6;

function writeInteger(pattern: number, mask: number, value: number, start: number): number {
  let at = start;
  if (value < mask) {
    scratch[at++] = pattern | value;
    return at;
  }
  scratch[at++] = pattern | mask;
  let left = value - mask;
  for (; left >= 0x80; left >>>= 7) scratch[at++] = (left & 0x7f) | 0x80;
  scratch[at++] = left;
  return at;
}
