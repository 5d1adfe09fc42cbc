/**
 * Identifiers of requests: 128 random bits as 32 hexadecimal digits, which is also the form of a trace id (W3C Trace
 * Context). One that a trusted proxy sends is kept.
 *
 * A hit costs microseconds, so its identifier is not made for it: digits of 2,048 identifiers are made at a time, and
 * copied to where one is due.
 * @module
 */
import { randomFillSync } from 'node:crypto';
import { fieldValue, type RawHeaders, withField } from './fields/headers.ts';
import type { Fetch, RequestIdField } from './message.ts';

/** Characters of an identifier that is made here. */
export const ID_CHARS = 32;

const POOL_IDS = 2_048;
const POOL_CHARS = POOL_IDS * ID_CHARS;

const random = Buffer.allocUnsafeSlow(POOL_CHARS / 2);
const digits = Buffer.allocUnsafeSlow(POOL_CHARS);
let next = POOL_CHARS;

/** @returns Offset of the digits of a new identifier: good until the next one is taken. */
function take(): number {
  if (next === POOL_CHARS) {
    digits.write(randomFillSync(random).toString('hex'), 'latin1');
    next = 0;
  }
  const from = next;
  next += ID_CHARS;
  return from;
}

export function newRequestId(): string {
  const from = take();
  return digits.toString('latin1', from, from + ID_CHARS);
}

/** @returns The identifier that was written last by `writeNewId`. */
export function lastId(): string {
  return digits.toString('latin1', next - ID_CHARS, next);
}

/** Writes the characters of a new identifier. */
export function writeNewId(bytes: Buffer, at: number): void {
  const from = take();
  for (let i = 0; i < ID_CHARS; i++) bytes[at + i] = digits[from + i] as number;
}

/**
 * Stands for the identifier in an answer that is made once for many requests. Each character is longer than a byte in
 * the code of HTTP/2 (RFC 7541, appendix B), so it is written as it is there, too. Which ones is up to chance: no
 * origin can send them.
 */
export const ID_PLACEHOLDER: string = Array.from(randomFillSync(Buffer.alloc(ID_CHARS)), (byte) =>
  '|~^{}<\\`'.charAt(byte % 8),
).join('');

/** An identifier that a proxy may send: no log has to quote it. */
const PROXY_ID = /^[A-Za-z0-9._~:+/=@-]{1,128}$/;

/** @returns The identifier in a header section of a trusted proxy, if it has one that can be kept. */
export function proxyId(headers: RawHeaders, field: string): string | undefined {
  const value = fieldValue(headers, field.toLowerCase());
  return value !== undefined && PROXY_ID.test(value) ? value : undefined;
}

/** @param name - As in the config. */
export function requestIdField(name: string, id: string): RequestIdField | undefined {
  return name === 'off' || id === '' ? undefined : { name, id };
}

/** @returns What sends the same requests with the field. */
export function withIdField(fetch: Fetch, idField: RequestIdField | undefined): Fetch {
  return idField === undefined ? fetch : (request, sink) => fetch({ ...request, idField }, sink);
}

/** @returns The fields with that one in the place of any other of its name. */
export function fieldsWithId(headers: RawHeaders, field: RequestIdField | undefined): RawHeaders {
  return field === undefined ? headers : withField(headers, field.name, field.id);
}
