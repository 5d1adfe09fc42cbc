/**
 * Changes that the site makes to a response on its way to the visitor.
 * @module
 */
import { parseAge } from '../cache/policy/age.ts';
import { parseDirectives, responseDirectives } from '../cache/policy/directives.ts';
import { isEncodable, isEncoded } from '../cache/policy/encoding.ts';
import { allowedFields } from '../config/allowed-fields.ts';
import type { CompiledCompression } from '../config/compression.ts';
import { hasLifetimes } from '../config/match.ts';
import type { RuleConfig, SiteConfig } from '../config/schema.ts';
import type { GeoLocation } from '../geo/location.ts';
import { contentLength } from '../http/fields/content-length.ts';
import { removeHopByHop, stripUntrusted, withoutFieldsLike } from '../http/fields/forwarding.ts';
import { asCgiReadsIt } from '../http/fields/forwarding-fields.ts';
import {
  FieldNames,
  fieldValue,
  firstLine,
  listMembers,
  type RawHeaders,
  removeFields,
  withoutFields,
} from '../http/fields/headers.ts';
import type { OwnHead, ResponseHead } from '../http/message.ts';
import type { ServedSite } from '../tier/node-core.ts';
import { siteGeo } from './site-geo.ts';

/**
 * The fields of a visitor's request that the site's origin gets to see.
 *
 * @param idNames - Of the field with its identifier, which is added where it is sent.
 */
export function cleanedHeaders(
  headers: RawHeaders,
  site: SiteConfig,
  place: GeoLocation | undefined,
  idNames?: ReadonlySet<string> | undefined,
): string[] {
  const { set, remove } = site.request_headers;
  const withGeo = siteGeo(site).fieldsFor(stripUntrusted(removeHopByHop(headers), allowedFields(site)), place);
  const { names, added } = changesOf(site.request_headers, () => ({
    // A field that the site sets must not have a twin that CGI takes for it.
    names: new Set([...remove, ...Object.keys(set)].map(asCgiReadsIt)),
    added: Object.entries(set).flat(),
  }));
  const changed = names.size === 0 ? withGeo : withoutFieldsLike(withGeo, names);
  changed.push(...added);
  if (idNames !== undefined) removeFields(changed, idNames);
  return changed;
}

/** Changes `headers`. */
function changeResponse(headers: string[], changes: SiteConfig['response_headers']): void {
  const { names, added } = changesOf(changes, () => ({
    names: new Set([...changes.remove, ...Object.keys(changes.set)].map((name) => name.toLowerCase())),
    added: Object.entries(changes.set).flat(),
  }));
  if (names.size > 0) removeFields(headers, names);
  if (added.length > 0) headers.push(...added);
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
 * The head as it leaves the edge: its fields are changed in place.
 *
 * @param path - The path that the site's rules go by.
 * @param isPersonal - Whether the answer is for one visitor only: then no cache on the way may keep it for others
 * either.
 */
export function finishedHead({ site, rules }: ServedSite, path: string, given: OwnHead, isPersonal = false): OwnHead {
  removeFields(given.headers, hiddenFields(site));
  if (rules.compression !== undefined) varyByCoding(given, rules.compression);
  const headers = siteGeo(site).forBrowsers(given.headers);
  const head = headers === given.headers ? given : { ...given, headers };
  const { rule, ttlMs } = browserTtl(rules, path, head);
  if (ttlMs !== undefined && (rule.origin_headers === 'ignore' || !isForOneVisitor(headers))) {
    setBrowserTtl(headers, ttlMs, isPersonal);
  }
  changeResponse(headers, site.response_headers);
  return head;
}

/** Statuses of answers that stand for a 200, or for a part of one. */
const FOR_200: ReadonlySet<number> = new Set([206, 304]);

/**
 * Says that a response depends on Accept-Encoding: one that may be sent in an encoding, and one that its origin has
 * encoded without saying so. Changes its fields.
 */
function varyByCoding({ status, headers }: OwnHead, compression: CompiledCompression): void {
  const isOf200 = FOR_200.has(status);
  const bytes = isOf200 ? undefined : contentLength(headers);
  const judged = isOf200 ? { status: 200, headers: withoutFields(headers, PART_FIELDS) } : { status, headers };
  if (!isEncoded(headers) && !isEncodable(judged, compression, bytes)) return;
  const vary = fieldValue(headers, 'vary');
  const names = vary === undefined ? [] : listMembers(vary).map((name) => name.toLowerCase());
  if (names.includes('*') || names.includes('accept-encoding')) return;
  headers.push('Vary', 'Accept-Encoding');
}

const PART_FIELDS: ReadonlySet<string> = new Set(['content-range']);

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
  const hidden = new FieldNames([
    'surrogate-control',
    ...(site.cache_status ? [] : ['cache-status']),
    ...(site.tags.visible ? [] : site.tags.fields.map((field) => field.toLowerCase())),
  ]);
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

/**
 * A browser counts Age against max-age (RFC 9111, section 4.2.3), so the age so far is added to what it is given.
 * Changes `headers`.
 */
function setBrowserTtl(headers: string[], ttlMs: number, isPersonal: boolean): void {
  const ageMs = parseAge(firstLine(headers, 'age'));
  removeFields(headers, LIFETIMES);
  const maxAge = `max-age=${Math.floor((ttlMs + ageMs) / 1_000)}`;
  headers.push('Cache-Control', isPersonal ? `private, ${maxAge}` : maxAge);
}

const LIFETIMES: ReadonlySet<string> = new Set(['expires', 'pragma', 'cache-control']);
