/**
 * What makes two requests the same (RFC 9111, section 2: the cache key), and
 * the request target that the origin gets to see for it: what is not in the
 * key is not sent either.
 * @module
 */

import { compileRules } from '../config/match.ts';
import { rulePath } from '../config/rule-path.ts';
import { geoKeyField } from '../config/schema/site-geo.ts';
import type { SiteConfig } from '../config/schema.ts';
import type { RawHeaders } from '../http/headers.ts';
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
  /** What the request says of its sender that is not in the key. */
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
  const keep = parameterFilter(rules.query);
  let parameters = query.split('&').filter((parameter) => keep(parameterName(parameter)));
  if (rules.sort_query) {
    parameters = parameters
      .map((parameter) => ({ parameter, name: parameterName(parameter) }))
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)) // stable: repeated names keep their order
      .map(({ parameter }) => parameter);
  }
  return parameters.length === 0 ? undefined : parameters.join('&');
}

function parameterFilter(rule: SiteConfig['key']['query']): (name: string) => boolean {
  if (typeof rule === 'string') return () => true;
  const [names, wanted] = 'allow' in rule ? [rule.allow, true] : [rule.deny, false];
  return (name) => names.some((pattern) => matchesName(pattern, name)) === wanted;
}

function matchesName(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

function parameterName(parameter: string): string {
  const equals = parameter.indexOf('=');
  const name = equals < 0 ? parameter : parameter.slice(0, equals);
  try {
    return decodeURIComponent(name.replaceAll('+', ' '));
  } catch {
    return name; // a malformed escape: the name is what is written
  }
}
