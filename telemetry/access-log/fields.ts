/**
 * Fields of the access log that a config asks for (config/schema/access-log.ts).
 * @module
 */
import { createHmac } from 'node:crypto';
import type { AccessField } from '../../config/schema/access-log.ts';
import { fieldValue, listMembers, type RawHeaders } from '../../http/fields/headers.ts';
import type { Access } from './entry.ts';

/** Knowledge that lines take from elsewhere. */
export interface FieldSources {
  /** @returns Country of an address: two letters. */
  readonly country: (ip: string) => string | undefined;
  /** Secret by which values that must not be in a log are hashed: the same ones at all nodes. */
  readonly secret: string;
}

export type FieldValue = string | number | readonly (readonly [name: string, value: string])[] | undefined;

type Reader = (access: Access, sources: FieldSources) => FieldValue;

/** Each field but `replay`, which is several. */
export const FIELD_READERS: Readonly<Record<Exclude<AccessField, 'replay'>, Reader>> = {
  user_agent: ({ request }) => fieldValue(request.headers, 'user-agent'),
  referer: ({ request }) => fieldValue(request.headers, 'referer'),
  scheme: ({ facts }) => facts.scheme,
  protocol: ({ request: { version } }) => `HTTP/${version}`,
  tls: ({ request }) => tlsVersion(request.connection),
  country: ({ ip }, { country }) => country(ip),
  cache_status: ({ facts }) => facts.cacheStatus,
  head_ms: ({ facts, seconds }) => Number((facts.headMs ?? seconds * 1_000).toFixed(2)),
  origin_status: (access) => originAnswer(access)?.status,
  origin_bytes: (access) => originAnswer(access)?.bytes,
  trace_id: ({ request }) => TRACE_PARENT.exec(fieldValue(request.headers, 'traceparent') ?? '')?.[1],
  content_type: ({ facts }) => facts.storedHeaders && fieldValue(facts.storedHeaders, 'content-type'),
  purge: ({ facts }) => facts.purge,
};

/** Version of TLS of a connection: a socket, or what has one. */
function tlsVersion(connection: object): string | undefined {
  const { socket = connection } = connection as { socket?: object };
  const { getProtocol } = socket as { getProtocol?: () => string | null };
  return typeof getProtocol === 'function' ? (getProtocol.call(socket) ?? undefined) : undefined;
}

/** W3C Trace Context, section 3.2: a version that is understood, and an id that is not 0. */
const TRACE_PARENT = /^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/;

interface OriginAnswer {
  readonly status: number;
  readonly bytes: number;
}

/** @returns What the origin answered for this request; `undefined`: it was not asked. */
export function originAnswer({ facts, status, bytes }: Access): OriginAnswer | undefined {
  const { cacheStatus, storedHeaders } = facts;
  if (cacheStatus === undefined || storedHeaders === undefined) return undefined;
  const members = listMembers(cacheStatus);
  // The request of another visitor may have gone to the origin in its place.
  if (!members.every((member) => member.includes(';fwd=') && !member.includes(';collapsed'))) return undefined;
  const forwarded = /;fwd-status=(\d{3})/.exec(members[0] ?? '')?.[1];
  const own = forwarded === undefined ? status : Number(forwarded);
  if (own === 304) return { status: own, bytes: 0 };
  return { status: own, bytes: lengthOf(facts.length, storedHeaders) ?? bytes };
}

/** @returns Bytes of the whole representation. */
export function lengthOf(known: number | undefined, headers: RawHeaders): number | undefined {
  if (known !== undefined) return known;
  const text =
    /\/(\d{1,15})$/.exec(fieldValue(headers, 'content-range') ?? '')?.[1] ?? fieldValue(headers, 'content-length');
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** Response fields that decide on storing and reuse, beside those that a site's `targeted_fields` may name. */
const RESPONSE_FIELDS = [
  ...['cache-control', 'cdn-cache-control', 'surrogate-control', 'pragma', 'expires', 'date', 'last-modified', 'age'],
  ...['vary', 'content-type', 'etag'],
];

/** Request fields that decide on reuse, or on what is answered. */
const REQUEST_FIELDS = ['cache-control', 'range', 'accept-encoding'];

/** Longer values are cut off: they decide nothing. */
const MAX_VALUE_CHARS = 1_024;

/** Facts that `seawall replay` needs, as members of the line. */
export function replayMembers({ facts, request }: Access, { secret }: FieldSources): string {
  const { key, storedHeaders } = facts;
  let text = key === undefined ? '' : `,"key":"${hashed(secret, key)}"`;
  const length = storedHeaders && lengthOf(facts.length, storedHeaders);
  if (length !== undefined) text += `,"length":${length}`;
  if (storedHeaders !== undefined) text += `,"response":${jsonOf(responseFields(storedHeaders))}`;
  const sent = requestFields(request.headers, [...facts.keyHeaders, ...varyNames(storedHeaders)], secret);
  return Object.keys(sent).length === 0 ? text : `${text},"request":${jsonOf(sent)}`;
}

function responseFields(headers: RawHeaders): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const name of RESPONSE_FIELDS) {
    const value = fieldValue(headers, name);
    if (value !== undefined) fields[name] = value.slice(0, MAX_VALUE_CHARS);
  }
  // That there is one counts, and not what it says.
  if (fieldValue(headers, 'set-cookie') !== undefined) fields['set-cookie'] = '1';
  return fields;
}

function requestFields(headers: RawHeaders, names: readonly string[], secret: string): Record<string, string> {
  const fields: Record<string, string> = Object.create(null);
  for (const name of [...REQUEST_FIELDS, ...names]) {
    const lower = name.toLowerCase();
    const value = fieldValue(headers, lower);
    if (value !== undefined) fields[lower] = value.slice(0, MAX_VALUE_CHARS);
  }
  const cookie = fieldValue(headers, 'cookie');
  if (cookie !== undefined) fields['cookie'] = hashedCookies(secret, cookie.slice(0, 8 * MAX_VALUE_CHARS));
  else delete fields['cookie'];
  const authorization = fieldValue(headers, 'authorization');
  if (authorization !== undefined) fields['authorization'] = hashed(secret, authorization);
  return fields;
}

function varyNames(headers: RawHeaders | undefined): readonly string[] {
  const vary = headers === undefined ? undefined : fieldValue(headers, 'vary');
  return vary === undefined
    ? []
    : listMembers(vary)
        .slice(0, 20)
        .map((name) => name.toLowerCase());
}

/** Cookies with hashes in the place of their values. */
function hashedCookies(secret: string, cookie: string): string {
  return cookie
    .split(';')
    .map((pair) => {
      const [name = '', ...value] = pair.trim().split('=');
      return `${name}=${value.length === 0 ? '' : hashed(secret, value.join('='))}`;
    })
    .join('; ');
}

function hashed(secret: string, value: string): string {
  return createHmac('sha256', secret).update(value).digest('base64url').slice(0, 12);
}

function jsonOf(fields: Record<string, string>): string {
  return JSON.stringify(fields);
}
