/**
 * The one form in which the rules of a site see the path of a request. Servers read several
 * spellings of a path alike, and not all of them the same ones; a rule that an operator has
 * written for a path is for every spelling of it.
 *
 * 1. Escapes are decoded, once.
 * 2. The path ends before `?`, `#` or a control character, which only escapes can bring there.
 * 3. `\` is `/`.
 * 4. Parameters (`;` up to the next `/`) go.
 * 5. Several slashes are one.
 * 6. Capitals are small letters.
 *
 * A request with `.` or `..` as a segment has been refused or resolved. Where one is left by what a step takes away,
 * as in `/account/..;/x` or `/account/..%23`, some servers see it and others a segment of `/account/`: no form.
 * @module
 */

/** The form of a path that servers read as paths of which none is a spelling of the other: nothing is stored for it. */
export const NO_PATH = '';

/** @param path - As it stands in the request target, without the query. */
export function rulePath(path: string): string {
  if (!IS_ODD.test(path)) return path;
  if (isAmbiguous(path)) return NO_PATH;
  const decoded = decodeEscapes(path);
  const end = decoded.search(ENDS_PATH);
  const cut = (end < 0 ? decoded : decoded.slice(0, end)).replaceAll('\\', '/').replace(PARAMETERS, '');
  const joined = cut.replace(SLASHES, '/').toLowerCase();
  return DOT_SEGMENT.test(joined) ? NO_PATH : joined;
}

/** The same of a pattern of a rule: what it does not have a star for stands for one form of a path. */
export function rulePattern(pattern: string): string {
  return decodeEscapes(pattern).toLowerCase();
}

/** Returns whether no path in the form of `rulePath` can match this pattern, which is in the form of `rulePattern`. */
export function isBeyondPaths(pattern: string): boolean {
  return NEVER_IN_PATH.test(pattern);
}

/** A path without any of it is in that form already; most are. */
const IS_ODD = /[%;\\A-Z]|\/\/|\/\.{1,2}(?:\/|$)/;

/** Percent-encoded character that ends a segment or a path once decoded. */
const ESCAPED_END = /%(?:2f|5c|3f|23|[01][0-9a-f]|7f)/i;

const ESCAPE = /%([0-9a-f]{2})/gi;
// biome-ignore lint/suspicious/noControlCharactersInRegex: what ends a path for servers written in C
const ENDS_PATH = /[?#\0-\x1f\x7f]/;
const PARAMETERS = /;[^/]*/g;
const SLASHES = /\/{2,}/g;
const DOT_SEGMENT = /\/\.{1,2}(?:\/|$)/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as in ENDS_PATH
const NEVER_IN_PATH = /[?#;\\\0-\x1f\x7f]|\/\/|\/\.{1,2}(?:\/|$)/;

/**
 * Returns whether a path parameter holds such a character: servers that decode first end the path there, others drop
 * the parameter. Each segment is scanned once, however many parameters it has.
 */
function isAmbiguous(path: string): boolean {
  if (!path.includes('%')) return false;
  for (let at = path.indexOf(';'); at >= 0; ) {
    const end = path.indexOf('/', at);
    if (ESCAPED_END.test(end < 0 ? path.slice(at) : path.slice(at, end))) return true;
    at = end < 0 ? -1 : path.indexOf(';', end);
  }
  return false;
}

function decodeEscapes(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(ESCAPE, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
