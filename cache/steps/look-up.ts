/**
 * Step `lookup`: a stored response answers, in memory or on disk, or else the request goes on to the step that asks
 * upstream. Which response it is, and whether it may answer, cache/lookup.ts decides.
 * @module
 */
import { HttpError } from '../../http/errors.ts';
import type { EpochMs } from '../../lib/clock.ts';
import type { CacheDetail } from '../cache-status.ts';
import type { Engine, Exchange } from '../exchange.ts';
import { revalidate } from '../fill-request.ts';
import { type EarlyLookup, lookup, type Outcome } from '../lookup.ts';
import { EvictedError } from '../store/store.ts';
import type { StoredResponse } from '../stored-response.ts';
import { mayPassHead, mayPassPrecondition, preconditionKey } from './pass.ts';
import { again, answered, type Next, passBecause, setCandidate } from './step.ts';

/** Is there a stored response that may answer? */
export function lookUp(engine: Engine, exchange: Exchange): Next {
  const { request, directives } = exchange;
  setCandidate(exchange, undefined);
  if (request.method !== 'GET' && request.method !== 'HEAD') return passBecause(exchange, 'method');
  if (request.body !== undefined) return passBecause(exchange, 'request');
  const { found, now } = earlyLookup(exchange) ?? lookupNow(engine, exchange);
  if (found.isRefused && mayPassPrecondition(engine, request)) {
    exchange.passedAs = preconditionKey(request);
    return passBecause(exchange, 'request');
  }
  const { outcome, stored, isTrusted, isUnverified, reason } = found;
  exchange.reason = reason ?? exchange.reason;
  if (found.purge !== undefined) request.purge = found.purge;
  if (outcome === 'pass') return 'pass';
  if (stored !== undefined) {
    if (outcome === 'while-revalidate') revalidate(engine, exchange, stored);
    const detail = detailOf(outcome, exchange);
    if (detail !== undefined) return answerNow(engine, exchange, stored, now, detail) ?? again(exchange);
    setCandidate(exchange, stored);
    exchange.trusted = isTrusted;
    exchange.isUnverified = isUnverified;
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

/** Returns whether the store could answer the request now, so that no fill is needed for it. */
export function isAnswered(engine: Engine, exchange: Exchange): boolean {
  const { outcome } = lookupNow(engine, exchange).found;
  return detailOf(outcome, exchange) !== undefined && outcome !== 'while-revalidate';
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
  engine: Engine,
  exchange: Exchange,
  stored: StoredResponse,
  now: EpochMs,
  { detail }: { readonly detail: CacheDetail | undefined },
): Next | undefined {
  try {
    return answered(engine, exchange, stored, now, { hit: true, detail });
  } catch (error) {
    if (error instanceof EvictedError) return undefined;
    throw error;
  }
}

/** Wait until what is on disk is in memory, and look it up there like anything else. */
export async function load(_engine: Engine, exchange: Exchange): Promise<Next> {
  exchange.isFromDisk = (await exchange.loading) === true;
  return 'lookup';
}
