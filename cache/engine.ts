/**
 * The HTTP cache of a node: what happens to one request between its arrival
 * and its answer. Blind to roles: whether it is an edge's or a shield's, and
 * who is asked upstream, comes with the request.
 *
 * The way is a table of steps (`STEPS`); docs/request-life.md draws it.
 * @module
 */

import { HttpError } from '../http/errors.ts';
import { fieldValue, hasField } from '../http/fields/headers.ts';
import { type EpochMs, type MonotonicMs, msBetween } from '../lib/clock.ts';
import { type Answer, requestedRanges } from './answer.ts';
import type { CacheDetail, CacheStatus } from './cache-status.ts';
import type { DiskStore } from './disk/disk.ts';
import type { CacheRequest, Engine, EngineOptions, Exchange, KeyMemory } from './exchange.ts';
import type { Fill, FillOutcome, JoinableFill } from './fill.ts';
import type { Freshened } from './fill-decision.ts';
import { FillRegistry } from './fill-registry.ts';
import { concurrency, fillKey, memoryKey, revalidate, startFill, startOrFollow } from './fill-request.ts';
import { FollowedFill, followedFills } from './followed-fill.ts';
import { KeyLru } from './key-map.ts';
import { type ChunkedOrder, chunkedAnswer, type NotAnswered } from './large/chunked-answer.ts';
import { isChunked, LargeObjects } from './large/large-objects.ts';
import { coversRequest, type EarlyLookup, type Found, type LookupRequest, lookup, type Outcome } from './lookup.ts';
import { carriesAllowed } from './passing.ts';
import { isForRequester } from './personal.ts';
import { NO_REQUEST_DIRECTIVES } from './policy/directives.ts';
import type { ForwardReason } from './policy/refusals.ts';
import { mayServeOnError, reuse } from './policy/reuse.ts';
import { isOriginError } from './policy/status.ts';
import { CONDITIONAL_FIELDS } from './policy/validation.ts';
import { isHardPurged, isNewEnough } from './purge-state.ts';
import { profileOf, type RequestProfile } from './request-profile.ts';
import type { KeyBytes } from './store/key-bytes.ts';
import { EvictedError } from './store/store.ts';
import { invalidateGroups, updateByHead } from './store-update.ts';
import { leaderAnswer, sharedAnswer, staleStatus, storedAnswer } from './stored-answer.ts';
import type { StoredHead, StoredResponse } from './stored-response.ts';
import { matchesVary } from './vary.ts';
import { Windows } from './windows.ts';

export type { CacheRequest, EngineEvents, EngineOptions } from './exchange.ts';

/** Part of the store's memory that is held, besides, for readers who are behind in bodies that are not kept. */
const WINDOWS_OF_MEMORY = 1 / 8;

/** Keys of which something is remembered besides what is stored (promise P5). */
const MAX_REMEMBERED_KEYS = 100_000;

/** A range that begins no further than this behind what has arrived of a whole body waits for it. */
const MAX_RANGE_WAIT_BYTES = 1024 * 1024;

/**
 * A node that has lost the journal cannot tell whether a purge has overtaken a fill: one that has just begun is no
 * older than asking again (rule 7).
 */
const JOINABLE_WITHOUT_LEASE_MS = 1_000;

/** Maximum number of restarts of a request whose fill was given up. */
const MAX_ATTEMPTS = 3;

/**
 * Requests of one key that are passed on at a time though another's response may answer them: those with a precondition
 * that is the origin's to evaluate, and those with HEAD.
 */
const MAX_PASSED = 4;

/**
 * A request waits for the head of another's fill of an uncacheable key for so many times what the origin took before.
 */
const COLLAPSE_TIMEOUT = 1.25;

/** Or for so long at least, as origins have bad moments. */
const MIN_COLLAPSE_TIMEOUT_MS = 1_000;

type Phase = 'lookup' | 'load' | 'chunks' | 'collapse' | 'alone' | 'pass' | 'outcome';

type Next = Phase | Answer;

type Step = (engine: Engine, exchange: Exchange) => Next | Promise<Next>;

export class CacheEngine implements Engine {
  readonly options: EngineOptions;
  readonly fills = new FillRegistry();
  readonly memory: KeyLru<KeyMemory>;
  readonly windows: Windows;
  readonly large: LargeObjects = new LargeObjects(this);
  /** Set before the first request. */
  disk: DiskStore | undefined = undefined;

  constructor(options: EngineOptions) {
    this.options = options;
    this.windows = new Windows(() => options.store.maxBytes * WINDOWS_OF_MEMORY);
    this.memory = new KeyLru(options.maxRememberedKeys ?? MAX_REMEMBERED_KEYS);
    options.threads?.serve(followedFills(this));
  }

  /** Looks a request up in the store, at once, and changes nothing. */
  lookup(
    key: string | KeyBytes,
    request: LookupRequest,
    profile: RequestProfile,
    now: EpochMs,
    at: MonotonicMs,
  ): Found {
    return lookup(this.options, key, request, profile, now, at);
  }

  /**
   * @param early - Lookup of this request that was made already: it is not made again, unless it was undecided.
   * @returns The answer: at once unless it waits for upstream. @throws {HttpError} (or rejects) when there is none to
   * give.
   */
  handle(request: CacheRequest, early?: EarlyLookup): Answer | Promise<Answer> {
    const profile = profileOf(request);
    const honoured = request.rules.ruleFor(request.path, 200).request_directives === 'honour';
    const exchange: Exchange = {
      request,
      profile,
      directives: honoured ? profile.directives : NO_REQUEST_DIRECTIVES,
      range: request.method === 'GET' ? profile.ranges : undefined,
      early: early?.found.outcome === 'undecided' ? undefined : early,
      candidate: undefined,
      trusted: true,
      reason: 'uri-miss',
      fill: undefined,
      joinedAt: undefined,
      conditional: false,
      attempts: 0,
      loading: undefined,
      isFromDisk: false,
      chunked: undefined,
      collapseTimeoutMs: undefined,
      passedAs: undefined,
    };
    return this.#run(exchange, 'lookup');
  }

  #run(exchange: Exchange, first: Next): Answer | Promise<Answer> {
    let next = first;
    try {
      while (typeof next === 'string') {
        const step: Phase = next;
        const result = STEPS[step](this, exchange);
        if (result instanceof Promise) return this.#runLater(exchange, result);
        next = result;
        if (step === 'lookup') exchange.request.trace?.note('lookup', found(exchange, next));
      }
    } catch (error) {
      setCandidate(exchange, undefined);
      throw error;
    }
    setCandidate(exchange, undefined);
    return next;
  }

  async #runLater(exchange: Exchange, pending: Promise<Next>): Promise<Answer> {
    let next: Next;
    try {
      next = await pending;
    } catch (error) {
      setCandidate(exchange, undefined);
      throw error;
    }
    return this.#run(exchange, next);
  }

  /** Forgets what is stored under the key, and what is on its way there (RFC 9111, section 4.4). */
  invalidate(key: string, except: Fill | undefined): void {
    // First: a fill in another thread either sees this when it has stored its response, or has stored it by now.
    this.options.threads?.invalidated(key);
    except?.excuse();
    this.options.store.delete(key);
    this.disk?.remove(key);
    for (const fill of this.fills.of(key)) {
      if (fill !== except) fill.disown();
    }
  }
}

/** Outcome of a lookup, for the trace. */
function found({ reason }: Exchange, next: Next): Record<string, unknown> {
  return typeof next === 'string' ? { hit: false, fwd: reason, next } : { hit: true, detail: next.status.detail };
}

/** Retains the response that the request selects until it is answered: it may be evicted while upstream is asked. */
function setCandidate(exchange: Exchange, stored: StoredResponse | undefined): void {
  exchange.candidate?.body.release();
  exchange.candidate = stored?.body.retain() === true ? stored : undefined;
}

const STEPS: Record<Phase, Step> = { lookup: lookUp, load, chunks, collapse, alone, pass, outcome };

/** Is there a stored response that may answer? */
function lookUp(engine: Engine, exchange: Exchange): Next {
  const { request, directives } = exchange;
  setCandidate(exchange, undefined);
  if (request.method !== 'GET' && request.method !== 'HEAD') return passBecause(exchange, 'method');
  if (request.body !== undefined) return passBecause(exchange, 'request');
  const { found, now } = earlyLookup(exchange) ?? lookupNow(engine, exchange);
  if (found.isRefused && engine.fills.awaited(preconditionKey(request)) < MAX_PASSED) {
    exchange.passedAs = preconditionKey(request);
    return passBecause(exchange, 'request');
  }
  const { outcome, stored, isTrusted, reason } = found;
  exchange.reason = reason ?? exchange.reason;
  if (outcome === 'pass') return 'pass';
  if (stored !== undefined) {
    if (outcome === 'while-revalidate') revalidate(engine, exchange, stored);
    const detail = detailOf(outcome, exchange);
    if (detail !== undefined) return answerNow(exchange, stored, now, detail) ?? again(exchange);
    setCandidate(exchange, stored);
    exchange.trusted = isTrusted;
  }
  if (outcome === 'none' && engine.disk !== undefined && exchange.loading === undefined) {
    exchange.loading = engine.disk.lookup(request.keyed.key);
    if (exchange.loading !== undefined) return 'load';
  }
  if (directives.onlyIfCached) throw new HttpError('only_if_cached'); // RFC 9111, section 5.2.1.7
  if (request.method === 'HEAD' && mayPassHead(engine, exchange)) return 'alone';
  return directives.noStore ? 'alone' : 'collapse';
}

/** The lookup that was made before; whatever comes back to this step looks up anew. */
function earlyLookup(exchange: Exchange): EarlyLookup | undefined {
  const { early } = exchange;
  exchange.early = undefined;
  return early;
}

function lookupNow({ options }: Engine, { request, profile }: Exchange): EarlyLookup {
  const now = options.now();
  return { found: lookup(options, request.keyed.key, request, profile, now, options.monotonic()), now };
}

/** @returns Detail of a hit; `undefined` if the response cannot answer at once. */
function detailOf(
  outcome: Outcome,
  { isFromDisk }: Exchange,
): { readonly detail: CacheDetail | undefined } | undefined {
  switch (outcome) {
    case 'fresh':
      return { detail: isFromDisk ? 'disk' : undefined };
    case 'max-stale':
      return { detail: 'stale' };
    case 'while-revalidate':
      return { detail: 'stale-while-revalidate' };
    default:
      return undefined;
  }
}

/** @returns `undefined` if another thread has evicted the body since it was looked up. */
function answerNow(
  exchange: Exchange,
  stored: StoredResponse,
  now: EpochMs,
  { detail }: { readonly detail: CacheDetail | undefined },
): Next | undefined {
  try {
    return answered(exchange, stored, now, { hit: true, detail });
  } catch (error) {
    if (error instanceof EvictedError) return undefined;
    throw error;
  }
}

/** The answer with a stored response: at once, unless its body is in chunks. */
function answered(
  exchange: Exchange,
  stored: StoredResponse,
  now: EpochMs,
  status: CacheStatus,
  more?: Partial<Answer>,
): Next {
  if (!isChunked(stored)) {
    const answer = storedAnswer(exchange, stored, now, status);
    return more === undefined ? answer : { ...answer, ...more };
  }
  exchange.chunked = { stored, status, more };
  return 'chunks';
}

/** Answer from the chunks of a large object; a request that finds its origin changed begins anew. */
function chunks(engine: Engine, exchange: Exchange): Next | Promise<Next> {
  const next = (result: Answer | NotAnswered): Next => {
    if (typeof result !== 'string') return result;
    setCandidate(exchange, undefined);
    if (result === 'ended') return again(exchange);
    exchange.joinedAt = undefined;
    return 'alone';
  };
  const result = chunkedAnswer(engine, exchange, exchange.chunked as ChunkedOrder, engine.options.now());
  return result instanceof Promise ? result.then(next) : next(result);
}

/** Wait until what is on disk is in memory, and look it up there like anything else. */
async function load(_engine: Engine, exchange: Exchange): Promise<Next> {
  exchange.isFromDisk = (await exchange.loading) === true;
  return 'lookup';
}

/**
 * A few HEAD requests of a key go upstream as they are. Those beyond that number share the response to a GET, as the
 * fields of both are the same (RFC 9110, section 9.3.2).
 */
function mayPassHead({ fills, memory, options }: Engine, { request, candidate }: Exchange): boolean {
  const key = memoryKey(request);
  const most = concurrency(memory.get(key), candidate, options.monotonic());
  return fills.awaited(key) < Math.max(most, MAX_PASSED);
}

/** A precondition for the origin is ignored where more requests of the key than a few already ask it. */
function preconditionKey({ keyed }: CacheRequest): string {
  return `${keyed.key}\nprecondition`;
}

function passBecause(exchange: Exchange, reason: ForwardReason): Next {
  exchange.reason = reason;
  return 'pass';
}

/** Join the fill that is under way for the same response, or start it. */
function collapse(engine: Engine, exchange: Exchange): Next {
  const { request, range, candidate } = exchange;
  const memory = engine.memory.get(memoryKey(request));
  const key = fillKey(exchange, memory);
  const most = concurrency(memory, candidate, engine.options.monotonic());
  if (most > 1 && engine.fills.awaited(memoryKey(request)) < most) return onItsOwn(engine, exchange, key);
  const fill =
    engine.fills.at(key) ?? fillByOtherRoute(engine, exchange, memory) ?? wholeFillFor(engine, exchange, memory);
  if (fill === undefined || !isJoinable(engine, exchange, fill)) {
    if (range !== undefined && range.length > 1 && candidate === undefined) return 'alone'; // what comes cannot be kept
    const started = startOrFollow(engine, exchange, key); // in the place of one that is no use any more
    exchange.fill = started;
    exchange.joinedAt = started instanceof FollowedFill ? engine.options.ledger.position : undefined;
    exchange.collapseTimeoutMs = undefined;
    return 'outcome';
  }
  if (fill.waiting >= engine.options.bounds().maxWaiters) return 'alone';
  exchange.fill = fill;
  exchange.joinedAt = engine.options.ledger.position;
  exchange.collapseTimeoutMs =
    most > 1 ? Math.max(MIN_COLLAPSE_TIMEOUT_MS, (memory?.headMs ?? 0) * COLLAPSE_TIMEOUT) : undefined;
  return 'outcome';
}

/**
 * Upstream without waiting, as the response is not expected to be one that others may share. Those above the number
 * that may be sent at a time find it nevertheless, unless the visitor's own conditions go along.
 */
function onItsOwn(engine: Engine, exchange: Exchange, key: string): Next {
  const { request, candidate } = exchange;
  if (request.method === 'HEAD') return 'alone';
  exchange.conditional = candidate === undefined;
  const isFound = !exchange.conditional || !CONDITIONS.some((name) => hasField(request.headers, name));
  exchange.fill = startFill(engine, exchange, isFound ? { key } : {});
  exchange.joinedAt = undefined;
  return 'outcome';
}

const CONDITIONS = [...CONDITIONAL_FIELDS];

const KINDS: readonly CacheRequest['asksPeer'][] = [false, 'near', true];

/** Visitors join any fill: no fill waits for a visitor. */
function fillByOtherRoute(
  { fills }: Engine,
  exchange: Exchange,
  memory: KeyMemory | undefined,
): JoinableFill | undefined {
  const { forPeer, keyed, asksPeer } = exchange.request;
  if (forPeer || fills.count(keyed.key) === 0) return undefined;
  for (const kind of KINDS) {
    const fill = kind === asksPeer ? undefined : fills.at(fillKey(exchange, memory, kind));
    if (fill !== undefined) return fill;
  }
  return undefined;
}

/** Returns whether the fill's response may answer a request that arrives now. */
function isJoinable(engine: Engine, { request }: Exchange, fill: JoinableFill): boolean {
  if (fill.disowned || !isNewEnough(engine, request, { stamp: fill.stamp, tags: [] })) return false;
  const { ledger, now, monotonic } = engine.options;
  const at = monotonic();
  if (!ledger.holdsLease(now(), at) && msBetween(fill.startedAt, at) > JOINABLE_WITHOUT_LEASE_MS) return false;
  const result = fill.outcome;
  if (result === undefined || result.kind === 'validated') return true;
  if (result.kind !== 'response' || !result.shareable || !result.body.canReadFrom(0)) return false;
  const { stored } = result;
  return (
    reuse(stored, NO_REQUEST_DIRECTIVES, engine.options.now()) === 'fresh' && // its body may have been long on its way
    isNewEnough(engine, request, stored) &&
    isForRequester(request, stored) &&
    matchesVary(stored.vary, request.headers)
  );
}

/** Ask upstream for this request only; no body is fetched for a HEAD. */
function alone(engine: Engine, exchange: Exchange): Next {
  if (exchange.request.method === 'HEAD') {
    exchange.passedAs = memoryKey(exchange.request);
    return 'pass';
  }
  exchange.fill = startFill(engine, exchange, {});
  exchange.joinedAt = undefined;
  return 'outcome';
}

/** Wait for the fill's head, and see what it means for this request. */
function outcome(engine: Engine, exchange: Exchange): Next | Promise<Next> {
  const fill = exchange.fill as JoinableFill;
  const { clientAbort } = exchange.request;
  const settled = fill.outcome;
  if (settled !== undefined && !clientAbort.aborted) return judge(engine, exchange, settled);
  // Only a request that has joined gives up waiting: one that started the fill is upstream already.
  const patienceMs = exchange.joinedAt === undefined ? undefined : exchange.collapseTimeoutMs;
  return new HeadWait(engine, exchange, fill).within(patienceMs);
}

/** A request's wait for the head of a fill; it ends when the head is judged, or the visitor has gone. */
class HeadWait {
  readonly #engine: Engine;
  readonly #exchange: Exchange;
  readonly #fill: JoinableFill;
  #hasLeft = false;

  constructor(engine: Engine, exchange: Exchange, fill: JoinableFill) {
    const { clientAbort } = exchange.request;
    this.#engine = engine;
    this.#exchange = exchange;
    this.#fill = fill;
    fill.enter();
    clientAbort.addEventListener('abort', this.leave, { once: true });
    if (clientAbort.aborted) this.leave();
  }

  readonly leave = (): void => {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#fill.leave();
  };

  within(patienceMs: number | undefined): Promise<Next> {
    return settledWithin(this.#fill, patienceMs).then(this.#judge);
  }

  readonly #judge = (result: FillOutcome | undefined): Next => {
    const { clientAbort } = this.#exchange.request;
    try {
      if (clientAbort.aborted) throw new HttpError('client_closed', 'the visitor has gone');
      return result === undefined ? 'alone' : judge(this.#engine, this.#exchange, result);
    } finally {
      clientAbort.removeEventListener('abort', this.leave);
      this.leave();
    }
  };
}

/** @returns `undefined` when the head has not arrived in time. */
function settledWithin(fill: JoinableFill, patienceMs: number | undefined): Promise<FillOutcome | undefined> {
  if (patienceMs === undefined) return fill.settled;
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, patienceMs, undefined);
    void fill.settled.then((result) => {
      clearTimeout(timer);
      resolve(result);
    });
  });
}

function judge(engine: Engine, exchange: Exchange, result: FillOutcome): Next {
  const { candidate, joinedAt } = exchange;
  const collapsed = joinedAt !== undefined;
  const now = engine.options.now();
  switch (result.kind) {
    case 'failed':
      // What another request, or its visitor, was at fault for is nothing to this one. Of a fill of its own it can only
      // be this request's: asking again would go on without end.
      if (result.error.fault.source === 'requester' && collapsed) return again(exchange);
      if (candidate !== undefined && mayStandIn(engine, exchange, candidate, now))
        return answered(exchange, candidate, now, staleStatus(exchange, undefined));
      throw result.error;
    case 'gone':
      return again(exchange);
    case 'unmatched':
      setCandidate(exchange, undefined); // it cannot be validated: the request is repeated without conditions
      return ++exchange.attempts < MAX_ATTEMPTS ? 'collapse' : 'alone';
    case 'validated':
      if (collapsed && !isNewEnoughFor(engine, exchange, result.stored)) return again(exchange);
      if (collapsed && (result.refusal !== undefined || !answersAfterwards(exchange, result, now))) return 'alone';
      return answered(
        exchange,
        result.stored,
        now,
        { hit: false, fwd: exchange.reason, fwdStatus: 304, collapsed, detail: result.refusal },
        {
          wasFresh: result.wasFresh,
          above: fieldValue(result.response304.headers, 'cache-status'), // how the next tier came to say so, perhaps of a stale one
        },
      );
    case 'response':
      if (
        candidate !== undefined &&
        isOriginError(result.head.status) &&
        mayStandIn(engine, exchange, candidate, now)
      ) {
        return answered(exchange, candidate, now, staleStatus(exchange, result.head.status));
      }
      if (!collapsed) return leaderAnswer(exchange, result, now);
      if (!isNewEnoughFor(engine, exchange, result.stored)) return again(exchange);
      if (!result.shareable && result.head.status >= 400) return again(exchange); // it may be about that request alone
      if (!result.shareable || !result.body.canReadFrom(0)) return 'alone';
      if (!isForRequester(exchange.request, result.stored)) return 'alone';
      // Another variant: what it varies by is known now, so those who want the same one find each other.
      if (!matchesVary(result.stored.vary, exchange.request.headers)) return again(exchange);
      if (exchange.directives.noCache) return 'alone'; // section 5.2.1.4: not with a response to an earlier request
      engine.options.events.fillCollapsed();
      return sharedAnswer(exchange, result, now);
  }
}

/**
 * Returns whether a collapsed response satisfies the joining request's minimum position. If the journal was restored
 * meanwhile, its purges are missing from the ledger until they are applied again: the position at the time of joining
 * still counts (rule 5).
 */
function isNewEnoughFor(engine: Engine, { request, joinedAt }: Exchange, stored: StoredHead): boolean {
  const { ledger } = engine.options;
  return isNewEnough(engine, request, stored) && (joinedAt === undefined || ledger.isNewEnough(stored.stamp, joinedAt));
}

/** From the start, as what was waited for is not for this request; after a few times, alone. */
function again(exchange: Exchange): Next {
  exchange.joinedAt = undefined;
  return ++exchange.attempts < MAX_ATTEMPTS ? 'lookup' : 'alone';
}

function mayStandIn(engine: Engine, { request, trusted }: Exchange, candidate: StoredResponse, now: EpochMs): boolean {
  return trusted && mayServeOnError(candidate, now) && !isHardPurged(engine, request, candidate);
}

/** Returns whether a response that another request validated also answers this one. */
function answersAfterwards(exchange: Exchange, { stored, wasFresh }: Freshened, now: EpochMs): boolean {
  const { request, profile, directives } = exchange;
  if (!matchesVary(stored.vary, request.headers) || !coversRequest(stored, request.method, profile, now)) return false;
  if (!isForRequester(request, stored)) return false;
  const usable = reuse(stored, directives, now);
  return usable === 'fresh' || (wasFresh && usable !== 'request');
}

/** Neither looked up nor collapsed: other methods, bodies, and what the site's rule says. */
async function pass(engine: Engine, exchange: Exchange): Promise<Next> {
  const { request } = exchange;
  const { method } = request;
  const countedAs = exchange.passedAs ?? `${request.keyed.key}\npass`;
  const fill = startFill(engine, exchange, { pass: true, countedAs });
  exchange.fill = fill;
  fill.enter();
  let hasLeft = false;
  const leave = (): void => {
    if (!hasLeft) fill.leave();
    hasLeft = true;
  };
  request.clientAbort.addEventListener('abort', leave, { once: true });
  if (request.clientAbort.aborted) leave();
  try {
    const result = await fill.settled;
    const { candidate } = exchange;
    const now = engine.options.now();
    const mayBeStale = candidate !== undefined && mayStandIn(engine, exchange, candidate, now);
    if (result.kind === 'failed') {
      if (mayBeStale && !request.clientAbort.aborted)
        return answered(exchange, candidate, now, staleStatus(exchange, undefined));
      throw result.error;
    }
    if (result.kind !== 'response') throw new HttpError('origin_bad_response', 'a 304 to a request without conditions');
    if (mayBeStale && isOriginError(result.head.status)) {
      return answered(exchange, candidate, now, staleStatus(exchange, result.head.status));
    }
    const isOfResource = method === 'HEAD' && !carriesAllowed(request.site, request.headers);
    if (isOfResource) updateByHead(engine, exchange, result.head, fill);
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
    request.clientAbort.removeEventListener('abort', leave);
    leave();
  }
}

/** A fill of the whole body that will soon have the range, if there is one. */
function wholeFillFor(engine: Engine, exchange: Exchange, memory: KeyMemory | undefined): JoinableFill | undefined {
  if (exchange.range === undefined || exchange.candidate !== undefined) return undefined;
  const fill = engine.fills.at(fillKey({ ...exchange, range: undefined }, memory));
  const result = fill?.outcome;
  if (result?.kind !== 'response' || result.head.status !== 200 || !result.shareable) return undefined;
  const ranges = requestedRanges(exchange.request.headers, result.length);
  if (!Array.isArray(ranges)) return undefined;
  const soon = ranges.every(({ start }) => start <= result.body.received + MAX_RANGE_WAIT_BYTES);
  return soon && result.body.canReadFrom(0) ? fill : undefined;
}
