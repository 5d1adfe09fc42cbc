/**
 * Decides whether an edge acts as the owner for a request, and which nodes it
 * asks: once for each request, by the rings and loads of that moment. The cache
 * collapses requests by that decision, so a fetch must not go further.
 * @module
 */
import type { CacheRequest } from '../cache/engine.ts';
import type { SiteConfig } from '../config/schema.ts';
import type { Fetch, RequestIdField } from '../http/message.ts';
import { withIdField } from '../http/request-id.ts';
import { monotonicNow } from '../lib/clock.ts';
import type { RequestTrace } from '../lib/trace.ts';
import type { Routing } from '../tier/cache-request.ts';
import type { NodeClient } from '../tier/client.ts';
import { failover, type Target } from '../tier/failover.ts';
import type { TierCall } from '../tier/protocol.ts';
import type { HotKeys } from './hot.ts';
import type { OriginAccess, Peers } from './peers.ts';

const NO_NODES: readonly NodeClient[] = [];

export interface RoutingOptions {
  readonly peers: Peers;
  readonly origin: OriginAccess | undefined;
  readonly site: SiteConfig;
  /** Empty for what is not cached. */
  readonly key: string;
  /** True to ask the edge that owns the key; not on behalf of another edge, which has taken this one for the owner. */
  readonly asksOwner: boolean;
  /** Call to the next node, made anew for each fetch: it says what this node has applied of the journal by then. */
  readonly call: () => Omit<TierCall, 'ask'>;
  /** Field that the origin gets; absent: none. */
  readonly idField?: RequestIdField | undefined;
  /** True if the request accepts encodings of the whole response. */
  readonly acceptsEncoded?: boolean | undefined;
  /** Counter of requests by key, for copies of what other edges own; absent: none are kept. */
  readonly hot?: HotKeys | undefined;
  /** Absent unless requests are traced. */
  readonly trace?: RequestTrace | undefined;
}

export class EdgeRouting implements Routing {
  readonly #options: RoutingOptions;
  readonly #owners: readonly NodeClient[];
  readonly #version: number;
  readonly asksPeer: CacheRequest['asksPeer'];
  /** True if the owner may answer with an encoding, which is not stored: copies are of what the owner has stored. */
  readonly asksEncoded: boolean;
  readonly fetch: Fetch;
  /** True while this edge acts as the owner; it becomes one when the owners do not answer. */
  isOwner: boolean;

  constructor(options: RoutingOptions) {
    const { peers, key, asksOwner, hot } = options;
    this.#options = options;
    this.#owners = asksOwner ? peers.owners(key) : NO_NODES;
    this.#version = peers.version;
    this.asksPeer = this.#owners.length > 0;
    this.isOwner = !this.asksPeer;
    if (!this.isOwner) hot?.note(key, monotonicNow());
    this.asksEncoded = this.asksPeer && options.acceptsEncoded === true && hot?.isHot(key, monotonicNow()) !== true;
    const { trace } = options;
    this.fetch = failover(
      () => (trace === undefined ? this.#targets() : this.#targets().map(traced(trace))),
      peers.targets,
    );
  }

  /** An edge stores what it owns, and of the rest what is requested often. */
  shouldStore(): boolean {
    const { hot, key } = this.#options;
    return this.isOwner || (!this.asksEncoded && hot?.isHot(key, monotonicNow()) === true);
  }

  /** @returns All nodes to ask, in order. */
  #targets(): Target[] {
    const { peers, origin, site, key, call: callFor, idField } = this.#options;
    const shields = peers.shields(site, key);
    const targets: Target[] = [];
    for (const client of this.#currentOwners()) {
      targets.push(client.target({ ...callFor(), ask: 'owner', encoded: this.asksEncoded }));
    }
    for (const client of shields) targets.push(client.target({ ...callFor(), ask: 'shield' }, this.#onOwner));
    if (origin !== undefined && (site.direct_to_origin || shields.length === 0)) {
      const fetch = withIdField(origin.fetchFor(site), idField);
      targets.push({ name: 'origin', fetch, isFailover: true, onTry: this.#onOwner });
    }
    return targets;
  }

  /** After a reload the nodes may be others, but no node is asked that is further away than was decided. */
  #currentOwners(): readonly NodeClient[] {
    const { peers, key } = this.#options;
    if (peers.version === this.#version || !this.asksPeer) return this.#owners;
    return peers.owners(key);
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
