/**
 * Header sections of HTTP/2 in the form of HTTP/1.1, and the other way round (RFC 9113, section 8).
 * @module
 */
import { HttpError } from '../errors.ts';
import { isFieldLine, lowerCase, type RawHeaders } from '../fields/headers.ts';

/** A request head of HTTP/2 in the form of HTTP/1.1. */
export interface TranslatedHead {
  readonly method: string;
  readonly target: string;
  /** Host first. */
  readonly headers: string[];
}

/**
 * @param raw - Names and values as they came, pseudo-header fields among them, of a section that is not malformed
 * (section.ts).
 * @param hasBody - Whether more than the head comes.
 * @throws {HttpError} `bad_request` when the authority and Host differ, or the scheme is not that of the connection.
 */
export function translateHead(raw: RawHeaders, hasBody: boolean): TranslatedHead {
  let [method, target, authority, host, cookie] = ['', '', undefined, undefined, undefined] as Slots;
  let hasLength = false;
  const headers: string[] = ['Host', ''];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    const value = raw[i + 1] as string;
    if (name === ':method') method = value;
    else if (name === ':path') target = value;
    else if (name === ':authority') authority = value;
    else if (name === ':scheme') {
      if (value !== 'https') throw new HttpError('bad_request', `:scheme ${value} over TLS`);
    } else if (name === 'host') {
      if (host !== undefined && host !== value) throw new HttpError('bad_request', 'two different Host');
      host = value;
    } else if (name === 'cookie') {
      cookie = cookie === undefined ? value : `${cookie}; ${value}`; // RFC 9113, section 8.2.3
    } else {
      if (name === 'content-length') hasLength = true;
      headers.push(name, value);
    }
  }
  // RFC 9113, section 8.3.1: a request is malformed "if it contains a Host header field that identifies an entity that
  // differs"; and which of the two counts, two servers could see differently.
  if (host !== undefined && authority !== undefined && host.toLowerCase() !== authority.toLowerCase()) {
    throw new HttpError('bad_request', 'Host is not :authority');
  }
  const named = authority ?? host;
  if (named === undefined) headers.splice(0, 2);
  else headers[1] = named;
  if (cookie !== undefined) headers.push('cookie', cookie);
  if (hasBody && !hasLength) headers.push('transfer-encoding', 'chunked'); // how HTTP/1.1 says that a body follows
  return { method, target, headers };
}

type Slots = [string, string, string | undefined, string | undefined, string | undefined];

/** Fields that say something of an HTTP/1.1 connection (RFC 9113, section 8.2.2). */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'host',
]);

/**
 * @returns Names and values, as a header block has them.
 * @throws {TypeError} for a field that would not stay one line.
 */
export function http2Headers(status: number, headers: RawHeaders): string[] {
  const list = [':status', String(status)];
  for (let i = 0; i < headers.length; i += 2) {
    const name = lowerCase(headers[i] as string);
    const value = headers[i + 1] as string;
    if (!isFieldLine(name, value)) throw new TypeError(`not a header field: ${JSON.stringify(name)}`);
    if (!OF_THE_CONNECTION.has(name)) list.push(name, value);
  }
  return list;
}
