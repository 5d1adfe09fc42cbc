/**
 * Names of cookies, and the patterns that a config names them by. Servers do not agree on
 * what the name of a cookie is: PHP takes `.`, spaces and `[` for `_` and decoded escapes once,
 * ASP.NET does not tell small letters from capitals. So there are two ways to match: by what
 * is written, where a match makes a cookie count less, and by any reading, where it makes it count more.
 * @module
 */

/** Matches a name that is written so. */
export function exactNames(patterns: readonly string[]): (name: string) => boolean {
  if (patterns.length === 0) return () => false;
  const expression = new RegExp(`^(?:${alternatives(patterns, '$')})`);
  return (name) => expression.test(name);
}

/** Finds names that some server reads so. All patterns are one expression: a name costs the same for many of them. */
export interface NameReader {
  /** Returns whether `name` is in the set. */
  isName(name: string): boolean;
  /**
   * Returns whether a name of the set occurs where a name could begin: at the start of the text, or after a character
   * that ends a value.
   */
  isIn(text: string): boolean;
}

export function nameReader(patterns: readonly string[]): NameReader {
  const read = patterns.map((pattern) =>
    pattern.endsWith('*') ? `${readName(pattern.slice(0, -1))}*` : readName(pattern),
  );
  const name = new RegExp(`^(?:${alternatives(read, '$')})`);
  const inText = new RegExp(`(?:^|[\\s,"=])(?:${alternatives(read, '(?=$|[\\s,"=])')})`);
  return { isName: (text) => name.test(readName(text)), isIn: (text) => inText.test(readText(text)) };
}

/** One form of all names that some server reads alike. */
function readName(name: string): string {
  return readText(name).replaceAll(' ', '_');
}

function readText(text: string): string {
  const decoded = text.includes('%') ? text.replace(ESCAPE, decode) : text;
  return decoded.trimStart().toLowerCase().replace(READ_AS_UNDERSCORE, '_');
}

function decode(_: string, hex: string): string {
  return String.fromCharCode(Number.parseInt(hex, 16));
}

const ESCAPE = /%([0-9a-f]{2})/gi;
const READ_AS_UNDERSCORE = /[.[+]/g;
const SYNTAX = /[\\^$.*+?()[\]{}|/-]/g;

/** @param end - What has to follow a name without a star. */
function alternatives(patterns: readonly string[], end: string): string {
  const text = (pattern: string): string => pattern.replace(SYNTAX, '\\$&');
  return patterns
    .map((pattern) => (pattern.endsWith('*') ? text(pattern.slice(0, -1)) : `${text(pattern)}${end}`))
    .join('|');
}
