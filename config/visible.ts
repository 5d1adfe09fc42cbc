/**
 * Text from outside on its way to a terminal or a log: what a terminal would
 * obey, or a reader would not see, is written as an escape.
 * @module
 */

/**
 * Control characters of C0 (but for tab and line feed), DEL and C1, among them
 * the one-byte CSI and OSC; marks that change the direction of text (Unicode,
 * UAX 9), or end a line.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const INVISIBLE = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** @returns The text with `\u009b` for such a character: also right within a string of JSON. */
export function visible(text: string): string {
  return text.search(INVISIBLE) === -1
    ? text
    : text.replace(INVISIBLE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
