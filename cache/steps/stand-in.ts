/**
 * A stored response that stands in for what the origin has not answered in time (RFC 5861, section 4).
 * @module
 */
import { msBetween } from '../../lib/clock.ts';
import type { Engine, Exchange } from '../exchange.ts';
import type { FillOutcome, JoinableFill } from '../fill.ts';
import { staleStatus } from '../stored-answer.ts';
import { again, answered, mayStandIn, type Next } from './step.ts';

/**
 * @returns Time until a stale response stands in for what the origin has not answered: it counts from the beginning of
 *   the fill. `undefined`: there is none that may.
 */
export function staleWithinMs(
  engine: Engine,
  exchange: Exchange,
  fill: Pick<JoinableFill, 'startedAt'>,
): number | undefined {
  const { request, candidate } = exchange;
  const { now, monotonic } = engine.options;
  if (candidate === undefined || !mayStandIn(engine, exchange, candidate, now())) return undefined;
  return Math.max(0, request.site.stale_after - msBetween(fill.startedAt, monotonic()));
}

/** Answer with the stored response, as the origin takes too long; its answer is stored when it comes. */
export function standIn(engine: Engine, exchange: Exchange): Next {
  const { candidate, fill } = exchange;
  const now = engine.options.now();
  // It may have been purged meanwhile.
  if (candidate === undefined || !mayStandIn(engine, exchange, candidate, now)) return again(exchange);
  fill?.continueUnread();
  return answered(engine, exchange, candidate, now, staleStatus(exchange, undefined));
}

/** @returns `undefined` when the head has not arrived in time. */
export function settledWithin(fill: JoinableFill, patienceMs: number | undefined): Promise<FillOutcome | undefined> {
  if (patienceMs === undefined) return fill.settled;
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, patienceMs, undefined);
    void fill.settled.then((result) => {
      clearTimeout(timer);
      resolve(result);
    });
  });
}
