/**
 * Recognises the requests that can be answered without a parser: GET and HEAD
 * in HTTP/1.1, whole, strictly well-formed, without a body and without a word about the connection, but that it is to
 * be kept or closed. Whatever it does not recognise is for `node:http`; refusing everything would change nothing but
 * the time that answers take.
 *
 * It never looks at a byte behind the head. That is safe because nothing that it
 * recognises has a body (RFC 9112, section 6.3, rule 7).
 *
 * Visitors repeat a header section from request to request, so what it means
 * is remembered by its text, and only the request line is new each time.
 * @module
 */

import { TwoGenerationCache } from '../../lib/two-generation-cache.ts';
import { fieldLines, type RawHeaders } from '../fields/headers.ts';
import { isPrintable, printableCopy } from '../fields/printable.ts';
import type { RepeatedSection, TargetBytes } from '../prepared-delivery.ts';
import { type FieldName, isFieldFraming, isFieldRecognised, line, readLine } from './field-line.ts';
import { HeadProgress } from './head-progress.ts';

/** A header section that was met before. */
export interface Section extends RepeatedSection, ParsedSection {
  /** As it came, from the first name to the last line's end. */
  readonly text: string;
  /** The section and the empty line after it, once it was met again. */
  bytes: SectionBytes | undefined;
}

/**
 * Bytes to compare with what has come, eight at a time: for so few that takes a third of a call of `Buffer.compare`.
 */
class SectionBytes {
  readonly #bytes: Uint8Array;
  readonly #words: BigInt64Array;

  constructor(text: string) {
    this.#bytes = Uint8Array.from(Buffer.from(text, 'latin1'));
    this.#words = new BigInt64Array(this.#bytes.buffer, 0, this.#bytes.length >> WORD_BITS);
  }

  /** Returns whether these bytes are in `view` from `start` on. @param view - With as many bytes from there on. */
  isAt(view: DataView, start: number): boolean {
    const bytes = this.#bytes;
    const words = this.#words;
    const count = words.length;
    // Neither makes an object of the integer where both are compared at once.
    for (let i = 0; i < count; i++) if (view.getBigInt64(start + (i << WORD_BITS), true) !== words[i]) return false;
    for (let i = count << WORD_BITS; i < bytes.length; i++) if (view.getUint8(start + i) !== bytes[i]) return false;
    return true;
  }
}

/** Bytes of a word, as a power of two. */
const WORD_BITS = 3;

export interface RecogniserOptions {
  /** Bytes of a head; a longer one is not recognised. */
  readonly maxBytes: number;
  /** Header lines of a head. */
  readonly maxLines: number;
  /** True (the default) if sections are repeated and worth caching. */
  readonly repeats?: boolean;
}

/** Sections longer than this are not remembered beyond their connection. */
const MAX_REMEMBERED_BYTES = 4_096;

/** Maximum size of each of two generations, in characters of header sections. */
const GENERATION_BYTES = 512 * 1024;

/** Minimum size that a section counts for: its meaning takes some kilobytes, however short it is. */
const LEAST_BYTES = 256;

export class Recogniser implements TargetBytes {
  readonly #options: RecogniserOptions;
  /** By their text. */
  readonly #sections = new TwoGenerationCache<string, Section>({
    generationWeight: GENERATION_BYTES,
    weightOf: (text) => Math.max(text.length, LEAST_BYTES),
  });

  /** Properties of the last head that was recognised: valid until the next call. */
  isHead = false;
  section: Section | undefined;
  /** End of the last head. */
  end = 0;
  /** Bytes of the last head's target, if it was recognised as bytes: valid until they are overwritten. */
  bytes: Buffer | undefined;
  targetFrom = 0;
  targetTo = 0;
  #target: string | undefined;
  /** The bytes that were looked at last, mostly those that all connections read into. */
  #viewed: Buffer | undefined;
  #view: DataView | undefined;

  constructor(options: RecogniserOptions) {
    this.#options = options;
  }

  /** Returns whether a head that is not recognised does not affect the requests before it. */
  isWellFormed(text: string): boolean {
    const { maxBytes, maxLines } = this.#options;
    return beginsWithSoundHead(text.slice(0, maxBytes), maxLines);
  }

  /**
   * @returns What tells of a head that has not come to its end whether it may be recognised then, or is of so many
   * bytes.
   */
  headInPieces(maxBytes: number = this.#options.maxBytes): HeadProgress {
    const { maxLines } = this.#options;
    return new HeadProgress({ maxBytes, maxLines });
  }

  /** Target of the last head. Most requests are answered without making a string of it. */
  get target(): string {
    this.#target ??= this.bytes?.toString('latin1', this.targetFrom, this.targetTo) ?? '';
    return this.#target;
  }

  get maxBytes(): number {
    return this.#options.maxBytes;
  }

  get maxLines(): number {
    return this.#options.maxLines;
  }

  /**
   * @param text - What came, one byte a character.
   * @param at - Where a request begins.
   * @param last - The section of the connection's last request.
   * @returns Whether there is one, whole; it is in the fields then.
   */
  recognise(text: string, at: number, last: Section | undefined): boolean {
    this.isHead = !text.startsWith('GET /', at);
    if (this.isHead && !text.startsWith('HEAD /', at)) return false;
    const start = at + (this.isHead ? 5 : 4);
    const lineEnd = text.indexOf('\n', start);
    if (lineEnd < 0 || !text.startsWith(VERSION, lineEnd - VERSION.length)) return false;
    const headEnd = text.indexOf('\r\n\r\n', lineEnd - 1);
    if (headEnd < lineEnd || headEnd + 4 - at > this.#options.maxBytes) return false;
    const lines = text.slice(lineEnd + 1, headEnd + 2);
    const section = last !== undefined && last.text === lines ? last : this.#sectionOf(lines);
    if (section === undefined) return false;
    this.#target = text.slice(start, lineEnd - VERSION.length);
    this.bytes = undefined;
    this.section = section;
    this.end = headEnd + 4;
    return true;
  }

  /**
   * As `recognise`, for bytes that are one head with the section of the
   * connection's last request: no string is made of it, so that it leaves nothing
   * to the garbage collector.
   *
   * @param length - How many of the bytes came.
   * @returns False also where `recognise` would find a request.
   */
  recogniseRepeat(bytes: Buffer, length: number, last: Section): boolean {
    const lineLength = length - last.text.length - 2;
    if (length > this.#options.maxBytes) return false;
    const isHead = !isAt(bytes, 0, GET);
    if (isHead && !isAt(bytes, 0, HEAD)) return false;
    const from = isHead ? HEAD.length - 1 : GET.length - 1;
    const to = lineLength - LINE_END.length;
    if (to <= from || !isAt(bytes, to, LINE_END)) return false;
    for (let i = from; i < to; i++) if ((bytes[i] as number) <= 0x20 || (bytes[i] as number) >= 0x7f) return false;
    // Only now: most large sections are not met again.
    last.bytes ??= new SectionBytes(`${last.text}\r\n`);
    if (!last.bytes.isAt(this.#viewOf(bytes), lineLength)) return false;
    this.isHead = isHead;
    this.#target = undefined;
    this.bytes = bytes;
    this.targetFrom = from;
    this.targetTo = to;
    this.section = last;
    this.end = length;
    return true;
  }

  #viewOf(bytes: Buffer): DataView {
    if (bytes !== this.#viewed || this.#view === undefined) {
      this.#viewed = bytes;
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    }
    return this.#view;
  }

  #sectionOf(lines: string): Section | undefined {
    const { maxLines, repeats = true } = this.#options;
    const isRemembered = repeats && lines.length <= MAX_REMEMBERED_BYTES;
    if (isRemembered) {
      const known = this.#sections.get(lines);
      if (known !== undefined) return known;
    }
    // A slice would hold everything that came with it, and so would the names and values that are slices of it.
    const text = printableCopy(lines);
    const parsed = text === undefined ? undefined : parseLines(text, maxLines, isFieldRecognised);
    if (text === undefined || parsed === undefined) return undefined;
    const section: Section = { text, ...parsed, memory: undefined, bytes: undefined };
    if (isRemembered) this.#sections.set(text, section);
    return section;
  }
}

/** End of the request line, before its line feed. */
const VERSION = ' HTTP/1.1\r';

const GET = Buffer.from('GET /');
const HEAD = Buffer.from('HEAD /');
const LINE_END = Buffer.from(`${VERSION}\n`);

function isAt(bytes: Buffer, at: number, expected: Buffer): boolean {
  for (let i = 0; i < expected.length; i++) if (bytes[at + i] !== expected[i]) return false;
  return true;
}

/** @returns Names and values as `node:http` would give them, or `undefined`. */
export function parseSection(lines: string, maxLines: number): RawHeaders | undefined {
  return isPrintable(lines) ? parseLines(lines, maxLines, isFieldRecognised)?.headers : undefined;
}

/** Header section as `node:http` would give it. */
export interface ParsedSection {
  readonly headers: RawHeaders;
  /** True if it asks for the connection to be closed behind the answer (RFC 9112, section 9.6). */
  readonly isLast: boolean;
}

/** @returns A section that may frame a body: by Content-Length or Transfer-Encoding, whatever they say. */
export function parseFramedSection(lines: string, maxLines: number): ParsedSection | undefined {
  const text = printableCopy(lines);
  return text === undefined ? undefined : parseLines(text, maxLines, isFieldFraming);
}

/** @param lines - Printable, each as `readLine` has it. */
function parseLines(
  lines: string,
  maxLines: number,
  isTaken?: (name: FieldName, value: string) => boolean,
): ParsedSection | undefined {
  const headers: string[] = [];
  let isLast = false;
  for (let at = 0; at < lines.length; at = line.next) {
    if (headers.length >= maxLines * 2 || !readLine(lines, at)) return undefined;
    const { name, from, to } = line;
    const value = lines.slice(from, to);
    if (isTaken?.(name, value) === false) return undefined;
    if (name.isConnection) isLast ||= value.toLowerCase() === 'close';
    headers.push(name.text, value);
  }
  return { headers, isLast };
}

/**
 * Returns whether the text begins with a head that a strict parser accepts, though the recogniser does not: the
 * requests before it are not affected.
 */
export function beginsWithSoundHead(text: string, maxLines: number): boolean {
  const headEnd = text.indexOf('\r\n\r\n');
  const lineEnd = text.indexOf('\r\n');
  if (headEnd < 0 || !SOUND_REQUEST_LINE.test(text.slice(0, lineEnd))) return false;
  const lines = text.slice(lineEnd + 2, headEnd + 2);
  const headers = isPrintable(lines) ? parseLines(lines, maxLines)?.headers : undefined;
  if (headers === undefined) return false;
  const lengths = fieldLines(headers, 'content-length');
  const codings = fieldLines(headers, 'transfer-encoding');
  if (lengths.length + codings.length > 1) return false;
  return lengths.every((length) => /^\d{1,9}$/.test(length)) && codings.every((coding) => coding === 'chunked');
}

const SOUND_REQUEST_LINE = /^(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) \/[\x21-\x7e]* HTTP\/1\.1$/;

/** A request target that `node:http` may be given as it is: visible ASCII. */
export function isVisible(target: string): boolean {
  return VISIBLE.test(target);
}

const VISIBLE = /^[\x21-\x7e]+$/;
