/**
 * Route of a miss: the edge that owns the key, then a shield of the site, then the origin itself.
 * @module
 */
import type { RegionConfig, SiteConfig } from '../config/schema.ts';
import type { Fetch } from '../http/message.ts';
import { NodeClient } from '../tier/client.ts';
import { Ring } from '../tier/ring.ts';
import { Targets } from '../tier/targets.ts';
import { peerTls } from '../trust/connector.ts';
import type { NodeCertificates } from '../trust/node-certificates.ts';
import type { CountsOwner } from './region-limits.ts';

/** The origin, asked by the edge itself when no shield answers; wired in by the command. */
export interface OriginAccess {
  readonly targets: Targets;
  /** Requests that were sent to the origin of each site. */
  readonly requests: ReadonlyMap<string, { readonly value: number }>;
  fetchFor(site: SiteConfig): Fetch;
  update(sites: readonly SiteConfig[]): void;
  close(): Promise<void>;
}

const NO_NODES: readonly NodeClient[] = [];

/** An owner with fewer requests than this under way is never passed over: at low load the bound would scatter keys. */
const LOAD_FLOOR = 16;

/**
 * Additional time for a node beyond the origin's timeout: the node itself must time out first, to report the cause.
 * Nodes further from the origin get more, else a hanging shield would count as a fault of the owner.
 */
const EXTRA_TIMEOUT_MS = { shield: 5_000, edge: 10_000 };

/** Heartbeats of one thread to all other nodes. */
const MAX_HEARTBEATS_A_SECOND = 50;

interface Peer {
  readonly client: NodeClient;
  readonly config: string;
}

/** Owner of a key. */
export interface KeyOwner {
  /** Version of the rings that it was found in. */
  readonly version: number;
  readonly key: string;
  /** True if it is this edge's own, unless this has more than its share in flight. */
  readonly isOwn: boolean;
  /** The edge that owns it. */
  readonly edge: string;
}

/** The edges of a region and the shields it uses, as one of the edges sees them. */
export class Peers {
  readonly #self: string;
  readonly #certificates: NodeCertificates | undefined;
  #ring!: Ring;
  #shieldRings!: ReadonlyMap<string, Ring>;
  #peers: ReadonlyMap<string, Peer> = new Map();
  /** The nodes as targets. */
  readonly targets: Targets = new Targets();
  /** Requests under way for which this edge is the owner. */
  ownInFlight = 0;
  /** Grows whenever keys may have other owners. */
  version = 0;

  /** @param certificates - Of this node; absent: nodes know each other by their secret. */
  constructor(self: string, region: RegionConfig, certificates?: NodeCertificates | undefined) {
    this.#self = self;
    this.#certificates = certificates;
    this.update(region);
  }

  /**
   * Goes by the new config from now on, for requests under way too. What is
   * known of a node stays, and so do the connections to it, unless it changed.
   */
  update(region: RegionConfig): void {
    this.version++;
    this.#ring = new Ring(region.edges);
    this.#shieldRings = shieldRings(region);
    const slowest = Math.max(...region.sites.map(({ origin }) => origin.connect_timeout + origin.first_byte_timeout));
    const idle = Math.max(...region.sites.map(({ origin }) => origin.idle_timeout));
    const { tier_connections: maxConnections, tier_waiting: maxWaiting } = region.limits;
    const { heartbeat_interval: heartbeatMs, heartbeat_timeout: timeoutMs } = region.limits;
    const others = region.edges.filter(({ name }) => name !== this.#self);
    const nodes = [
      ...others.map(({ name, tier }) => ({ name, tier, role: 'edge', patienceMs: EXTRA_TIMEOUT_MS.edge }) as const),
      ...region.reachableShields.map(
        ({ name, tier }) => ({ name, tier, role: 'shield', patienceMs: EXTRA_TIMEOUT_MS.shield }) as const,
      ),
    ];
    const certificates = this.#certificates;
    const secret = certificates === undefined ? region.tier_secret : undefined;
    const intervalMs = Math.max(heartbeatMs, (nodes.length * 1_000) / MAX_HEARTBEATS_A_SECOND);
    const heartbeat = { from: this.#self, intervalMs, timeoutMs };
    const before = this.#peers;
    this.#peers = new Map(
      nodes.map(({ name, tier, role, patienceMs }): [string, Peer] => {
        const times = { firstByteTimeoutMs: slowest + patienceMs, idleTimeoutMs: idle + patienceMs };
        const options = { name, tier, secret, ...times, maxConnections, maxWaiting, heartbeat };
        const config = JSON.stringify([options, role]);
        const known = before.get(name);
        if (known?.config === config) return [name, known];
        const peer = certificates && peerTls(certificates, { role, name });
        return [name, { client: new NodeClient({ ...options, peer }, this.targets), config }];
      }),
    );
    for (const [name, { client }] of before) {
      if (this.#client(name) !== client) client.close().catch(() => undefined); // requests under way end by themselves
    }
  }

  /** @returns The edges to ask before this one takes the owner's part itself; none when it is the owner. */
  owners(key: string): readonly NodeClient[] {
    const successors = this.#ring.successors(key);
    if (successors.length <= 1) return NO_NODES;
    const order = this.#hasLoad(successors[0] as string)
      ? this.#ring.candidates(key, (name) => this.#inFlight(name))
      : successors;
    return this.#before(order, this.#self);
  }

  /** @returns Names of the edges that own the key, nearest first; those after the first stand in for it. */
  ownerNames(key: string): readonly string[] {
    return this.#ring.successors(key);
  }

  /** @returns The edge that adds up what all count for a rate limit and a key; undefined: this one. */
  countsOwner(key: string): CountsOwner | undefined {
    for (const name of this.#ring.successors(key)) {
      if (name === this.#self) return undefined;
      const client = this.#client(name) as NodeClient;
      if (!client.health.isLeftOut) return { name, askJson: (body) => client.ask(this.#self, 'limits', body) };
    }
    return undefined;
  }

  /** @returns Whose the key is, to be remembered for as long as `version` stays. */
  ownerOf(key: string): KeyOwner {
    const edge = this.#ring.successors(key)[0] ?? this.#self;
    return { version: this.version, key, isOwn: edge === this.#self, edge };
  }

  /** @returns Whether this edge answers as the owner now: `owners` would be empty. */
  isOwner({ key, isOwn, edge }: KeyOwner): boolean {
    if (!this.#hasLoad(edge)) return isOwn;
    return this.owners(key).length === 0;
  }

  /** Returns whether the key's owner may be passed over: the one place that compares a load with the floor. */
  #hasLoad(owner: string): boolean {
    return this.#inFlight(owner) >= LOAD_FLOOR;
  }

  #before(order: readonly string[], self: string): readonly NodeClient[] {
    const before = order.slice(0, Math.max(0, order.indexOf(self)));
    return before.map((name) => this.#client(name) as NodeClient);
  }

  shields(site: SiteConfig, key: string): readonly NodeClient[] {
    const order = this.#shieldRings.get(site.name)?.successors(key) ?? [];
    if (order.length === 0) return NO_NODES;
    return order.map((name) => this.#client(name) as NodeClient);
  }

  /** Cuts off what is still under way. */
  async close(): Promise<void> {
    await Promise.all([...this.#peers.values()].map(({ client }) => client.destroy()));
  }

  #client(name: string): NodeClient | undefined {
    return this.#peers.get(name)?.client;
  }

  #inFlight(name: string): number {
    return name === this.#self ? this.ownInFlight : (this.#client(name)?.inFlight ?? 0);
  }
}

/** Sites that use the same shields share one ring: laying one out takes milliseconds. */
function shieldRings({ sites, reachableShields }: RegionConfig): ReadonlyMap<string, Ring> {
  const rings = new Map<string, Ring>();
  return new Map(
    sites.map((site): [string, Ring] => {
      const shields = reachableShields.filter(({ name }) => site.shields?.includes(name) ?? true);
      const id = shields.map(({ name }) => name).join();
      const ring = rings.get(id) ?? new Ring(shields);
      rings.set(id, ring);
      return [site.name, ring];
    }),
  );
}
