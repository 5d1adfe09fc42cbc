/**
 * Rows in etcd that all control nodes read and write: tokens, drains. Each is a key below a common beginning, with a
 * value in JSON.
 *
 * A read is linearisable, and transfers what has changed since the one before: all rows are in memory. Calls that come
 * before a read begins share it, so that their number does not matter to etcd.
 * @module
 */
import type { EtcdAccess, EtcdChannel, RangeResponse, TxnResponse } from '../../journal/etcd/connection.ts';
import { base64, decode, encode } from '../../journal/etcd/layout.ts';
import { deletion, put, wasWrittenAt } from '../../journal/etcd/requests.ts';
import { EtcdCalls } from './etcd-calls.ts';

interface Row {
  readonly value: unknown;
  /** Revision at which it was last written. */
  readonly revision: string;
}

/** Key and value, as etcd takes them. */
export interface Put {
  readonly key: string;
  readonly value: string;
}

export type Rows = ReadonlyMap<string, Row>;

/** Puts in one transaction; etcd takes 128 by default (--max-txn-ops). */
const MAX_PUTS = 100;

export class EtcdTable {
  readonly #start: string;
  readonly #end: string;
  readonly #prefix: string;
  readonly #calls: EtcdCalls;
  #rows = new Map<string, Row>();
  /** Revision that the rows are of. */
  #revision = 0n;
  #reading: Promise<unknown> = Promise.resolve();
  /** Read that has not begun. */
  #queued: Promise<Rows> | undefined;

  /** @param prefix - Beginning of its keys; ends with a slash. */
  constructor(access: EtcdAccess, prefix: string) {
    this.#prefix = prefix;
    this.#start = base64(prefix);
    this.#end = base64(`${prefix.slice(0, -1)}0`); // 0 comes after /
    this.#calls = new EtcdCalls(access, () => this.#forget());
  }

  /** @returns All rows, by their names. @throws {JournalError} (rejects) `journal_unreachable`, `journal_refused`. */
  read(): Promise<Rows> {
    // A read that has begun may not see what was written since.
    this.#queued ??= this.#reading.then(() => {
      this.#queued = undefined;
      const run = this.#calls.run((connection) => this.#refresh(connection));
      this.#reading = run.catch(() => undefined);
      return run;
    });
    return this.#queued;
  }

  /**
   * Writes a row if its name was last written at the revision; `0`: never.
   *
   * @param beside - Rows of other tables that are written in the same transaction.
   * @returns Whether it did.
   * @throws {JournalError} (rejects) `journal_unreachable`: it may have.
   */
  async write(name: string, value: unknown, revision: string, beside: readonly Put[] = []): Promise<boolean> {
    const key = base64(`${this.#prefix}${name}`);
    const text = encode(value);
    const compare = [wasWrittenAt(key, revision)];
    return this.#calls.run(async (connection) => {
      const failure = [{ request_range: { key } }];
      const body = { compare, success: [put(key, text), ...beside.map((one) => put(one.key, one.value))], failure };
      const { succeeded, responses = [] } = await connection.call<TxnResponse>('/v3/kv/txn', body);
      // An attempt of unknown outcome may have written it.
      return succeeded === true || responses[0]?.response_range?.kvs?.[0]?.value === text;
    });
  }

  /** Writes rows, whatever they were before. */
  async writeAll(rows: ReadonlyMap<string, unknown>): Promise<void> {
    const puts = [...rows].map(([name, value]) => put(base64(`${this.#prefix}${name}`), encode(value)));
    for (let from = 0; from < puts.length; from += MAX_PUTS) {
      const success = puts.slice(from, from + MAX_PUTS);
      await this.#calls.run((connection) => connection.call<TxnResponse>('/v3/kv/txn', { success }));
    }
  }

  /** @returns A row as `write` of another table takes it. */
  rowFor(name: string, value: unknown): Put {
    return { key: base64(`${this.#prefix}${name}`), value: encode(value) };
  }

  /** Deletes a row, if it is there. */
  async remove(name: string): Promise<void> {
    const key = base64(`${this.#prefix}${name}`);
    await this.#calls.run((connection) => connection.call<TxnResponse>('/v3/kv/txn', { success: [deletion(key)] }));
  }

  close(): void {
    this.#calls.close();
  }

  async #refresh(connection: EtcdChannel): Promise<Rows> {
    const range = { key: this.#start, range_end: this.#end };
    const since = { ...range, min_mod_revision: String(this.#revision + 1n) };
    const { header, kvs = [], count = '0' } = await connection.call<RangeResponse>('/v3/kv/range', since);
    for (const row of kvs) {
      const name = Buffer.from(row.key, 'base64').toString().slice(this.#prefix.length);
      this.#rows.set(name, { value: decode(row), revision: row.mod_revision });
    }
    this.#revision = BigInt(header.revision);
    if (this.#rows.size === Number(count)) return new Map(this.#rows);
    // Rows have been deleted.
    this.#forget();
    return this.#refresh(connection);
  }

  #forget(): void {
    this.#rows = new Map();
    this.#revision = 0n;
  }
}
