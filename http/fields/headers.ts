/**
 * Header sections as they stand on the wire: a flat list of names and values,
 * in order, with the case and the repetitions that the sender chose. It is the
 * form `node:http` calls `rawHeaders`; strings hold one byte per character
 * (latin1).
 *
 * Looking up compares names without case (RFC 9110, section 5.1).
 * @module
 */
import { TwoGenerationCache } from '../../lib/two-generation-cache.ts';

/** `[name, value, name, value, …]`. */
export type RawHeaders = readonly string[];

/** @returns Every value of the field, one per line, in order. */
export function fieldLines(headers: RawHeaders, name: string): string[] {
  const lines: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (sameName(headers[i] as string, name)) lines.push(headers[i + 1] as string);
  }
  return lines;
}

/** @returns The first line of the field, or `undefined` when it is absent. */
export function firstLine(headers: RawHeaders, name: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    if (sameName(headers[i] as string, name)) return headers[i + 1];
  }
  return undefined;
}

/**
 * @returns The field's lines joined by `, ` (RFC 9110, section 5.3), or
 *   `undefined` when the field is absent.
 */
export function fieldValue(headers: RawHeaders, name: string): string | undefined {
  let value: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    if (!sameName(headers[i] as string, name)) continue;
    value = value === undefined ? (headers[i + 1] as string) : `${value}, ${headers[i + 1]}`;
  }
  return value;
}

export function hasField(headers: RawHeaders, name: string): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    if (sameName(headers[i] as string, name)) return true;
  }
  return false;
}

/** Names of fields, in lower case. Most names of other fields have another length, and are not looked up. */
export class FieldNames extends Set<string> {
  /** A bit for each length of a name, modulo 32. */
  readonly lengths: number;

  constructor(names: Iterable<string>) {
    super(names);
    let lengths = 0;
    for (const { length } of this) lengths |= 1 << length;
    this.lengths = lengths;
  }
}

const EVERY_LENGTH = -1;

function lengthsOf(names: ReadonlySet<string>): number {
  return names instanceof FieldNames ? names.lengths : EVERY_LENGTH;
}

/** Returns whether a field of this name is one of `names`, of which some have these lengths. */
function isNamed(name: string, names: ReadonlySet<string>, lengths: number): boolean {
  return ((1 << name.length) & lengths) !== 0 && names.has(lowerCase(name));
}

/** Returns the headers without the named fields (`names` in lower case): the same array where it has none of them. */
export function withoutFields(headers: RawHeaders, names: ReadonlySet<string>): RawHeaders {
  const lengths = lengthsOf(names);
  for (let i = 0; i < headers.length; i += 2) {
    if (isNamed(headers[i] as string, names, lengths)) return withoutFieldsFrom(i, headers, names);
  }
  return headers;
}

/** @param first - Index of the first field that goes. */
function withoutFieldsFrom(first: number, headers: RawHeaders, names: ReadonlySet<string>): string[] {
  const kept = headers.slice(0, first);
  for (let i = first + 2; i < headers.length; i += 2) {
    if (!names.has(lowerCase(headers[i] as string))) kept.push(headers[i] as string, headers[i + 1] as string);
  }
  return kept;
}

/** Removes the named fields (`names` in lower case). Changes `headers`. */
export function removeFields(headers: string[], names: ReadonlySet<string>): void {
  const lengths = lengthsOf(names);
  let kept = 0;
  for (let i = 0; i < headers.length; i += 2) {
    if (isNamed(headers[i] as string, names, lengths)) continue;
    if (kept < i) {
      headers[kept] = headers[i] as string;
      headers[kept + 1] = headers[i + 1] as string;
    }
    kept += 2;
  }
  headers.length = kept;
}

/** @returns The headers with one line `name: value` in place of every line of that name, at the end. */
export function withField(headers: RawHeaders, name: string, value: string): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    if (!sameName(headers[i] as string, name)) kept.push(headers[i] as string, headers[i + 1] as string);
  }
  kept.push(name, value);
  return kept;
}

/**
 * Splits a field value at its commas, leaving quoted strings whole
 * (RFC 9110, sections 5.6.1 and 5.6.4). Empty members are dropped.
 */
export function listMembers(value: string): string[] {
  const members: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i <= value.length; i++) {
    const char = value.charCodeAt(i); // NaN at the end
    if (quoted) {
      if (char === BACKSLASH) i++;
      else if (char === QUOTE) quoted = false;
      else if (Number.isNaN(char)) quoted = false;
      if (i < value.length) continue;
    } else if (char === QUOTE) {
      quoted = true;
      continue;
    } else if (i < value.length && char !== COMMA) {
      continue;
    }
    const member = trimOws(value.slice(start, i));
    if (member !== '') members.push(member);
    start = i + 1;
  }
  return members;
}

/** Removes optional whitespace, which is spaces and tabs only (RFC 9110, section 5.6.3). */
export function trimOws(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isOws(text.charCodeAt(start))) start++;
  while (end > start && isOws(text.charCodeAt(end - 1))) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;

function isOws(char: number): boolean {
  return char === 0x20 || char === 0x09;
}

function sameName(a: string, b: string): boolean {
  if (a.length !== b.length) return false;
  if (a === b) return true;
  // Most names of one length differ in their first letter: in the bits that its case does not change.
  if (((a.charCodeAt(0) ^ b.charCodeAt(0)) & ~0x20) !== 0) return false;
  return lowerCase(a) === lowerCase(b);
}

/** Returns whether the text fits into one byte per character. */
export function isLatin1(text: string): boolean {
  return !BEYOND_LATIN1.test(text);
}

const BEYOND_LATIN1 = /[^\0-\xff]/;

/** A token as a regular expression has it (RFC 9110, section 5.6.2). */
export const TOKEN_CHARS = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";

const FIELD_NAME = new RegExp(`^${TOKEN_CHARS}$`);
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Returns whether the two make exactly one field line (RFC 9110, section 5). */
export function isFieldLine(name: string, value: string): boolean {
  return isFieldName(name) && isFieldValue(value);
}

/** Returns whether the value stays on one line. */
export function isFieldValue(value: string): boolean {
  return FIELD_VALUE.test(value);
}

/** Field names that are remembered: a few hundred are in use, and each is asked about many times a request. */
const MAX_NAMES = 1_000;
/** Longer ones are rare. */
const MAX_NAME_CHARS = 64;
const LEAST_SLICE_CHARS = 13;

/**
 * @returns The same function of a field name, which remembers the recent names: a client that sends
 *   names that no other client sends takes no more than half of the room, and only until the next ones.
 */
export function remembered<T>(of: (name: string) => T): (name: string) => T {
  const values = new TwoGenerationCache<string, T>({ generationWeight: MAX_NAMES / 2 });
  return (name) => {
    const known = values.get(name);
    if (known !== undefined) return known;
    if (name.length > MAX_NAME_CHARS) return of(name);
    // Not a slice of a larger text, which would stay with it; V8 makes none of less than 13 characters.
    const own = name.length < LEAST_SLICE_CHARS ? name : Buffer.from(name, 'latin1').toString('latin1');
    const value = of(own);
    values.set(own, value);
    return value;
  };
}

/** Line of a field, as far as it is the same for all values. */
export class FieldLine {
  /** End of the line before, the name, and what separates it from the value. */
  readonly start: string;
  readonly #isToken: boolean;
  /** A value that stays on one line, as it was read last: it is not checked again. */
  sound: string | undefined;

  constructor(name: string) {
    this.start = `\r\n${name}: `;
    this.#isToken = FIELD_NAME.test(name);
  }

  /** Returns whether the name and the value make exactly one field line, as `isFieldLine` does. */
  takes(value: string): boolean {
    return this.#isToken && (value === this.sound || isFieldValue(value));
  }
}

/** @returns The line of a field with this name. */
export const fieldLineOf: (name: string) => FieldLine = remembered((name) => new FieldLine(name));

/** Returns whether the name is a token (RFC 9110, section 5.1). */
export const isFieldName: (name: string) => boolean = remembered((name) => FIELD_NAME.test(name));

/** @returns The name of a field in lower case. */
export const lowerCase: (name: string) => string = remembered((name) => name.toLowerCase());

/** Returns the same text as one object for equal names: all that is looked up by it later compares pointers. */
export const interned: (name: string) => string = remembered((name) => name);
