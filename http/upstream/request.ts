/**
 * Head of a request as it is written upstream. What could be read as more than
 * one request, or as another one, is not written.
 * @module
 */
import { isFieldLine, isFieldValue, type RawHeaders, remembered, TOKEN_CHARS } from '../fields/headers.ts';
import type { FieldsText, UpstreamRequest } from '../message.ts';
import { UpstreamError } from './errors.ts';

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
const METHOD = new RegExp(`^${TOKEN_CHARS}$`);

/** Methods whose requests usually have content: without, they say so (RFC 9110, section 8.6). */
const EXPECTS_CONTENT: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

export interface RequestHead {
  readonly text: string;
  readonly host: string;
  /** Bytes of the body; `undefined`: it is written in chunks. */
  readonly length: number | undefined;
}

/** @throws {UpstreamError} `bad_request` for what would not stay one request. */
export function requestHead(request: UpstreamRequest): RequestHead {
  const { method, target, headers, text, body, upgrade, idField } = request;
  if (!METHOD.test(method) || method === 'CONNECT') throw refused('method');
  if (!TARGET.test(target)) throw refused('target');
  if (upgrade !== undefined && !isFieldValue(upgrade)) throw refused('Upgrade');
  const { host, length, texts, values } = text ?? fieldsText(headers);
  let fields = texts[0] as string;
  for (let i = 0; i < values.length; i++) {
    const value = headers[values[i] as number];
    if (value === undefined || !isFieldValue(value)) throw refused('a value');
    fields += value + (texts[i + 1] as string);
  }
  if (idField !== undefined) {
    const { name, id } = idField;
    if (!isFieldLine(name, id)) throw refused(name);
    fields += `${name}: ${id}\r\n`;
  }
  const connection = upgrade === undefined ? 'keep-alive' : `upgrade\r\nUpgrade: ${upgrade}`;
  const framing = framingOf(method, length, body !== undefined);
  return { text: `${method} ${target} HTTP/1.1\r\nConnection: ${connection}\r\n${fields}${framing}\r\n`, host, length };
}

function framingOf(method: string, length: number | undefined, hasBody: boolean): string {
  if (hasBody) return length === undefined ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${length}\r\n`;
  if (length !== undefined && length > 0) throw refused('a length without a body');
  return EXPECTS_CONTENT.has(method) ? 'Content-Length: 0\r\n' : '';
}

/**
 * Returns a header section as text.
 *
 * @param differs - Fields, by their name as it is written, whose values are left out.
 * @param section - Header section of the requests that it is for: there the values will be.
 * @throws {UpstreamError} `bad_request` for what would not stay one header section.
 */
export function fieldsText(
  headers: RawHeaders,
  differs: ReadonlySet<string> = NO_FIELDS,
  section: RawHeaders = headers,
): FieldsText {
  const texts: string[] = [];
  const values: number[] = [];
  let lines: string[] = [];
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
    if (differs.has(name)) {
      texts.push(`${lines.join('')}${name}: `);
      values.push(indexOfField(section, name) + 1);
      lines = ['\r\n'];
    } else lines.push(name, ': ', value, '\r\n');
  }
  if (host === undefined) throw refused('no Host');
  texts.push(lines.join(''));
  return { host, length: length === undefined ? undefined : Number(length), texts, values };
}

function indexOfField(headers: RawHeaders, name: string): number {
  let i = 0;
  while (i < headers.length && headers[i] !== name) i += 2;
  return i;
}

const NO_FIELDS: ReadonlySet<string> = new Set();

function refused(what: string): UpstreamError {
  return new UpstreamError('bad_request', { source: 'requester', sent: 'no' }, `not written upstream: ${what}`);
}
