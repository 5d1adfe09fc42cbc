/**
 * Profile of a visitor's header section, whatever the path: site, cache key around the path, conditions, ranges. It is
 * worked out once for each section and way that it came, by the functions that read every request.
 * @module
 */
import { hasTooManyParameters, type KeyedRequest, keyedLike } from '../cache/key.ts';
import { carriesAllowed } from '../cache/passing.ts';
import { NO_REQUEST_DIRECTIVES, type RequestDirectives, requestDirectives } from '../cache/policy/directives.ts';
import type { VaryMember } from '../cache/vary.ts';
import { normalisedField } from '../cache/vary.ts';
import { isForOriginOnly } from '../http/conditional.ts';
import { HttpError } from '../http/errors.ts';
import { isForwardedField, withForwarded } from '../http/forwarding.ts';
import { fieldValue, hasField, isLatin1, type RawHeaders } from '../http/headers.ts';
import type { SectionMemo } from '../http/message.ts';
import { parseRange } from '../http/range.ts';
import { parseOriginForm, type Target } from '../http/request-target.ts';
import type { AnswerCounter } from '../telemetry/metrics.ts';
import type { ServedSite } from '../tier/node-core.ts';
import { redirectFor } from './redirect.ts';
import { isProxy } from './senders.ts';
import { siteGeo } from './site-geo.ts';
import { readHead, UNKNOWN_ADDRESS, type Visit, type Visited, type VisitorHead } from './visitor.ts';

export interface Asked {
  readonly served: ServedSite;
  /** End-to-end fields, as the cache sees them; those that say who asked are another visitor's. */
  readonly headers: RawHeaders;
  readonly head: VisitorHead;
  /** The same for the target `/`. */
  readonly visited: Visited;
  /** Absent until the section has brought a second miss. */
  memo: SectionMemo | undefined;
  hasMissed: boolean;
  /** True if another visitor's request with this section differs in nothing but its address. */
  readonly isAnybodys: boolean;
  readonly scheme: 'http' | 'https';
  /** True if cookies are part of the key at some paths: then `suffix` is for the other paths. */
  readonly keysCookies: boolean;
  /** Key before and after the target. */
  readonly prefix: string;
  readonly suffix: string;
  /** The same as bytes, one for each character; `undefined` where these do not suffice. */
  readonly around: { readonly prefix: Buffer; readonly suffix: Buffer } | undefined;
  readonly host: string;
  readonly authority: string;
  /** Bytes of a target. */
  readonly maxTarget: number;
  readonly directives: RequestDirectives;
  readonly hasConditions: boolean;
  /** The fields of the conditions. */
  readonly ifNoneMatch: string | undefined;
  readonly hasRange: boolean;
  /** Values of fields that responses vary by, in the form in which they are compared; filled as they are asked for. */
  readonly normalised: Map<string, Value>;
  readonly hits: AnswerCounter;
  readonly hotCopies: AnswerCounter;
}

/** @returns `undefined` where requests like this are answered on the long way only. */
export function askedBy(visit: Visit, head: VisitorHead): Asked | undefined {
  let visited: ReturnType<typeof readHead>;
  try {
    visited = readHead(visit, head);
  } catch (error) {
    if (error instanceof HttpError) return undefined; // to be answered with a page
    throw error;
  }
  const { served, headers, keyed, target, scheme } = visited;
  const { site } = served;
  if (redirectFor(site, scheme, target) !== undefined || site.key.headers.some(isForwardedField)) return undefined;
  if (!siteGeo(site).isSameForAll) return undefined;
  if (isForOriginOnly(headers) || carriesAllowed(site, headers)) return undefined;
  const ranges = parseRange(fieldValue(headers, 'range'));
  if (ranges !== undefined && ranges.length > 1) return undefined;
  const { metrics } = visit.core;
  return {
    served,
    headers,
    head,
    visited,
    memo: undefined,
    hasMissed: false,
    isAnybodys: !siteGeo(site).isUsed && !isProxy(visit.region, head.remoteAddress ?? UNKNOWN_ADDRESS),
    scheme,
    keysCookies: served.rules.keysCookies && keyed.credentials !== undefined,
    prefix: keyed.prefix,
    suffix: keyed.suffix,
    around: bytesAround(keyed),
    host: keyed.host,
    authority: keyed.authority,
    maxTarget: visit.core.limits.max_target,
    directives: directivesOf(headers),
    hasConditions: hasField(headers, 'if-none-match') || hasField(headers, 'if-modified-since'),
    ifNoneMatch: fieldValue(headers, 'if-none-match'),
    hasRange: ranges !== undefined,
    normalised: new Map(),
    hits: metrics.answers('public', site.name, 'hit'),
    hotCopies: metrics.answers('public', site.name, 'hot-copy'),
  };
}

function bytesAround({ prefix, suffix }: KeyedRequest): Asked['around'] {
  if (!isLatin1(prefix + suffix)) return undefined;
  return { prefix: Buffer.from(prefix, 'latin1'), suffix: Buffer.from(suffix, 'latin1') };
}

/** A request whose target is a string only where it is needed. */
export interface Targeted {
  readonly target: string;
}

/** Interpretation of a request target under a known header section. */
export interface TargetAsked {
  readonly target: Target;
  readonly keyed: KeyedRequest;
}

/** @returns `undefined` for a target that is not valid, or beyond the bounds. */
export function targetAsked(asked: Asked, text: string): TargetAsked | undefined {
  if (last !== undefined && last.asked === asked && last.text === text) return last.found;
  let found: TargetAsked | undefined;
  try {
    const { served, visited, maxTarget } = asked;
    if (text.length <= maxTarget) {
      const target = parseOriginForm(visited.target, text, served.site.dot_segments);
      const isWithinBounds = !hasTooManyParameters(served.site, target.query);
      if (isWithinBounds) found = { target, keyed: keyedLike(served.site, visited.keyed, target) };
    }
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
  }
  last = { asked, text, found };
  return found;
}

/** It is asked for by the fast path, and then again where that has no answer. */
let last: { readonly asked: Asked; readonly text: string; readonly found: TargetAsked | undefined } | undefined;

/** @returns What `readHead` would find, or `undefined` where it has to be asked. */
export function visitedAs(asked: Asked, method: string, text: string, sender: string): Visited | undefined {
  if (!asked.isAnybodys) return undefined;
  const found = targetAsked(asked, text);
  if (found === undefined) return undefined;
  const { scheme, served, visited, authority } = asked;
  const isSame = sender === (asked.head.remoteAddress ?? UNKNOWN_ADDRESS);
  const headers = isSame
    ? visited.headers
    : withForwarded(visited.headers, { ip: sender, proto: scheme, host: authority });
  const memo = memoOf(asked, headers);
  const { target, keyed } = found;
  return { method, target, scheme, served, headers, memo, keyed, ip: undefined, place: undefined };
}

function memoOf(asked: Asked, headers: RawHeaders): SectionMemo | undefined {
  if (asked.hasMissed) asked.memo ??= { headers: asked.visited.headers, texts: new Map() };
  asked.hasMissed = true;
  const { memo } = asked;
  return memo === undefined || memo.headers === headers ? memo : { headers, texts: memo.texts };
}

/**
 * As `matchesVary`, with values that are remembered.
 *
 * @returns `undefined` where it depends on who asks.
 */
export function selects(asked: Asked, vary: readonly VaryMember[]): boolean | undefined {
  for (const { name, value } of vary) {
    const own = normalisedValue(asked, name);
    if (own === OF_THE_VISITOR) return undefined;
    if (own !== value) return false;
  }
  return true;
}

/** The value of a field that says who asked. */
const OF_THE_VISITOR = Symbol('of the visitor');

type Value = string | undefined | typeof OF_THE_VISITOR;

/** Fields that are remembered for a section: what responses vary by is for origins to choose. */
const MAX_NORMALISED = 32;

function normalisedValue({ normalised, headers, served }: Asked, name: string): Value {
  const known = normalised.get(name);
  if (known !== undefined || normalised.has(name)) return known;
  // Which of the cookies count depends on the path.
  const isOfPath = name === 'cookie' && hasField(headers, 'cookie');
  const isOfVisitor = isOfPath || isForwardedField(name) || siteGeo(served.site).tells(name);
  const value = isOfVisitor ? OF_THE_VISITOR : normalisedField(headers, name);
  if (normalised.size < MAX_NORMALISED) normalised.set(name, value);
  return value;
}

function directivesOf(headers: RawHeaders): RequestDirectives {
  const cacheControl = fieldValue(headers, 'cache-control');
  const pragma = fieldValue(headers, 'pragma');
  if (cacheControl === undefined && pragma === undefined) return NO_REQUEST_DIRECTIVES;
  return requestDirectives(cacheControl, pragma);
}
