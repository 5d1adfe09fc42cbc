/**
 * The access log that the config asks for.
 * @module
 */
import { siblingPath } from '../config/path.ts';
import type { RegionConfig } from '../config/schema.ts';
import { isSyslog } from '../config/syslog-address.ts';
import type { Component } from '../lib/components.ts';
import { accessFormat } from '../telemetry/access-log/format.ts';
import { AccessLog } from '../telemetry/access-log/log.ts';
import type { Logger } from '../telemetry/log.ts';

/** Access log of an edge: goes where the newest config says. */
export class EdgeAccessLog implements Component<RegionConfig> {
  readonly #log: Logger;
  #config: string;
  /** Log that answers are written to; `undefined` where the config asks for none. */
  current: AccessLog | undefined;
  /** Finds the country of an address; set once it can be known. */
  country: (ip: string) => string | undefined = () => undefined;

  constructor(region: RegionConfig, log: Logger) {
    this.#log = log;
    this.#config = configOf(region);
    this.#open(region);
  }

  /** Opens the file anew, which may have been moved away, or what the config names now. */
  update(region: RegionConfig): void {
    const config = configOf(region);
    if (config === this.#config) {
      this.current?.reopen();
      return;
    }
    this.#config = config;
    void this.current?.close(); // never rejects; what waits is written
    this.#open(region);
  }

  async close(): Promise<void> {
    await this.current?.close();
  }

  #open({ file: region, access_log: config, tier_secret: secret }: RegionConfig): void {
    this.current = undefined;
    if (config === undefined) return;
    const to = config.to === '-' || isSyslog(config.to) ? config.to : siblingPath(region, config.to);
    const onProblem = (detail: string): void => this.#log.warn({ detail, file: to }, 'access log');
    const format = accessFormat(config, { secret, country: (ip) => this.country(ip) });
    this.current = new AccessLog({ to, format, sample: config.sample, onProblem });
  }
}

function configOf({ file, access_log: config }: RegionConfig): string {
  return JSON.stringify([file, config]);
}

/** Returns whether lines have the country of visitors. */
export function logsCountries({ access_log: config }: Pick<RegionConfig, 'access_log'>): boolean {
  return config?.fields.includes('country') === true;
}
