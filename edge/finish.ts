/**
 * Changes that the site makes to a response on its way to the visitor.
 * @module
 */
import { parseAge } from '../cache/policy/age.ts';
import { parseDirectives, responseDirectives } from '../cache/policy/directives.ts';
import { allowedFields } from '../config/allowed-fields.ts';
import { hasLifetimes } from '../config/match.ts';
import type { RuleConfig, SiteConfig } from '../config/schema.ts';
import type { GeoLocation } from '../geo/location.ts';
import { removeHopByHop, stripUntrusted, withoutFieldsLike } from '../http/fields/forwarding.ts';
import { asCgiReadsIt } from '../http/fields/forwarding-fields.ts';
import { fieldValue, firstLine, type RawHeaders, withField, withoutFields } from '../http/fields/headers.ts';
import type { ResponseHead } from '../http/message.ts';
import type { ServedSite } from '../tier/node-core.ts';
import { siteGeo } from './site-geo.ts';

/** The fields of a visitor's request that the site's origin gets to see. */
export function cleanedHeaders(headers: RawHeaders, site: SiteConfig, place: GeoLocation | undefined): string[] {
  const { set, remove } = site.request_headers;
  const withGeo = siteGeo(site).fieldsFor(stripUntrusted(removeHopByHop(headers), allowedFields(site)), place);
  const { names, added } = changesOf(site.request_headers, () => ({
    // A field that the site sets must not have a twin that CGI takes for it.
    names: new Set([...remove, ...Object.keys(set)].map(asCgiReadsIt)),
    added: Object.entries(set).flat(),
  }));
  const changed = names.size === 0 ? withGeo : withoutFieldsLike(withGeo, names);
  changed.push(...added);
  return changed;
}

function changedResponse(headers: RawHeaders, changes: SiteConfig['response_headers']): RawHeaders {
  const { names, added } = changesOf(changes, () => ({
    names: new Set([...changes.remove, ...Object.keys(changes.set)].map((name) => name.toLowerCase())),
    added: Object.entries(changes.set).flat(),
  }));
  const kept = names.size === 0 ? headers : withoutFields(headers, names);
  return added.length === 0 ? kept : [...kept, ...added];
}

interface Changes {
  /** Names of fields to remove. */
  readonly names: ReadonlySet<string>;
  readonly added: readonly string[];
}

/** Worked out once for each config. */
const CHANGES = new WeakMap<SiteConfig['response_headers'], Changes>();

function changesOf(config: SiteConfig['response_headers'], make: () => Changes): Changes {
  let known = CHANGES.get(config);
  if (known === undefined) {
    known = make();
    CHANGES.set(config, known);
  }
  return known;
}

/**
 * @param path - The path that the site's rules go by.
 * @param isPersonal - Whether the answer is for one visitor only: then no cache on the way may keep it for others
 * either.
 */
export function finishedHead(
  { site, rules }: ServedSite,
  path: string,
  head: ResponseHead,
  isPersonal = false,
): ResponseHead {
  let headers: RawHeaders = siteGeo(site).forBrowsers(withoutFields(head.headers, hiddenFields(site)));
  const { rule, ttlMs } = browserTtl(rules, path, { ...head, headers });
  if (ttlMs !== undefined && (rule.origin_headers === 'ignore' || !isForOneVisitor(headers))) {
    headers = withBrowserTtl(headers, ttlMs, isPersonal);
  }
  return { ...head, headers: changedResponse(headers, site.response_headers) };
}

/** @returns The rule of a response, and what browsers are told as its lifetime. */
export function browserTtl(
  rules: ServedSite['rules'],
  path: string,
  { status, headers }: ResponseHead,
): { rule: RuleConfig; ttlMs: number | undefined } {
  const { rule } = rules.responseRule(path, status, fieldValue(headers, 'content-type'));
  return { rule, ttlMs: hasLifetimes(rule, status) ? rule.browser_ttl : undefined };
}

const HIDDEN = new WeakMap<SiteConfig, ReadonlySet<string>>();

/**
 * Fields for this network only: Surrogate-Control (Edge Architecture Specification), tags, and those that the site
 * hides.
 */
function hiddenFields(site: SiteConfig): ReadonlySet<string> {
  const known = HIDDEN.get(site);
  if (known !== undefined) return known;
  const hidden = new Set(['surrogate-control']);
  if (!site.cache_status) hidden.add('cache-status');
  if (!site.tags.visible) for (const field of site.tags.fields) hidden.add(field.toLowerCase());
  HIDDEN.set(site, hidden);
  return hidden;
}

/**
 * Returns whether the origin restricts the response to one visitor's cache: then a rule that honours the origin gives
 * it no browser lifetime.
 */
function isForOneVisitor(headers: RawHeaders): boolean {
  const { noStore, isPrivate } = responseDirectives(parseDirectives(fieldValue(headers, 'cache-control')));
  return noStore || isPrivate;
}

/** A browser counts Age against max-age (RFC 9111, section 4.2.3), so the age so far is added to what it is given. */
function withBrowserTtl(headers: RawHeaders, ttlMs: number, isPersonal: boolean): string[] {
  const ageMs = parseAge(firstLine(headers, 'age'));
  const kept = withoutFields(headers, new Set(['expires', 'pragma']));
  const maxAge = `max-age=${Math.floor((ttlMs + ageMs) / 1_000)}`;
  return withField(kept, 'Cache-Control', isPersonal ? `private, ${maxAge}` : maxAge);
}
