/**
 * The answer to one request: from the store, or from a fill that it started or
 * joined.
 * @module
 */
import { fieldValue, type RawHeaders } from '../http/fields/headers.ts';
import type { ByteRange } from '../http/fields/range.ts';
import type { BodyReader } from '../http/message.ts';
import type { EpochMs } from '../lib/clock.ts';
import { type Answer, type Conditions, type Representation, type SharedAnswer, select, withAge } from './answer.ts';
import type { CacheStatus } from './cache-status.ts';
import type { CacheRequest, Exchange } from './exchange.ts';
import type { FillResponse } from './fill.ts';
import type { ForwardReason } from './policy/refusals.ts';
import { currentAge, remainingLifetime } from './policy/reuse.ts';
import { bodyRangeOf, ResumingReader } from './resume.ts';
import { coveringRange, type StoredResponse } from './stored-response.ts';

/** Fields of an exchange that an answer from the store depends on. */
export interface AnswerContext {
  readonly request: Pick<CacheRequest, 'method'>;
  readonly profile: Conditions;
}

export function storedAnswer(
  exchange: AnswerContext,
  stored: StoredResponse,
  now: EpochMs,
  status: CacheStatus,
): Answer {
  const { request, profile } = exchange;
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
  const { head, body } = select(request.method, profile, representation, now);
  const ttlMs = Math.min(remainingLifetime(stored, now), isStale(status) ? -1 : Number.POSITIVE_INFINITY);
  const { stamp } = stored;
  return { head, body, trailers: () => stored.trailers, status: { ...status, ttlMs }, above: undefined, stamp };
}

/**
 * Returns whether an answer with this status is stale, perhaps by a soft purge within its lifetime: its `ttl` is below
 * zero then (RFC 9211, section 2.4).
 */
function isStale({ fwd, detail }: CacheStatus): boolean {
  return (
    detail === 'stale-while-revalidate' || ((detail === 'stale-if-error' || detail === 'unverified') && fwd === 'stale')
  );
}

/** Status of an answer with a stale response because the origin failed, perhaps with this status. */
export function staleStatus({ reason, trusted }: Exchange, fwdStatus: number | undefined): CacheStatus {
  return { hit: false, fwd: reason, fwdStatus, detail: trusted ? 'stale-if-error' : 'unverified' };
}

/** The answer to the request that started the fill: the response as it came. */
export function leaderAnswer(exchange: Exchange, result: FillResponse, now: EpochMs): Answer {
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
export function sharedAnswer(exchange: Exchange, result: FillResponse, now: EpochMs): Answer {
  const { reason } = exchange;
  const { collapsed } = result;
  if (collapsed?.isFor(exchange, now) === true) return collapsed.answer(openBody(exchange, result));
  const ttlMs = remainingLifetime(result.stored, now);
  const headers = withAge(result.stored.headers, currentAge(result.stored, now));
  const answer = fillAnswer(exchange, result, headers, now, { hit: false, fwd: reason, collapsed: true, ttlMs });
  if (!asksForWhole(exchange)) return answer;
  result.collapsed = new CollapsedAnswer(answer, reason, now);
  return { ...answer, shared: result.collapsed };
}

/** Returns whether a request has the whole response for an answer, whatever response that is. */
function asksForWhole({ request: { method }, profile: { hasConditions, ranges } }: Exchange): boolean {
  return method === 'GET' && !hasConditions && ranges === undefined;
}

/** The answer to the requests that joined a fill, as it is in one millisecond: most of them are answered at once. */
export class CollapsedAnswer implements SharedAnswer {
  readonly #answer: Answer;
  readonly #reason: ForwardReason;
  readonly #now: EpochMs;
  finished: object | undefined;

  constructor(answer: Answer, reason: ForwardReason, now: EpochMs) {
    this.#answer = answer;
    this.#reason = reason;
    this.#now = now;
  }

  isFor(exchange: Exchange, now: EpochMs): boolean {
    return this.#now === now && this.#reason === exchange.reason && asksForWhole(exchange);
  }

  answer(body: BodyReader): Answer {
    const { head, trailers, status, stamp, wasFresh, above } = this.#answer;
    return { head, body, trailers, status, stamp, wasFresh, above, shared: this };
  }
}

function fillAnswer(
  exchange: Exchange,
  result: FillResponse,
  headers: RawHeaders,
  now: EpochMs,
  status: CacheStatus,
): Answer {
  const { request, profile } = exchange;
  const shared = result.body;
  const representation: Representation = {
    head: { ...result.head, headers },
    length: result.length,
    covers: (ranges) => ranges.length === 1 || shared.isStoring,
    open: (range) => openBody(exchange, result, range),
    trailers: () => shared.trailers,
  };
  const { head, body } = select(request.method, profile, representation, now);
  return {
    head,
    body,
    trailers: () => shared.trailers,
    status,
    stamp: result.stored.stamp,
    wasFresh: result.wasFresh,
    above: fieldValue(result.head.headers, 'cache-status'),
  };
}

/** Opens the body of a fill, which a reader that falls too far behind requests itself (resume.ts). */
function openBody({ request }: Exchange, result: FillResponse, range?: ByteRange): BodyReader {
  const { body } = result;
  const reader = body.reader(range?.start ?? 0, range?.end ?? Number.POSITIVE_INFINITY, request);
  if (body.isWhole) return reader;
  const place = bodyRangeOf(result.head, result.length);
  return new ResumingReader(reader, {
    fetch: request.fetch,
    request: {
      method: 'GET',
      target: request.keyed.target,
      headers: request.headers,
      body: undefined,
      visitor: request.visitor,
      priority: request.priority,
    },
    bodyRange: place && { ...place, end: range?.end ?? place.end },
  });
}
