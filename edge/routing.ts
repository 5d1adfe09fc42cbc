/**
 * Decides whether an edge acts as the owner for a request, and which nodes it
 * asks: once for each request, by the rings and loads of that moment. The cache
 * collapses requests by that decision, so a fetch must not go further.
 * @module
 */
import type { CacheRequest } from '../cache/engine.ts';
import type { SiteConfig } from '../config/schema.ts';
import type { Fetch } from '../http/message.ts';
import { monotonicNow } from '../lib/clock.ts';
import type { RequestTrace } from '../lib/trace.ts';
import type { Routing } from '../tier/cache-request.ts';
import { failover, type Target } from '../tier/failover.ts';
import type { TierCall } from '../tier/protocol.ts';
import type { HotKeys } from './hot.ts';
import type { Hops, OriginAccess, Peers } from './peers.ts';

export interface RoutingOptions {
  readonly peers: Peers;
  readonly origin: OriginAccess | undefined;
  readonly site: SiteConfig;
  /** Empty for what is not cached. */
  readonly key: string;
  /**
   * Requester: a visitor, another edge, or a worker of this edge. For an edge no edge is asked, for a worker neither.
   */
  readonly requester: 'by-visitor' | 'by-edge' | 'by-worker';
  /** Call to the next node, made anew for each fetch: it says what this node has applied of the journal by then. */
  readonly call: () => Omit<TierCall, 'ask'>;
  /** Counter of requests by key, for copies of what other edges own; absent: none are kept. */
  readonly hot?: HotKeys;
  /** Absent unless requests are traced. */
  readonly trace?: RequestTrace | undefined;
}

export class EdgeRouting implements Routing {
  readonly #options: RoutingOptions;
  readonly #hops: Hops;
  readonly #version: number;
  readonly asksPeer: CacheRequest['asksPeer'];
  readonly fetch: Fetch;
  /** True while this edge acts as the owner; it becomes one when the owners do not answer. */
  isOwner: boolean;

  constructor(options: RoutingOptions) {
    const { peers, key, requester: asked, hot } = options;
    this.#options = options;
    const hops = peers.hops(key, asked);
    this.#hops = hops;
    this.#version = peers.version;
    this.asksPeer = hops.owners.length > 0 ? true : hops.workers.length > 0 ? 'near' : false;
    this.isOwner = this.asksPeer === false;
    if (!this.isOwner) hot?.note(key, monotonicNow());
    const { trace } = options;
    this.fetch = failover(
      () => (trace === undefined ? this.#targets() : this.#targets().map(traced(trace))),
      peers.targets,
    );
  }

  /** An edge stores what it owns, and of the rest what is requested often. */
  shouldStore(): boolean {
    const { hot, key } = this.#options;
    return this.isOwner || hot?.isHot(key, monotonicNow()) === true;
  }

  /** @returns All nodes to ask, in order. */
  #targets(): Target[] {
    const { peers, origin, site, key, call: callFor } = this.#options;
    const { owners, workers } = this.#currentHops();
    const shields = peers.shields(site, key);
    const targets: Target[] = [];
    for (const client of owners) targets.push(client.target({ ...callFor(), ask: 'owner' }));
    for (const client of workers) targets.push(client.target({ ...callFor(), ask: 'worker' }));
    for (const client of shields) targets.push(client.target({ ...callFor(), ask: 'shield' }, this.#onOwner));
    if (origin !== undefined && (site.direct_to_origin || shields.length === 0)) {
      targets.push({ name: 'origin', fetch: origin.fetchFor(site), isFailover: true, onTry: this.#onOwner });
    }
    return targets;
  }

  /** After a reload the nodes may be others, but no node is asked that is further away than was decided. */
  #currentHops(): Hops {
    const { peers, key, requester: asked } = this.#options;
    if (peers.version === this.#version) return this.#hops;
    const { owners, workers } = peers.hops(key, asked);
    return { owners: this.asksPeer === true ? owners : [], workers: this.asksPeer === false ? [] : workers };
  }

  readonly #onOwner = (): void => {
    this.isOwner = true; // the owners did not answer: this edge stands in for them
  };
}

/** Returns a target that says in the trace when it is asked. */
function traced(trace: RequestTrace): (target: Target) => Target {
  return (target) => ({
    ...target,
    onTry: () => {
      trace.note('fetch', { to: target.name });
      target.onTry?.();
    },
  });
}
