/**
 * The HTTP cache of a node: what happens to one request between its arrival
 * and its answer. Blind to roles: whether it is an edge's or a shield's, and
 * who is asked upstream, comes with the request.
 *
 * The way is a table of steps (`STEPS`); docs/request-life.md draws it.
 * @module
 */
import type { Readable } from 'node:stream';
import { LRUCache } from 'lru-cache';
import type { CompiledRules } from '../config/match.ts';
import type { SiteConfig } from '../config/schema.ts';
import { isForOriginOnly } from '../http/conditional.ts';
import { HttpError } from '../http/errors.ts';
import { fieldValue, hasField, type RawHeaders, withField, withoutFields } from '../http/headers.ts';
import type { BodyReader, Fetch, ResponseHead, UpstreamRequest } from '../http/message.ts';
import { type ByteRange, parseContentRange, parseRange, type RangeSpec } from '../http/range.ts';
import { type Answer, type Representation, rangeApplies, requestedRanges, select, withAge } from './answer.ts';
import type { CacheStatus } from './cache-status.ts';
import { Fill, type FillOutcome, type FillResponse, sameRepresentation } from './fill.ts';
import { type KeyedRequest, siblingKey } from './key.ts';
import { type JournalPosition, type Ledger, type Named, olderStamp } from './ledger.ts';
import { NO_REQUEST_DIRECTIVES, type RequestDirectives, requestDirectives } from './policy/directives.ts';
import { invalidatedTargets, isSafe } from './policy/invalidation.ts';
import type { ForwardReason, StoreRefusal } from './policy/refusals.ts';
import { currentAge, mayServeOnError, permitsStale, type Reuse, remainingLifetime, reuse } from './policy/reuse.ts';
import { isOriginError } from './policy/status.ts';
import { hasExplicitFreshness } from './policy/targeted.ts';
import {
  agreesWithHead,
  CONDITIONAL_FIELDS,
  hasValidator,
  selectedBy304,
  updatedHeaders,
  withConditions,
} from './policy/validation.ts';
import { type Place, ResumingReader } from './resume.ts';
import type { Store } from './store/store.ts';
import { coveringRange, isComplete, type StoredResponse, strongValidator } from './stored-response.ts';
import { cacheGroups } from './tags.ts';
import { matchesVary, normalisedField } from './vary.ts';
import { Windows } from './windows.ts';

const MAX_REMEMBERED_KEYS = 100_000;

/** A range that begins no further than this behind what has arrived of a whole body waits for it. */
const RANGE_PATIENCE_BYTES = 1024 * 1024;

/** Part of the store's memory that is held, besides, for readers who are behind in bodies that are not kept. */
const WINDOWS_OF_MEMORY = 1 / 8;

/** A node that has lost the journal cannot tell whether a purge has overtaken a fill: one that has just begun is no older than asking again (rule 7). */
const JOINABLE_WITHOUT_LEASE_MS = 1_000;

/** How often a request starts again because the fill it waited for was given up. */
const MAX_ATTEMPTS = 3;

export interface CacheRequest {
  readonly method: string;
  readonly keyed: KeyedRequest;
  /** Path and query as the visitor sent them, for methods that have no key. */
  readonly rawTarget: string;
  /** The path that the site's rules go by. */
  readonly path: string;
  /** End-to-end fields, Host included. */
  readonly headers: RawHeaders;
  readonly body: Readable | undefined;
  readonly site: SiteConfig;
  readonly rules: CompiledRules;
  /** Asks upstream; called at most once for this request, and once more for what must be repeated. */
  readonly fetch: Fetch;
  /** Whether this node keeps copies of this key. */
  readonly keeps: () => boolean;
  readonly onInterim: (status: number, headers: RawHeaders) => void;
  /** Aborted when the visitor has gone. */
  readonly gone: AbortSignal;
  /** What whoever asks has applied (rule 5); `NOTHING_KNOWN` for a visitor. */
  readonly needs: JournalPosition;
}

/** What the engine tells whoever counts. */
export interface EngineEvents {
  fillStarted(): void;
  fillCollapsed(): void;
  fillFailed(error: HttpError): void;
  stored(): void;
  refused(reason: StoreRefusal): void;
}

export interface EngineOptions {
  readonly store: Store;
  readonly ledger: Ledger;
  readonly now: () => number;
  /** Asked at each use, as a reload changes them. */
  readonly bounds: () => { readonly fillWindowBytes: number; readonly maxWaiters: number };
  /** Keys of which something is remembered besides what is stored (promise P5). */
  readonly maxRememberedKeys?: number;
  readonly events: EngineEvents;
  /** Purges the groups that an origin's answer names (RFC 9875, section 3). Never rejects. */
  readonly invalidateGroups?: (keyed: KeyedRequest, groups: readonly string[]) => Promise<void>;
}

/** What is remembered of a key besides what is stored of it. */
interface KeyMemory {
  /** Until when it is not collapsed, as its last response could not be shared. */
  readonly uncacheableUntil: number;
  /** Names that its last response varied by. */
  readonly varyNames: readonly string[];
}

/** One request on its way through the steps. */
interface Exchange {
  readonly request: CacheRequest;
  readonly directives: RequestDirectives;
  readonly range: readonly RangeSpec[] | undefined;
  /** The stored response that the request selects, if any. */
  candidate: StoredResponse | undefined;
  /** Whether the candidate may stand in when the origin fails: not if a purge may have named it (rule 6). */
  trusted: boolean;
  reason: ForwardReason;
  fill: Fill | undefined;
  /** Whether the fill was started by another request. */
  collapsed: boolean;
  /** Whether the visitor's own conditions go upstream, as the response will not be kept anyway. */
  conditional: boolean;
  attempts: number;
}

type Phase = 'lookup' | 'collapse' | 'alone' | 'pass' | 'outcome';
type Next = Phase | Answer;
type Step = (engine: CacheEngine, exchange: Exchange) => Next | Promise<Next>;

export class CacheEngine {
  readonly options: EngineOptions;
  /** Fills under way: by key, then by what others find them by (`fillKey`), or a symbol where nobody joins. */
  readonly underWay = new Map<string, Map<string | symbol, Fill>>();
  readonly memory: LRUCache<string, KeyMemory>;
  readonly windows: Windows;

  constructor(options: EngineOptions) {
    this.options = options;
    this.windows = new Windows(() => options.store.maxBytes * WINDOWS_OF_MEMORY);
    this.memory = new LRUCache({ max: options.maxRememberedKeys ?? MAX_REMEMBERED_KEYS });
  }

  /** @throws {HttpError} when there is no answer to give. */
  async handle(request: CacheRequest): Promise<Answer> {
    const rule = request.rules.ruleFor(request.path, 200);
    const honoured = rule.request_directives === 'honour';
    const exchange: Exchange = {
      request,
      directives: honoured
        ? requestDirectives(fieldValue(request.headers, 'cache-control'), fieldValue(request.headers, 'pragma'))
        : NO_REQUEST_DIRECTIVES,
      range: request.method === 'GET' ? parseRange(fieldValue(request.headers, 'range')) : undefined,
      candidate: undefined,
      trusted: true,
      reason: 'uri-miss',
      fill: undefined,
      collapsed: false,
      conditional: false,
      attempts: 0,
    };
    let next: Next = 'lookup';
    while (typeof next === 'string') {
      const result: Next | Promise<Next> = STEPS[next](this, exchange);
      next = result instanceof Promise ? await result : result;
    }
    return next;
  }

  /** Forgets what is stored under the key, and what is on its way there (RFC 9111, section 4.4). */
  invalidate(key: string, except: Fill | undefined): void {
    this.options.store.delete(key);
    for (const fill of this.underWay.get(key)?.values() ?? []) {
      if (fill !== except) fill.disown();
    }
  }
}

const STEPS: Record<Phase, Step> = { lookup, collapse, alone, pass, outcome };

/** Is there a stored response that may answer? */
function lookup(engine: CacheEngine, exchange: Exchange): Next {
  const { request, directives } = exchange;
  exchange.candidate = undefined;
  if (request.method !== 'GET' && request.method !== 'HEAD') return passBecause(exchange, 'method');
  if (request.body !== undefined || isForOriginOnly(request.headers)) return passBecause(exchange, 'request');
  if (request.rules.bypasses(request.path)) return passBecause(exchange, 'bypass');
  const now = engine.options.now();
  const variants = engine.options.store.get(request.keyed.key);
  const candidate = variants.find(
    (stored) => matchesVary(stored.vary, request.headers) && !isGone(engine, request, stored),
  );
  if (candidate === undefined) {
    exchange.reason = variants.length > 0 ? 'vary-miss' : 'uri-miss';
  } else if (!answersRange(candidate, exchange, now)) {
    exchange.reason = 'partial';
  } else {
    exchange.candidate = candidate;
    const usable = afterPurges(engine, exchange, candidate, reuse(candidate, directives, now), now);
    switch (usable) {
      case 'fresh':
        return storedAnswer(exchange, candidate, now, { hit: true });
      case 'max-stale':
        return storedAnswer(exchange, candidate, now, { hit: true, detail: 'stale' });
      case 'while-revalidate':
        revalidate(engine, exchange, candidate);
        return storedAnswer(exchange, candidate, now, { hit: true, detail: 'stale-while-revalidate' });
      case 'stale':
      case 'request':
        exchange.reason = usable;
    }
  }
  if (directives.onlyIfCached) throw new HttpError('only_if_cached'); // RFC 9111, section 5.2.1.7
  if (request.method === 'HEAD') return 'pass';
  return directives.noStore ? 'alone' : 'collapse';
}

/** Whether a hard purge has named it. */
function isGone(engine: CacheEngine, { keyed }: CacheRequest, stored: StoredResponse): boolean {
  return engine.options.ledger.check(stored, keyed) === 'hard';
}

/** Whether no purge has named it, and none may have without this node knowing. */
function isCurrent(engine: CacheEngine, { keyed }: CacheRequest, stored: StoredResponse): boolean {
  return engine.options.ledger.check(stored, keyed) === 'current';
}

/** What purges leave of a stored response's usability (rules 4, 5 and 7). */
function afterPurges(
  engine: CacheEngine,
  exchange: Exchange,
  stored: StoredResponse,
  usable: Reuse,
  now: number,
): Reuse {
  const { ledger } = engine.options;
  const { keyed, needs } = exchange.request;
  const verdict = ledger.check(stored, keyed);
  exchange.trusted = verdict !== 'unverified' && ledger.holdsLease(now) && ledger.isNewEnough(stored.stamp, needs);
  if (!exchange.trusted) return usable === 'request' ? usable : 'stale';
  if (verdict !== 'soft' || usable !== 'fresh') return usable;
  return permitsStale(stored) ? 'while-revalidate' : 'stale';
}

function passBecause(exchange: Exchange, reason: ForwardReason): Next {
  exchange.reason = reason;
  return 'pass';
}

/** Join the fill that is under way for the same response, or start it. */
function collapse(engine: CacheEngine, exchange: Exchange): Next {
  const { request, range, candidate } = exchange;
  const memory = engine.memory.get(memoryKey(request));
  if (memory !== undefined && memory.uncacheableUntil > engine.options.now()) {
    exchange.conditional = candidate === undefined;
    return 'alone';
  }
  const key = fillKey(exchange, memory);
  const fill = engine.underWay.get(request.keyed.key)?.get(key) ?? wholeFillFor(engine, exchange, memory);
  if (fill === undefined || !isJoinable(engine, exchange, fill)) {
    if (range !== undefined && range.length > 1 && candidate === undefined) return 'alone'; // what comes cannot be kept
    exchange.fill = startFill(engine, exchange, { key }); // in the place of one that is no use any more
    exchange.collapsed = false;
    return 'outcome';
  }
  if (fill.waiting >= engine.options.bounds().maxWaiters) return 'alone';
  exchange.fill = fill;
  exchange.collapsed = true;
  return 'outcome';
}

/** Whether what the fill brings may answer one who comes now. */
function isJoinable(engine: CacheEngine, { request }: Exchange, fill: Fill): boolean {
  if (fill.disowned || !isNewEnough(engine, request, { stamp: fill.stamp, tags: [] })) return false;
  const { ledger, now } = engine.options;
  if (!ledger.holdsLease(now()) && now() - fill.requestTime > JOINABLE_WITHOUT_LEASE_MS) return false;
  const result = fill.outcome;
  if (result === undefined || result.kind === 'validated') return true;
  if (result.kind !== 'response' || !result.shareable || !result.body.canReadFrom(0)) return false;
  const { stored } = result;
  return (
    reuse(stored, NO_REQUEST_DIRECTIVES, engine.options.now()) === 'fresh' && // its body may have been long on its way
    isNewEnough(engine, request, stored) &&
    matchesVary(stored.vary, request.headers)
  );
}

/** Whether no purge has come since the stamp: neither here nor at the node that asks (rules 4 and 5). */
function isNewEnough(engine: CacheEngine, { keyed, needs }: CacheRequest, named: Named): boolean {
  const { ledger } = engine.options;
  return ledger.isNewEnough(named.stamp, needs) && ledger.check(named, keyed) === 'current';
}

/** Ask upstream for this request only. */
function alone(engine: CacheEngine, exchange: Exchange): Next {
  exchange.fill = startFill(engine, exchange, {});
  exchange.collapsed = false;
  return 'outcome';
}

/** Wait for the fill's head, and see what it means for this request. */
async function outcome(engine: CacheEngine, exchange: Exchange): Promise<Next> {
  const fill = exchange.fill as Fill;
  const leave = fill.wait();
  const { gone } = exchange.request;
  gone.addEventListener('abort', leave, { once: true });
  if (gone.aborted) leave();
  try {
    const result = fill.outcome ?? (await fill.settled);
    if (gone.aborted) throw new HttpError('abandoned', 'the visitor has gone');
    return judge(engine, exchange, result);
  } finally {
    gone.removeEventListener('abort', leave);
    leave();
  }
}

function judge(engine: CacheEngine, exchange: Exchange, result: FillOutcome): Next {
  const { candidate, request, collapsed } = exchange;
  const now = engine.options.now();
  switch (result.kind) {
    case 'failed':
      if (result.error.code === 'abandoned') return again(exchange);
      if (candidate !== undefined && mayStandIn(engine, exchange, candidate, now))
        return staleAnswer(exchange, candidate, now, undefined);
      throw result.error;
    case 'unmatched':
      exchange.candidate = undefined; // it cannot be validated: the request is repeated without conditions
      return ++exchange.attempts < MAX_ATTEMPTS ? 'collapse' : 'alone';
    case 'validated':
      if (collapsed && !isNewEnough(engine, request, result.stored)) return again(exchange);
      if (collapsed && (result.refusal !== undefined || !answersAfterwards(exchange, result.stored, now)))
        return 'alone';
      return storedAnswer(exchange, result.stored, now, {
        hit: false,
        fwd: exchange.reason,
        fwdStatus: 304,
        collapsed,
        detail: result.refusal,
      });
    case 'response':
      if (
        candidate !== undefined &&
        isOriginError(result.head.status) &&
        mayStandIn(engine, exchange, candidate, now)
      ) {
        return staleAnswer(exchange, candidate, now, result.head.status);
      }
      if (!collapsed) return leaderAnswer(exchange, result, now);
      if (!isNewEnough(engine, request, result.stored)) return again(exchange);
      if (!result.shareable || !result.body.canReadFrom(0)) return 'alone';
      // Another variant: what it varies by is known now, so those who want the same one find each other.
      if (!matchesVary(result.stored.vary, request.headers)) return again(exchange);
      if (exchange.directives.noCache) return 'alone'; // section 5.2.1.4: not with a response to an earlier request
      engine.options.events.fillCollapsed();
      return sharedAnswer(exchange, result, now);
  }
}

/** From the start, as what was waited for is not for this request; after a few times, alone. */
function again(exchange: Exchange): Next {
  exchange.collapsed = false;
  return ++exchange.attempts < MAX_ATTEMPTS ? 'lookup' : 'alone';
}

function mayStandIn(
  engine: CacheEngine,
  { request, trusted }: Exchange,
  candidate: StoredResponse,
  now: number,
): boolean {
  return trusted && mayServeOnError(candidate, now) && !isGone(engine, request, candidate);
}

/** Whether a response that another request validated also answers this one. */
function answersAfterwards(exchange: Exchange, stored: StoredResponse, now: number): boolean {
  const { request, directives } = exchange;
  return (
    matchesVary(stored.vary, request.headers) &&
    answersRange(stored, exchange, now) &&
    reuse(stored, directives, now) === 'fresh'
  );
}

/** Neither looked up nor collapsed: other methods, bodies, and what the site's rule says. */
async function pass(engine: CacheEngine, exchange: Exchange): Promise<Next> {
  const { request } = exchange;
  const { method } = request;
  const fill = startFill(engine, exchange, { pass: true });
  exchange.fill = fill;
  const leave = fill.wait();
  request.gone.addEventListener('abort', leave, { once: true });
  if (request.gone.aborted) leave();
  try {
    const result = await fill.settled;
    const { candidate } = exchange;
    const now = engine.options.now();
    const mayBeStale = candidate !== undefined && mayStandIn(engine, exchange, candidate, now);
    if (result.kind === 'failed') {
      if (mayBeStale && !request.gone.aborted) return staleAnswer(exchange, candidate, now, undefined);
      throw result.error;
    }
    if (result.kind !== 'response') throw new HttpError('origin_bad_response', 'a 304 to a request without conditions');
    if (mayBeStale && isOriginError(result.head.status)) {
      return staleAnswer(exchange, candidate, now, result.head.status);
    }
    if (method === 'HEAD') updateByHead(engine, exchange, result.head, fill);
    await invalidateGroups(engine, request, result.head);
    const body = method === 'HEAD' ? undefined : result.body.reader(0, Number.POSITIVE_INFINITY);
    return {
      head: result.head,
      body,
      trailers: () => result.body.trailers,
      status: { hit: false, fwd: exchange.reason, detail: result.refusal },
      above: fieldValue(result.head.headers, 'cache-status'),
      stamp: result.stored.stamp,
    };
  } finally {
    request.gone.removeEventListener('abort', leave);
    leave();
  }
}

/**
 * RFC 9875, section 3: an unsafe request's answer that is no error may name
 * groups. Done by the node that asked the origin, before anybody sees the answer.
 */
async function invalidateGroups(
  engine: CacheEngine,
  { method, keyed }: CacheRequest,
  head: ResponseHead,
): Promise<void> {
  if (isSafe(method) || head.version !== undefined || head.status < 200 || head.status >= 400) return;
  const groups = cacheGroups(head.headers, 'cache-group-invalidation');
  if (groups.length > 0) await engine.options.invalidateGroups?.(keyed, groups);
}

/** RFC 9111, section 4.4. Before the body comes, so that a POST's own answer may be stored after it. */
function invalidateAfter(engine: CacheEngine, request: CacheRequest, head: ResponseHead, fill: Fill): void {
  const { method, keyed, rawTarget, site } = request;
  if (isSafe(method)) return;
  const base = new URL(keyed.prefix + rawTarget);
  const keys = invalidatedTargets(method, head.status, base, head.headers).map((target) =>
    siblingKey(site, keyed, target),
  );
  // A URL parser writes some characters in another way than the visitor did, so the target has its own key.
  if (keys.length > 0) engine.invalidate(keyed.key, fill);
  for (const key of keys) engine.invalidate(key, fill);
}

/** RFC 9111, section 4.3.5. */
function updateByHead(engine: CacheEngine, { request }: Exchange, head: ResponseHead, fill: Fill): void {
  if (head.status !== 200) return;
  const { key } = request.keyed;
  const { store } = engine.options;
  const variants = store.get(key).map((stored): StoredResponse => {
    if (stored.status !== 200 || !matchesVary(stored.vary, request.headers)) return stored;
    // The stored length counts, as a body that came in chunks has no field that says it.
    if (!agreesWithHead(withField(stored.headers, 'Content-Length', String(stored.length)), head.headers))
      return { ...stored, policy: { ...stored.policy, lifetimeMs: 0 } };
    const fresh = fill.freshened(stored, head, engine.options.now());
    const stamp = olderStamp(stored.stamp, fresh.stored.stamp);
    return fresh.refusal === undefined && stamp !== undefined ? { ...fresh.stored, stamp } : stored;
  });
  if (variants.length > 0) store.set(key, variants);
}

interface StartOptions {
  /** Where others find it; absent: nobody else joins. */
  readonly key?: string;
  readonly pass?: boolean;
  readonly background?: boolean;
}

function startFill(
  engine: CacheEngine,
  exchange: Exchange,
  { key, pass = false, background = false }: StartOptions,
): Fill {
  const { request, directives } = exchange;
  const { store, ledger, now, events, bounds } = engine.options;
  const candidate = exchange.candidate;
  const validating = !pass && candidate !== undefined && hasValidator(candidate.headers) ? candidate : undefined;
  const place = key ?? Symbol('alone');
  const upstream = pass ? passedOn(request) : filling(exchange, validating);
  const fill: Fill = new Fill({
    request: upstream,
    fetch: request.fetch,
    path: request.path,
    site: request.site,
    rules: request.rules,
    requestDirectives: directives,
    validating,
    refusal: (head) => (pass ? passRefusal(exchange, head) : undefined),
    keeps: request.keeps,
    store,
    ledger,
    needs: request.needs,
    keyed: request.keyed,
    now,
    windowBytes: bounds().fillWindowBytes,
    windows: engine.windows,
    background,
    onInterim: background ? () => undefined : request.onInterim,
    onStored: (stored) => {
      keep(engine, request, stored);
      events.stored();
    },
    onSettled: (result) => {
      if (result.kind === 'failed') {
        if (result.error.code !== 'abandoned') events.fillFailed(result.error);
      } else if (result.kind === 'response') {
        if (result.refusal !== undefined) events.refused(result.refusal);
        if (pass) invalidateAfter(engine, request, result.head, fill);
        else remember(engine, request, result);
      } else if (result.kind === 'validated' && result.refusal !== undefined) {
        events.refused(result.refusal);
        if (!OF_THE_VISITOR.has(result.refusal)) drop(engine, request, result.stored);
      }
    },
    onClosed: (closed) => {
      const fills = engine.underWay.get(request.keyed.key);
      if (fills === undefined) return;
      const own = fills.get(place) === closed ? place : [...fills].find(([, other]) => other === closed)?.[0];
      if (own !== undefined) fills.delete(own);
      if (fills.size === 0) engine.underWay.delete(request.keyed.key);
    },
  });
  events.fillStarted();
  if (fill.closed) return fill;
  const fills = engine.underWay.get(request.keyed.key) ?? new Map<string | symbol, Fill>();
  const overtaken = fills.get(place);
  if (overtaken !== undefined) fills.set(Symbol('overtaken'), overtaken); // still to be disowned by an invalidation
  engine.underWay.set(request.keyed.key, fills.set(place, fill));
  return fill;
}

function passRefusal({ request, reason }: Exchange, head: ResponseHead): StoreRefusal | undefined {
  if (reason === 'bypass') return 'rule-never';
  return request.method === 'POST' && representsItsUri(request, head) ? undefined : 'method';
}

/** A POST whose answer says that it is the representation of the target URI, and for how long (RFC 9110, section 9.3.3). */
function representsItsUri(
  { keyed, rawTarget, rules, path, site }: CacheRequest,
  { status, headers }: ResponseHead,
): boolean {
  const location = fieldValue(headers, 'content-location');
  const base = keyed.prefix + rawTarget;
  if (status !== 200 || location === undefined || !URL.canParse(location, base)) return false;
  if (new URL(location, base).href !== new URL(base).href || rawTarget !== keyed.target) return false;
  const rule = rules.ruleFor(path, status);
  return rule.origin_headers === 'honour' && hasExplicitFreshness(headers, site.targeted_fields);
}

function passedOn({ method, rawTarget, keyed, headers, body }: CacheRequest): UpstreamRequest {
  return { method, target: method === 'GET' || method === 'HEAD' ? keyed.target : rawTarget, headers, body };
}

/** The request that fetches what can be kept: without the visitor's own conditions, and for the whole where it can be. */
function filling(
  { request, candidate, conditional }: Exchange,
  validating: StoredResponse | undefined,
): UpstreamRequest {
  const { headers, keyed } = request;
  const target = { method: 'GET', target: keyed.target, body: undefined };
  if (validating !== undefined) {
    return { ...target, headers: withoutFields(withConditions(headers, validating.headers), RANGE_FIELDS) };
  }
  if (conditional) return { ...target, headers };
  const wantsWhole = candidate !== undefined || !hasField(headers, 'range');
  return { ...target, headers: withoutFields(headers, wantsWhole ? WHOLE_FIELDS : CONDITIONAL_EXCEPT_RANGE) };
}

const RANGE_FIELDS: ReadonlySet<string> = new Set(['range']);
const WHOLE_FIELDS: ReadonlySet<string> = new Set([...CONDITIONAL_FIELDS, 'range']);
const CONDITIONAL_EXCEPT_RANGE: ReadonlySet<string> = new Set(
  [...CONDITIONAL_FIELDS].filter((name) => name !== 'if-range'),
);

/** Responses to requests with credentials are other ones (RFC 9111, section 3.5), so what is remembered is kept apart. */
function memoryKey({ keyed, headers }: CacheRequest): string {
  return hasField(headers, 'authorization') ? `${keyed.key}\nauthorization` : keyed.key;
}

/** Two requests with the same fill key may be answered with the same response, as far as is known before it is there. */
function fillKey({ request, range, candidate }: Exchange, memory: KeyMemory | undefined): string {
  let key = memoryKey(request);
  for (const name of memory?.varyNames ?? []) key += `\n${name}:${normalisedField(request.headers, name) ?? ''}`;
  if (range === undefined || candidate !== undefined) return key;
  return `${key}\nrange:${fieldValue(request.headers, 'range')}\n${fieldValue(request.headers, 'if-range') ?? ''}`;
}

/** A fill of the whole body that will soon have the range, if there is one. */
function wholeFillFor(engine: CacheEngine, exchange: Exchange, memory: KeyMemory | undefined): Fill | undefined {
  if (exchange.range === undefined || exchange.candidate !== undefined) return undefined;
  const key = fillKey({ ...exchange, range: undefined }, memory);
  const fill = engine.underWay.get(exchange.request.keyed.key)?.get(key);
  const result = fill?.outcome;
  if (result?.kind !== 'response' || result.head.status !== 200 || !result.shareable) return undefined;
  const ranges = requestedRanges(exchange.request.headers, result.length);
  if (!Array.isArray(ranges)) return undefined;
  const soon = ranges.every(({ start }) => start <= result.body.received + RANGE_PATIENCE_BYTES);
  return soon && result.body.canReadFrom(0) ? fill : undefined;
}

/** Revalidates in the background, at most once at a time (RFC 5861, section 3). */
function revalidate(engine: CacheEngine, exchange: Exchange, candidate: StoredResponse): void {
  const { request } = exchange;
  const quiet: Exchange = { ...exchange, candidate, range: undefined };
  const key = fillKey(quiet, engine.memory.get(memoryKey(request)));
  const fill = engine.underWay.get(request.keyed.key)?.get(key);
  if (fill === undefined || fill.disowned || !isNewEnough(engine, request, { stamp: fill.stamp, tags: [] }))
    startFill(engine, quiet, { key, background: true });
}

/** Refusals that the request brought about: the next one's response may well be shared. */
const OF_THE_REQUEST: ReadonlySet<StoreRefusal | undefined> = new Set<StoreRefusal | undefined>([
  'request-no-store',
  'partial',
]);

/** Refusals of a 304 that speak of its own request's visitor: what is stored stays, as old as it is. */
const OF_THE_VISITOR: ReadonlySet<StoreRefusal> = new Set<StoreRefusal>([
  'request-no-store',
  'authorization',
  'set-cookie',
]);

function remember(engine: CacheEngine, request: CacheRequest, result: FillResponse): void {
  const { head, shareable, refusal, stored } = result;
  if (head.status === 304 || head.status === 416 || isOriginError(head.status) || OF_THE_REQUEST.has(refusal)) return;
  const key = memoryKey(request);
  const varyNames = stored.vary.map(({ name }) => name);
  const uncacheableUntil = shareable ? 0 : engine.options.now() + request.site.uncacheable_memory;
  if (uncacheableUntil === 0 && varyNames.length === 0) engine.memory.delete(key);
  else engine.memory.set(key, { uncacheableUntil, varyNames });
}

/** Puts a response in the place of those that it is newer than. */
function keep(engine: CacheEngine, request: CacheRequest, stored: StoredResponse): void {
  const { store } = engine.options;
  const { keyed, headers, site } = request;
  if (isGone(engine, request, stored)) return; // purged while it was on its way
  const variants = store.get(keyed.key).filter((other) => !isGone(engine, request, other));
  const others = variants.filter((other) => !matchesVary(other.vary, headers));
  const same = variants.find((other) => !others.includes(other));
  const ofOne = same !== undefined && sameRepresentation(same, stored);
  // It may have been longer on its way than one that was asked for later.
  if (same !== undefined && !ofOne && same.responseTime > stored.responseTime) return;
  if (same !== undefined && isCurrent(engine, request, same) && !isCurrent(engine, request, stored)) return;
  if (same !== undefined && !ofOne && isBetterThanPart(same, stored, engine.options.now())) return;
  const merged =
    ofOne && !isComplete(stored) && stored.body !== same.body
      ? {
          ...stored,
          headers: updatedHeaders(same.headers, stored.headers),
          body: store.combine(same.body, stored.body),
        }
      : stored;
  store.set(keyed.key, [merged, ...others].slice(0, site.max_variants));
}

/** Whether the whole is there and fresh, and a part that cannot be joined to it says nothing against it. */
function isBetterThanPart(whole: StoredResponse, part: StoredResponse, now: number): boolean {
  if (isComplete(part) || !isComplete(whole)) return false;
  return reuse(whole, NO_REQUEST_DIRECTIVES, now) === 'fresh' && selectedBy304(whole.headers, part.headers);
}

/** Takes out of the store what a 304 says must not be there any more. */
function drop(engine: CacheEngine, { keyed }: CacheRequest, stored: StoredResponse): void {
  const { store } = engine.options;
  const variants = store.get(keyed.key);
  store.set(
    keyed.key,
    variants.filter(({ body }) => body !== stored.body),
  );
}

/** Whether the stored bytes hold what the request asks for. */
function answersRange(stored: StoredResponse, { request, range }: Exchange, now: number): boolean {
  if (isComplete(stored)) return true;
  if (range === undefined) return request.method === 'HEAD';
  if (!rangeApplies(request.headers, stored.headers, now)) return false; // the whole is asked for
  const ranges = requestedRanges(request.headers, stored.length);
  return Array.isArray(ranges) && ranges.every(({ start, end }: ByteRange) => coveringRange(stored, start, end));
}

function storedAnswer(exchange: Exchange, stored: StoredResponse, now: number, status: CacheStatus): Answer {
  const { request } = exchange;
  const representation: Representation = {
    head: {
      status: stored.status,
      statusText: stored.statusText,
      headers: withAge(stored.headers, currentAge(stored, now)),
    },
    length: stored.length,
    covers: (ranges) => ranges.every(({ start, end }) => coveringRange(stored, start, end)),
    open: (range) => stored.body.open(range ?? { start: 0, end: stored.length }),
    trailers: () => stored.trailers,
  };
  const { head, body } = select(request.method, request.headers, representation, now);
  const ttlMs = remainingLifetime(stored, now);
  const { stamp } = stored;
  return { head, body, trailers: () => stored.trailers, status: { ...status, ttlMs }, above: undefined, stamp };
}

function staleAnswer(exchange: Exchange, stored: StoredResponse, now: number, fwdStatus: number | undefined): Answer {
  return storedAnswer(exchange, stored, now, { hit: false, fwd: exchange.reason, fwdStatus, detail: 'stale-if-error' });
}

/** The answer to the request that started the fill: the response as it came. */
function leaderAnswer(exchange: Exchange, result: FillResponse, now: number): Answer {
  const { refusal, stored } = result;
  const status: CacheStatus = {
    hit: false,
    fwd: exchange.reason,
    stored: refusal === undefined,
    detail: refusal,
    ttlMs: refusal === undefined ? remainingLifetime(stored, now) : undefined,
  };
  return fillAnswer(exchange, result, result.head.headers, now, status);
}

/** The answer to one who joined: a response from the cache, as old as it is by now. */
function sharedAnswer(exchange: Exchange, result: FillResponse, now: number): Answer {
  const ttlMs = remainingLifetime(result.stored, now);
  const headers = withAge(result.stored.headers, currentAge(result.stored, now));
  return fillAnswer(exchange, result, headers, now, { hit: false, fwd: exchange.reason, collapsed: true, ttlMs });
}

/** Where a response's body lies in its representation, if the rest of it can be asked for (RFC 9110, section 13.1.5). */
function placeOf({ head, length }: FillResponse): Place | undefined {
  const validator = strongValidator(head.headers);
  if (validator === undefined) return undefined;
  if (head.status === 200) return length === undefined ? undefined : { start: 0, end: length, validator };
  const range = head.status === 206 ? parseContentRange(fieldValue(head.headers, 'content-range')) : undefined;
  return range === undefined || 'unsatisfied' in range ? undefined : { start: range.start, end: range.end, validator };
}

function fillAnswer(
  exchange: Exchange,
  result: FillResponse,
  headers: RawHeaders,
  now: number,
  status: CacheStatus,
): Answer {
  const { request } = exchange;
  const shared = result.body;
  const open = (range?: ByteRange): BodyReader => {
    const end = range?.end ?? Number.POSITIVE_INFINITY;
    const reader = shared.reader(range?.start ?? 0, end);
    const place = placeOf(result);
    return new ResumingReader(reader, {
      fetch: request.fetch,
      request: { method: 'GET', target: request.keyed.target, headers: request.headers, body: undefined },
      place: place && { ...place, end: range?.end ?? place.end },
    });
  };
  const representation: Representation = {
    head: { ...result.head, headers },
    length: result.length,
    covers: (ranges) => ranges.length === 1 || shared.isKept,
    open,
    trailers: () => shared.trailers,
  };
  const { head, body } = select(request.method, request.headers, representation, now);
  return {
    head,
    body,
    trailers: () => shared.trailers,
    status,
    stamp: result.stored.stamp,
    above: fieldValue(result.head.headers, 'cache-status'),
  };
}
