/**
 * What makes two requests the same (RFC 9111, section 2: the cache key), and
 * the request target that the origin gets to see for it: what is not in the
 * key is not sent either.
 * @module
 */

import { geoKeyField } from '../config/schema/site-geo.ts';
import type { SiteConfig } from '../config/schema.ts';
import { fieldLines, type RawHeaders, trimOws } from '../http/headers.ts';
import { normalisePath, type Target } from '../http/request-target.ts';
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
  /** Path and query as the next tier and the origin see them. */
  readonly target: string;
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
  if (site.key.cookies.length > 0) {
    const cookies = requestCookies(headers);
    for (const name of site.key.cookies) {
      const values = cookies.get(name);
      suffix += values === undefined ? `\ncookie ${name}` : `\ncookie ${name}=${values.join(';')}`;
    }
  }
  const host = authority.replace(/:\d+$/, '');
  return { key: prefix + forwarded + suffix, prefix, authority, host, site: site.name, target: forwarded, suffix };
}

/** @returns The same for another path and query with the same headers. */
export function keyedLike(site: SiteConfig, like: KeyedRequest, { path, query }: Target): KeyedRequest {
  const { prefix, authority, host, suffix } = like;
  const target = forwardedTarget(site, path, query);
  return { key: prefix + target + suffix, prefix, authority, host, site: site.name, suffix, target };
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
  return like.prefix + forwardedTarget(site, mark < 0 ? target : target.slice(0, mark), query) + like.suffix;
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

/** Every value of each cookie: of several with one name, nobody knows which the origin takes. */
function requestCookies(headers: RawHeaders): Map<string, string[]> {
  const cookies = new Map<string, string[]>();
  for (const line of fieldLines(headers, 'cookie')) {
    for (const pair of line.split(';')) {
      const equals = pair.indexOf('=');
      const name = trimOws(equals < 0 ? pair : pair.slice(0, equals));
      const value = equals < 0 ? '' : trimOws(pair.slice(equals + 1));
      const values = cookies.get(name);
      if (values === undefined) cookies.set(name, [value]);
      else values.push(value);
    }
  }
  return cookies;
}
