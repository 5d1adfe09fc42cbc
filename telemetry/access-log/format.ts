/**
 * Lines of the access log: JSON, the combined format of Apache and nginx, and the Extended Log File Format of the W3C.
 * Nothing that a visitor sends can end a line, or a value in it: each format has its own escapes.
 * @module
 */
import type { AccessField, AccessLogConfig } from '../../config/schema/access-log.ts';
import type { Access } from './entry.ts';
import { FIELD_READERS, type FieldSources, replayMembers } from './fields.ts';

/** Form of the lines of a log. */
export interface AccessFormat {
  /** @returns A line, with its end. */
  line(access: Access): string;
  /** @returns Lines that a file begins with. */
  begin(time: number): string;
}

type Written = Pick<AccessLogConfig, 'format' | 'fields' | 'sample'>;

type PlainField = Exclude<AccessField, 'replay'>;

/** Fields that `replay` brings along. */
const WITH_REPLAY = ['scheme', 'cache_status', 'purge'] as const;

export function accessFormat(config: Written, sources: FieldSources): AccessFormat {
  const named = config.fields.includes('replay') ? [...config.fields, ...WITH_REPLAY] : config.fields;
  const plain = [...new Set(named)].filter((field): field is PlainField => field !== 'replay');
  switch (config.format) {
    case 'json':
      return jsonFormat(plain, config, sources);
    case 'combined':
      return { line: (access) => combinedLine(access, plain, sources), begin: () => '' };
    case 'w3c':
      return { line: (access) => w3cLine(access, plain, sources), begin: (time) => w3cDirectives(time, plain) };
  }
}

function jsonFormat(
  fields: readonly PlainField[],
  { fields: all, sample }: Written,
  sources: FieldSources,
): AccessFormat {
  const hasReplay = all.includes('replay');
  const sampled = sample < 1 ? `,"sample":${sample}` : '';
  const isBare = fields.length === 0 && !hasReplay && sampled === '';
  return {
    begin: () => '',
    line: (access) => {
      const { time, ip, host, status, bytes, seconds, site, result, request, facts } = access;
      // What visitors send is quoted by JSON.stringify, and made visible with the batch; the rest has nothing to be
      // quoted.
      const base = `{"time":"${isoTime(time)}","ip":"${ip}","method":${JSON.stringify(request.method)},"host":${JSON.stringify(host)},"target":${JSON.stringify(request.target)},"status":${status},"bytes":${bytes},"ms":${(seconds * 1_000).toFixed(2)},"site":"${site}","result":"${result}","id":"${facts.id}"`;
      if (isBare) return `${base}}\n`;
      let more = sampled;
      for (const field of fields) {
        const value = FIELD_READERS[field](access, sources);
        if (value !== undefined) more += `,"${field}":${JSON.stringify(value)}`;
      }
      return `${base}${more}${hasReplay ? replayMembers(access, sources) : ''}}\n`;
    },
  };
}

/** `%h - - [%t] "%r" %>s %b "%{Referer}i" "%{User-Agent}i"`, and further fields in quotes. */
function combinedLine(access: Access, fields: readonly PlainField[], sources: FieldSources): string {
  const { time, ip, status, bytes, request } = access;
  const { method, target, version } = request;
  const requestLine = `${quotable(method)} ${quotable(target)} HTTP/${quotable(version)}`;
  let line = `${ip || '-'} - - [${apacheTime(time)}] "${requestLine}" ${status} ${bytes === 0 ? '-' : bytes}`;
  for (const field of ['referer', 'user_agent', ...fields.filter((name) => !IN_COMBINED.has(name))] as const) {
    line += ` "${quotable(textOf(field, access, sources) ?? '-')}"`;
  }
  return `${line}\n`;
}

const IN_COMBINED: ReadonlySet<PlainField> = new Set(['referer', 'user_agent']);

function textOf(field: PlainField, access: Access, sources: FieldSources): string | undefined {
  const value = FIELD_READERS[field](access, sources);
  return value === undefined || value === '' ? undefined : String(value);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NOT_QUOTABLE = /["\\\0-\x1f\x7f-\uffff]/g;

/** Apache's escapes: `\"`, `\\`, and `\xHH` for each byte that is not visible ASCII. */
function quotable(text: string): string {
  return text.replace(NOT_QUOTABLE, (char) =>
    char === '"' || char === '\\'
      ? `\\${char}`
      : bytesOf(char)
          .map((byte) => `\\x${hex(byte)}`)
          .join(''),
  );
}

/** Identifiers of the W3C's format, and of fields that it has none for. */
const W3C_NAMES: Readonly<Record<PlainField, string>> = {
  user_agent: 'cs(User-Agent)',
  referer: 'cs(Referer)',
  scheme: 'cs-protocol',
  protocol: 'cs-version',
  tls: 'x-tls',
  country: 'x-country',
  cache_status: 'x-cache-status',
  head_ms: 'x-head-ms',
  origin_status: 'x-origin-status',
  origin_bytes: 'x-origin-bytes',
  trace_id: 'x-trace-id',
  content_type: 'sc(Content-Type)',
  purge: 'x-purge',
};

const W3C_BASE =
  'date time c-ip cs-method cs(Host) cs-uri-stem cs-uri-query sc-status sc-bytes time-taken x-site x-result x-request-id';

function w3cDirectives(time: number, fields: readonly PlainField[]): string {
  const names = [W3C_BASE, ...fields.map((field) => W3C_NAMES[field])].join(' ');
  return `#Version: 1.0\n#Date: ${isoTime(time).replace('T', ' ').slice(0, 19)}\n#Fields: ${names}\n`;
}

function w3cLine(access: Access, fields: readonly PlainField[], sources: FieldSources): string {
  const { time, ip, host, status, bytes, seconds, site, result, request, facts } = access;
  const iso = isoTime(time);
  const question = request.target.indexOf('?');
  const stem = question < 0 ? request.target : request.target.slice(0, question);
  const query = question < 0 ? '' : request.target.slice(question + 1);
  const values = [
    ...[iso.slice(0, 10), iso.slice(11, 23), ip, request.method, host],
    ...[uriToken(stem), uriToken(query), status, bytes, seconds.toFixed(3)],
    ...[site, result, facts.id],
    ...fields.map((field) => textOf(field, access, sources)),
  ];
  return `${values.map((value, i) => (i === 5 || i === 6 ? value : token(String(value ?? '')))).join(' ')}\n`;
}

/** A value without white space: what is no visible ASCII is percent-encoded, as CloudFront writes this format. */
function token(text: string): string {
  return text === '' ? '-' : text.replace(/[^!#$&-~]/g, percentEncoded);
}

/** The same of a URI, whose percent signs are encodings already. */
function uriToken(text: string): string {
  return text === '' ? '-' : text.replace(/[^!#-~]/g, percentEncoded);
}

function percentEncoded(char: string): string {
  return bytesOf(char)
    .map((byte) => `%${hex(byte).toUpperCase()}`)
    .join('');
}

/** Bytes of a character: header fields have one for each, what is decoded elsewhere is UTF-8. */
function bytesOf(char: string): number[] {
  const code = char.charCodeAt(0);
  return code < 0x100 ? [code] : [...Buffer.from(char, 'utf8')];
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

let lastTime = 0;
let lastText = new Date(0).toISOString();

/** Many answers share a millisecond. */
function isoTime(time: number): string {
  if (time !== lastTime) {
    lastTime = time;
    lastText = new Date(time).toISOString();
  }
  return lastText;
}

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

let lastSecond = -1;
let lastApache = '';

/** `31/Jan/2026:12:00:00 +0000`. */
function apacheTime(time: number): string {
  const second = Math.floor(time / 1_000);
  if (second !== lastSecond) {
    lastSecond = second;
    const iso = isoTime(time);
    lastApache = `${iso.slice(8, 10)}/${MONTHS[Number(iso.slice(5, 7)) - 1]}/${iso.slice(0, 4)}:${iso.slice(11, 19)} +0000`;
  }
  return lastApache;
}
