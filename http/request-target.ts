/**
 * Host and path of a request, parsed strictly.
 *
 * Whatever two parsers could read differently is refused here, so that the
 * cache key and the origin always speak of the same resource
 * (RFC 9112, sections 3.2 and 11.1).
 * @module
 */
import { isIPv6 } from 'node:net';
import { HttpError } from './errors.ts';
import { fieldLines, type RawHeaders } from './fields/headers.ts';

export interface Target {
  /** Lower case, no port and no dot at the end; an IPv6 address in brackets. */
  readonly host: string;
  readonly port: number | undefined;
  /** Host and port in one spelling: `site.test.` and `site.test:` are `site.test` (RFC 3986, section 6.2.3). */
  readonly authority: string;
  /** From the first slash up to the query; `*` for the whole server (OPTIONS). */
  readonly path: string;
  /** Without the question mark; empty in `/?`. */
  readonly query: string | undefined;
  /** Path, question mark and query: the origin-form. */
  readonly raw: string;
}

/** Treatment of `.` and `..` in a path. */
export type DotSegments = 'refuse' | 'resolve';

export interface TargetOptions {
  /** Host and port that count where there is no Host: HTTP/1.0 does not ask for one (RFC 9112, section 3.3). */
  readonly impliedHost?: string | undefined;
  /** Returns the setting of a host's site; by default they are rejected. */
  readonly dotSegments?: ((host: string) => DotSegments) | undefined;
}

/**
 * @param requestTarget - As it stands in the request line.
 * @throws {HttpError} `bad_host`, `bad_target`, or `method_not_implemented` for CONNECT.
 */
export function parseRequestTarget(
  method: string,
  requestTarget: string,
  rawHeaders: RawHeaders,
  { impliedHost, dotSegments = alwaysRefuse }: TargetOptions = {},
): Target {
  // RFC 9110, section 9.3.6: CONNECT makes tunnels, which is for forward proxies. RFC 9113, section 3.4: PRI is no
  // method.
  if (method === 'CONNECT' || method === 'PRI') throw new HttpError('method_not_implemented', method);
  const hostField = parseHostField(rawHeaders, impliedHost);
  if (requestTarget.startsWith('/')) {
    return withPath(hostField, escapedTarget(requestTarget), dotSegments(hostField.host));
  }
  if (!TARGET_CHARS.test(requestTarget)) throw new HttpError('bad_target', 'forbidden character');
  if (requestTarget === '*' && method === 'OPTIONS') return wholeServer(hostField);

  const absolute = ABSOLUTE_FORM.exec(requestTarget);
  if (absolute === null) throw new HttpError('bad_target', 'unknown form');
  // RFC 9112, section 3.2.2: the server "MUST ignore the received Host header field" for the host in the target.
  const authority = parseAuthority(absolute[1] as string);
  if (authority === undefined) throw new HttpError('bad_target', 'authority');
  const rest = absolute[2] as string;
  // RFC 9112, section 3.2.4: an absolute-form without path stands for the whole server in OPTIONS, else for "/".
  if (rest === '' && method === 'OPTIONS') return wholeServer(authority);
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  return withPath(authority, escapedTarget(path), dotSegments(authority.host));
}

function alwaysRefuse(): DotSegments {
  return 'refuse';
}

/**
 * One spelling for equivalent paths (RFC 3986, section 6.2.2): escapes in
 * upper case, and none for characters that never need one.
 */
export function normalisePath(path: string): string {
  let at = path.indexOf('%');
  if (at < 0) return path;
  let normal = '';
  let from = 0;
  for (; at >= 0; at = path.indexOf('%', at + 1)) {
    const high = HEX[path.charCodeAt(at + 1)] ?? NO_DIGIT; // NaN at the end
    const low = HEX[path.charCodeAt(at + 2)] ?? NO_DIGIT;
    if (high === NO_DIGIT || low === NO_DIGIT) continue;
    normal += path.slice(from, at) + (NORMAL_ESCAPES[high * 16 + low] as string);
    from = at + 3;
  }
  return normal + path.slice(from);
}

/** Parsed Host. */
export type Authority = Pick<Target, 'host' | 'port' | 'authority'>;

/**
 * As `parseRequestTarget` reads it, for a Host that is read already.
 *
 * @throws {HttpError} `bad_target`, also where it is not in origin-form.
 */
export function parseOriginForm(
  authority: Authority,
  requestTarget: string,
  dotSegments: DotSegments = 'refuse',
): Target {
  if (!requestTarget.startsWith('/')) throw new HttpError('bad_target', 'unknown form');
  return withPath(authority, escapedTarget(requestTarget), dotSegments);
}

/**
 * @returns The target with escapes for what needs them.
 * @throws {HttpError} `bad_target`
 */
function escapedTarget(requestTarget: string): string {
  if (PLAIN_TARGET.test(requestTarget)) return requestTarget;
  if (!TARGET_CHARS.test(requestTarget)) throw new HttpError('bad_target', 'forbidden character');
  return escaped(requestTarget);
}

/** Visible, without `#`: fragments are not sent. */
const TARGET_CHARS = /^[\x21\x22\x24-\x7e\x80-\xff]+$/;
/** The same without what `UNESCAPED` has: nearly all targets. */
const PLAIN_TARGET = /^[\x21\x22\x24-\x5b\x5d-\x7e]+$/;
/** Characters that RFC 3986 requires to be escaped and clients send all the same: UTF-8, and `\` in queries. */
const UNESCAPED = /[\\\x80-\xff]/g;
const ABSOLUTE_FORM = /^https?:\/\/([^/?]*)(.*)$/i;
/** Host names as DNS and browsers know them, narrower than RFC 3986: no escapes, no sub-delims. */
const AUTHORITY = /^(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?(?::([1-9][0-9]{0,4})?)?$/i;
const MAX_HOST_LENGTH = 255;
const MAX_PORT = 65_535;
/** With its colon. */
const MAX_PORT_CHARS = 6;

const UNRESERVED = /^[A-Za-z0-9._~-]$/;
/** Normal form of each byte of a path. */
const NORMAL_ESCAPES: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte);
  return UNRESERVED.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
});
const NO_DIGIT = 16;
/** By the code of a character. */
const HEX: readonly number[] = Array.from({ length: 128 }, (_, code) => {
  const digit = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(digit) ? NO_DIGIT : digit;
});
const BROKEN_ESCAPE = /%(?![0-9a-f]{2})/i;
/** A zero byte ends the path for programs that keep strings the way C does. */
const ESCAPED_ZERO = '%00';
const ESCAPED_DOT_OR_SLASH = /%(?:2e|2f|5c)/gi;
/**
 * `.` or `..` between slashes. A parameter (`/..;a=b/`) hides it from some
 * parsers only: Orange Tsai, "Breaking Parser Logic!", Black Hat USA 2018.
 */
const DOT_SEGMENT = /\/\.\.?(?:[/;]|$)/;

/** RFC 9112, section 3.2: 400 for no Host, more than one line of it, or an invalid value. */
function parseHostField(rawHeaders: RawHeaders, impliedHost: string | undefined): Authority {
  const [line = impliedHost, ...others] = fieldLines(rawHeaders, 'host');
  if (line === undefined) throw new HttpError('bad_host', 'no Host field');
  if (others.length > 0) throw new HttpError('bad_host', 'more than one Host field');
  const authority = parseAuthority(line);
  if (authority === undefined) throw new HttpError('bad_host', 'invalid Host field');
  return authority;
}

function parseAuthority(text: string): Authority | undefined {
  if (text.length > MAX_HOST_LENGTH + MAX_PORT_CHARS) return undefined;
  const match = AUTHORITY.exec(text);
  if (match === null) return undefined;
  const host = (match[1] as string).toLowerCase();
  const port = match[2] === undefined ? undefined : Number(match[2]);
  if (host.length > MAX_HOST_LENGTH || (port !== undefined && port > MAX_PORT)) return undefined;
  if (host.startsWith('[') && (!isIPv6(host.slice(1, -1)) || text.includes('].'))) return undefined;
  return { host, port, authority: port === undefined ? host : `${host}:${port}` };
}

/** @param given - Of `escapedTarget`. */
function withPath({ host, port, authority }: Authority, given: string, dotSegments: DotSegments): Target {
  let raw = given;
  const mark = raw.indexOf('?');
  let path = mark === -1 ? raw : raw.slice(0, mark);
  const query = mark === -1 ? undefined : raw.slice(mark + 1);
  if (dotSegments === 'resolve' && DOTS.test(path)) {
    path = withoutDotSegments(path);
    raw = query === undefined ? path : `${path}?${query}`;
  }
  refuseAmbiguous(path);
  return { host, port, authority, path, query, raw };
}

/**
 * As browsers escape what they send (WHATWG URL, "percent-encode sets"): every
 * tier and the origin see one spelling. A backslash in the path is a slash to
 * browsers, which never send one, and to some servers: it is refused.
 */
function escaped(target: string): string {
  const mark = target.indexOf('?');
  const slash = target.indexOf('\\');
  if (slash >= 0 && (mark < 0 || slash < mark)) throw new HttpError('bad_target', 'forbidden character');
  return target.replace(UNESCAPED, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Path that may contain a dot segment. */
const DOTS = /\/(?:\.|%2e)/i;
const ONE_DOT = /^(?:\.|%2e)$/i;
const TWO_DOTS = /^(?:\.|%2e){2}$/i;

/**
 * The path as browsers resolve it (RFC 3986, section 5.2.4; WHATWG URL, "path
 * state"). Dots behind an escaped slash or before a parameter stay: browsers
 * leave them, some servers do not, so that they are refused afterwards.
 */
function withoutDotSegments(path: string): string {
  const segments = path.split('/').slice(1);
  const kept: string[] = [];
  for (const [index, segment] of segments.entries()) {
    const isDots = ONE_DOT.test(segment);
    const isUp = TWO_DOTS.test(segment);
    if (isUp) kept.pop();
    if (!isDots && !isUp) kept.push(segment);
    else if (index === segments.length - 1) kept.push('');
  }
  return `/${kept.join('/')}`;
}

function wholeServer(authority: Authority): Target {
  return { ...authority, path: '*', query: undefined, raw: '*' };
}

function refuseAmbiguous(path: string): void {
  const hasEscapes = path.includes('%');
  if (hasEscapes && BROKEN_ESCAPE.test(path)) throw new HttpError('bad_target', 'broken percent-encoding');
  if (hasEscapes && path.includes(ESCAPED_ZERO)) throw new HttpError('bad_target', 'zero byte');
  const decoded = hasEscapes ? path.replace(ESCAPED_DOT_OR_SLASH, dotOrSlash) : path;
  if (DOT_SEGMENT.test(decoded)) throw new HttpError('bad_target', 'dot segment');
}

function dotOrSlash(encoded: string): string {
  return encoded.toLowerCase() === '%2e' ? '.' : '/';
}
