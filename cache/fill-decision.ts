/**
 * Meaning of a response's head for the cache: its policy, whether it is stored, whether it may answer all requests that
 * wait for it, and what a 304 makes of a stored response. fill.ts transfers the response.
 * @module
 */
import type { ResponseRule } from '../config/match.ts';
import { contentLength } from '../http/fields/content-length.ts';
import { formatHttpDate } from '../http/fields/date.ts';
import { fieldValue, firstLine, hasField, type RawHeaders, withField } from '../http/fields/headers.ts';
import { type ByteRange, parseContentRange } from '../http/fields/range.ts';
import type { ResponseHead, UpstreamRequest } from '../http/message.ts';
import type { EpochMs } from '../lib/clock.ts';
import { isPersonal } from './credentials.ts';
import type { CacheRequest } from './exchange.ts';
import { type LargeObject, largeObject } from './large/large-object.ts';
import { type Ledger, type Stamp, unchecked } from './ledger.ts';
import { NO_REQUEST_DIRECTIVES, type RequestDirectives } from './policy/directives.ts';
import { isEncoded } from './policy/encoding.ts';
import type { StoreRefusal } from './policy/refusals.ts';
import { type ResponsePolicy, responsePolicy } from './policy/response-policy.ts';
import { type Aging, reuse } from './policy/reuse.ts';
import { isOriginError } from './policy/status.ts';
import { storeRefusal } from './policy/storing.ts';
import { hasExplicitFreshness } from './policy/targeted.ts';
import { updatedHeaders } from './policy/validation.ts';
import { type StoredHead, type StoredResponse, storedHead } from './stored-response.ts';
import { responseTags } from './tags.ts';

/** Request that a fill sends, and what it is for. */
export interface FillOrder {
  /** Request that began the fill. */
  readonly request: CacheRequest;
  /** Request as it goes upstream. */
  readonly upstream: UpstreamRequest;
  /** Directives of the request, where the site's rule honours them. */
  readonly directives: RequestDirectives;
  /** The stored response that the request validates; the fill has to release it. */
  readonly validating: StoredResponse | undefined;
  /** True if the request is neither looked up nor collapsed (phase `pass`). */
  readonly isPass: boolean;
  /** True if the fill goes on without waiters. */
  readonly isBackground: boolean;
  /** Length from which on the response is stored in chunks, if it can be. */
  readonly chunkAbove: number;
}

/** Place of a 206 in its representation, which has so many bytes. */
interface Part extends ByteRange {
  readonly representation: number;
}

/** Decision on a response whose head has arrived. */
export interface Decision {
  /** Head as it would be stored. */
  readonly stored: StoredHead;
  /** Reason why it is not stored, if any. */
  readonly refusal: StoreRefusal | undefined;
  /** True if it was fresh when the request was sent: time in flight does not count against the waiters. */
  readonly wasFresh: boolean;
  /** True if it may answer all waiters. */
  readonly shareable: boolean;
  /** Bytes of the body, where the head says so. */
  readonly length: number | undefined;
  /** Offset of the body in the whole representation, and the length of that; present for a 206 that may be stored. */
  readonly part: Part | undefined;
  /** Present for a response that is stored in chunks. */
  readonly large: LargeObject | undefined;
}

/** Stored response that a 304 has made new. */
export interface Freshened {
  readonly stored: StoredResponse;
  /** Reason why it may answer this one request only (RFC 9111, section 3, applies to a 304 as well). */
  readonly refusal: StoreRefusal | undefined;
  /** As in `Decision`. */
  readonly wasFresh: boolean;
  /** Fields of the 304 itself. */
  readonly response304: Pick<ResponseHead, 'headers'>;
}

type StatusAndHeaders = Pick<ResponseHead, 'status' | 'headers'>;

/** Refusals that are about this node's room, not about the response. */
const ROOM_REFUSALS: ReadonlySet<StoreRefusal | undefined> = new Set<StoreRefusal | undefined>([
  undefined,
  'too-large',
  'not-hot',
]);

export class FillDecision {
  readonly #order: FillOrder;
  readonly #ledger: Ledger;
  /** Start of the fill as a date. */
  readonly #requestTime: EpochMs;
  /** Lower bound of the response's journal position. */
  readonly stamp: Stamp;

  constructor(order: FillOrder, ledger: Ledger, requestTime: EpochMs) {
    this.#order = order;
    this.#ledger = ledger;
    this.#requestTime = requestTime;
    this.stamp = ledger.stampNow(order.request.minPosition);
  }

  decide(head: ResponseHead, responseTime: EpochMs): Decision {
    const { request, upstream, chunkAbove } = this.#order;
    const { headers } = head;
    const length = contentLength(headers);
    const part = head.status === 206 ? storablePart(headers, length) : undefined;
    const found = largeObject({ status: head.status, headers, length, part }, chunkAbove);
    // What is stored of a part in chunks is the whole's head, so it is judged as that (RFC 9111, section 3.4).
    const judged = found === undefined ? head : { ...head, status: 200, statusText: 'OK' };
    const { status, statusText } = judged;
    const rule = this.#ruleOf(judged);
    const policy = this.#policy(judged, rule, responseTime);
    const tags = responseTags(request.site, request.keyed.authority, headers);
    const stored = storedHead({
      status,
      statusText,
      headers,
      requestHeaders: upstream.headers,
      policy,
      responseTime,
      tags: tags ?? [],
      stamp: this.#stampOf(head),
    });
    const refused = this.#passRefusal(head) ?? this.#personalRefusal(head) ?? this.#storeRefusal(judged, rule, policy);
    const isUnplaced = head.status === 206 && part === undefined;
    const own = this.#isEncodedByPeer(head)
      ? 'not-hot'
      : this.#ownRefusal(tags, isUnplaced, found === undefined ? length : undefined);
    const refusal = refused ?? own;
    const wasFresh = this.#wasFresh(judged, rule, { status, policy, responseTime });
    const isForAll = refused === undefined || refused === 'no-freshness'; // the latter: it was too long on its way
    const shareable = (wasFresh && isForAll && ROOM_REFUSALS.has(own)) || isPlainFailure(status, refusal);
    const large = refusal === undefined ? found : undefined;
    return { stored, refusal, wasFresh, shareable, length, part, large };
  }

  /** A stored response with what a 304 or a 200 to HEAD says of it (RFC 9111, sections 4.3.4 and 4.3.5). */
  freshened(stored: StoredResponse, head: ResponseHead, responseTime: EpochMs): Freshened {
    const { request, upstream } = this.#order;
    const { status, statusText, trailers, length, body, generation, encodings } = stored;
    const headers = updatedHeaders(stored.headers, withDate(head.headers, responseTime));
    const rule = this.#ruleOf({ status, headers });
    const aged = { status, headers: withAgeOf(headers, head.headers) };
    const policy = this.#policy(aged, rule, responseTime);
    const tags = responseTags(request.site, request.keyed.authority, headers) ?? stored.tags;
    // Rule 6: a 304 makes a stored response as new as the conditional request.
    const stamp = this.#stampOf(head);
    const requestHeaders = upstream.headers;
    const fresh = {
      ...storedHead({ status, statusText, headers, requestHeaders, policy, responseTime, tags, stamp }),
      trailers,
      length,
      body,
      generation,
      encodings,
    };
    const refusal = this.#storeRefusal({ status, headers }, rule, policy);
    return {
      response304: head,
      stored: fresh,
      wasFresh: this.#wasFresh({ ...head, ...aged }, rule, fresh),
      refusal: refusal ?? this.#personalRefusal(head, stored),
    };
  }

  /**
   * Returns whether a response that a 304 has made new is older than purges that concern it: of another node, which has
   * the response without the fields that an answer to HEAD has added here (rule 5).
   */
  isPurged({ stamp, tags, vary }: StoredResponse): boolean {
    if (stamp.asOf >= this.stamp.asOf) return false;
    const verdict = this.#ledger.check({ stamp: unchecked(stamp), tags, vary }, this.#order.request.keyed);
    return verdict === 'soft' || verdict === 'hard';
  }

  /**
   * Returns whether the fields of a 304, or of an answer to HEAD, may update a stored response that answers other
   * requests.
   */
  isForOthers(stored: StatusAndHeaders, { headers }: Pick<ResponseHead, 'headers'>): boolean {
    if (!isPersonal(this.#order.request.keyed.credentials, this.#ruleOf(stored).cookies)) return true;
    const updated = { status: stored.status, headers };
    return this.#policy(updated, this.#ruleOf(updated), this.#requestTime).declared;
  }

  /** Fresh on arrival, or when it was asked for, or when the node that answers asked for it (docs/adr/0002). */
  #wasFresh(head: ResponseHead, rule: ResponseRule, arrived: Aging): boolean {
    if (isFresh(arrived)) return true;
    const { policy, status } = arrived;
    if (policy.directives.noCache || policy.lifetimeMs <= 0) return false;
    if (head.version?.wasFresh === true) return true;
    const responseTime = this.#requestTime;
    return isFresh({ status, policy: this.#policy(head, rule, responseTime), responseTime });
  }

  #ownRefusal(
    tags: readonly string[] | undefined,
    isPartial: boolean,
    length: number | undefined,
  ): StoreRefusal | undefined {
    const { request } = this.#order;
    if (tags === undefined) return 'tags';
    if (isPartial) return 'partial';
    if (length !== undefined && length > request.site.max_object) return 'too-large';
    return request.shouldStore() ? undefined : 'not-hot';
  }

  /** Returns whether it may be an encoding that another node has made: copies are of what that one has stored. */
  #isEncodedByPeer({ headers, version }: ResponseHead): boolean {
    return this.#order.request.asksEncoded === true && version !== undefined && isEncoded(headers);
  }

  /** Straight from the origin it is as new as the request; another node says how new its own is. */
  #stampOf({ version }: ResponseHead): Stamp {
    return version === undefined ? unchecked(this.stamp) : this.#ledger.stampOf(version);
  }

  #ruleOf({ status, headers }: StatusAndHeaders): ResponseRule {
    const { rules, path } = this.#order.request;
    return rules.responseRule(path, status, fieldValue(headers, 'content-type'));
  }

  #passRefusal({ status, headers }: StatusAndHeaders): StoreRefusal | undefined {
    const { request, isPass } = this.#order;
    if (!isPass) return undefined;
    if (request.rules.bypasses(request.path)) return 'rule-never';
    return request.method === 'POST' && representsItsUri(request, status, headers) ? undefined : 'method';
  }

  #storeRefusal(
    { status, headers }: StatusAndHeaders,
    { rule, cookies }: ResponseRule,
    policy: ResponsePolicy,
  ): StoreRefusal | undefined {
    const { request, directives } = this.#order;
    const { credentials } = request.keyed;
    return storeRefusal({
      hasAuthorization: credentials?.hasAuthorization ?? false,
      isPersonal: isPersonal(credentials, cookies),
      requestDirectives: directives,
      status,
      headers,
      policy,
      rule,
    });
  }

  /** @param stored - What the head of a 304 is about. */
  #personalRefusal(head: ResponseHead, stored?: StoredResponse): StoreRefusal | undefined {
    const isForOthers = head.version?.isPersonal !== true && (stored === undefined || this.isForOthers(stored, head));
    if (isForOthers) return undefined;
    return this.#order.request.keyed.credentials?.hasAuthorization === true ? 'authorization' : 'cookies';
  }

  #policy({ status, headers }: StatusAndHeaders, { rule }: ResponseRule, responseTime: EpochMs): ResponsePolicy {
    const { site } = this.#order.request;
    return responsePolicy({
      status,
      headers,
      requestTime: this.#requestTime,
      responseTime,
      rule,
      targetedFields: site.targeted_fields,
      heuristic: {
        fraction: site.heuristic_fraction,
        maxMs: site.heuristic_max,
        maxErrorMs: site.heuristic_max_error,
      },
    });
  }
}

function isFresh(response: Aging): boolean {
  return reuse(response, NO_REQUEST_DIRECTIVES, response.responseTime) === 'fresh';
}

/** Section 3.4: parts can be kept when it is known where they belong, and to which representation. */
function storablePart(headers: RawHeaders, length: number | undefined): Decision['part'] {
  const range = parseContentRange(fieldValue(headers, 'content-range'));
  if (range === undefined || 'unsatisfied' in range || range.length === undefined) return undefined;
  if (length !== undefined && length !== range.end - range.start) return undefined;
  return { start: range.start, end: range.end, representation: range.length };
}

/**
 * A POST whose answer says that it is the representation of the target URI, and for how long (RFC 9110, section 9.3.3).
 */
function representsItsUri(
  { keyed, rawTarget, rules, path, site }: CacheRequest,
  status: number,
  headers: RawHeaders,
): boolean {
  const location = fieldValue(headers, 'content-location');
  const base = keyed.prefix + rawTarget;
  if (status !== 200 || location === undefined || !URL.canParse(location, base)) return false;
  if (new URL(location, base).href !== new URL(base).href || rawTarget !== keyed.target) return false;
  const rule = rules.ruleFor(path, status);
  return rule.origin_headers === 'honour' && hasExplicitFreshness(headers, site.targeted_fields);
}

/**
 * An error of the origin's that nothing marks as one visitor's own is an
 * answer to all who wait at that moment, like a failed connection: asking
 * again for each of them would be the herd that collapsing is there to stop.
 */
function isPlainFailure(status: number, refusal: StoreRefusal | undefined): boolean {
  return isOriginError(status) && (refusal === 'status' || refusal === 'no-freshness');
}

/** RFC 9110, section 6.6.1: what came without Date came when it came, and not when the stored response did. */
function withDate(received: RawHeaders, responseTime: EpochMs): RawHeaders {
  return hasField(received, 'date') ? received : withField(received, 'Date', formatHttpDate(responseTime));
}

/** A 304's own Age counts for the freshened response; without one it is as new as the 304 (RFC 9111, section 4.3.4). */
function withAgeOf(headers: RawHeaders, received: RawHeaders): RawHeaders {
  const age = firstLine(received, 'age');
  return age === undefined ? headers : withField(headers, 'Age', age);
}
