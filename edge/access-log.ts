/**
 * The access log that the config asks for.
 * @module
 */
import { siblingPath } from '../config/path.ts';
import type { RegionConfig } from '../config/schema.ts';
import type { Component } from '../lib/components.ts';
import { AccessLog } from '../telemetry/access-log.ts';
import type { Logger } from '../telemetry/log.ts';

/** Access log of an edge: goes where the newest config says. */
export class EdgeAccessLog implements Component<RegionConfig> {
  readonly #log: Logger;
  #file: string | undefined;
  /** Log that answers are written to; `undefined` where the config asks for none. */
  current: AccessLog | undefined;

  constructor(region: RegionConfig, log: Logger) {
    this.#log = log;
    this.#open(fileOf(region));
  }

  /** Opens the file anew, which may have been moved away, or the other one that the config names now. */
  update(region: RegionConfig): void {
    const file = fileOf(region);
    if (file === this.#file) {
      this.current?.reopen();
      return;
    }
    void this.current?.close(); // never rejects; what waits is written
    this.#open(file);
  }

  async close(): Promise<void> {
    await this.current?.close();
  }

  #open(file: string | undefined): void {
    const onProblem = (detail: string): void => this.#log.warn({ detail, file }, 'access log');
    this.#file = file;
    this.current = file === undefined ? undefined : new AccessLog({ file, onProblem });
  }
}

function fileOf({ file, access_log: name }: RegionConfig): string | undefined {
  return name === undefined || name === '-' ? name : siblingPath(file, name);
}
