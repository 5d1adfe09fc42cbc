/**
 * A locator that goes by what its region's config names: other databases are
 * opened beside those in use, which stay if they cannot be used.
 * @module
 */
import type { RegionConfig } from '../config/schema.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Locator } from './locator.ts';
import { openLocator } from './open-locator.ts';

export interface RegionLocator extends Locator {
  /** Goes by the new config as soon as its databases are open. */
  reload(region: RegionConfig): void;
}

/** @throws {ConfigError} when a database cannot be used. */
export async function openRegionLocator(region: RegionConfig, log: Logger): Promise<RegionLocator> {
  let { databases } = region.geo;
  let locator = await openLocator({ file: region.file, databases, log });

  async function reopen({ file, geo: { databases: wanted } }: RegionConfig): Promise<void> {
    const before = databases;
    databases = wanted;
    try {
      const next = await openLocator({ file, databases: wanted, log });
      if (databases !== wanted) return next.close(); // others are wanted by now
      locator.close();
      locator = next;
    } catch (error) {
      if (databases === wanted) databases = before; // so that the next reload tries again
      log.error({ detail: (error as Error).message }, 'new location databases rejected, the old ones stay in use');
    }
  }

  return {
    locate: (address) => locator.locate(address),
    explain: (address) => locator.explain(address),
    get databases() {
      return locator.databases;
    },
    reload(next) {
      if (next.geo.databases.join('\n') !== databases.join('\n')) void reopen(next);
    },
    close() {
      databases = []; // those that are being opened are not used any more
      locator.close();
    },
  };
}
