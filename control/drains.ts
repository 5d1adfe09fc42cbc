/**
 * Regions that operators have drained through the API: in a file, so that they stay drained when the control node
 * restarts.
 *
 *     drains.json    {"eu": {"by": "ops (0123456789abcdef)", "since": "2026-01-01T00:00:00.000Z", "reason": "…"}}
 * @module
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';

export interface Drain {
  /** Name and id of the token. */
  readonly by: string;
  /** ISO 8601. */
  readonly since: string;
  readonly reason: string;
}

export class Drains {
  readonly #file: string;
  #drains: ReadonlyMap<string, Drain>;

  /** @throws {Error} when the file is there, but cannot be read as what it should be. */
  constructor(file: string) {
    this.#file = file;
    this.#drains = readDrains(file);
  }

  /** By the name of the region. */
  get all(): ReadonlyMap<string, Drain> {
    return this.#drains;
  }

  get names(): ReadonlySet<string> {
    return new Set(this.#drains.keys());
  }

  /**
   * On the disk before it counts.
   *
   * @param drain - `undefined`: it is drained no more.
   * @returns Whether anything has changed.
   * @throws What writing fails with; nothing has changed then.
   */
  set(region: string, drain: Drain | undefined): boolean {
    if (this.#drains.has(region) === (drain !== undefined)) return false;
    const next = new Map(this.#drains);
    if (drain === undefined) next.delete(region);
    else next.set(region, drain);
    this.#write(next);
    this.#drains = next;
    return true;
  }

  #write(drains: ReadonlyMap<string, Drain>): void {
    const temporary = `${this.#file}.new`;
    const fd = openSync(temporary, 'w', 0o600);
    try {
      writeSync(fd, `${JSON.stringify(Object.fromEntries(drains))}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, this.#file);
  }
}

function readDrains(file: string): ReadonlyMap<string, Drain> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw error;
  }
  try {
    const entries = Object.entries(JSON.parse(text) as Record<string, Partial<Drain>>);
    return new Map(
      entries.map(([region, { by, since, reason }]) => [
        region,
        { by: String(by), since: String(since), reason: String(reason ?? '') },
      ]),
    );
  } catch (cause) {
    throw new Error(`${file} is not what this program has written; remove it to start without drained regions`, {
      cause,
    });
  }
}
