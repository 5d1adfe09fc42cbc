/**
 * What the site changes on the way to its visitor.
 * @module
 */
import { parseAge } from '../cache/policy/age.ts';
import type { SiteConfig } from '../config/schema.ts';
import { fieldLines, type RawHeaders, withField, withoutFields } from '../http/headers.ts';
import type { ResponseHead } from '../http/message.ts';
import type { ServedSite } from '../tier/node-core.ts';

export function changedHeaders(headers: RawHeaders, { set, remove }: SiteConfig['request_headers']): string[] {
  const names = new Set([...remove, ...Object.keys(set)].map((name) => name.toLowerCase()));
  const changed = names.size === 0 ? [...headers] : withoutFields(headers, names);
  for (const [name, value] of Object.entries(set)) changed.push(name, value);
  return changed;
}

/** @param path - The path that the site's rules go by. */
export function finishedHead({ site, rules }: ServedSite, path: string, head: ResponseHead): ResponseHead {
  const hidden = site.cache_status ? SURROGATE_ONLY : SURROGATE_AND_STATUS;
  let headers: string[] = withoutFields(head.headers, hidden);
  const { browser_ttl: browserTtl } = rules.ruleFor(path, head.status);
  if (browserTtl !== undefined) headers = withBrowserTtl(headers, browserTtl);
  return { ...head, headers: changedHeaders(headers, site.response_headers) };
}

/** Surrogate-Control is for this network, not for who comes after it (Edge Architecture Specification). */
const SURROGATE_ONLY: ReadonlySet<string> = new Set(['surrogate-control']);
const SURROGATE_AND_STATUS: ReadonlySet<string> = new Set(['surrogate-control', 'cache-status']);

/** A browser counts Age against max-age (RFC 9111, section 4.2.3), so the age so far is added to what it is given. */
function withBrowserTtl(headers: RawHeaders, ttlMs: number): string[] {
  const ageMs = parseAge(fieldLines(headers, 'age')[0]);
  const kept = withoutFields(headers, new Set(['expires', 'pragma']));
  return withField(kept, 'Cache-Control', `max-age=${Math.floor((ttlMs + ageMs) / 1_000)}`);
}
