/**
 * Texts that many stored responses have in common: names of fields, and values
 * such as `text/html`. Each is kept once, under a number.
 *
 * What is stored goes by these numbers, so none is ever given to another text:
 * where there are too many, further ones have no number.
 * @module
 */

/** Maximum number of names, and of values. */
export const MAX_EACH = 8_192;

/** A longer text is not likely to be said twice. */
export const MAX_LENGTH = 128;

/** Fields whose values many responses share. */
const WITH_COMMON_VALUES: ReadonlySet<string> = new Set([
  ...['cache-control', 'cdn-cache-control', 'surrogate-control', 'content-type', 'content-encoding'],
  ...['content-language', 'content-security-policy', 'vary', 'server', 'via', 'x-powered-by', 'accept-ranges'],
  ...['access-control-allow-origin', 'strict-transport-security', 'x-content-type-options', 'x-frame-options'],
  ...['referrer-policy', 'connection', 'keep-alive', 'x-xss-protection', 'permissions-policy', 'alt-svc'],
]);

/** Numbers of texts: of one thread, or shared by all (cache/shared/shared-texts.ts). */
export interface Texts {
  /** @returns The number of a field's name; `undefined` where it has none and gets none. */
  numberOfName(name: string): number | undefined;
  /** @param name - Number of the field's name. @returns The number of its value, likewise. */
  numberOfValue(name: number, value: string): number | undefined;
  textOf(number: number): string;
}

/** Texts in the order of their numbers, and the bounds of how many names and values there are. */
export class TextTable implements Texts {
  readonly #numbers = new Map<string, number>();
  readonly #texts: string[] = [];
  /** By the number of a field's name: whether its values have numbers. */
  readonly #withCommonValues: boolean[] = [];
  #names = 0;
  #values = 0;

  get size(): number {
    return this.#texts.length;
  }

  numberOfName(name: string): number | undefined {
    const known = this.#numbers.get(name);
    return known !== undefined || this.isFull(true) || name.length > MAX_LENGTH ? known : this.addName(name);
  }

  numberOfValue(name: number, value: string): number | undefined {
    if (this.#withCommonValues[name] !== true) return undefined;
    const known = this.#numbers.get(value);
    return known !== undefined || this.isFull(false) || value.length > MAX_LENGTH ? known : this.addValue(value);
  }

  textOf(number: number): string {
    return this.#texts[number] as string;
  }

  /** @returns The number of a text that is there. */
  numberOf(text: string): number | undefined {
    return this.#numbers.get(text);
  }

  /** Returns whether values of the field with this number have numbers. */
  hasCommonValues(name: number): boolean {
    return this.#withCommonValues[name] === true;
  }

  /** Returns whether there are as many names, or else values, as there may be. */
  isFull(ofNames: boolean): boolean {
    return (ofNames ? this.#names : this.#values) === MAX_EACH;
  }

  /** Adds a name that is not there. */
  addName(name: string): number {
    this.#names++;
    const number = this.#add(name);
    this.#withCommonValues[number] = WITH_COMMON_VALUES.has(name.toLowerCase());
    return number;
  }

  /** Adds a value that is not there. */
  addValue(value: string): number {
    this.#values++;
    return this.#add(value);
  }

  #add(text: string): number {
    this.#numbers.set(text, this.#texts.length);
    return this.#texts.push(text) - 1;
  }
}

/** Texts of this thread. */
export const OWN_TEXTS: Texts = new TextTable();
