/**
 * Starting a fill: the request that goes upstream for a visitor's, under which
 * name others find it, and what is remembered of what came.
 * @module
 */
import { withPlainTags } from '../http/fields/encoded-tag.ts';
import { FieldNames, fieldValue, hasField, type RawHeaders, withoutFields } from '../http/fields/headers.ts';
import type { UpstreamRequest } from '../http/message.ts';
import { LONG_AGO, later, type MonotonicMs, msBetween } from '../lib/clock.ts';
import { isPersonal } from './credentials.ts';
import type { CacheRequest, Engine, Exchange, KeyMemory } from './exchange.ts';
import { Fill, type FillListener, type FillOutcome, type FillResponse, type JoinableFill } from './fill.ts';
import type { FillOrder } from './fill-decision.ts';
import type { Registration } from './fill-registry.ts';
import { FollowedFill } from './followed-fill.ts';
import type { StoreRefusal } from './policy/refusals.ts';
import { isOriginError } from './policy/status.ts';
import { CONDITIONAL_FIELDS, hasValidator, withConditions } from './policy/validation.ts';
import { isNewEnough } from './purge-state.ts';
import { invalidateAfter, OF_THE_VISITOR, removeResponse, storeResponse } from './store-update.ts';
import type { StoredResponse } from './stored-response.ts';
import type { ThreadClaim } from './thread-fills.ts';
import { normalisedField } from './vary.ts';

interface StartOptions {
  /** Key under which other requests join it; absent if none may. */
  readonly key?: string;
  /** The name that it is counted under until its head has arrived; by default the `memoryKey`. */
  readonly countedAs?: string;
  /** Claim of its place among all threads. */
  readonly claim?: ThreadClaim | undefined;
  readonly pass?: boolean;
  readonly background?: boolean;
}

export function startFill(
  engine: Engine,
  exchange: Exchange,
  { key, claim, pass = false, background = false, countedAs = memoryKey(exchange.request) }: StartOptions,
): Fill {
  const { request, directives, candidate } = exchange;
  const isValidating = !pass && candidate !== undefined && hasValidator(candidate.headers);
  // The fill releases it; one that has been evicted cannot be validated.
  const validating = isValidating && candidate.body.retain() ? candidate : undefined;
  const upstream = pass ? unchangedRequest(request) : fillRequest(exchange, validating, background);
  const registration = engine.fills.begin(request.keyed.key, key, countedAs);
  const chunkAbove = pass ? Number.POSITIVE_INFINITY : chunkAboveFor(engine, request);
  const order = { request, upstream, directives, validating, isPass: pass, isBackground: background, chunkAbove };
  const fill = new Fill(order, engine, new FillBookkeeping(engine, order, registration, claim));
  engine.options.events.fillStarted();
  if (!fill.closed) registration.add(fill);
  return fill;
}

/** A site that stores nothing as large as that stores nothing in chunks either. */
function chunkAboveFor({ large }: Engine, request: CacheRequest): number {
  const { chunk_above: above, max_object: most } = request.site;
  return above === 'never' || above > most || !large.mayChunk(request) ? Number.POSITIVE_INFINITY : above;
}

/** Changes of the engine by what happens to a fill. */
class FillBookkeeping implements FillListener {
  readonly #engine: Engine;
  readonly #order: FillOrder;
  readonly #registration: Registration;
  readonly #claim: ThreadClaim | undefined;

  constructor(engine: Engine, order: FillOrder, registration: Registration, claim: ThreadClaim | undefined) {
    this.#claim = claim;
    this.#engine = engine;
    this.#order = order;
    this.#registration = registration;
  }

  onInterim(status: number, headers: RawHeaders): void {
    if (!this.#order.isBackground) this.#order.request.onInterim(status, headers);
  }

  onIncomplete(): void {
    this.#engine.options.events.refused('incomplete');
  }

  onStored(stored: StoredResponse, fill: Fill): void {
    const { options, disk } = this.#engine;
    storeResponse(this.#engine, this.#order.request, stored);
    options.events.stored();
    if (!fill.disowned) return;
    // Another thread has invalidated it at this very moment: either it has deleted what was stored here, or this does.
    disk?.remove(fill.keyed.key);
    options.store.delete(fill.keyed.key);
  }

  onSettled(outcome: FillOutcome, fill: Fill): void {
    const engine = this.#engine;
    const { events } = engine.options;
    const { request, isPass } = this.#order;
    this.#registration.settled();
    switch (outcome.kind) {
      case 'failed':
        if (outcome.error.code !== 'client_closed') events.fillFailed(outcome.error);
        break;
      case 'response':
        if (outcome.refusal !== undefined) events.refused(outcome.refusal);
        if (!outcome.shareable) this.#claim?.release();
        if (isPass) invalidateAfter(engine, request, outcome.head, fill);
        else remember(engine, request, outcome, fill);
        break;
      case 'validated': {
        const { refusal, wasFresh, stored } = outcome;
        if (refusal !== undefined) {
          events.refused(refusal);
          if (!OF_THE_VISITOR.has(refusal) && fill.decision.isForOthers(stored, outcome.response304))
            removeResponse(engine, request, stored);
        }
        remember(
          engine,
          request,
          { head: stored, shareable: refusal === undefined && wasFresh, refusal, stored },
          fill,
        );
        break;
      }
      case 'unmatched':
      case 'gone':
        break;
    }
  }

  onClosed(): void {
    this.#claim?.release();
    this.#registration.delete();
  }
}

/**
 * Starts the fill of a place that no request may join here, unless another thread has it: then that is followed.
 *
 * @param isStored - Returns whether the store has the response by now.
 * @returns `undefined` if it has: another thread has stored it since it was looked up, and ended its claim.
 */
export function startOrFollow(
  engine: Engine,
  exchange: Exchange,
  key: string,
  isStored: () => boolean,
): JoinableFill | undefined {
  const claim = engine.options.threads?.claim(key);
  if (claim?.kind === 'own' && isStored()) {
    claim.release();
    return undefined;
  }
  if (claim?.kind !== 'other') return startFill(engine, exchange, { key, claim });
  const { request, candidate } = exchange;
  const registration = engine.fills.begin(request.keyed.key, key, `${key}\nfollowed`);
  const fill = new FollowedFill(claim, {
    engine,
    request,
    candidate,
    registration,
    onResponse: (response, followed) => remember(engine, request, response, followed),
  });
  registration.add(fill);
  return fill;
}

const IF_MATCH = ['if-match'] as const;
const CONDITIONS = ['if-match', 'if-none-match'] as const;

function unchangedRequest({
  method,
  rawTarget,
  keyed,
  headers,
  memo,
  body,
  visitor,
  priority,
}: CacheRequest): UpstreamRequest {
  const target = method === 'GET' || method === 'HEAD' ? keyed.target : rawTarget;
  // A 304 to a GET would have another tag than what the visitor has: it gets the response instead.
  const names = method === 'GET' || method === 'HEAD' ? IF_MATCH : CONDITIONS;
  return { method, target, headers: withPlainTags(headers, names), memo, body, visitor, priority };
}

/**
 * The request that fetches what can be kept: without the visitor's own conditions, and for the whole where it can be.
 */
function fillRequest(
  { request, candidate, conditional }: Exchange,
  validating: StoredResponse | undefined,
  isBackground: boolean,
): UpstreamRequest {
  const { keyed, memo, visitor } = request;
  const priority = isBackground ? 'background' : request.priority;
  const headers = fillRequestFields(request, candidate, conditional, validating);
  return { method: 'GET', target: keyed.target, headers, memo, body: undefined, visitor, priority };
}

function fillRequestFields(
  { method, headers }: CacheRequest,
  candidate: StoredResponse | undefined,
  conditional: boolean,
  validating: StoredResponse | undefined,
): RawHeaders {
  if (validating !== undefined) return withoutFields(withConditions(headers, validating.headers), RANGE_FIELDS);
  if (conditional) return headers;
  // Range is about GET only (RFC 9110, section 14.2).
  const wantsWhole = candidate !== undefined || method === 'HEAD' || !hasField(headers, 'range');
  return withoutFields(headers, wantsWhole ? WHOLE_FIELDS : CONDITIONAL_EXCEPT_RANGE);
}

const RANGE_FIELDS: ReadonlySet<string> = new Set(['range']);

const WHOLE_FIELDS: ReadonlySet<string> = new FieldNames([...CONDITIONAL_FIELDS, 'range']);

const CONDITIONAL_EXCEPT_RANGE: ReadonlySet<string> = new FieldNames(
  [...CONDITIONAL_FIELDS].filter((name) => name !== 'if-range'),
);

/**
 * Responses to personal requests are other ones, and fewer of them may be shared (RFC 9111, section 3.5;
 * docs/shared-answers.md). So what is remembered, and what is on its way, is kept apart.
 */
export function memoryKey({ keyed, rules, path }: CacheRequest): string {
  const { credentials, key } = keyed;
  if (credentials === undefined || !isPersonal(credentials, rules.cookiesAt(path))) return key;
  return credentials.hasAuthorization ? `${key}\nauthorization` : `${key}\ncookies`;
}

/**
 * Two requests with the same fill key may be answered with the same response, as far as is known before it is there.
 */
export function fillKey(
  engine: Engine,
  { request, range, candidate, profile }: Exchange,
  memory: KeyMemory | undefined,
  asksPeer: boolean = request.asksPeer,
): string {
  let key = memoryKey(request);
  if (asksPeer) key += '\npeer';
  if (asksPeer && request.asksEncoded === true) key += `\nencoded:${profile.acceptedCodings?.order ?? ''}`;
  for (const name of memory?.varyNames ?? namesInStore(engine, request))
    key += `\n${name}:${normalisedField(request.headers, name) ?? ''}`;
  if (range === undefined || candidate !== undefined) return key;
  return `${key}\nrange:${fieldValue(request.headers, 'range')}\n${fieldValue(request.headers, 'if-range') ?? ''}`;
}

/**
 * Names that the stored response of a key varies by, which another thread may have fetched: threads find each other's
 * fills by them.
 */
function namesInStore({ options: { threads, store } }: Engine, { keyed }: CacheRequest): readonly string[] {
  const [known] = threads === undefined ? [] : store.get(keyed.key);
  return known === undefined || known.vary.length === 0 ? NO_NAMES : known.vary.map(({ name }) => name);
}

/** Revalidates in the background, at most once at a time (RFC 5861, section 3). */
export function revalidate(engine: Engine, exchange: Exchange, candidate: StoredResponse): void {
  const { request } = exchange;
  const quiet: Exchange = { ...exchange, candidate, range: undefined };
  const key = fillKey(engine, quiet, engine.memory.get(memoryKey(request)));
  const fill = engine.fills.at(key);
  if (fill !== undefined && !fill.disowned && isNewEnough(engine, request, { stamp: fill.stamp, tags: [] })) return;
  const claim = engine.options.threads?.claim(key);
  if (claim?.kind === 'own' && isReplaced(engine, request, candidate)) claim.release();
  else if (claim?.kind !== 'other') startFill(engine, quiet, { key, claim, background: true });
}

/** Returns whether another thread has replaced or validated the response since it was looked up. */
function isReplaced({ options: { store } }: Engine, { keyed }: CacheRequest, known: StoredResponse): boolean {
  const same = store.get(keyed.key).find(({ body }) => body.id === known.body.id);
  return same === undefined || same.responseTime !== known.responseTime;
}

/** Refusals that the request brought about: the next one's response may well be shared. */
const OF_THE_REQUEST: ReadonlySet<StoreRefusal | undefined> = new Set<StoreRefusal | undefined>([
  'request-no-store',
  'partial',
]);

/**
 * An error says less of a key than a response does: any request can be made in such a way that it is answered with one.
 */
const WEIGHT_OF_ERROR = 1 / 4;

/** Uncacheable responses beyond this number change nothing. */
const MAX_UNCACHEABLE = 1_000_000;

const NO_NAMES: readonly string[] = [];

type Judged = Pick<FillResponse, 'shareable' | 'refusal' | 'stored'> & { readonly head: { readonly status: number } };

function remember(engine: Engine, request: CacheRequest, result: Judged, fill: Pick<Fill, 'startedAt'>): void {
  const { head, shareable, refusal, stored } = result;
  if (head.status === 304 || head.status === 416 || isOriginError(head.status) || OF_THE_REQUEST.has(refusal)) return;
  const key = memoryKey(request);
  if (refusal === 'cookies' && key === request.keyed.key) return; // personal at this status or type only: others are not
  const varyNames = stored.vary.length === 0 ? NO_NAMES : stored.vary.map(({ name }) => name);
  if (shareable) {
    if (varyNames.length === 0) engine.memory.delete(key);
    else engine.memory.set(key, { uncacheable: 0, uncacheableUntil: LONG_AGO, headMs: 0, varyNames });
    return;
  }
  const now = engine.options.monotonic();
  const before = engine.memory.get(key);
  const known = before !== undefined && before.uncacheableUntil > now ? before : undefined;
  const isError = head.status >= 400;
  const uncacheable = Math.min((known?.uncacheable ?? 0) + (isError ? WEIGHT_OF_ERROR : 1), MAX_UNCACHEABLE);
  engine.memory.set(key, {
    uncacheable,
    uncacheableUntil: later(now, request.site.hit_for_miss_ttl),
    headMs: Math.max(known?.headMs ?? 0, isError ? 0 : msBetween(fill.startedAt, now)),
    varyNames: isError && before !== undefined ? before.varyNames : varyNames,
  });
}

/** Number of concurrent upstream requests per key: one, plus one for each response that could not be shared. */
export function concurrency(
  memory: KeyMemory | undefined,
  candidate: StoredResponse | undefined,
  now: MonotonicMs,
): number {
  if (candidate?.policy.directives.noCache === true) return Number.POSITIVE_INFINITY; // each request is to be validated
  if (memory === undefined || memory.uncacheableUntil <= now) return 1;
  return 1 + Math.floor(memory.uncacheable);
}
