/**
 * Credentials of a request, as far as the cache key does not hold them:
 * Authorization, and cookies. Such a request is personal (docs/shared-answers.md): what only a
 * rule or a guess makes shareable is neither kept of its answer nor given to it.
 *
 * Servers do not read cookies alike. A cookie is in the key if any of them might take it for one that
 * the site keys by, and is ignored only where all of them take it for one that the site ignores.
 * @module
 */
import type { NameReader } from '../config/cookie-names.ts';
import { type CompiledRules, type CookiePolicy, compileRules } from '../config/match.ts';
import type { SiteConfig } from '../config/schema.ts';
import { fieldLines, hasField, lowerCase, type RawHeaders, trimOws } from '../http/fields/headers.ts';

/** Credentials and cookies of a request that are not in its key. */
export interface Credentials {
  readonly hasAuthorization: boolean;
  /** True where a cookie is neither ignored nor in the key. */
  readonly hasCookies: boolean;
  /** Cookies that are not in the key, the ignored ones among them; `undefined`: too many to read. */
  readonly cookies: readonly Cookie[] | undefined;
  /** Remembered results for policies that name some cookies. */
  readonly found: Map<CookiePolicy, boolean>;
}

/** Meaning of a request's fields for its key. */
export interface KeyCookies {
  readonly credentials: Credentials | undefined;
  /** Lines of the key, where it holds the cookies that `key.cookies` names. */
  readonly suffix: string;
  /** Further lines, where it holds all that are not ignored; `undefined` where no rule wants that. */
  readonly suffixOfAll: string | undefined;
}

/** One cookie of a request. */
export interface Cookie {
  /** As it is written, without white space around it. */
  readonly name: string;
  /** `name=value` without white space around either; of one without `=`, all of it. */
  readonly text: string;
  /** True where all servers read the same name and the same value. */
  readonly isPlain: boolean;
}

/** Parts between semicolons. Browsers keep 180 cookies for a site or fewer; what has more is not read at all. */
const MAX_COOKIES = 256;

/** A token, then octets that stand in no cookie for anything else (RFC 6265, section 4.1.1). */
const PLAIN = /^[!#$&'*+^_`|~0-9A-Za-z-][!#$&'*+.^_`|~0-9A-Za-z-]*=[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/;

/** The same of what is written otherwise, in characters: each costs more to read. */
const MAX_ODD_CHARS = 4_096;

/** Text behind a value that some servers take for another cookie. */
const PERHAPS_ANOTHER = /[\s,"][^\s,"=]*=/;

const NOTHING: KeyCookies = { credentials: undefined, suffix: '', suffixOfAll: undefined };
const NO_COOKIES: readonly Cookie[] = [];

/** @returns What is in the key of the request's cookies, and what it has of a person beside that. */
export function keyCookies(site: SiteConfig, headers: RawHeaders): KeyCookies {
  const hasCookie = hasField(headers, 'cookie');
  const hasAuthorization = hasField(headers, 'authorization') && !keysField(site, 'authorization');
  if (!hasCookie && !hasAuthorization) return NOTHING;
  const rules = compileRules(site);
  const cookies = !hasCookie || keysField(site, 'cookie') ? NO_COOKIES : requestCookies(headers);
  if (cookies === undefined) {
    const all = isKeying(rules) ? `\ncookies ${fieldLines(headers, 'cookie').join('; ')}` : '';
    return {
      credentials: { hasAuthorization, hasCookies: true, cookies: undefined, found: new Map() },
      suffix: all,
      suffixOfAll: rules.keysCookies ? '' : undefined,
    };
  }
  const { keyed, others, ignored } = sorted(rules, cookies);
  const isAnonymous = !hasAuthorization && others.length === 0 && ignored.length === 0;
  return {
    credentials: isAnonymous
      ? undefined
      : { hasAuthorization, hasCookies: others.length > 0, cookies: [...others, ...ignored], found: new Map() },
    suffix: keyed.map(({ text }) => `\ncookie ${text}`).join(''),
    suffixOfAll: rules.keysCookies ? others.map(({ text }) => `\ncookie ${text}`).join('') : undefined,
  };
}

/** Returns whether the request is personal where this policy counts. */
export function isPersonal(credentials: Credentials | undefined, policy: CookiePolicy): boolean {
  if (credentials === undefined) return false;
  if (credentials.hasAuthorization) return true;
  switch (policy.mode) {
    case 'bypass':
      return credentials.hasCookies;
    case 'ignore':
      return false;
    case 'key':
      return credentials.cookies === undefined;
    case 'some': {
      const known = credentials.found.get(policy);
      if (known !== undefined) return known;
      const { cookies } = credentials;
      const isSome = cookies?.some((cookie) => isRead(cookie, policy.names)) ?? true;
      credentials.found.set(policy, isSome);
      return isSome;
    }
  }
}

/**
 * The header section that goes on: where servers could read its cookies differently, those that are in the key come
 * first, in one line and in the order of the key. So the origin sees of them what the key says, and nothing else.
 */
export function withPlainCookies(site: SiteConfig, headers: RawHeaders): RawHeaders {
  const rules = compileRules(site);
  if (!isKeying(rules)) return headers;
  const lines = fieldLines(headers, 'cookie');
  if (lines.length === 0) return headers;
  const cookies = requestCookies(headers);
  if (cookies === undefined || (lines.length === 1 && cookies.every(({ isPlain }) => isPlain))) return headers;
  const { keyed, others, ignored } = sorted(rules, cookies);
  return withCookies(headers, [...keyed, ...others, ...ignored]);
}

/**
 * The header section of a request that is not personal where this policy counts: without the cookies that do not count
 * there, as its answer is for visitors who have others.
 */
export function withoutIgnored(site: SiteConfig, policy: CookiePolicy, headers: RawHeaders): RawHeaders {
  if (!hasField(headers, 'cookie') || keysField(site, 'cookie')) return headers;
  const rules = compileRules(site);
  const cookies = requestCookies(headers);
  // What is not taken apart is in the key of a site that keys by cookies.
  if (cookies === undefined) return isKeying(rules) ? headers : withCookies(headers, NO_COOKIES);
  const { keyed, others } = sorted(rules, cookies);
  return withCookies(headers, policy.mode === 'key' ? [...keyed, ...others] : keyed);
}

/**
 * A response's fields for a visitor whose cookies have been taken out of the request: without Set-Cookie for one of
 * them, as an origin that sees no session begins a new one, which would take the place of the visitor's own.
 */
export function withoutReplaced(response: string[], asked: RawHeaders, sent: RawHeaders): string[] {
  if (asked === sent || !hasField(response, 'set-cookie')) return response;
  const had = requestCookies(asked);
  const seen = new Set(requestCookies(sent)?.map(({ name }) => name));
  const withheld = had && new Set(had.map(({ name }) => name).filter((name) => !seen.has(name)));
  const kept: string[] = [];
  for (let i = 0; i < response.length; i += 2) {
    const [name, value] = [response[i] as string, response[i + 1] as string];
    const isReplaced =
      lowerCase(name) === 'set-cookie' && withheld?.has(trimOws(value.slice(0, value.search(/[=;]|$/)))) !== false;
    if (!isReplaced) kept.push(name, value);
  }
  return kept;
}

/** One line of these cookies in place of all lines. */
function withCookies(headers: RawHeaders, cookies: readonly Cookie[]): string[] {
  const value = cookies.map(({ text }) => text).join('; ');
  const kept: string[] = [];
  let isDone = value === '';
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (lowerCase(name) !== 'cookie') kept.push(name, headers[i + 1] as string);
    else if (!isDone) {
      kept.push(name, value);
      isDone = true;
    }
  }
  return kept;
}

function isKeying(rules: CompiledRules): boolean {
  return rules.keysCookies || rules.keyed !== undefined;
}

function keysField(site: SiteConfig, name: string): boolean {
  return site.key.headers.some((field) => field.toLowerCase() === name);
}

/** @returns `undefined` when there are too many. */
function requestCookies(headers: RawHeaders): readonly Cookie[] | undefined {
  const parts: string[] = [];
  for (const line of fieldLines(headers, 'cookie')) {
    parts.push(...line.split(';', MAX_COOKIES + 1));
    if (parts.length > MAX_COOKIES) return undefined; // before any of them is read
  }
  const cookies: Cookie[] = [];
  let oddChars = 0;
  for (const part of parts) {
    const written = trimOws(part);
    if (written === '') continue;
    const cookie = readCookie(written);
    if (!cookie.isPlain) oddChars += written.length;
    if (oddChars > MAX_ODD_CHARS) return undefined;
    cookies.push(cookie);
  }
  return cookies;
}

function readCookie(written: string): Cookie {
  const equals = written.indexOf('=');
  if (PLAIN.test(written)) return { name: written.slice(0, equals), text: written, isPlain: true };
  const name = equals < 0 ? written : trimOws(written.slice(0, equals));
  const text = equals < 0 ? written : `${name}=${trimOws(written.slice(equals + 1))}`;
  return { name, text, isPlain: false };
}

/** Sorts cookies that are in the key apart from the others: by name, and for one name in their order of arrival. */
function sorted(
  { keyed, isIgnored, keysCookies }: CompiledRules,
  cookies: readonly Cookie[],
): Record<'keyed' | 'others' | 'ignored', readonly Cookie[]> {
  const groups = { keyed: [] as Cookie[], others: [] as Cookie[], ignored: [] as Cookie[] };
  for (const cookie of cookies) {
    if (keyed !== undefined && isRead(cookie, keyed)) groups.keyed.push(cookie);
    else if (isIgnored(cookie.name) && isOne(cookie)) groups.ignored.push(cookie);
    else groups.others.push(cookie);
  }
  groups.keyed.sort(byName);
  if (keysCookies) groups.others.sort(byName);
  return groups;
}

function byName(a: Cookie, b: Cookie): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** Returns whether some server takes the cookie, or a part of it, for one of these names. */
function isRead({ name, text, isPlain }: Cookie, names: NameReader): boolean {
  if (names.isName(name)) return true;
  if (isPlain) return false;
  const bracket = name.indexOf('['); // PHP: an array of what stands before it
  return (bracket > 0 && names.isName(name.slice(0, bracket))) || names.isIn(text);
}

/** Returns whether no server takes a part of it for another cookie. */
function isOne({ text, isPlain }: Cookie): boolean {
  return isPlain || !PERHAPS_ANOTHER.test(text);
}
