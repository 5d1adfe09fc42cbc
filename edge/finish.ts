/**
 * What the site changes on the way to its visitor.
 * @module
 */
import { parseAge } from '../cache/policy/age.ts';
import { parseDirectives, responseDirectives } from '../cache/policy/directives.ts';
import type { SiteConfig } from '../config/schema.ts';
import { fieldValue, firstLine, type RawHeaders, withField, withoutFields } from '../http/headers.ts';
import type { ResponseHead } from '../http/message.ts';
import type { ServedSite } from '../tier/node-core.ts';
import { siteGeo } from './site-geo.ts';

export function changedHeaders(headers: RawHeaders, changes: SiteConfig['request_headers']): string[] {
  let known = CHANGES.get(changes);
  if (known === undefined) {
    const { set, remove } = changes;
    const names = new Set([...remove, ...Object.keys(set)].map((name) => name.toLowerCase()));
    known = { names, added: Object.entries(set).flat() };
    CHANGES.set(changes, known);
  }
  const changed = known.names.size === 0 ? [...headers] : withoutFields(headers, known.names);
  changed.push(...known.added);
  return changed;
}

/** What goes, in lower case, and what is added: worked out once for each config. */
const CHANGES = new WeakMap<
  SiteConfig['request_headers'],
  { readonly names: ReadonlySet<string>; readonly added: readonly string[] }
>();

/** @param path - The path that the site's rules go by. */
export function finishedHead({ site, rules }: ServedSite, path: string, head: ResponseHead): ResponseHead {
  let headers: RawHeaders = siteGeo(site).forBrowsers(withoutFields(head.headers, hiddenFields(site)));
  const rule = rules.ruleFor(path, head.status);
  if (rule.browser_ttl !== undefined && (rule.origin_headers === 'ignore' || !isForOneVisitor(headers))) {
    headers = withBrowserTtl(headers, rule.browser_ttl);
  }
  return { ...head, headers: changedHeaders(headers, site.response_headers) };
}

const HIDDEN = new WeakMap<SiteConfig, ReadonlySet<string>>();

/** What is for this network only: Surrogate-Control (Edge Architecture Specification), tags, and what the site hides. */
function hiddenFields(site: SiteConfig): ReadonlySet<string> {
  const known = HIDDEN.get(site);
  if (known !== undefined) return known;
  const hidden = new Set(['surrogate-control']);
  if (!site.cache_status) hidden.add('cache-status');
  if (!site.tags.visible) for (const field of site.tags.fields) hidden.add(field.toLowerCase());
  HIDDEN.set(site, hidden);
  return hidden;
}

/** What the origin keeps from caches, a rule that honours the origin does not give to browsers. */
function isForOneVisitor(headers: RawHeaders): boolean {
  const { noStore, isPrivate } = responseDirectives(parseDirectives(fieldValue(headers, 'cache-control')));
  return noStore || isPrivate;
}

/** A browser counts Age against max-age (RFC 9111, section 4.2.3), so the age so far is added to what it is given. */
function withBrowserTtl(headers: RawHeaders, ttlMs: number): string[] {
  const ageMs = parseAge(firstLine(headers, 'age'));
  const kept = withoutFields(headers, new Set(['expires', 'pragma']));
  return withField(kept, 'Cache-Control', `max-age=${Math.floor((ttlMs + ageMs) / 1_000)}`);
}
