/**
 * Nodes that this control node has refused lately, for operators: by a certificate that it does not accept, or as no
 * region file names them.
 * @module
 */
import { type EpochMs, type MonotonicMs, msBetween } from '../lib/clock.ts';
import type { RefusedPeer } from '../trust/node-certificates.ts';
import type { PeerRefusal } from '../trust/refusals.ts';

export interface RefusedNode {
  /** Null where it has not shown who it is. */
  readonly name: string | null;
  readonly role: string | null;
  readonly region: string | null;
  /** Address of its last call. */
  readonly address: string;
  readonly reason: PeerRefusal;
  readonly detail: string | null;
  readonly count: number;
  /** Time of its last call, in ISO 8601. */
  readonly last: string;
}

export interface NodeRefusalsOptions {
  readonly monotonic: () => MonotonicMs;
  readonly now: () => EpochMs;
}

/** A node that has not called for this long is refused no more. */
const KEPT_MS = 10 * 60_000;
/** The one that has called longest ago goes. */
const MAX_KEPT = 100;

export class NodeRefusals {
  readonly #options: NodeRefusalsOptions;
  /** In the order of their last calls. */
  readonly #kept = new Map<string, RefusedNode & { readonly at: MonotonicMs }>();

  constructor(options: NodeRefusalsOptions) {
    this.#options = options;
  }

  note(reason: PeerRefusal, { address, identity, name, detail }: RefusedPeer): void {
    const { monotonic, now } = this.#options;
    const who = identity?.name ?? name ?? null;
    // A node without a name is known by its machine: its port is another one each time.
    const key = `${reason} ${who ?? address.replace(/:\d*$/, '')}`;
    const count = (this.#kept.get(key)?.count ?? 0) + 1;
    this.#kept.delete(key);
    this.#kept.set(key, {
      name: who,
      role: identity?.role ?? null,
      region: identity?.region ?? null,
      address,
      reason,
      detail: detail ?? null,
      count,
      last: new Date(now()).toISOString(),
      at: monotonic(),
    });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
  }

  list(): RefusedNode[] {
    const now = this.#options.monotonic();
    for (const [key, { at }] of this.#kept) if (msBetween(at, now) > KEPT_MS) this.#kept.delete(key);
    return [...this.#kept.values()].map(({ at: _, ...node }) => node);
  }
}
