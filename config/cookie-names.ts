/**
 * Names of cookies, and the patterns that a config names them by. Servers do not agree on
 * what the name of a cookie is: PHP takes `.`, spaces and `[` for `_` and decoded escapes once,
 * ASP.NET does not tell small letters from capitals. So there are two ways to match: by what
 * is written, where a match makes a cookie count less, and by any reading, where it makes it count more.
 * @module
 */

/** Matches a name that is written so. */
export function exactNames(patterns: readonly string[]): (name: string) => boolean {
  return compile(patterns);
}

/** Matches a name that some server reads so. @returns A test for names in the form of `readName`. */
export function readNames(patterns: readonly string[]): (name: string) => boolean {
  return compile(
    patterns.map((pattern) => (pattern.endsWith('*') ? `${readName(pattern.slice(0, -1))}*` : readName(pattern))),
  );
}

/** One form of all names that some server reads alike. */
export function readName(name: string): string {
  const decoded = name.includes('%')
    ? name.replace(ESCAPE, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    : name;
  return decoded.trimStart().toLowerCase().replace(READ_AS_UNDERSCORE, '_');
}

const ESCAPE = /%([0-9a-f]{2})/gi;
const READ_AS_UNDERSCORE = /[. [+]/g;
const SYNTAX = /[\\^$.*+?()[\]{}|/-]/g;

/** All patterns in one expression, so that a name costs the same for many of them. */
function compile(patterns: readonly string[]): (name: string) => boolean {
  if (patterns.length === 0) return () => false;
  const text = (pattern: string): string => pattern.replace(SYNTAX, '\\$&');
  const alternatives = patterns.map((pattern) =>
    pattern.endsWith('*') ? text(pattern.slice(0, -1)) : `${text(pattern)}$`,
  );
  const expression = new RegExp(`^(?:${alternatives.join('|')})`);
  return (name) => expression.test(name);
}
