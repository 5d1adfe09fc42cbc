/**
 * Field lines as HTTP/2 allows them in requests (RFC 9113, sections 8.2 and
 * 8.3). What a line is does not change, so it is found out once, when it comes
 * into the table of its connection.
 * @module
 */
import { isFieldValue } from '../fields/headers.ts';

/** Role of a field line in a request. Pseudo-header fields are bits, to detect repeats. */
export const ROLE = {
  ordinary: 0,
  method: 1,
  scheme: 2,
  authority: 4,
  path: 8,
  contentLength: 16,
  cookie: 32,
  /** Says something of the message or the connection, so that no other request means the same by it. */
  ofMessage: 128,
  /** Makes the message malformed. */
  malformed: 64,
} as const;

/** The bits of those that stand before all others. */
export const PSEUDO = ROLE.method | ROLE.scheme | ROLE.authority | ROLE.path;

export interface Field {
  readonly name: string;
  readonly value: string;
  readonly role: number;
  /** Size in a table or a list (RFC 7541, section 4.1; RFC 9113, section 6.5.2). */
  readonly size: number;
}

export const OVERHEAD = 32;

const ROLES: ReadonlyMap<string, number> = new Map([
  [':method', ROLE.method],
  [':scheme', ROLE.scheme],
  [':authority', ROLE.authority],
  [':path', ROLE.path],
  ['content-length', ROLE.contentLength],
  ['cookie', ROLE.cookie],
  ['expect', ROLE.ofMessage],
  ['trailer', ROLE.ofMessage],
  ['host', ROLE.ofMessage],
  // Fields of a connection (RFC 9113, section 8.2.2).
  ['connection', ROLE.malformed],
  ['proxy-connection', ROLE.malformed],
  ['keep-alive', ROLE.malformed],
  ['transfer-encoding', ROLE.malformed],
  ['upgrade', ROLE.malformed],
]);

const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const SPACE = 0x20;
const TAB = 0x09;

export function makeField(name: string, value: string): Field {
  return { name, value, role: roleOf(name, value), size: name.length + value.length + OVERHEAD };
}

function roleOf(name: string, value: string): number {
  if (!isValue(value)) return ROLE.malformed;
  const role = ROLES.get(name);
  if (role === ROLE.method) return METHOD.test(value) ? role : ROLE.malformed;
  // RFC 9113, section 8.3.1: path and query, or `*`. An absolute target would name a host besides :authority.
  if (role === ROLE.path) return value === '*' || value.startsWith('/') ? role : ROLE.malformed;
  if (role === ROLE.contentLength) return /^[0-9]{1,15}$/.test(value) ? role : ROLE.malformed;
  if (role !== undefined) return role;
  if (name === 'te') return value.toLowerCase() === 'trailers' ? ROLE.ordinary : ROLE.malformed;
  return NAME.test(name) ? ROLE.ordinary : ROLE.malformed;
}

/** RFC 9113, section 8.2.1: "A field value MUST NOT start or end with an ASCII whitespace character". */
function isValue(value: string): boolean {
  if (value === '') return true;
  return isFieldValue(value) && !isSpace(value.charCodeAt(0)) && !isSpace(value.charCodeAt(value.length - 1));
}

function isSpace(char: number): boolean {
  return char === SPACE || char === TAB;
}
