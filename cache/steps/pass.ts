/**
 * Step `pass`: requests that are neither looked up nor collapsed, and the number of those that could be, but are passed
 * on all the same.
 * @module
 */
import { HttpError } from '../../http/errors.ts';
import { fieldValue } from '../../http/fields/headers.ts';
import type { CacheRequest, Engine, Exchange } from '../exchange.ts';
import { concurrency, memoryKey, startFill } from '../fill-request.ts';
import { carriesAllowed } from '../passing.ts';
import { isOriginError } from '../policy/status.ts';
import { invalidateGroups, updateByHead } from '../store-update.ts';
import { staleStatus } from '../stored-answer.ts';
import { settledWithin, staleWithinMs, standIn } from './stand-in.ts';
import { answered, mayStandIn, type Next } from './step.ts';

/**
 * Requests of one key that are passed on at a time though another's response may answer them: those with a precondition
 * that is the origin's to evaluate, and those with HEAD.
 */
const MAX_PASSED = 4;

/**
 * A few HEAD requests of a key go upstream as they are. Those beyond that number share the response to a GET, as the
 * fields of both are the same (RFC 9110, section 9.3.2).
 */
export function mayPassHead({ fills, memory, options }: Engine, { request, candidate }: Exchange): boolean {
  const key = memoryKey(request);
  const most = concurrency(memory.get(key), candidate, options.monotonic());
  return fills.awaited(key) < Math.max(most, MAX_PASSED);
}

/** A precondition for the origin is ignored where more requests of the key than a few already ask it. */
export function mayPassPrecondition({ fills }: Engine, request: CacheRequest): boolean {
  return fills.awaited(preconditionKey(request)) < MAX_PASSED;
}

/** Name under which requests are counted that are passed on because of a precondition. */
export function preconditionKey({ keyed }: CacheRequest): string {
  return `${keyed.key}\nprecondition`;
}

/** Neither looked up nor collapsed: other methods, bodies, and what the site's rule says. */
export async function pass(engine: Engine, exchange: Exchange): Promise<Next> {
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
    const early = await settledWithin(fill, staleWithinMs(engine, exchange, fill));
    if (early === undefined && !request.clientAbort.aborted) return standIn(engine, exchange);
    const result = early ?? (await fill.settled);
    const { candidate } = exchange;
    const now = engine.options.now();
    const mayBeStale = candidate !== undefined && mayStandIn(engine, exchange, candidate, now);
    if (result.kind === 'failed') {
      if (mayBeStale && !request.clientAbort.aborted)
        return answered(engine, exchange, candidate, now, staleStatus(exchange, undefined));
      throw result.error;
    }
    if (result.kind !== 'response') throw new HttpError('origin_bad_response', 'a 304 to a request without conditions');
    if (mayBeStale && isOriginError(result.head.status)) {
      return answered(engine, exchange, candidate, now, staleStatus(exchange, result.head.status));
    }
    const isOfResource = method === 'HEAD' && !carriesAllowed(request.site, request.headers);
    if (isOfResource) await updateByHead(engine, exchange, result.head, fill);
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
