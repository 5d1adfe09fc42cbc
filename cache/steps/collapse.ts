/**
 * Steps `collapse` and `alone`: a request that the store does not answer joins the fill of the same response, starts
 * one that others may join, or asks upstream for itself.
 * @module
 */
import { hasField } from '../../http/fields/headers.ts';
import { msBetween } from '../../lib/clock.ts';
import { requestedRanges } from '../answer.ts';
import type { Engine, Exchange, KeyMemory } from '../exchange.ts';
import type { JoinableFill } from '../fill.ts';
import { concurrency, fillKey, memoryKey, startFill, startOrFollow } from '../fill-request.ts';
import { FollowedFill } from '../followed-fill.ts';
import { isForRequester } from '../personal.ts';
import { NO_REQUEST_DIRECTIVES } from '../policy/directives.ts';
import { reuse } from '../policy/reuse.ts';
import { CONDITIONAL_FIELDS } from '../policy/validation.ts';
import { isNewEnough } from '../purge-state.ts';
import { matchesVary } from '../vary.ts';
import { isAnswered } from './look-up.ts';
import { again, type Next } from './step.ts';

/** A range that begins no further than this behind what has arrived of a whole body waits for it. */
const MAX_RANGE_WAIT_BYTES = 1024 * 1024;

/**
 * A node that has lost the journal cannot tell whether a purge has overtaken a fill: one that has just begun is no
 * older than asking again (rule 7).
 */
const JOINABLE_WITHOUT_LEASE_MS = 1_000;

/**
 * A request waits for the head of another's fill of an uncacheable key for so many times what the origin took before.
 */
const COLLAPSE_TIMEOUT = 1.25;

/** Or for so long at least, as origins have bad moments. */
const MIN_COLLAPSE_TIMEOUT_MS = 1_000;

/** Join the fill that is under way for the same response, or start it. */
export function collapse(engine: Engine, exchange: Exchange): Next {
  const { request, range, candidate } = exchange;
  const memory = engine.memory.get(memoryKey(request));
  const key = fillKey(engine, exchange, memory);
  const most = concurrency(memory, candidate, engine.options.monotonic());
  if (most > 1 && engine.fills.awaited(memoryKey(request)) < most) return onItsOwn(engine, exchange, key);
  const fill =
    engine.fills.at(key) ?? fillByOtherRoute(engine, exchange, memory) ?? wholeFillFor(engine, exchange, memory);
  if (fill === undefined || !isJoinable(engine, exchange, fill)) {
    if (range !== undefined && range.length > 1 && candidate === undefined) return 'alone'; // what comes cannot be kept
    // In the place of one that is no use any more.
    const started = startOrFollow(engine, exchange, key, () => isAnswered(engine, exchange));
    if (started === undefined) return again(exchange);
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

/** Visitors join any fill: no fill waits for a visitor. */
function fillByOtherRoute(engine: Engine, exchange: Exchange, memory: KeyMemory | undefined): JoinableFill | undefined {
  const { fills } = engine;
  const { forPeer, keyed, asksPeer } = exchange.request;
  if (forPeer || fills.count(keyed.key) === 0) return undefined;
  return fills.at(fillKey(engine, exchange, memory, !asksPeer));
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
export function alone(engine: Engine, exchange: Exchange): Next {
  if (exchange.request.method === 'HEAD') {
    exchange.passedAs = memoryKey(exchange.request);
    return 'pass';
  }
  exchange.fill = startFill(engine, exchange, {});
  exchange.joinedAt = undefined;
  return 'outcome';
}

/** A fill of the whole body that will soon have the range, if there is one. */
function wholeFillFor(engine: Engine, exchange: Exchange, memory: KeyMemory | undefined): JoinableFill | undefined {
  if (exchange.range === undefined || exchange.candidate !== undefined) return undefined;
  const fill = engine.fills.at(fillKey(engine, { ...exchange, range: undefined }, memory));
  const result = fill?.outcome;
  if (result?.kind !== 'response' || result.head.status !== 200 || !result.shareable) return undefined;
  const ranges = requestedRanges(exchange.request.headers, result.length);
  if (!Array.isArray(ranges)) return undefined;
  const soon = ranges.every(({ start }) => start <= result.body.received + MAX_RANGE_WAIT_BYTES);
  return soon && result.body.canReadFrom(0) ? fill : undefined;
}
