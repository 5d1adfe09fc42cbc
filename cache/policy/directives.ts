/**
 * Cache directives as fields carry them (RFC 9111, section 5.2; RFC 5861; RFC 8246).
 *
 * Every duration here is in seconds, as on the wire.
 * @module
 */
import { listMembers, trimOws } from '../../http/fields/headers.ts';

/** Directives of a response's Cache-Control, or of a targeted field. */
export interface ResponseDirectives {
  readonly noStore: boolean;
  /** Unqualified `no-cache`: validate before every use. */
  readonly noCache: boolean;
  /** Lower-case field names of `no-cache="…"`. */
  readonly noCacheFields: readonly string[];
  readonly isPrivate: boolean;
  /** Lower-case field names of `private="…"`. */
  readonly privateFields: readonly string[];
  readonly isPublic: boolean;
  readonly mustRevalidate: boolean;
  readonly proxyRevalidate: boolean;
  readonly mustUnderstand: boolean;
  readonly sMaxage: number | undefined;
  readonly maxAge: number | undefined;
  readonly staleWhileRevalidate: number | undefined;
  readonly staleIfError: number | undefined;
}

/** Directives of a request's Cache-Control or Pragma. */
export interface RequestDirectives {
  readonly noCache: boolean;
  readonly noStore: boolean;
  readonly onlyIfCached: boolean;
  readonly maxAge: number | undefined;
  readonly minFresh: number | undefined;
  /** `Infinity` for `max-stale` without a value. */
  readonly maxStale: number | undefined;
}

export const NO_RESPONSE_DIRECTIVES: ResponseDirectives = {
  noStore: false,
  noCache: false,
  noCacheFields: [],
  isPrivate: false,
  privateFields: [],
  isPublic: false,
  mustRevalidate: false,
  proxyRevalidate: false,
  mustUnderstand: false,
  sMaxage: undefined,
  maxAge: undefined,
  staleWhileRevalidate: undefined,
  staleIfError: undefined,
};

export const NO_REQUEST_DIRECTIVES: RequestDirectives = {
  noCache: false,
  noStore: false,
  onlyIfCached: false,
  maxAge: undefined,
  minFresh: undefined,
  maxStale: undefined,
};

/** The largest delta-seconds that must be told apart from "for ever" (section 1.2.2). */
export const MAX_DELTA_SECONDS = 2 ** 31;

/** Directives whose argument only restricts them: without it, they say more (sections 5.2.2.4 and 5.2.2.7). */
const FIELD_LISTS: ReadonlySet<string> = new Set(['no-cache', 'private']);

/**
 * A directive's argument: `true` when it has none. The first of several wins (section 4.2.1), but for `FIELD_LISTS`.
 */
export type DirectiveMap = ReadonlyMap<string, string | true>;

/** @param value - The field's combined value; malformed members are read as far as they make sense. */
export function parseDirectives(value: string | undefined): DirectiveMap {
  const directives = new Map<string, string | true>();
  if (value === undefined) return directives;
  for (const member of directiveMembers(value)) {
    const equals = member.indexOf('=');
    const name = (equals < 0 ? member : member.slice(0, equals)).toLowerCase();
    // `max-age =1` and `max-age= 1` are no directives of that name or value: no whitespace around "=" (section 5.2).
    const argument = equals < 0 ? true : unquote(member.slice(equals + 1));
    const before = directives.get(name);
    if (before === undefined) directives.set(name, argument);
    else if (FIELD_LISTS.has(name)) {
      directives.set(name, before === true || argument === true ? true : `${before},${argument}`);
    }
  }
  return directives;
}

/** A quote that never ends would hide all that follows it, such as `no-store`: there, a comma is a comma. */
function directiveMembers(value: string): string[] {
  const members = listMembers(value);
  const last = members.at(-1);
  if (last === undefined || !last.includes('"') || ENDS_QUOTES.test(last)) return members;
  return [...members.slice(0, -1), ...last.split(',').map(trimOws)];
}

/** Text in which every quoted string ends (RFC 9110, section 5.6.4). Takes linear time. */
const ENDS_QUOTES = /^(?:[^"]|"(?:[^"\\]|\\.)*")*$/;

export function responseDirectives(directives: DirectiveMap): ResponseDirectives {
  if (directives.size === 0) return NO_RESPONSE_DIRECTIVES;
  const noCacheFields = fieldNames(directives.get('no-cache'));
  const privateFields = fieldNames(directives.get('private'));
  return {
    noStore: directives.has('no-store'),
    // An argument without any field name restricts nothing: the directive counts for the whole response.
    noCache: directives.has('no-cache') && noCacheFields.length === 0,
    noCacheFields,
    isPrivate: directives.has('private') && privateFields.length === 0,
    privateFields,
    isPublic: directives.has('public'),
    mustRevalidate: directives.has('must-revalidate'),
    proxyRevalidate: directives.has('proxy-revalidate'),
    mustUnderstand: directives.has('must-understand'),
    sMaxage: lifetime(directives.get('s-maxage')),
    maxAge: lifetime(directives.get('max-age')),
    staleWhileRevalidate: deltaSeconds(directives.get('stale-while-revalidate')),
    staleIfError: deltaSeconds(directives.get('stale-if-error')),
  };
}

/** @param pragma - Counts only where there is no Cache-Control (section 5.4). */
export function requestDirectives(cacheControl: string | undefined, pragma: string | undefined): RequestDirectives {
  if (cacheControl === undefined && pragma === undefined) return NO_REQUEST_DIRECTIVES;
  const directives = parseDirectives(cacheControl);
  const maxStale = directives.get('max-stale');
  return {
    noCache: directives.has('no-cache') || (cacheControl === undefined && parseDirectives(pragma).has('no-cache')),
    noStore: directives.has('no-store'),
    onlyIfCached: directives.has('only-if-cached'),
    maxAge: deltaSeconds(directives.get('max-age')),
    minFresh: deltaSeconds(directives.get('min-fresh')),
    maxStale: maxStale === true ? Number.POSITIVE_INFINITY : deltaSeconds(maxStale),
  };
}

/** @returns Seconds, at most `MAX_DELTA_SECONDS`; `undefined` for anything but digits (section 1.2.2). */
export function deltaSeconds(text: string | true | undefined): number | undefined {
  if (typeof text !== 'string' || !/^\d+$/.test(text)) return undefined;
  return Math.min(Number(text), MAX_DELTA_SECONDS);
}

/** A lifetime that makes no sense is read as "stale on arrival" (section 4.2.1, last paragraph). */
function lifetime(text: string | true | undefined): number | undefined {
  return text === undefined ? undefined : (deltaSeconds(text) ?? 0);
}

function fieldNames(argument: string | true | undefined): readonly string[] {
  if (typeof argument !== 'string') return [];
  return argument
    .split(',')
    .map((name) => trimOws(name).toLowerCase())
    .filter((name) => name !== '');
}

function unquote(text: string): string {
  if (text.length < 2 || !text.startsWith('"') || !text.endsWith('"')) return text;
  return text.slice(1, -1).replace(/\\(.)/g, '$1');
}
