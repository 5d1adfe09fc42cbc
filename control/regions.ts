/**
 * State of the regions at the control node: health, drains, and the steering decision for a visitor.
 * @module
 */
import type { ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import type { RegionConfig } from '../config/schema.ts';
import { hasEdges } from '../geo/network.ts';
import { openRegionLocator, type RegionLocator } from '../geo/region-locator.ts';
import { createSteering } from '../geo/steer.ts';
import { REGION_STATES } from '../geo/steering.ts';
import { type WhereAnswer, whereAnswer } from '../geo/where.ts';
import { monotonicNow, msBetween } from '../lib/clock.ts';
import { gauges } from '../telemetry/instruments.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Drain, Drains } from './drains.ts';
import { RegionMonitor } from './region-monitor.ts';
import { RegionStreams } from './region-stream.ts';

export interface RegionsOptions {
  /** The region of the control node: its databases say where visitors are. */
  readonly region: RegionConfig;
  readonly regions: readonly RegionConfig[];
  readonly drains: Drains;
  readonly log: Logger;
  readonly registry: Registry;
}

/** A region as operators see it. */
export interface RegionStatus {
  readonly name: string;
  readonly state: 'healthy' | 'drained' | 'down' | 'recovering';
  readonly drain: (Drain & { readonly source: 'api' }) | { readonly source: 'config' } | null;
  /** Milliseconds until it is healthy, if it stays up. */
  readonly healthy_in_ms: number | null;
  /** Share of its visitors that go elsewhere because it has too much to do. */
  readonly shed: number;
  readonly edges: readonly { readonly name: string; readonly up: boolean }[];
}

export class Regions {
  readonly #drains: Drains;
  readonly #monitor: RegionMonitor;
  readonly #streams = new RegionStreams(monotonicNow);
  readonly #locator: RegionLocator;
  #regions: readonly RegionConfig[];
  readonly #ownFile: string;

  /**
   * @throws {ConfigError} when a database cannot be used.
   */
  static async open(options: RegionsOptions): Promise<Regions> {
    return new Regions(options, await openRegionLocator(options.region, options.log));
  }

  private constructor({ region, regions, drains, log, registry }: RegionsOptions, locator: RegionLocator) {
    this.#drains = drains;
    this.#locator = locator;
    this.#ownFile = region.file;
    this.#regions = regions;
    this.#monitor = new RegionMonitor({
      regions,
      drained: () => new Set(drains.all.keys()),
      now: monotonicNow,
      changed: (network) => {
        this.#streams.tell(network);
        log.info({ regions: this.list().map(({ name, state }) => ({ name, state })) }, 'state of regions changed');
      },
    });
    this.#addMetrics(registry);
  }

  list(): RegionStatus[] {
    const now = monotonicNow();
    return this.#monitor.network.regions.map(({ name, drained, health, healthyAt, shed, edges }) => {
      const drain = this.#drains.all.get(name);
      return {
        name,
        state: drained ? 'drained' : health,
        drain: drain ? { source: 'api', ...drain } : drained ? { source: 'config' } : null,
        healthy_in_ms: health === 'recovering' ? Math.max(0, Math.round(msBetween(now, healthyAt))) : null,
        shed,
        edges: edges.map(({ name: edge, up }) => ({ name: edge, up })),
      };
    });
  }

  /** @param address - Whatever was asked for. */
  where(address: string): WhereAnswer {
    const steering = createSteering({ locator: this.#locator, network: () => this.#monitor.network });
    return whereAnswer(steering.where(address, monotonicNow()), this.#locator);
  }

  /**
   * @param drain - `undefined`: visitors may come back.
   * @returns Whether there is such a region.
   */
  async drain(name: string, drain: Drain | undefined): Promise<boolean> {
    if (!this.#regions.some((one) => one.region === name && hasEdges(one))) return false;
    if (await this.#drains.set(name, drain)) this.#monitor.update();
    return true;
  }

  /** A node's connection to the journal has begun or ended. */
  noticed(node: string): void {
    this.#monitor.noticed(node);
  }

  /** Tells of the network for as long as the other side listens. */
  follow(response: ServerResponse): boolean {
    return this.#streams.add(response, this.#monitor.network);
  }

  reload(regions: readonly RegionConfig[]): void {
    this.#regions = regions;
    this.#monitor.setRegions(regions);
    const own = regions.find(({ file }) => file === this.#ownFile);
    if (own) this.#locator.reload(own);
  }

  /** Ends the streams of those who follow the network: a server that closes would wait for them. */
  endStreams(): void {
    this.#streams.close();
  }

  async close(): Promise<void> {
    this.endStreams();
    this.#locator.close();
    await this.#monitor.close();
  }

  #addMetrics(registry: Registry): void {
    gauges(registry, 'seawall_region_state', () =>
      this.list().flatMap(({ name, state }) =>
        REGION_STATES.filter((one) => one !== 'full').map(
          (one) => [{ region: name, state: one }, one === state ? 1 : 0] as const,
        ),
      ),
    );
    gauges(registry, 'seawall_region_edges_up', () =>
      this.list().map(({ name, edges }) => [{ region: name }, edges.filter(({ up }) => up).length] as const),
    );
    gauges(registry, 'seawall_region_shed_ratio', () =>
      this.list().map(({ name, shed }) => [{ region: name }, shed] as const),
    );
  }
}
