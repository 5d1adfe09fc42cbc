/**
 * What an edge knows of where its visitors are. The databases are opened when
 * the first site wants to know.
 * @module
 */
import type { RegionConfig } from '../config/schema.ts';
import type { Locator } from '../geo/locator.ts';
import { openLocator } from '../geo/open-locator.ts';
import type { Place } from '../geo/place.ts';
import type { Steering } from '../geo/steering.ts';
import type { Logger } from '../telemetry/log.ts';
import { siteGeo } from './site-geo.ts';

export class EdgeGeo {
  readonly #log: Logger;
  #locator: Locator | undefined;
  #opened = '';
  /** Where visitors should be; there once regions are known. */
  steering: Steering | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Whether the databases that the sites of the region need are open. */
  isReady(region: RegionConfig): boolean {
    return !wants(region) || this.#opened === idOf(region);
  }

  /** Opens them. @throws {ConfigError} when one cannot be used; those that were open stay. */
  async open(region: RegionConfig): Promise<void> {
    if (this.isReady(region)) return;
    const { file, geo } = region;
    const locator = await openLocator({ file, databases: geo.databases, log: this.#log });
    this.#locator?.close();
    this.#locator = locator;
    this.#opened = idOf(region);
  }

  locate(ip: string): Place | undefined {
    return this.#locator?.locate(ip);
  }

  close(): void {
    this.#locator?.close();
  }
}

function wants({ sites }: RegionConfig): boolean {
  return sites.some((site) => siteGeo(site).isUsed);
}

function idOf({ file, geo }: RegionConfig): string {
  return JSON.stringify([file, geo.databases]);
}
