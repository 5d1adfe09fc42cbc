/**
 * Decides whether a stored or in-flight response is still usable after purges (rules 4 to 7 of docs/purging.md).
 * @module
 */

import type { EpochMs } from '../lib/clock.ts';
import type { CacheRequest, Engine, Exchange } from './exchange.ts';
import type { Named } from './ledger.ts';
import { permitsStale, type Reuse } from './policy/reuse.ts';
import type { StoredResponse } from './stored-response.ts';

/** Returns whether a hard purge has named it. */
export function isGone(engine: Engine, { keyed }: CacheRequest, stored: StoredResponse): boolean {
  return engine.options.ledger.check(stored, keyed) === 'hard';
}

/** Returns whether no purge has named it, with a valid lease, so that none can have been missed. */
export function isCurrent(engine: Engine, { keyed }: CacheRequest, stored: StoredResponse): boolean {
  return engine.options.ledger.check(stored, keyed) === 'current';
}

/** Usability of a stored response after purges (rules 4, 5 and 7). */
export function afterPurges(
  engine: Engine,
  exchange: Exchange,
  stored: StoredResponse,
  usable: Reuse,
  now: EpochMs,
): Reuse {
  const { ledger, monotonic } = engine.options;
  const { keyed, needs } = exchange.request;
  const verdict = ledger.check(stored, keyed);
  const isTimely = ledger.holdsLease(now, monotonic());
  exchange.trusted = verdict !== 'unverified' && isTimely && ledger.isNewEnough(stored.stamp, needs);
  if (!exchange.trusted) return usable === 'request' ? usable : 'stale';
  if (verdict !== 'soft' || usable !== 'fresh') return usable;
  return permitsStale(stored) ? 'while-revalidate' : 'stale';
}

/** Returns whether neither this node nor the requester has applied a matching purge since the stamp (rules 4 and 5). */
export function isNewEnough(engine: Engine, { keyed, needs }: CacheRequest, named: Named): boolean {
  const { ledger } = engine.options;
  return ledger.isNewEnough(named.stamp, needs) && ledger.check(named, keyed) === 'current';
}
