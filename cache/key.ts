/**
 * Cache key of a request (RFC 9111, section 2), and the request target for the origin, which has nothing that the key
 * lacks.
 * @module
 */

import { compileRules } from '../config/match.ts';
import { rulePath } from '../config/rule-path.ts';
import type { SiteConfig } from '../config/schema.ts';
import { geoKeyField } from '../config/visitor-facts.ts';
import type { RawHeaders } from '../http/fields/headers.ts';
import { normalisePath, type Target } from '../http/request-target.ts';
import { type Credentials, keyCookies } from './credentials.ts';
import { parameterName, QueryNames } from './query-names.ts';
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
  const kept = filter === undefined ? query : takenApart(query, filter).kept;
  if (kept === undefined || !rules.sort_query) return kept;
  const named = kept.split('&').map((parameter) => ({ parameter, name: parameterName(parameter) }));
  named.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)); // stable: repeated names keep their order
  return named.map(({ parameter }) => parameter).join('&');
}

/** A query that a filter has taken apart. */
interface TakenApart {
  readonly query: string;
  readonly filter: ParameterFilter;
  /** Parameters that are in the key; `undefined` where none is. */
  readonly kept: string | undefined;
  /** Number of all. */
  readonly count: number;
}

/** Number of parameters and key of a request are asked for one after the other. */
let lastTakenApart: TakenApart | undefined;

function takenApart(query: string, filter: ParameterFilter): TakenApart {
  if (lastTakenApart?.filter !== filter || lastTakenApart.query !== query) lastTakenApart = takeApart(query, filter);
  return lastTakenApart;
}

function takeApart(query: string, filter: ParameterFilter): TakenApart {
  const { wanted, names } = filter;
  let kept: string | undefined;
  let count = 0;
  /** Start of the current run of parameters that are kept. */
  let from = 0;
  let at = 0;
  while (at <= query.length) {
    const isNamed = names.hasNameAt(query, at);
    const next = parameterEnd(query, names.seen) + 1;
    if (isNamed !== wanted) {
      if (from < at) kept = joined(kept, query.slice(from, at - 1));
      from = next;
    }
    at = next;
    count++;
  }
  if (from === 0) kept = query;
  else if (from < at) kept = joined(kept, query.slice(from));
  return { query, filter, kept, count };
}

/** Length of a parameter whose end is found sooner by looking at each character. */
const SHORT_PARAMETER = 24;
const AMPERSAND = 0x26;

function parameterEnd(query: string, from: number): number {
  const near = Math.min(query.length, from + SHORT_PARAMETER);
  for (let at = from; at < near; at++) if (query.charCodeAt(at) === AMPERSAND) return at;
  if (near === query.length) return near;
  const found = query.indexOf('&', near);
  return found < 0 ? query.length : found;
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
  const filter = parameterFilter(key.query);
  const count = filter === undefined ? query.split('&', MAX_PARAMETERS + 1).length : takenApart(query, filter).count;
  return count > MAX_PARAMETERS;
}

type QueryRule = SiteConfig['key']['query'];
interface ParameterFilter {
  /** True if the named ones are in the key, false if all others are. */
  readonly wanted: boolean;
  readonly names: QueryNames;
}

/** Made once for each config. */
const FILTERS = new WeakMap<Exclude<QueryRule, string>, ParameterFilter>();

function parameterFilter(rule: QueryRule): ParameterFilter | undefined {
  if (typeof rule === 'string') return undefined;
  let filter = FILTERS.get(rule);
  if (filter === undefined) {
    const [patterns, wanted] = 'allow' in rule ? [rule.allow, true] : [rule.deny, false];
    filter = { wanted, names: new QueryNames(patterns) };
    FILTERS.set(rule, filter);
  }
  return filter;
}
