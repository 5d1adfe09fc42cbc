/**
 * Cache key of a request (RFC 9111, section 2), and the request target for the origin, which has nothing that the key
 * lacks.
 * @module
 */

import { compileRules } from '../config/match.ts';
import { rulePath } from '../config/rule-path.ts';
import { geoKeyField } from '../config/schema/site-geo.ts';
import type { SiteConfig } from '../config/schema.ts';
import type { RawHeaders } from '../http/fields/headers.ts';
import { normalisePath, type Target } from '../http/request-target.ts';
import { type Credentials, keyCookies } from './credentials.ts';
import { normalisedField } from './vary.ts';

export interface KeyedRequest {
  /** `prefix`, `target` and `suffix`, one after the other. */
  readonly key: string;
  /** `scheme://authority`. */
  readonly prefix: string;
  /** Host and port. */
  readonly authority: string;
  /** Host without port. */
  readonly host: string;
  /** Name of the site. */
  readonly site: string;
  /** A line for each header and cookie in the key. */
  readonly suffix: string;
  /** `suffix` where a rule's path holds no further cookies in the key, and what it has more where one does. */
  readonly suffixes: Suffixes;
  /** Path and query as the next tier and the origin see them. */
  readonly target: string;
  /** Credentials of the request that are not in the key. */
  readonly credentials: Credentials | undefined;
}

interface Suffixes {
  readonly usual: string;
  readonly ofAllCookies: string | undefined;
}

export function cacheKey(
  site: SiteConfig,
  scheme: 'http' | 'https',
  target: Target,
  headers: RawHeaders,
): KeyedRequest {
  const forwarded = forwardedTarget(site, target.path, target.query);
  const authority = siteAuthority(site, scheme, target);
  const prefix = `${scheme}://${authority}`;
  let suffix = '';
  // What is absent differs from what is empty: the origin may see a difference, too.
  for (const name of keyHeaders(site)) {
    const value = normalisedField(headers, name.toLowerCase());
    suffix += value === undefined ? `\n${name.toLowerCase()}` : `\n${name.toLowerCase()}:${value}`;
  }
  const cookies = keyCookies(site, headers);
  const suffixes = { usual: suffix + cookies.suffix, ofAllCookies: cookies.suffixOfAll };
  const host = authority.replace(/:\d+$/, '');
  return keyAt(site, target.path, {
    prefix,
    authority,
    host,
    site: site.name,
    target: forwarded,
    suffixes,
    credentials: cookies.credentials,
  });
}

/** @returns The same for another path and query with the same headers. */
export function keyedLike(
  site: SiteConfig,
  like: KeyedRequest,
  { path, query }: Pick<Target, 'path' | 'query'>,
): KeyedRequest {
  return keyAt(site, path, { ...like, site: site.name, target: forwardedTarget(site, path, query) });
}

function keyAt(site: SiteConfig, path: string, of: Omit<KeyedRequest, 'key' | 'suffix'>): KeyedRequest {
  const { prefix, authority, host, target, suffixes, credentials } = of;
  const { usual, ofAllCookies } = suffixes;
  const holdsAll = ofAllCookies !== undefined && compileRules(site).cookiesAt(rulePath(path)).mode === 'key';
  const suffix = holdsAll ? usual + ofAllCookies : usual;
  return {
    key: prefix + target + suffix,
    prefix,
    authority,
    host,
    site: of.site,
    target,
    suffix,
    suffixes,
    credentials,
  };
}

/** The edge has said in a header where the visitor is. */
function keyHeaders(site: SiteConfig): readonly string[] {
  const geo = geoKeyField(site);
  return geo === undefined ? site.key.headers : [...site.key.headers, geo];
}

/** @returns Host and port as they stand in the key, and as the next tier and the origin see them. */
export function siteAuthority(site: SiteConfig, scheme: 'http' | 'https', target: Target): string {
  // RFC 9110, section 4.2.3: the port of the scheme is as good as none.
  return site.key.host ?? (target.port === USUAL_PORTS[scheme] ? target.host : target.authority);
}

const USUAL_PORTS = { http: 80, https: 443 };

/** @returns The key of another path and query on the same authority, asked for with the same headers. */
export function siblingKey(site: SiteConfig, like: KeyedRequest, target: string): string {
  const mark = target.indexOf('?');
  const query = mark < 0 ? undefined : target.slice(mark + 1);
  return keyedLike(site, like, { path: mark < 0 ? target : target.slice(0, mark), query }).key;
}

function forwardedTarget(site: SiteConfig, rawPath: string, rawQuery: string | undefined): string {
  const path = normalisePath(rawPath);
  const query = keyedQuery(site.key, rawQuery);
  return query === undefined ? path : `${path}?${query}`;
}

function keyedQuery(rules: SiteConfig['key'], query: string | undefined): string | undefined {
  if (query === undefined || rules.query === 'none') return undefined;
  if (rules.query === 'all' && !rules.sort_query) return query;
  const filter = parameterFilter(rules.query);
  const kept = filter === undefined ? query : keptParameters(query, filter);
  if (kept === undefined || !rules.sort_query) return kept;
  const named = kept.split('&').map((parameter) => ({ parameter, name: parameterName(parameter) }));
  named.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)); // stable: repeated names keep their order
  return named.map(({ parameter }) => parameter).join('&');
}

/** @returns The parameters that are in the key, or `undefined` where none is. */
function keptParameters(query: string, { wanted, isNamed, first }: ParameterFilter): string | undefined {
  let kept: string | undefined;
  /** Start of the current run of parameters that are kept. */
  let from = 0;
  let at = 0;
  while (at <= query.length) {
    const mark = query.indexOf('&', at);
    const end = mark < 0 ? query.length : mark;
    const matches = mayBegin(query, at, end, first) && isNamed(parameterName(query.slice(at, end)));
    if (matches !== wanted) {
      if (from < at) kept = joined(kept, query.slice(from, at - 1));
      from = end + 1;
    }
    at = end + 1;
  }
  if (from === 0) return query;
  return from < at ? joined(kept, query.slice(from)) : kept;
}

function joined(before: string | undefined, parameters: string): string {
  return before === undefined ? parameters : `${before}&${parameters}`;
}

/** Parameters of a query that is taken apart. PHP reads as many by default. */
export const MAX_PARAMETERS = 1_000;

/** Returns whether the site's key needs the parameters of a query that has too many. */
export function hasTooManyParameters({ key }: SiteConfig, query: string | undefined): boolean {
  if (query === undefined || query.length < MAX_PARAMETERS) return false;
  if (key.query === 'none' || (key.query === 'all' && !key.sort_query)) return false;
  let count = 1;
  for (let at = query.indexOf('&'); at >= 0; at = query.indexOf('&', at + 1)) count++;
  return count > MAX_PARAMETERS;
}

type QueryRule = SiteConfig['key']['query'];
interface ParameterFilter {
  /** True if the named ones are in the key, false if all others are. */
  readonly wanted: boolean;
  readonly isNamed: (name: string) => boolean;
  /** By the code of a character: whether one that is named begins with it; all beyond ASCII are one. */
  readonly first: readonly boolean[];
}

/** Made once for each config. */
const FILTERS = new WeakMap<Exclude<QueryRule, string>, ParameterFilter>();

function parameterFilter(rule: QueryRule): ParameterFilter | undefined {
  if (typeof rule === 'string') return undefined;
  let filter = FILTERS.get(rule);
  if (filter === undefined) {
    const [patterns, wanted] = 'allow' in rule ? [rule.allow, true] : [rule.deny, false];
    const names = new Set(patterns.filter((pattern) => !pattern.endsWith('*')));
    const prefixes = patterns.filter((pattern) => pattern.endsWith('*')).map((pattern) => pattern.slice(0, -1));
    const first = new Array<boolean>(BEYOND_ASCII + 1).fill(prefixes.includes(''));
    for (const name of [...names, ...prefixes]) if (name !== '') first[asciiOr(name.charCodeAt(0))] = true;
    const isNamed = (name: string): boolean => names.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
    filter = { wanted, isNamed, first };
    FILTERS.set(rule, filter);
  }
  return filter;
}

const BEYOND_ASCII = 0x80;
const SPACE = 0x20;
const PERCENT = 0x25;
const PLUS = 0x2b;
const EQUALS = 0x3d;

function asciiOr(code: number): number {
  return Math.min(code, BEYOND_ASCII);
}

/**
 * Returns whether a parameter's name may begin with one of these: one character rules most out, without splitting the
 * query.
 */
function mayBegin(query: string, at: number, end: number, first: ParameterFilter['first']): boolean {
  const code = at === end ? EQUALS : query.charCodeAt(at);
  if (code === EQUALS) return true; // no name
  const asWritten = first[asciiOr(code)] === true;
  if (asWritten || (code !== PERCENT && code !== PLUS)) return asWritten;
  if (code === PLUS) return first[SPACE] === true;
  const byte = Number.parseInt(query.slice(at + 1, at + 3), 16);
  return Number.isNaN(byte) ? false : first[asciiOr(byte)] === true;
}

function parameterName(parameter: string): string {
  const equals = parameter.indexOf('=');
  const name = equals < 0 ? parameter : parameter.slice(0, equals);
  const spaced = name.includes('+') ? name.replaceAll('+', ' ') : name;
  // A malformed escape: the name is what is written. An exception for each would cost more than all else.
  if (!spaced.includes('%')) return spaced;
  return IS_DECODABLE.test(spaced) ? decodeURIComponent(spaced) : name;
}

/**
 * Escapes that are all well-formed UTF-8 (RFC 3629, section 4), which `decodeURIComponent` takes. Takes linear time.
 */
const IS_DECODABLE = (() => {
  const tail = '%[89ab][0-9a-f]';
  const characters = [
    '[^%]',
    '%[0-7][0-9a-f]',
    `%(?:c[2-9a-f]|d[0-9a-f])${tail}`,
    `%e0%[ab][0-9a-f]${tail}`,
    `%e(?:[1-9abcef]${tail}|d%[89][0-9a-f])${tail}`,
    `%f0%[9ab][0-9a-f]${tail}${tail}`,
    `%f[1-3]${tail}${tail}${tail}`,
    `%f4%8[0-9a-f]${tail}${tail}`,
  ];
  return new RegExp(`^(?:${characters.join('|')})*$`, 'i');
})();
