/**
 * Route of a miss: the edge that owns the key, then (if that is this edge, and it has several workers) the worker
 * that owns it, then a shield of the site, then the origin itself.
 *
 * The two circles of ownership are apart, so that edges need not know how many
 * workers another edge has (docs/adr/0007-workers.md).
 * @module
 */
import type { RegionConfig, SiteConfig } from '../config/schema.ts';
import type { Fetch } from '../http/message.ts';
import { NodeClient } from '../tier/client.ts';
import { Ring } from '../tier/ring.ts';
import { Targets } from '../tier/targets.ts';

/** The origin, asked by the edge itself when no shield answers; wired in by the command. */
export interface OriginAccess {
  readonly targets: Targets;
  fetchFor(site: SiteConfig): Fetch;
  update(sites: readonly SiteConfig[]): void;
  close(): Promise<void>;
}

const NO_NODES: readonly NodeClient[] = [];

/** Nodes that are asked before shields and the origin. */
export interface Hops {
  readonly owners: readonly NodeClient[];
  readonly workers: readonly NodeClient[];
}

const NO_HOPS: Hops = { owners: NO_NODES, workers: NO_NODES };

/** An owner with fewer requests than this under way is never passed over: at low load the bound would scatter keys. */
const LOAD_FLOOR = 16;

/**
 * Additional time for a node beyond the origin's timeout: the node itself must time out first, to report the cause.
 * Nodes further from the origin get more, else a hanging shield would count as a fault of the owner.
 */
const EXTRA_TIMEOUT_MS = { shield: 5_000, worker: 7_500, edge: 10_000 };

/** Heartbeats of one thread to all other nodes. */
const MAX_HEARTBEATS_A_SECOND = 50;

interface Peer {
  readonly client: NodeClient;
  readonly config: string;
}

/** A worker of this edge, as the others reach it. */
export interface WorkerAddress {
  readonly name: string;
  /** HOST:PORT of a listener of its own for nodes. */
  readonly tier: string;
}

/** Owner of a key. */
export interface KeyOwner {
  /** Version of the rings that it was found in. */
  readonly version: number;
  readonly key: string;
  /** True if it is this worker's own, unless this has more than its share in flight. */
  readonly isOwn: boolean;
  /** The edge that owns it, with all its workers. */
  readonly edge: string;
}

/** Workers of this edge, and the one that this thread is. */
export interface Workers {
  readonly self: string;
  /** All of them, this one included; those that are not up yet are left out. */
  readonly all: readonly WorkerAddress[];
}

/** The edges of a region and the shields it uses, as one of the edges sees them. */
export class Peers {
  readonly #self: string;
  #ring!: Ring;
  #workers: Workers;
  #workerRing!: Ring;
  #region!: RegionConfig;
  #shieldRings!: ReadonlyMap<string, Ring>;
  #peers: ReadonlyMap<string, Peer> = new Map();
  /** The nodes as targets. */
  readonly targets: Targets = new Targets();
  /** Requests under way for which this edge is the owner. */
  ownInFlight = 0;
  /** Grows whenever keys may have other owners. */
  version = 0;

  constructor(self: string, region: RegionConfig, workers: Workers = { self, all: [] }) {
    this.#self = self;
    this.#workers = workers;
    this.#update(region, workers);
  }

  /**
   * Goes by the new config from now on, for requests under way too. What is
   * known of a node stays, and so do the connections to it, unless it changed.
   */
  update(region: RegionConfig): void {
    this.#update(region, this.#workers);
  }

  /** The workers of this edge are others, or elsewhere, from now on. */
  setWorkers(workers: Workers): void {
    this.#update(this.#region, workers);
  }

  #update(region: RegionConfig, workers: Workers): void {
    this.version++;
    this.#region = region;
    this.#workers = workers;
    this.#ring = new Ring(region.edges);
    this.#workerRing = new Ring(workers.all.map(({ name }) => ({ name, weight: 1 })));
    this.#shieldRings = shieldRings(region);
    const slowest = Math.max(...region.sites.map(({ origin }) => origin.connect_timeout + origin.first_byte_timeout));
    const idle = Math.max(...region.sites.map(({ origin }) => origin.idle_timeout));
    const { tier_connections: maxConnections, tier_waiting: maxWaiting } = region.limits;
    const { heartbeat_interval: heartbeatMs, heartbeat_timeout: timeoutMs } = region.limits;
    const others = region.edges.filter(({ name }) => name !== this.#self);
    const siblings = workers.all.filter(({ name }) => name !== workers.self);
    const nodes = [
      ...others.map(({ name, tier }) => ({ name, tier, patienceMs: EXTRA_TIMEOUT_MS.edge })),
      ...siblings.map(({ name, tier }) => ({ name, tier, patienceMs: EXTRA_TIMEOUT_MS.worker })),
      ...region.reachableShields.map(({ name, tier }) => ({ name, tier, patienceMs: EXTRA_TIMEOUT_MS.shield })),
    ];
    const intervalMs = Math.max(heartbeatMs, (nodes.length * 1_000) / MAX_HEARTBEATS_A_SECOND);
    const heartbeat = { from: this.#self, intervalMs, timeoutMs };
    const before = this.#peers;
    this.#peers = new Map(
      nodes.map(({ name, tier, patienceMs }): [string, Peer] => {
        const times = { firstByteTimeoutMs: slowest + patienceMs, idleTimeoutMs: idle + patienceMs };
        const options = { name, tier, secret: region.tier_secret, ...times, maxConnections, maxWaiting, heartbeat };
        const config = JSON.stringify(options);
        const known = before.get(name);
        return [name, known?.config === config ? known : { client: new NodeClient(options, this.targets), config }];
      }),
    );
    for (const [name, { client }] of before) {
      if (this.#client(name) !== client) client.close().catch(() => undefined); // requests under way end by themselves
    }
  }

  /** @returns Nodes to ask before this thread acts as the owner, for one request. */
  hops(key: string, asked: 'by-visitor' | 'by-edge' | 'by-worker'): Hops {
    const owners = asked === 'by-visitor' ? this.owners(key) : NO_NODES;
    const workers = asked === 'by-worker' ? NO_NODES : this.workers(key);
    return owners.length === 0 && workers.length === 0 ? NO_HOPS : { owners, workers };
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

  /**
   * Load is not bounded here: passing over the owner would mean another request for the same key, and no shield may
   * be there to make one of the two.
   *
   * @returns The workers of this edge to ask for what the edge owns, before this one takes the owner's part.
   */
  workers(key: string): readonly NodeClient[] {
    if (this.#workers.all.length <= 1) return NO_NODES;
    return this.#before(this.#workerRing.successors(key), this.#workers.self);
  }

  /** @returns Whose the key is, to be remembered for as long as `version` stays. */
  ownerOf(key: string): KeyOwner {
    const edge = this.#ring.successors(key)[0] ?? this.#self;
    const worker = this.#workerRing.successors(key)[0] ?? this.#workers.self;
    const isOwn = edge === this.#self && worker === this.#workers.self;
    return { version: this.version, key, isOwn, edge };
  }

  /** @returns Whether this thread answers as the owner now: `owners` and `workers` would be empty. */
  isOwner({ key, isOwn, edge }: KeyOwner): boolean {
    if (!this.#hasLoad(edge)) return isOwn;
    return this.owners(key).length === 0 && this.workers(key).length === 0;
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
    const isSelf = name === this.#self || name === this.#workers.self;
    return isSelf ? this.ownInFlight : (this.#client(name)?.inFlight ?? 0);
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
