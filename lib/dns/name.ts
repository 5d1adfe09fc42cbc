/**
 * Domain names. Inside, a name is a **key**: its bytes on the wire (a length
 * before each label, the root's zero at the end; RFC 1035, section 3.1) as a
 * string of one character a byte, ASCII letters in lower case, so that names
 * that are the same to the DNS are the same string (RFC 4343).
 * @module
 */
import { MAX_LABEL_BYTES, MAX_NAME_BYTES } from './numbers.ts';

/** See the module. */
export type NameKey = string;

/** The name of the root. */
export const ROOT: NameKey = '\0';

const WILDCARD_LABEL = '\x01*';

/** Letters that host names, service labels and wildcards are made of; what would need an escape is refused. */
const LABEL = /^(?:\*|[a-z0-9_](?:[a-z0-9_/-]*[a-z0-9_])?)$/;

/**
 * @param text - As in a zone file: absolute with a dot at the end, `@` for the origin, else relative to it.
 * @returns `undefined` when it is no name, or longer than a name may be.
 */
export function parseName(text: string, origin: NameKey = ROOT): NameKey | undefined {
  if (text === '@') return origin;
  if (text === '.') return ROOT;
  const isAbsolute = text.endsWith('.');
  const labels = (isAbsolute ? text.slice(0, -1) : text).toLowerCase().split('.');
  if (!labels.every((label) => label.length <= MAX_LABEL_BYTES && LABEL.test(label))) return undefined;
  const key = labels.map((label) => String.fromCharCode(label.length) + label).join('') + (isAbsolute ? ROOT : origin);
  return key.length > MAX_NAME_BYTES ? undefined : key;
}

/** @returns The name as people write it, with the dot at the end. */
export function formatName(key: NameKey): string {
  if (key === ROOT) return '.';
  let text = '';
  for (let rest = key; rest !== ROOT && rest !== ''; rest = parentOf(rest))
    text += `${rest.slice(1, 1 + lengthOf(rest))}.`;
  return text;
}

/** @returns The key of the uncompressed name at `start`; one past its end is `end`. */
export function keyOfBytes(message: Buffer, start: number, end: number): NameKey {
  // A length byte is below 64, so that no letter can be taken for one.
  return message.toString('latin1', start, end).toLowerCase();
}

/** @returns The name without its first label; only of a name that has one. */
export function parentOf(key: NameKey): NameKey {
  return key.slice(1 + lengthOf(key));
}

/** @returns How many labels the name has, the root's not counted. */
export function labelsOf(key: NameKey): number {
  let count = 0;
  for (let at = 0; key.charCodeAt(at) > 0; at += 1 + key.charCodeAt(at)) count += 1;
  return count;
}

/** @returns Whether `key` is `ancestor` or below it. */
export function isWithin(key: NameKey, ancestor: NameKey): boolean {
  let at = 0;
  while (key.length - at > ancestor.length) at += 1 + key.charCodeAt(at);
  return key.length - at === ancestor.length && key.endsWith(ancestor);
}

/** @returns The wildcard directly below a name (RFC 4592, section 2.1.1). */
export function wildcardBelow(key: NameKey): NameKey {
  return WILDCARD_LABEL + key;
}

export function isWildcard(key: NameKey): boolean {
  return key.startsWith(WILDCARD_LABEL);
}

function lengthOf(key: NameKey): number {
  return key.charCodeAt(0);
}
