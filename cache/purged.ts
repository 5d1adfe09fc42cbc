/**
 * What purges leave of what is stored or on its way (rules 4 to 7 of
 * docs/purging.md).
 * @module
 */
import type { CacheRequest, Engine, Exchange } from './exchange.ts';
import type { Named } from './ledger.ts';
import { permitsStale, type Reuse } from './policy/reuse.ts';
import type { StoredResponse } from './stored-response.ts';

/** Whether a hard purge has named it. */
export function isGone(engine: Engine, { keyed }: CacheRequest, stored: StoredResponse): boolean {
  return engine.options.ledger.check(stored, keyed) === 'hard';
}

/** Whether no purge has named it, and none may have without this node knowing. */
export function isCurrent(engine: Engine, { keyed }: CacheRequest, stored: StoredResponse): boolean {
  return engine.options.ledger.check(stored, keyed) === 'current';
}

/** What purges leave of a stored response's usability (rules 4, 5 and 7). */
export function afterPurges(
  engine: Engine,
  exchange: Exchange,
  stored: StoredResponse,
  usable: Reuse,
  now: number,
): Reuse {
  const { ledger } = engine.options;
  const { keyed, needs } = exchange.request;
  const verdict = ledger.check(stored, keyed);
  exchange.trusted = verdict !== 'unverified' && ledger.holdsLease(now) && ledger.isNewEnough(stored.stamp, needs);
  if (!exchange.trusted) return usable === 'request' ? usable : 'stale';
  if (verdict !== 'soft' || usable !== 'fresh') return usable;
  return permitsStale(stored) ? 'while-revalidate' : 'stale';
}

/** Whether no purge has come since the stamp: neither here nor at the node that asks (rules 4 and 5). */
export function isNewEnough(engine: Engine, { keyed, needs }: CacheRequest, named: Named): boolean {
  const { ledger } = engine.options;
  return ledger.isNewEnough(named.stamp, needs) && ledger.check(named, keyed) === 'current';
}
