/**
 * Steps of a request through the cache (docs/request-life.md draws them), and the parts that several of them have in
 * common. Each step is in a file of its own beside this one; cache/engine.ts runs them.
 * @module
 */
import type { EpochMs } from '../../lib/clock.ts';
import type { Answer } from '../answer.ts';
import type { CacheStatus } from '../cache-status.ts';
import type { Engine, Exchange } from '../exchange.ts';
import { isChunked } from '../large/large-objects.ts';
import type { ForwardReason } from '../policy/refusals.ts';
import { mayServeOnError } from '../policy/reuse.ts';
import { isHardPurged } from '../purge-state.ts';
import { EvictedError } from '../store/store.ts';
import { storedAnswer } from '../stored-answer.ts';
import type { StoredResponse } from '../stored-response.ts';

/** Maximum number of restarts of a request whose fill was given up. */
export const MAX_ATTEMPTS = 3;

export type Phase = 'lookup' | 'load' | 'chunks' | 'collapse' | 'alone' | 'pass' | 'outcome';

export type Next = Phase | Answer;

export type Step = (engine: Engine, exchange: Exchange) => Next | Promise<Next> | Wait;

/** A wait in the place of a promise of the next step: a promise for each part of it costs more than the wait itself. */
export abstract class Wait {
  /** Resolves when it is over, and never rejects. */
  abstract readonly over: Promise<unknown>;
  /** Called once, when it is over. @throws {HttpError} */
  abstract next(): Next;
}

/** Retains the response that the request selects until it is answered: it may be evicted while upstream is asked. */
export function setCandidate(exchange: Exchange, stored: StoredResponse | undefined): void {
  exchange.candidate?.body.release();
  exchange.candidate = stored?.body.retain() === true ? stored : undefined;
}

/** The answer with a stored response: at once, unless its body is in chunks. */
export function answered(
  engine: Engine,
  exchange: Exchange,
  stored: StoredResponse,
  now: EpochMs,
  status: CacheStatus,
  more?: Partial<Answer>,
): Next {
  if (!isChunked(stored)) {
    const answer = encodedAnswer(engine, exchange, stored, now, status) ?? storedAnswer(exchange, stored, now, status);
    return more === undefined ? answer : { ...answer, ...more };
  }
  exchange.chunked = { stored, status, more };
  return 'chunks';
}

/** The answer with an encoding of the stored response; `undefined` if the request gets that itself. */
function encodedAnswer(
  { options: { encodings } }: Engine,
  exchange: Exchange,
  stored: StoredResponse,
  now: EpochMs,
  status: CacheStatus,
): Answer | undefined {
  const { request, profile } = exchange;
  const accepted = request.mayEncode === true ? profile.acceptedCodings : undefined;
  const form = accepted && encodings?.formFor(stored, request, profile, accepted);
  if (form === undefined || form === stored) return undefined;
  try {
    return storedAnswer(exchange, form, now, status);
  } catch (error) {
    if (error instanceof EvictedError) return undefined; // the stored body may be retained, the encoding is not
    throw error;
  }
}

export function passBecause(exchange: Exchange, reason: ForwardReason): Next {
  exchange.reason = reason;
  return 'pass';
}

/** From the start, as what was waited for is not for this request; after a few times, alone. */
export function again(exchange: Exchange): Next {
  exchange.joinedAt = undefined;
  return ++exchange.attempts < MAX_ATTEMPTS ? 'lookup' : 'alone';
}

export function mayStandIn(
  engine: Engine,
  { request, trusted, isUnverified }: Exchange,
  candidate: StoredResponse,
  now: EpochMs,
): boolean {
  const isAllowed = trusted || (isUnverified && engine.options.ledger.withoutJournal === 'validate');
  return isAllowed && mayServeOnError(candidate, now) && !isHardPurged(engine, request, candidate);
}
