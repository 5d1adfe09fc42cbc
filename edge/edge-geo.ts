/**
 * Location of an edge's visitors, and the best region for them. The databases are opened when the first site wants to
 * know; the health of regions is followed when the first site sends visitors to others.
 * @module
 */
import type { RegionConfig } from '../config/schema.ts';
import type { GeoLocation } from '../geo/location.ts';
import type { Locator } from '../geo/locator.ts';
import { openLocator } from '../geo/open-locator.ts';
import { type OpenedSteering, openSteering } from '../geo/open-steering.ts';
import type { Decision } from '../geo/steering.ts';
import { monotonicNow } from '../lib/clock.ts';
import type { Logger } from '../telemetry/log.ts';
import type { NodeCertificates } from '../trust/node-certificates.ts';
import { logsCountries } from './access-log.ts';
import { siteGeo } from './site-geo.ts';

export class EdgeGeo {
  readonly #node: string;
  readonly #log: Logger;
  readonly #certificates: NodeCertificates | undefined;
  #locator: Locator | undefined;
  /** Databases that the locator has open. */
  #opened = '';
  #steering: OpenedSteering | undefined;

  /** @param node - Name of the edge. @param certificates - Of the edge. */
  constructor(node: string, log: Logger, certificates?: NodeCertificates | undefined) {
    this.#node = node;
    this.#log = log;
    this.#certificates = certificates;
  }

  /** Returns whether everything that the region's sites need is open. */
  isReady(region: RegionConfig): boolean {
    if (this.#steering !== undefined) return true; // it takes new databases by itself
    return !steers(region) && (!locatesVisitors(region) || this.#opened === databasesOf(region));
  }

  /** Opens it. @throws {ConfigError} when a database cannot be used; those that were open stay. */
  async open(region: RegionConfig): Promise<void> {
    if (this.isReady(region)) return;
    const before = this.#locator;
    if (steers(region)) {
      // The control node tells of the other regions.
      const certificates = this.#certificates;
      this.#steering = await openSteering({
        region,
        regions: [region],
        node: this.#node,
        log: this.#log,
        certificates,
      });
      this.#locator = undefined;
    } else {
      const { file, geo } = region;
      this.#locator = await openLocator({ file, databases: geo.databases, log: this.#log });
      this.#opened = databasesOf(region);
    }
    before?.close();
  }

  /** Goes by the new config, for which it is ready. */
  update(region: RegionConfig): void {
    this.#steering?.reload(region, [region]);
  }

  locate(ip: string): GeoLocation | undefined {
    return (this.#steering?.locator ?? this.#locator)?.locate(ip);
  }

  /** Returns the best region for a visitor; `undefined` if no site needs it. */
  where(ip: string): Decision | undefined {
    return this.#steering?.where(ip, monotonicNow());
  }

  async close(): Promise<void> {
    this.#locator?.close();
    await this.#steering?.close();
  }
}

/** Returns whether an edge of the region opens location databases. */
export function locatesVisitors({ sites, access_log }: RegionConfig): boolean {
  return logsCountries({ access_log }) || sites.some((site) => siteGeo(site).isUsed);
}

function steers({ sites }: RegionConfig): boolean {
  return sites.some(({ geo }) => Object.keys(geo.redirect).length > 0);
}

function databasesOf({ file, geo }: RegionConfig): string {
  return JSON.stringify([file, geo.databases]);
}
