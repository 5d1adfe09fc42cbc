/**
 * The newest records of a journal, without a hole, in memory: streams of nodes read them all at the same time.
 * @module
 */
import type { JournalRecord } from '../journal.ts';

export const MAX_RECENT = 10_000;

export class RecentRecords {
  #records: JournalRecord[] = [];

  clear(): void {
    this.#records = [];
  }

  /** @returns At most `limit` records after `seq`; undefined if the first one is not here. */
  after(seq: number, limit: number): readonly JournalRecord[] | undefined {
    const first = this.#records[0]?.seq ?? Number.POSITIVE_INFINITY;
    return seq + 1 < first ? undefined : this.#records.slice(seq + 1 - first, seq + 1 - first + limit);
  }

  /**
   * The journal goes on from `before` to `newest`.
   *
   * @param news - The records between them, without a hole; if some are missing, none are held.
   */
  extend(before: number, newest: number, news: readonly JournalRecord[]): void {
    const isWhole = news[0]?.seq === before + 1 && news.at(-1)?.seq === newest;
    if (!isWhole) this.#records = [];
    else if (this.#records.length === 0 || this.#records.at(-1)?.seq === before) this.#records.push(...news);
    else this.#records = [...news];
    if (this.#records.length > 2 * MAX_RECENT) this.#records = this.#records.slice(-MAX_RECENT);
  }

  /** Forgets records up to this one. */
  forget(floor: number): void {
    if ((this.#records[0]?.seq ?? 0) <= floor) this.#records = this.#records.filter(({ seq }) => seq > floor);
  }
}
