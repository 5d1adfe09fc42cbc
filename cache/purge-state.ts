/**
 * Decides whether a stored or in-flight response is still usable after purges (rules 4 to 6 of docs/purging.md).
 * @module
 */
import type { CacheRequest, Engine } from './exchange.ts';
import type { StampedResponse } from './ledger.ts';
import type { StoredResponse } from './stored-response.ts';

/** Returns whether a hard purge has named it. */
export function isHardPurged(engine: Engine, { keyed }: CacheRequest, stored: StoredResponse): boolean {
  return engine.options.ledger.check(stored, keyed) === 'hard';
}

/** Returns whether no purge has named it, with a valid lease, so that none can have been missed. */
export function isCurrent(engine: Engine, { keyed }: CacheRequest, stored: StoredResponse): boolean {
  return engine.options.ledger.check(stored, keyed) === 'current';
}

/** Returns whether neither this node nor the requester has applied a matching purge since the stamp (rules 4 and 5). */
export function isNewEnough(
  engine: Pick<Engine, 'options'>,
  { keyed, minPosition }: Pick<CacheRequest, 'keyed' | 'minPosition'>,
  named: StampedResponse,
): boolean {
  const { ledger } = engine.options;
  return ledger.isNewEnough(named.stamp, minPosition) && ledger.check(named, keyed) === 'current';
}
