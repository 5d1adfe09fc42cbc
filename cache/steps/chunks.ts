/**
 * Step `chunks`: the answer from the chunks of a large object.
 * @module
 */
import type { Answer } from '../answer.ts';
import type { Engine, Exchange } from '../exchange.ts';
import { type ChunkedOrder, chunkedAnswer, type NotAnswered } from '../large/chunked-answer.ts';
import { again, type Next, setCandidate } from './step.ts';

/** Answer from the chunks of a large object; a request that finds its origin changed begins anew. */
export function chunks(engine: Engine, exchange: Exchange): Next | Promise<Next> {
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
