/**
 * Decides whether an edge acts as the owner for a request, and which peer it asks.
 * @module
 */
import type { CacheRequest } from '../cache/engine.ts';
import { NOTHING_KNOWN } from '../cache/ledger.ts';
import type { Fetch } from '../http/message.ts';
import { monotonicNow } from '../lib/clock.ts';
import { failover } from '../tier/failover.ts';
import { route } from './peers.ts';
import type { Visit, Visited } from './visitor.ts';

/** This edge's part in one request: owner of the key, or one who asks the owner. */
export class Part {
  readonly #visit: Visit;
  readonly #key: string;
  readonly fetch: Fetch;
  readonly asks: CacheRequest['asksPeer'];
  isOwner: boolean;

  constructor(visit: Visit, id: string, { served, keyed, scheme }: Visited) {
    const { peers, origin, core } = visit;
    const { key } = keyed;
    this.#visit = visit;
    this.#key = key;
    this.asks = peers.owners(key).length > 0 ? true : peers.workers(key).length > 0 ? 'near' : false;
    this.isOwner = this.asks === false;
    if (!this.isOwner) visit.hot.note(key, monotonicNow());
    const onOwner = (): void => {
      this.isOwner = true; // the owners did not answer: this edge stands in for them
    };
    this.fetch = failover(() => {
      const call = { id, from: core.name, proto: scheme, position: core.ledger.positionFor(NOTHING_KNOWN) };
      return route({ peers, site: served.site, key, call, asked: 'by-visitor', origin, onOwner });
    });
  }

  /** An edge keeps what it owns, and of the rest what is asked for often. */
  keeps(): boolean {
    return this.isOwner || this.#visit.hot.isHot(this.#key, monotonicNow());
  }
}
