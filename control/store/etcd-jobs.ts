/**
 * Jobs in etcd. Other than tokens and drains (etcd-table.ts) they are not held in memory: they may be many.
 *
 * A row has beside its value the id of the change that wrote it last, so that an attempt of unknown outcome is
 * recognised when it is made again.
 * @module
 */
import { randomUUID } from 'node:crypto';
import type { EtcdAccess, KeyValue, RangeResponse, TxnResponse } from '../../journal/etcd/connection.ts';
import { base64, decode, encode } from '../../journal/etcd/layout.ts';
import { deletion, put, range, wasWrittenAt } from '../../journal/etcd/requests.ts';
import type { JobChange, JobPage, JobRow, JobTable } from '../jobs/table.ts';
import { EtcdCalls } from './etcd-calls.ts';
import type { EtcdTable } from './etcd-table.ts';

/** Row as it is stored. */
interface Stored {
  readonly value: unknown;
  /** Id of the change that has written it. */
  readonly change: string;
}

const NEVER = '0';

export class EtcdJobs implements JobTable {
  readonly #calls: EtcdCalls;
  readonly #prefix: string;
  readonly #outbox: EtcdTable;

  /**
   * @param prefix - Beginning of its keys; ends with a slash.
   * @param outbox - Entries that wait for the audit log.
   */
  constructor(access: EtcdAccess, prefix: string, outbox: EtcdTable) {
    this.#calls = new EtcdCalls(access);
    this.#prefix = prefix;
    this.#outbox = outbox;
  }

  async get(key: string): Promise<JobRow | undefined> {
    const { kvs: [row] = [] } = await this.#calls.run((connection) =>
      connection.call<RangeResponse>('/v3/kv/range', { key: this.#key(key) }),
    );
    return row && this.#rowOf(row);
  }

  async list(prefix: string, { after, limit }: JobPage): Promise<readonly JobRow[]> {
    const from = after === undefined || after < prefix ? prefix : `${after}\0`;
    // The first key beyond the prefix: its last byte is followed by the next one.
    const end = Buffer.from(`${this.#prefix}${prefix}`);
    end[end.length - 1] = (end.at(-1) as number) + 1;
    const { kvs = [] } = await this.#calls.run((connection) =>
      connection.call<RangeResponse>('/v3/kv/range', {
        key: this.#key(from),
        range_end: end.toString('base64'),
        limit: String(limit),
      }),
    );
    return kvs.map((row) => this.#rowOf(row));
  }

  async commit({ expect = [], put: rows = [], remove = [], audit }: JobChange): Promise<boolean> {
    const change = randomUUID();
    const written = rows[0]?.key;
    const waiting = audit && this.#outbox.rowFor(audit.id, audit.entry);
    const body = {
      compare: expect.map(({ key, version }) => wasWrittenAt(this.#key(key), version ?? NEVER)),
      success: [
        ...rows.map(({ key, value }) => put(this.#key(key), encode({ value, change } satisfies Stored))),
        ...remove.map((key) => deletion(this.#key(key))),
        ...(waiting === undefined ? [] : [put(waiting.key, waiting.value)]),
      ],
      failure: written === undefined ? [] : [range(this.#key(written))],
    };
    return this.#calls.run(async (connection) => {
      const { succeeded, responses = [] } = await connection.call<TxnResponse>('/v3/kv/txn', body);
      if (succeeded === true) return true;
      // An attempt of unknown outcome may have made it.
      const found = responses[0]?.response_range?.kvs?.[0];
      return found !== undefined && (decode(found) as Stored).change === change;
    });
  }

  close(): void {
    this.#calls.close();
  }

  #key(key: string): string {
    return base64(`${this.#prefix}${key}`);
  }

  #rowOf(row: KeyValue): JobRow {
    const key = Buffer.from(row.key, 'base64').toString().slice(this.#prefix.length);
    return { key, value: (decode(row) as Stored).value, version: row.mod_revision };
  }
}
