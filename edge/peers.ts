/**
 * Whom an edge asks for what it does not have: the owner of the key, then a
 * shield of the site, then the origin itself.
 * @module
 */
import type { RegionConfig, SiteConfig } from '../config/schema.ts';
import type { Fetch } from '../http/message.ts';
import { NodeClient } from '../tier/client.ts';
import type { Target } from '../tier/failover.ts';
import type { TierCall } from '../tier/protocol.ts';
import { Ring } from '../tier/ring.ts';

/** The origin, asked by the edge itself when no shield answers; wired in by the command. */
export interface OriginAccess {
  fetchFor(site: SiteConfig): Fetch;
  update(sites: readonly SiteConfig[]): void;
  close(): Promise<void>;
}

/** An owner with fewer requests than this under way is never passed over: at low load the bound would scatter keys. */
const LOAD_FLOOR = 16;

/** How much longer than the origin's own time a node may take: for the node to notice first, and say what happened. */
const NODE_PATIENCE_MS = 5_000;

const POOL = { maxConnections: 1_024, maxWaiting: 50_000 };

interface Peer {
  readonly client: NodeClient;
  readonly config: string;
}

/** The edges of a region and the shields it uses, as one of the edges sees them. */
export class Peers {
  readonly #self: string;
  #ring!: Ring;
  #shieldRings!: ReadonlyMap<string, Ring>;
  #peers: ReadonlyMap<string, Peer> = new Map();
  /** Requests under way for which this edge is the owner. */
  ownInFlight = 0;

  constructor(self: string, region: RegionConfig) {
    this.#self = self;
    this.update(region);
  }

  /**
   * Goes by the new config from now on, for requests under way too. What is
   * known of a node stays, and so do the connections to it, unless it changed.
   */
  update(region: RegionConfig): void {
    this.#ring = new Ring(region.edges);
    this.#shieldRings = shieldRings(region);
    const slowest = Math.max(...region.sites.map(({ origin }) => origin.first_byte_timeout));
    const idle = Math.max(...region.sites.map(({ origin }) => origin.idle_timeout));
    const times = { firstByteTimeoutMs: slowest + NODE_PATIENCE_MS, idleTimeoutMs: idle + NODE_PATIENCE_MS };
    const others = region.edges.filter(({ name }) => name !== this.#self);
    const before = this.#peers;
    this.#peers = new Map(
      [...others, ...region.reachableShields].map(({ name, tier }): [string, Peer] => {
        const options = { name, tier, secret: region.tier_secret, ...times, ...POOL };
        const config = JSON.stringify(options);
        const known = before.get(name);
        return [name, known?.config === config ? known : { client: new NodeClient(options), config }];
      }),
    );
    for (const [name, { client }] of before) {
      if (this.#client(name) !== client) client.close().catch(() => undefined); // requests under way end by themselves
    }
  }

  /** @returns The edges to ask before this one takes the owner's part itself; none when it is the owner. */
  owners(key: string): readonly NodeClient[] {
    const successors = this.#ring.successors(key);
    const owner = successors[0];
    const order =
      owner === undefined || this.#inFlight(owner) < LOAD_FLOOR
        ? successors
        : this.#ring.candidates(key, (name) => this.#inFlight(name));
    const before = order.slice(0, Math.max(0, order.indexOf(this.#self)));
    return before.map((name) => this.#client(name) as NodeClient);
  }

  shields(site: SiteConfig, key: string): readonly NodeClient[] {
    const order = this.#shieldRings.get(site.name)?.successors(key) ?? [];
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

export interface RouteOptions {
  readonly peers: Peers;
  readonly site: SiteConfig;
  readonly key: string;
  readonly call: Omit<TierCall, 'ask'>;
  /** Whether another edge asks this one as the owner. */
  readonly asOwner: boolean;
  readonly origin: OriginAccess | undefined;
  /** Told when this edge takes the owner's part: what it fetches is its own to keep. */
  readonly onOwner: () => void;
}

/** @returns Everybody to ask, in order. */
export function route({ peers, site, key, call, asOwner, origin, onOwner }: RouteOptions): Target[] {
  const owners = asOwner ? [] : peers.owners(key);
  const shields = peers.shields(site, key);
  const targets = [
    ...owners.map((client) => client.target({ ...call, ask: 'owner' })),
    ...shields.map((client) => client.target({ ...call, ask: 'shield' }, onOwner)),
  ];
  if (origin !== undefined && (site.direct_to_origin || shields.length === 0)) {
    targets.push({ name: 'origin', fetch: origin.fetchFor(site), onAsked: onOwner });
  }
  return targets;
}
