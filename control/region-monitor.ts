/**
 * Monitors the health of regions, from the nodes' connections to the journal and its own probes, and publishes the
 * state of the network.
 *
 * Each edge is probed every second: at its control listener or, if that is not reachable from other machines, by a
 * connection to its tier address. An edge that refuses is down at once; one that does not answer, after a second try:
 * within three seconds in any case. An edge whose journal connection opens or closes is probed at once.
 * @module
 */
import { isDeepStrictEqual } from 'node:util';
import { Agent } from 'undici';
import { machineOf, splitAddress } from '../config/listener.ts';
import type { EdgeConfig, RegionConfig } from '../config/schema.ts';
import { hasEdges, type Network, type NetworkRegion, networkOf } from '../geo/network.ts';
import { RegionHealth } from '../geo/region-health.ts';
import { takesConnections } from '../geo/takes-connections.ts';
import { LONG_AGO, type MonotonicMs } from '../lib/clock.ts';
import { Overload } from './overload.ts';

export interface RegionMonitorOptions {
  readonly regions: readonly RegionConfig[];
  /** Names of the regions that an operator has drained. */
  readonly drained: () => ReadonlySet<string>;
  /** Called on every change. */
  readonly changed: (network: Network) => void;
  readonly now: () => MonotonicMs;
  readonly intervalMs?: number;
}

const INTERVAL_MS = 1_000;
/** Two of them, and the time until the first one begins, are less than three seconds. */
const TIMEOUT_MS = 800;
/** Number of probes between two counts of requests, for regions with a capacity. */
const COUNT_EVERY = 5;

interface Watched {
  readonly region: RegionConfig;
  readonly health: RegionHealth;
  readonly overload: Overload | undefined;
  /** By the name of the edge; an edge that has not been probed yet counts as healthy. */
  readonly up: Map<string, boolean>;
}

export class RegionMonitor {
  readonly #options: RegionMonitorOptions;
  readonly #agent = new Agent({ connections: 2, keepAliveTimeout: 4_000 });
  readonly #timer: NodeJS.Timeout;
  #watched: readonly Watched[];
  #network: Network;
  #probing: Promise<void> | undefined;
  #round = 0;
  #isClosed = false;

  constructor(options: RegionMonitorOptions) {
    this.#options = options;
    this.#watched = options.regions.filter(hasEdges).map((region) => watched(region, undefined));
    this.#network = this.#made();
    this.#timer = setInterval(() => this.#tick(), options.intervalMs ?? INTERVAL_MS);
    setImmediate(() => this.#tick()); // the caller gets this before its first event
  }

  get network(): Network {
    return this.#network;
  }

  setRegions(regions: readonly RegionConfig[]): void {
    const before = new Map(this.#watched.map((one) => [one.region.region, one]));
    this.#watched = regions.filter(hasEdges).map((region) => watched(region, before.get(region.region)));
    this.update();
  }

  /** Records that a node's journal connection was opened or closed. */
  noticed(node: string): void {
    const edgeName = node.split('#', 1)[0];
    for (const one of this.#watched) {
      const edge = one.region.edges.find(({ name }) => name === edgeName);
      if (edge) void this.#probe(one, edge).then(() => this.update());
    }
  }

  /** Looks whether anything has changed, and tells. */
  update(): void {
    if (this.#isClosed) return;
    const now = this.#options.now();
    for (const { region, health, up } of this.#watched) {
      const edges = region.edges.map(({ name }) => up.get(name));
      if (edges.every((isUp) => isUp !== undefined)) health.update(edges, now);
    }
    const made = this.#made();
    if (isDeepStrictEqual(made, this.#network)) return;
    this.#network = made;
    this.#options.changed(made);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#agent.destroy();
    await this.#probing;
  }

  #tick(): void {
    if (this.#isClosed) return;
    this.#probing ??= this.#probeAll().finally(() => {
      this.#probing = undefined;
    });
    this.update(); // a region may have recovered meanwhile
  }

  async #probeAll(): Promise<void> {
    this.#round += 1;
    const counts = this.#round % COUNT_EVERY === 0;
    await Promise.all(
      this.#watched.map(async (one) => {
        await Promise.all(
          one.region.edges.map(async (edge) => {
            const before = one.up.get(edge.name) ?? true;
            if ((await this.#probe(one, edge)) !== before) this.update(); // not when the slowest one has answered
          }),
        );
        if (counts && one.overload) {
          await one.overload.measure(this.#agent, one.region.edges.map(reachableControl), this.#options.now());
        }
      }),
    );
    this.update();
  }

  /** @returns Whether the edge is up. Never rejects. */
  async #probe({ up }: Watched, edge: EdgeConfig): Promise<boolean> {
    const address = reachableControl(edge);
    const ask = (): Promise<boolean | undefined> =>
      address === undefined ? takesConnections(edge.tier, TIMEOUT_MS) : this.#isServing(address);
    const isUp = (await ask()) ?? (await ask()) ?? false;
    up.set(edge.name, isUp);
    return isUp;
  }

  /** @returns `undefined` when it did not say. */
  async #isServing(address: string): Promise<boolean | undefined> {
    try {
      const { statusCode, body } = await this.#agent.request({
        origin: `http://${address}`,
        path: '/healthz',
        method: 'GET',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await body.dump();
      return statusCode === 200;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? false : undefined;
    }
  }

  #made(): Network {
    const drained = this.#options.drained();
    const now = this.#options.now();
    const { regions } = networkOf(this.#watched.map(({ region }) => region));
    return {
      regions: regions.map((region, index): NetworkRegion => {
        const { health, overload, up } = this.#watched[index] as Watched;
        const state = health.state(now);
        return {
          ...region,
          drained: region.drained || drained.has(region.name),
          health: state,
          healthyAt: state === 'recovering' ? health.healthyAt : LONG_AGO,
          shed: overload?.shed ?? 0,
          edges: region.edges.map((edge) => ({ ...edge, up: up.get(edge.name) ?? true })),
        };
      }),
    };
  }
}

function watched(region: RegionConfig, before: Watched | undefined): Watched {
  const { min_health: minHealth, recovery: recoveryMs, capacity } = region.geo;
  const health = before?.health ?? new RegionHealth({ minHealth, recoveryMs });
  health.rules = { minHealth, recoveryMs };
  const overload = capacity === undefined ? undefined : (before?.overload ?? new Overload(capacity));
  if (overload && capacity !== undefined) overload.capacity = capacity;
  return { region, health, overload, up: before?.up ?? new Map() };
}

/** A control listener on the loopback of another machine says nothing here, and neither does port 0. */
function reachableControl({ control, tier }: EdgeConfig): string | undefined {
  if (control === undefined) return undefined;
  const [own, others] = [splitAddress(control), splitAddress(tier)];
  const isElsewhere = machineOf(own.host) === 'loopback' && machineOf(others.host) !== 'loopback';
  return own.port === 0 || isElsewhere ? undefined : control;
}
