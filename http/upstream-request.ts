/**
 * Head of a request as it is written upstream. What could be read as more than
 * one request, or as another one, is not written.
 * @module
 */
import { HttpError } from './errors.ts';
import { isFieldLine, isFieldValue, remembered } from './headers.ts';
import type { UpstreamRequest } from './message.ts';

/** Fields of the connection, which this client writes itself; removed before requests get here. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);

const kindOf = remembered((name): 'host' | 'length' | 'plain' | 'refused' => {
  const lower = name.toLowerCase();
  if (lower === 'host') return 'host';
  if (lower === 'content-length') return 'length';
  return isFieldLine(name, '') && !OF_THE_CONNECTION.has(lower) ? 'plain' : 'refused';
});

const TARGET = /^\/[\x21-\x7e\x80-\xff]*$/;
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Methods whose requests usually have content: without, they say so (RFC 9110, section 8.6). */
const EXPECTS_CONTENT: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

export interface RequestHead {
  readonly text: string;
  readonly host: string;
  /** Bytes of the body; `undefined`: it is written in chunks. */
  readonly length: number | undefined;
}

/** @throws {HttpError} `bad_request` for what would not stay one request. */
export function requestHead({ method, target, headers, body, upgrade }: UpstreamRequest): RequestHead {
  if (!METHOD.test(method) || method === 'CONNECT') throw refused('method');
  if (!TARGET.test(target)) throw refused('target');
  if (upgrade !== undefined && !isFieldValue(upgrade)) throw refused('Upgrade');
  let text = `${method} ${target} HTTP/1.1\r\n`;
  text += upgrade === undefined ? 'Connection: keep-alive\r\n' : `Connection: upgrade\r\nUpgrade: ${upgrade}\r\n`;
  let host: string | undefined;
  let length: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    const kind = kindOf(name);
    if (kind === 'refused' || !isFieldValue(value)) throw refused(name);
    if (kind === 'length') {
      if (length !== undefined || !/^\d{1,15}$/.test(value)) throw refused(name);
      length = value;
      continue;
    }
    if (kind === 'host') {
      if (host !== undefined) throw refused('two Hosts');
      host = value;
    }
    text += `${name}: ${value}\r\n`;
  }
  if (host === undefined) throw refused('no Host');
  if (body !== undefined) {
    text += length === undefined ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${length}\r\n`;
  } else if (length !== undefined && Number(length) > 0) throw refused('a length without a body');
  else if (EXPECTS_CONTENT.has(method)) text += 'Content-Length: 0\r\n';
  return { text: `${text}\r\n`, host, length: length === undefined ? undefined : Number(length) };
}

function refused(what: string): HttpError {
  return new HttpError('bad_request', `not written upstream: ${what}`);
}
