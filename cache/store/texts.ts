/**
 * Texts that many stored responses have in common: names of fields, and values
 * such as `text/html`. Each is kept once, under a number.
 *
 * What is stored goes by these numbers, so none is ever given to another text:
 * where there are too many, further ones have no number.
 * @module
 */

/** Maximum number of names, and of values. */
const MAX_EACH = 8_192;

/** A longer text is not likely to be said twice. */
const MAX_LENGTH = 128;

/** Fields whose values many responses share. */
const WITH_COMMON_VALUES: ReadonlySet<string> = new Set([
  ...['cache-control', 'cdn-cache-control', 'surrogate-control', 'content-type', 'content-encoding'],
  ...['content-language', 'content-security-policy', 'vary', 'server', 'via', 'x-powered-by', 'accept-ranges'],
  ...['access-control-allow-origin', 'strict-transport-security', 'x-content-type-options', 'x-frame-options'],
  ...['referrer-policy', 'connection', 'keep-alive', 'x-xss-protection', 'permissions-policy', 'alt-svc'],
]);

const numbers = new Map<string, number>();
const texts: string[] = [];
/** By the number of a field's name: whether its values have numbers. */
const withCommonValues: boolean[] = [];
let names = 0;
let values = 0;

/** @returns The number of a field's name; `undefined` where it has none and gets none. */
export function numberOfName(name: string): number | undefined {
  const known = numbers.get(name);
  if (known !== undefined || names === MAX_EACH || name.length > MAX_LENGTH) return known;
  names++;
  const number = add(name);
  withCommonValues[number] = WITH_COMMON_VALUES.has(name.toLowerCase());
  return number;
}

/** @param name - Number of the field's name. @returns The number of its value, likewise. */
export function numberOfValue(name: number, value: string): number | undefined {
  if (withCommonValues[name] !== true) return undefined;
  const known = numbers.get(value);
  if (known !== undefined || values === MAX_EACH || value.length > MAX_LENGTH) return known;
  values++;
  return add(value);
}

export function textOf(number: number): string {
  return texts[number] as string;
}

function add(text: string): number {
  numbers.set(text, texts.length);
  return texts.push(text) - 1;
}
