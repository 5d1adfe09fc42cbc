/**
 * One request upstream on behalf of every request that waits for the same
 * response: what its head means for the cache, and its body on the way to the
 * store and to the readers.
 * @module
 */
import type { CompiledRules, ResponseRule } from '../config/match.ts';
import type { SiteConfig } from '../config/schema.ts';
import { HttpError } from '../http/errors.ts';
import { allowsContent } from '../http/exchange.ts';
import { formatHttpDate } from '../http/fields/date.ts';
import { fieldValue, firstLine, hasField, type RawHeaders, withField, withoutFields } from '../http/fields/headers.ts';
import { parseContentRange } from '../http/fields/range.ts';
import type { Fetch, Flow, ResponseHead, ResponseSink, UpstreamRequest } from '../http/message.ts';
import type { EpochMs, MonotonicMs } from '../lib/clock.ts';
import { isPersonal } from './credentials.ts';
import type { KeyedRequest } from './key.ts';
import { type JournalPosition, type Ledger, type Stamp, unchecked } from './ledger.ts';
import { NO_REQUEST_DIRECTIVES, type RequestDirectives } from './policy/directives.ts';
import type { StoreRefusal } from './policy/refusals.ts';
import { type ResponsePolicy, responsePolicy } from './policy/response-policy.ts';
import { reuse } from './policy/reuse.ts';
import { isOriginError } from './policy/status.ts';
import { storeRefusal } from './policy/storing.ts';
import { selectedBy304, updatedHeaders } from './policy/validation.ts';
import { SharedBody } from './shared-body.ts';
import type { Store, StoreWriter } from './store/store.ts';
import { type StoredHead, type StoredResponse, storedHead, strongValidator } from './stored-response.ts';
import { responseTags } from './tags.ts';
import type { Windows } from './windows.ts';

/** A body with no more than this to come is worth finishing without readers. */
const NEARLY_DONE_BYTES = 1024 * 1024;

export interface FillOptions {
  readonly request: UpstreamRequest;
  readonly fetch: Fetch;
  /** The path that the site's rules go by. */
  readonly path: string;
  readonly site: SiteConfig;
  readonly rules: CompiledRules;
  readonly requestDirectives: RequestDirectives;
  /** The stored response that the request validates. */
  readonly validating: StoredResponse | undefined;
  /** Returns a reason not to store the response that does not depend on the response's own fields, such as `method`. */
  readonly refusal: (head: ResponseHead) => StoreRefusal | undefined;
  /** Returns whether this node stores responses for this key; called once the head has arrived. */
  readonly shouldStore: () => boolean;
  readonly store: Store;
  readonly ledger: Ledger;
  /** Minimum journal position of the response. */
  readonly minPosition: JournalPosition;
  readonly keyed: KeyedRequest;
  readonly now: () => EpochMs;
  readonly monotonic: () => MonotonicMs;
  readonly windowBytes: number;
  readonly windows: Windows;
  /** Continues without waiters. */
  readonly background: boolean;
  readonly onInterim: (status: number, headers: RawHeaders) => void;
  /** The body is complete; `stored` is what is kept of it, if anything. */
  readonly onStored: (stored: StoredResponse) => void;
  /** The head is there, or it failed; runs before the waiters. */
  readonly onSettled: (outcome: FillOutcome) => void;
  /** The body broke off while it was being kept (RFC 9111, section 3.3: nothing incomplete is stored as complete). */
  readonly onIncomplete: () => void;
  /** Called once when the fill has ended. */
  readonly onClosed: (fill: Fill) => void;
}

export type FillOutcome =
  | FillResponse
  /** A 304 made the stored response new. */
  | ({ readonly kind: 'validated' } & Freshened)
  /** A 304 that is not about the stored response. */
  | { readonly kind: 'unmatched' }
  | { readonly kind: 'failed'; readonly error: HttpError };

export interface Freshened {
  readonly stored: StoredResponse;
  /** Reason why it may answer this one request only (RFC 9111, section 3, applies to a 304 as well). */
  readonly refusal: StoreRefusal | undefined;
  /** As in `FillResponse`. */
  readonly wasFresh: boolean;
  /** Fields of the 304 itself. */
  readonly response304: Pick<ResponseHead, 'headers'>;
}

export interface FillResponse {
  readonly kind: 'response';
  readonly head: ResponseHead;
  /** Head as it would be stored; late joiners are answered with it. */
  readonly stored: StoredHead;
  /** Reason why it is not stored, if any. */
  readonly refusal: StoreRefusal | undefined;
  /** True if it was fresh when the request was sent: time in flight does not count against the waiters. */
  readonly wasFresh: boolean;
  /** True if it may answer all waiters. */
  readonly shareable: boolean;
  /** Bytes of the body, where the head says so. */
  readonly length: number | undefined;
  readonly body: SharedBody;
}

/** Refusals that are about this node's room, not about the response. */
const ROOM_REFUSALS: ReadonlySet<StoreRefusal | undefined> = new Set<StoreRefusal | undefined>([
  undefined,
  'too-large',
  'not-hot',
]);

export class Fill implements ResponseSink {
  readonly #options: FillOptions;
  /** Start of the fill as a date. */
  readonly requestTime: EpochMs;
  readonly startedAt: MonotonicMs;
  /** Lower bound of the response's journal position. */
  readonly stamp: Stamp;
  readonly #flow: Flow;
  #resolve!: (outcome: FillOutcome) => void;
  #body: SharedBody | undefined;
  #response: FillResponse | undefined;
  /** Offset of the body in the whole representation; not 0 for a 206 only. */
  #start = 0;
  /** Length of the whole representation, where it is known. */
  #representation: number | undefined;
  /** Bytes that the body must have, where the head says so. */
  #expected: number | undefined;
  /** Number of requests waiting for the head. */
  #waiting = 0;
  #disowned = false;
  #done = false;
  /** Resolves when the head is there, and never rejects. */
  readonly settled: Promise<FillOutcome>;
  outcome: FillOutcome | undefined;

  constructor(options: FillOptions) {
    this.#options = options;
    this.requestTime = options.now();
    this.startedAt = options.monotonic();
    this.stamp = options.ledger.stampNow(options.minPosition);
    this.settled = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#flow = options.fetch(options.request, this);
  }

  /** True once nothing more will arrive. */
  get closed(): boolean {
    return this.#done;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** @returns A function to call when this one waits no more: the head is there, or the visitor is gone. */
  wait(): () => void {
    this.#waiting++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#waiting--;
      this.#abandonIfUnwanted();
    };
  }

  get disowned(): boolean {
    return this.#disowned;
  }

  /** Keeps the response from being stored, because it has been invalidated meanwhile (RFC 9111, section 4.4). */
  disown(): void {
    this.#disowned = true;
    if (this.#body) this.#body.shouldStore = false;
    this.#abandonIfUnwanted();
  }

  onInterim(status: number, headers: RawHeaders): void {
    this.#options.onInterim(status, headers);
  }

  onData(chunk: Buffer): void {
    const body = this.#body;
    body?.append(chunk, body.received + chunk.length === this.#expected);
  }

  onHead(head: ResponseHead): void {
    const responseTime = this.#options.now();
    const { validating } = this.#options;
    if (head.status === 304 && validating !== undefined) {
      if (!selectedBy304(validating.headers, head.headers)) {
        this.#settle({ kind: 'unmatched' });
        return;
      }
      const fresh = this.freshened(validating, head, responseTime);
      if (fresh.refusal === undefined && !this.#disowned) this.#options.onStored(fresh.stored);
      this.#settle({ kind: 'validated', ...fresh });
      return;
    }
    this.#expected = expectedBytes(this.#options.request.method, head);
    this.#response = this.#judge(head, responseTime);
    this.#body = this.#response.body;
    this.#settle(this.#response);
    this.#abandonIfUnwanted();
  }

  #judge(head: ResponseHead, responseTime: EpochMs): FillResponse {
    const { request, site } = this.#options;
    const { policy } = this.#policy(head, responseTime);
    const length = contentLength(head.headers);
    const tags = responseTags(site, this.#options.keyed.authority, head.headers);
    const stored = storedHead({
      ...head,
      requestHeaders: request.headers,
      policy,
      responseTime,
      tags: tags ?? [],
      stamp: this.#stampOf(head),
    });
    const refused = this.#options.refusal(head) ?? this.#personalRefusal(head) ?? this.#storeRefusal(head, policy);
    const own = this.#ownRefusal(head, tags, length);
    const refusal = refused ?? own;
    const wasFresh = this.#wasFresh(head, policy, responseTime);
    const isForAll = refused === undefined || refused === 'no-freshness'; // the latter: it was too long on its way
    const shareable = (wasFresh && isForAll && ROOM_REFUSALS.has(own)) || isPlainFailure(head.status, refusal);
    const writer = this.#writer(refusal, shareable, length);
    const body = new SharedBody({
      writer,
      maxStoredBytes: site.max_object,
      windowBytes: this.#options.windowBytes,
      windows: this.#options.windows,
      flow: this.#flow,
      onAbandoned: () => this.#abandonIfUnwanted(),
    });
    body.shouldStore = refusal === undefined && !this.#disowned;
    const noRoom = refusal === undefined && writer === undefined;
    const kept = noRoom ? 'no-memory' : refusal;
    return { kind: 'response', head, stored, refusal: kept, wasFresh, shareable, length, body };
  }

  /** Fresh on arrival, or when it was asked for, or when the node that answers asked for it (docs/adr/0002). */
  #wasFresh(head: ResponseHead, policy: ResponsePolicy, responseTime: EpochMs): boolean {
    const isFresh = (policy: ResponsePolicy, responseTime: EpochMs): boolean =>
      reuse({ status: head.status, policy, responseTime }, NO_REQUEST_DIRECTIVES, responseTime) === 'fresh';
    if (isFresh(policy, responseTime)) return true;
    if (policy.directives.noCache || policy.lifetimeMs <= 0) return false;
    return head.version?.wasFresh === true || isFresh(this.#policy(head, this.requestTime).policy, this.requestTime);
  }

  #ownRefusal(
    head: ResponseHead,
    tags: readonly string[] | undefined,
    length: number | undefined,
  ): StoreRefusal | undefined {
    if (tags === undefined) return 'tags';
    const partial = this.#partialRefusal(head, length);
    if (partial !== undefined) return partial;
    if (length !== undefined && length > this.#options.site.max_object) return 'too-large';
    return this.#options.shouldStore() ? undefined : 'not-hot';
  }

  /** Straight from the origin it is as new as the request; another node says how new its own is. */
  #stampOf({ version }: ResponseHead): Stamp {
    return version === undefined ? unchecked(this.stamp) : this.#options.ledger.stampOf(version);
  }

  #ruleOf({ status, headers }: Pick<ResponseHead, 'status' | 'headers'>): ResponseRule {
    const { rules, path } = this.#options;
    return rules.responseRule(path, status, fieldValue(headers, 'content-type'));
  }

  #storeRefusal(head: Pick<ResponseHead, 'status' | 'headers'>, policy: ResponsePolicy): StoreRefusal | undefined {
    const { requestDirectives, keyed } = this.#options;
    const { rule, cookies } = this.#ruleOf(head);
    const { status, headers } = head;
    return storeRefusal({
      hasAuthorization: keyed.credentials?.hasAuthorization ?? false,
      isPersonal: isPersonal(keyed.credentials, cookies),
      requestDirectives,
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
    return this.#options.keyed.credentials?.hasAuthorization === true ? 'authorization' : 'cookies';
  }

  /**
   * Returns whether the fields of a 304, or of an answer to HEAD, may update a stored response that answers other
   * requests.
   */
  isForOthers(stored: Pick<StoredResponse, 'status' | 'headers'>, { headers }: Pick<ResponseHead, 'headers'>): boolean {
    if (!isPersonal(this.#options.keyed.credentials, this.#ruleOf(stored).cookies)) return true;
    return this.#policy({ status: stored.status, headers }, this.requestTime).policy.declared;
  }

  #policy(head: Pick<ResponseHead, 'status' | 'headers'>, responseTime: EpochMs) {
    const { site } = this.#options;
    const { rule } = this.#ruleOf(head);
    const policy = responsePolicy({
      status: head.status,
      headers: head.headers,
      requestTime: this.requestTime,
      responseTime,
      rule,
      targetedFields: site.targeted_fields,
      heuristic: {
        fraction: site.heuristic_fraction,
        maxMs: site.heuristic_max,
        maxErrorMs: site.heuristic_max_error,
      },
    });
    return { policy };
  }

  /** Section 3.4: parts can be kept when it is known where they belong, and to which representation. */
  #partialRefusal(head: ResponseHead, length: number | undefined): StoreRefusal | undefined {
    if (head.status !== 206) return undefined;
    const range = parseContentRange(fieldValue(head.headers, 'content-range'));
    if (range === undefined || 'unsatisfied' in range || range.length === undefined) return 'partial';
    if (length !== undefined && length !== range.end - range.start) return 'partial';
    this.#start = range.start;
    this.#representation = range.length;
    return undefined;
  }

  /** A body that others wait for is held whole even where it is not kept, so that each reads at its own pace. */
  #writer(refusal: StoreRefusal | undefined, shareable: boolean, length: number | undefined): StoreWriter | undefined {
    const isHeld = shareable && this.#waiting > 1 && (refusal === 'not-hot' || refusal === 'no-freshness');
    return refusal === undefined || isHeld ? this.#options.store.begin(length ?? 0) : undefined;
  }

  /** A stored response with what a 304 or a 200 to HEAD says of it (RFC 9111, sections 4.3.4 and 4.3.5). */
  freshened(stored: StoredResponse, head: ResponseHead, responseTime: EpochMs): Freshened {
    const { status, statusText, trailers, length, body } = stored;
    const headers = updatedHeaders(stored.headers, withDate(head.headers, responseTime));
    const { policy } = this.#policy({ status, headers: withAgeOf(headers, head.headers) }, responseTime);
    const requestHeaders = this.#options.request.headers;
    const tags = responseTags(this.#options.site, this.#options.keyed.authority, headers) ?? stored.tags;
    // Rule 6: a 304 makes a stored response as new as the conditional request.
    const stamp = this.#stampOf(head);
    const fresh = {
      ...storedHead({ status, statusText, headers, requestHeaders, policy, responseTime, tags, stamp }),
      trailers,
      length,
      body,
    };
    const refusal = this.#storeRefusal({ status, headers }, policy);
    return {
      response304: head,
      stored: fresh,
      wasFresh: this.#wasFresh({ ...head, status, headers: withAgeOf(headers, head.headers) }, policy, responseTime),
      refusal: refusal ?? this.#personalRefusal(head, stored),
    };
  }

  onEnd(trailers: RawHeaders): void {
    const response = this.#response;
    if (response !== undefined) {
      const { received } = response.body;
      if (this.#expected !== undefined && received !== this.#expected) {
        this.onError(new HttpError('origin_bad_response', `${received} bytes of body instead of ${this.#expected}`));
        return;
      }
      const body = response.body.end(trailers, this.#start);
      if (body !== undefined && !this.#disowned) {
        const whole = this.#representation ?? received;
        this.#options.onStored({ ...representationHead(response.stored, whole), trailers, length: whole, body });
      }
    }
    this.#close();
  }

  onError(error: HttpError): void {
    if (this.#body?.state === 'open' && this.#body.isStoring) this.#options.onIncomplete();
    this.#body?.fail(error);
    this.#settle({ kind: 'failed', error });
    this.#close();
  }

  #settle(outcome: FillOutcome): void {
    if (this.outcome !== undefined) return;
    this.outcome = outcome;
    this.#options.onSettled(outcome);
    this.#resolve(outcome);
  }

  #close(): void {
    if (this.#done) return;
    this.#done = true;
    this.#options.onClosed(this);
  }

  #abandonIfUnwanted(): void {
    if (this.#done || this.#waiting > 0 || (this.#body?.readers ?? 0) > 0 || this.#goesOn()) return;
    this.#flow.abort();
    this.onError(new HttpError('client_closed'));
  }

  /** True if the fill continues without waiters and readers. */
  #goesOn(): boolean {
    const response = this.#response;
    if (response === undefined) return this.#options.background;
    if (!response.body.isStoring || this.#disowned) return false;
    if (this.#options.background || response.length === undefined) return true; // bounded by max_object and the store
    const { received } = response.body;
    return received * 2 >= response.length || response.length - received <= NEARLY_DONE_BYTES;
  }
}

/**
 * An error of the origin's that nothing marks as one visitor's own is an
 * answer to all who wait at that moment, like a failed connection: asking
 * again for each of them would be the herd that collapsing is there to stop.
 */
function isPlainFailure(status: number, refusal: StoreRefusal | undefined): boolean {
  return isOriginError(status) && (refusal === 'status' || refusal === 'no-freshness');
}

/** Returns the length of a complete body: Content-Length, or that of the range (RFC 9112, section 8). */
function expectedBytes(method: string, { status, headers }: ResponseHead): number | undefined {
  if (method === 'HEAD' || !allowsContent(status)) return undefined;
  const range = status === 206 ? parseContentRange(fieldValue(headers, 'content-range')) : undefined;
  const ranged = range === undefined || 'unsatisfied' in range ? undefined : range.end - range.start;
  return contentLength(headers) ?? ranged;
}

function contentLength(headers: RawHeaders): number | undefined {
  const value = firstLine(headers, 'content-length');
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
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

/** Parts are kept under the head of the whole: 200, with the whole's length (RFC 9111, section 3.4). */
function representationHead(head: StoredHead, length: number): StoredHead {
  if (head.status !== 206) return head;
  const headers = [...withoutFields(head.headers, new Set(['content-range', 'content-length']))];
  headers.push('Content-Length', String(length));
  return { ...head, status: 200, statusText: 'OK', headers };
}

/** Returns whether two stored parts belong to one representation (RFC 9111, section 3.4). */
export function sameRepresentation(a: StoredResponse, b: StoredResponse): boolean {
  const validator = strongValidator(a.headers);
  return validator !== undefined && validator === strongValidator(b.headers) && a.length === b.length;
}
