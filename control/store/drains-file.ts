/**
 * Drains in the data folder.
 *
 *     drains.json    {"eu": {"by": "ops (0123456789abcdef)", "since": "2026-01-01T00:00:00.000Z", "reason": "…"}}
 * @module
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { type Drain, type Drains, drainOf } from '../drains.ts';

export class DrainsFile implements Drains {
  readonly #file: string;
  #drains: ReadonlyMap<string, Drain>;

  /** @throws {Error} when the file is there, but cannot be read as what it should be. */
  constructor(file: string) {
    this.#file = file;
    this.#drains = readDrains(file);
  }

  get all(): ReadonlyMap<string, Drain> {
    return this.#drains;
  }

  async set(region: string, drain: Drain | undefined): Promise<boolean> {
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
    return new Map(entries.map(([region, drain]) => [region, drainOf(drain)]));
  } catch (cause) {
    throw new Error(`${file} is not what this program has written; remove it to start without drained regions`, {
      cause,
    });
  }
}
