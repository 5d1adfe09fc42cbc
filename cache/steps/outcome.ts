/**
 * Step `outcome`: the head of a fill is awaited, and judged for this request: an answer, or a step that asks anew.
 * @module
 */
import { HttpError } from '../../http/errors.ts';
import { fieldValue } from '../../http/fields/headers.ts';
import type { EpochMs } from '../../lib/clock.ts';
import type { Engine, Exchange } from '../exchange.ts';
import type { FillOutcome, JoinableFill } from '../fill.ts';
import type { Freshened } from '../fill-decision.ts';
import { coversRequest } from '../lookup.ts';
import { isForRequester } from '../personal.ts';
import { reuse } from '../policy/reuse.ts';
import { isOriginError } from '../policy/status.ts';
import { isNewEnough } from '../purge-state.ts';
import { leaderAnswer, sharedAnswer, staleStatus } from '../stored-answer.ts';
import type { StoredHead } from '../stored-response.ts';
import { matchesVary } from '../vary.ts';
import { settledWithin, staleWithinMs, standIn } from './stand-in.ts';
import { again, answered, MAX_ATTEMPTS, mayStandIn, type Next, setCandidate, Wait } from './step.ts';

/** Wait for the fill's head, and see what it means for this request. */
export function outcome(engine: Engine, exchange: Exchange): Next | Wait {
  const fill = exchange.fill as JoinableFill;
  const { clientAbort } = exchange.request;
  const settled = fill.outcome;
  if (settled !== undefined && !clientAbort.aborted) return judge(engine, exchange, settled);
  // Only a request that has joined gives up waiting: one that started the fill is upstream already.
  const patienceMs = exchange.joinedAt === undefined ? undefined : exchange.collapseTimeoutMs;
  const staleMs = staleWithinMs(engine, exchange, fill);
  const isAlone = staleMs === undefined || (patienceMs !== undefined && patienceMs < staleMs);
  return new HeadWait(
    engine,
    exchange,
    fill,
    isAlone ? { ms: patienceMs, late: alone } : { ms: staleMs, late: standIn },
  );
}

/** Time that a request waits for a head, and the step when it has not arrived by then. */
interface Patience {
  readonly ms: number | undefined;
  readonly late: (engine: Engine, exchange: Exchange) => Next;
}

function alone(): Next {
  return 'alone';
}

/** A request's wait for the head of a fill; it ends when the head is judged, or the visitor has gone. */
class HeadWait extends Wait {
  readonly over: Promise<unknown>;
  readonly #engine: Engine;
  readonly #exchange: Exchange;
  readonly #fill: JoinableFill;
  readonly #late: Patience['late'];
  #hasLeft = false;

  constructor(engine: Engine, exchange: Exchange, fill: JoinableFill, { ms, late }: Patience) {
    super();
    const { clientAbort } = exchange.request;
    this.#engine = engine;
    this.#exchange = exchange;
    this.#fill = fill;
    this.#late = late;
    this.over = settledWithin(fill, ms);
    fill.enter();
    if (exchange.request.continues === true) fill.continueUnread();
    clientAbort.addEventListener('abort', this.leave, { once: true });
    if (clientAbort.aborted) this.leave();
  }

  readonly leave = (): void => {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#fill.leave();
  };

  next(): Next {
    const { clientAbort } = this.#exchange.request;
    const result = this.#fill.outcome;
    try {
      if (clientAbort.aborted) throw new HttpError('client_closed', 'the visitor has gone');
      if (result === undefined) return this.#late(this.#engine, this.#exchange);
      return judge(this.#engine, this.#exchange, result);
    } finally {
      clientAbort.removeEventListener('abort', this.leave);
      this.leave();
    }
  }
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
        return answered(engine, exchange, candidate, now, staleStatus(exchange, undefined));
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
        engine,
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
        return answered(engine, exchange, candidate, now, staleStatus(exchange, result.head.status));
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

/** Returns whether a response that another request validated also answers this one. */
function answersAfterwards(exchange: Exchange, { stored, wasFresh }: Freshened, now: EpochMs): boolean {
  const { request, profile, directives } = exchange;
  if (!matchesVary(stored.vary, request.headers) || !coversRequest(stored, request.method, profile, now)) return false;
  if (!isForRequester(request, stored)) return false;
  const usable = reuse(stored, directives, now);
  return usable === 'fresh' || (wasFresh && usable !== 'request');
}
