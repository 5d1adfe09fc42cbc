/**
 * Drains in etcd. A control node knows of those that another one has written a second later; while etcd does not
 * answer, what was known last holds.
 * @module
 */
import { type Drain, type Drains, drainOf } from '../drains.ts';
import type { EtcdTable, Rows } from './etcd-table.ts';

const INTERVAL_MS = 1_000;

export class EtcdDrains implements Drains {
  readonly #table: EtcdTable;
  readonly #timer: NodeJS.Timeout;
  #drains: ReadonlyMap<string, Drain> = new Map();

  /** @throws {JournalError} (rejects) `journal_unreachable`, `journal_refused`. */
  static async open(table: EtcdTable): Promise<EtcdDrains> {
    const drains = new EtcdDrains(table);
    try {
      await drains.#read();
      return drains;
    } catch (error) {
      drains.close();
      throw error;
    }
  }

  private constructor(table: EtcdTable) {
    this.#table = table;
    this.#timer = setInterval(() => {
      this.#read().catch(() => undefined); // the next one may succeed
    }, INTERVAL_MS);
    this.#timer.unref();
  }

  get all(): ReadonlyMap<string, Drain> {
    return this.#drains;
  }

  async set(region: string, drain: Drain | undefined): Promise<boolean> {
    for (;;) {
      const rows = await this.#read();
      if (this.#drains.has(region) === (drain !== undefined)) return false;
      // An empty row stands for none: rows are never deleted, so that a read has to transfer changes only.
      if (!(await this.#table.write(region, drain ?? null, rows.get(region)?.revision ?? '0'))) continue;
      await this.#read();
      return true;
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #read(): Promise<Rows> {
    const rows = await this.#table.read();
    this.#drains = new Map(
      [...rows].flatMap(([region, { value }]) => (value === null ? [] : [[region, drainOf(value as Drain)] as const])),
    );
    return rows;
  }
}
