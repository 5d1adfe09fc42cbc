/**
 * Profile of a visitor's header section, whatever the path: site, cache key around the path, conditions, ranges. It is
 * worked out once for each section and way that it came, by the functions that read every request.
 * @module
 */
import { hasTooManyParameters, type KeyedRequest, keyedLike } from '../cache/key.ts';
import { NOTHING_KNOWN } from '../cache/ledger.ts';
import type { LookupRequest } from '../cache/lookup.ts';
import { RequestProfile } from '../cache/request-profile.ts';
import type { CompiledRules } from '../config/match.ts';
import { NO_PATH, rulePath } from '../config/rule-path.ts';
import type { SiteConfig } from '../config/schema.ts';
import { HttpError } from '../http/errors.ts';
import { isForwardedField, withForwarded } from '../http/fields/forwarding.ts';
import { hasField, isLatin1, type RawHeaders } from '../http/fields/headers.ts';
import type { SectionMemo } from '../http/message.ts';
import { parseOriginForm, type Target } from '../http/request-target.ts';
import type { AnswerCounter } from '../telemetry/metrics.ts';
import type { ServedSite } from '../tier/node-core.ts';
import type { SiteLimits } from './rate-limits.ts';
import { redirectFor } from './redirect.ts';
import { isProxy } from './senders.ts';
import { siteGeo } from './site-geo.ts';
import {
  type EdgeContext,
  givenId,
  type ParsedRequest,
  readHead,
  UNKNOWN_ADDRESS,
  type VisitorHead,
} from './visitor.ts';

export interface SectionProfile {
  readonly served: ServedSite;
  /** Profile of the fields as the cache sees them; forwarded addresses are those of another visitor. */
  readonly profile: RequestProfile;
  readonly head: VisitorHead;
  /** The same for the target `/`. */
  readonly parsed: ParsedRequest;
  /** Absent until the section has brought a second miss. */
  memo: SectionMemo | undefined;
  hasMissed: boolean;
  /** True if another visitor's request with this section differs in nothing but its address. */
  readonly isSameForAllVisitors: boolean;
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
  /** Absent where the site has none. */
  readonly rateLimits: SiteLimits | undefined;
  readonly hits: AnswerCounter;
  readonly hotCopies: AnswerCounter;
}

/** @returns `undefined` where requests like this are not answered with prepared bytes. */
export function profileSection(edge: EdgeContext, head: VisitorHead): SectionProfile | undefined {
  let parsed: ReturnType<typeof readHead>;
  try {
    parsed = readHead(edge, head);
  } catch (error) {
    if (error instanceof HttpError) return undefined; // to be answered with a page
    throw error;
  }
  const { served, headers, keyed, target, scheme } = parsed;
  const { site } = served;
  if (redirectFor(site, scheme, target) !== undefined || site.key.headers.some(isForwardedField)) return undefined;
  if (!siteGeo(site).isSameForAll || givenId(edge, head) !== undefined) return undefined;
  const { metrics } = edge.core;
  const { rules } = served;
  const { credentials } = keyed;
  return {
    served,
    profile: new RequestProfile({ site, rules, headers, credentials, differs: differsBetween(site, headers) }),
    head,
    parsed,
    memo: undefined,
    hasMissed: false,
    isSameForAllVisitors: !siteGeo(site).isUsed && !isProxy(edge.region, head.remoteAddress ?? UNKNOWN_ADDRESS),
    scheme,
    keysCookies: rules.keysCookies && credentials !== undefined,
    prefix: keyed.prefix,
    suffix: keyed.suffix,
    around: bytesAround(keyed),
    host: keyed.host,
    authority: keyed.authority,
    maxTarget: edge.core.limits.max_target,
    rateLimits: edge.rateLimits.of(site),
    hits: metrics.answers('public', site.name, 'hit'),
    hotCopies: metrics.answers('public', site.name, 'hot-copy'),
  };
}

/** Returns which fields differ between visitors with one section, or between the paths that they ask for. */
function differsBetween(site: SiteConfig, headers: RawHeaders): (name: string) => boolean {
  const geo = siteGeo(site);
  // Which of the cookies count depends on the path.
  const hasCookies = hasField(headers, 'cookie');
  return (name) => (name === 'cookie' && hasCookies) || isForwardedField(name) || geo.sendsField(name);
}

function bytesAround({ prefix, suffix }: KeyedRequest): SectionProfile['around'] {
  if (!isLatin1(prefix + suffix)) return undefined;
  return { prefix: Buffer.from(prefix, 'latin1'), suffix: Buffer.from(suffix, 'latin1') };
}

/** A request whose target is a string only where it is needed. */
interface TargetedRequest {
  readonly method: string;
  readonly target: string;
}

/** Request with a known header section, as the cache looks it up. One is used for all requests, one after the other. */
export class SectionRequest implements LookupRequest {
  /** Visitors know nothing of the journal. */
  readonly minPosition: LookupRequest['minPosition'] = NOTHING_KNOWN;
  #sectionProfile!: SectionProfile;
  #request!: TargetedRequest;

  set(sectionProfile: SectionProfile, request: TargetedRequest): this {
    this.#sectionProfile = sectionProfile;
    this.#request = request;
    return this;
  }

  get method(): string {
    return this.#request.method;
  }

  get rules(): CompiledRules {
    return this.#sectionProfile.served.rules;
  }

  get path(): string {
    const found = this.#keyedTarget;
    return found === undefined ? NO_PATH : rulePath(found.target.path);
  }

  get keyed(): KeyedRequest | undefined {
    return this.#keyedTarget?.keyed;
  }

  get #keyedTarget(): KeyedTarget | undefined {
    return keyedTarget(this.#sectionProfile, this.#request.target);
  }
}

/** Interpretation of a request target under a known header section. */
export interface KeyedTarget {
  readonly target: Target;
  readonly keyed: KeyedRequest;
}

/** @returns `undefined` for a target that is not valid, or beyond the bounds. */
export function keyedTarget(sectionProfile: SectionProfile, text: string): KeyedTarget | undefined {
  if (last !== undefined && last.sectionProfile === sectionProfile && last.text === text) return last.found;
  let found: KeyedTarget | undefined;
  try {
    const { served, parsed, maxTarget } = sectionProfile;
    if (text.length <= maxTarget) {
      const target = parseOriginForm(parsed.target, text, served.site.dot_segments);
      const isWithinBounds = !hasTooManyParameters(served.site, target.query);
      if (isWithinBounds) found = { target, keyed: keyedLike(served.site, parsed.keyed, target) };
    }
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
  }
  last = { sectionProfile, text, found };
  return found;
}

/** It is asked for by the lookup of prepared answers, and then again where there is none. */
let last:
  | { readonly sectionProfile: SectionProfile; readonly text: string; readonly found: KeyedTarget | undefined }
  | undefined;

/** @returns What `readHead` would find, or `undefined` where it has to be asked. */
export function parsedAs(
  sectionProfile: SectionProfile,
  method: string,
  text: string,
  sender: string,
): ParsedRequest | undefined {
  if (!sectionProfile.isSameForAllVisitors) return undefined;
  const found = keyedTarget(sectionProfile, text);
  if (found === undefined) return undefined;
  const { scheme, served, parsed, authority } = sectionProfile;
  const isSame = sender === (sectionProfile.head.remoteAddress ?? UNKNOWN_ADDRESS);
  const headers = isSame
    ? parsed.headers
    : withForwarded(parsed.headers, { ip: sender, proto: scheme, host: authority });
  const memo = memoOf(sectionProfile, headers);
  const { target, keyed } = found;
  return { method, target, scheme, served, headers, memo, keyed, ip: undefined, place: undefined };
}

function memoOf(sectionProfile: SectionProfile, headers: RawHeaders): SectionMemo | undefined {
  if (sectionProfile.hasMissed) sectionProfile.memo ??= { headers: sectionProfile.parsed.headers, texts: new Map() };
  sectionProfile.hasMissed = true;
  const { memo } = sectionProfile;
  return memo === undefined || memo.headers === headers ? memo : { headers, texts: memo.texts };
}
