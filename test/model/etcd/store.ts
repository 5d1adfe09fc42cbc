/**
 * A stand-in for etcd with its guarantees and no more: transactions are atomic and reads linearisable; a call may be
 * lost, refused, have its effect without an answer, or after the client has given it up; events of a watch are lost,
 * late and doubled, and none says so.
 * @module
 */
import { JournalError } from '../../../journal/errors.ts';
import { type EtcdChannel, EtcdRefusal, type KeyValue } from '../../../journal/etcd/connection.ts';
import type { Clock } from '../clock.ts';

interface Row {
  readonly value: string;
  readonly revision: number;
}

/** Content of the store, as a snapshot has it. */
export interface Snapshot {
  readonly rows: ReadonlyMap<string, Row>;
  readonly revision: number;
}

/** Guarantees to take away from etcd, or from the way to it; the model must then find a history that shows why. */
export const ETCD_BREAKAGES = {
  'one-process': 'a connection is continued by another process of etcd, as a proxy would do',
  compare: 'a transaction writes whatever its comparisons say',
  atomic: 'a transaction may write all of its rows but the first',
  linearisable: 'a read may return what was there a second before',
} as const satisfies Readonly<Record<string, string>>;

export type EtcdBreakage = keyof typeof ETCD_BREAKAGES;

/** Client time limit of a call. */
const CALL_MS = 2_000;
const STALE_MS = 1_000;
const DELAYS_MS = [1, 1, 3, 10, 30, 100, 400, 900];

/** Draws a number from 0 to 127. */
export type Draw = () => number;

interface RangeRequest {
  readonly key: string;
  readonly range_end?: string;
  readonly limit?: number;
  readonly sort_order?: 'ASCEND' | 'DESCEND';
  readonly sort_target?: 'KEY' | 'MOD';
  readonly keys_only?: boolean;
  readonly count_only?: boolean;
}

interface Operation {
  readonly request_put?: { readonly key: string; readonly value: string };
  readonly request_range?: RangeRequest;
  readonly request_delete_range?: { readonly key: string; readonly range_end?: string };
}

interface Transaction {
  readonly compare?: readonly { readonly key: string; readonly mod_revision: string }[];
  readonly success?: readonly Operation[];
  readonly failure?: readonly Operation[];
}

export class ModelEtcd {
  readonly #clock: Clock;
  readonly #draw: Draw;
  readonly #breakage: EtcdBreakage | undefined;
  /** Called with the rows that a transaction has written. */
  readonly #written: (rows: ReadonlyMap<string, string>) => void;
  #rows = new Map<string, Row>();
  #revision = 1;
  /** Rows before each write, for reads that are not linearisable. */
  #past: { readonly at: number; readonly rows: ReadonlyMap<string, Row> }[] = [];
  /** Another number after each restore: calls that were made before have no effect afterwards. */
  #generation = 0;
  readonly #channels = new Set<ModelChannel>();
  readonly #watches = new Set<{ key: string; changed: (revision: string) => void }>();
  /** Until then no call is answered. */
  downUntil = 0;
  /** True: every call is answered at once. */
  isUndisturbed = false;

  constructor(
    clock: Clock,
    draw: Draw,
    written: (rows: ReadonlyMap<string, string>) => void,
    breakage: EtcdBreakage | undefined,
  ) {
    this.#breakage = breakage;
    this.#clock = clock;
    this.#draw = draw;
    this.#written = written;
  }

  get clock(): Clock {
    return this.#clock;
  }

  get generation(): number {
    return this.#generation;
  }

  snapshot(): Snapshot {
    return { rows: new Map(this.#rows), revision: this.#revision };
  }

  /** Begins again with the snapshot, in other processes. */
  restore({ rows, revision }: Snapshot): void {
    this.#rows = new Map(rows);
    this.#revision = revision;
    this.#past = [];
    if (this.#breakage === 'one-process') return;
    this.#generation += 1;
    for (const channel of this.#channels) channel.end();
    this.#watches.clear();
  }

  /** @returns The decoded values below a prefix, by their keys. */
  below(prefix: string): [string, unknown][] {
    return [...this.#rows]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, { value }]) => [key, JSON.parse(decoded(value))]);
  }

  open(): ModelChannel {
    const channel = new ModelChannel(this, () => this.#channels.delete(channel));
    this.#channels.add(channel);
    return channel;
  }

  /** Draws what becomes of a call. */
  fate(): { readonly fate: 'answered' | 'lost' | 'unanswered' | 'late' | 'refused'; readonly delayMs: number } {
    if (this.isUndisturbed) return { fate: 'answered', delayMs: 1 };
    if (this.downUntil > this.#clock.now) return { fate: 'lost', delayMs: 1 };
    const number = this.#draw();
    const kind = number >> 3;
    const fate =
      kind === 12 ? 'lost' : kind === 13 ? 'unanswered' : kind === 14 ? 'late' : kind === 15 ? 'refused' : 'answered';
    return { fate, delayMs: DELAYS_MS[number & 7] as number };
  }

  watch(key: string, changed: (revision: string) => void): () => void {
    const watch = { key: decoded(key), changed };
    this.#watches.add(watch);
    return () => this.#watches.delete(watch);
  }

  /** @throws {EtcdRefusal} for what it does not know. */
  answer(path: string, body: unknown): unknown {
    switch (path) {
      case '/v3/kv/txn':
        return this.#transact(body as Transaction);
      case '/v3/kv/range':
        return { header: this.#header, ...this.#range(body as RangeRequest) };
      case '/v3/kv/deleterange':
        return this.#transact({ success: [{ request_delete_range: body as { key: string; range_end?: string } }] });
      case '/v3/kv/compaction':
        return { header: this.#header };
      default:
        throw new EtcdRefusal(12, path);
    }
  }

  get #header() {
    return { revision: String(this.#revision) };
  }

  #transact({ compare = [], success = [], failure = [] }: Transaction): unknown {
    const isBlind = this.#breakage === 'compare';
    const succeeded = compare.every(({ key, mod_revision }) => {
      return isBlind || String(this.#rows.get(decoded(key))?.revision ?? 0) === mod_revision;
    });
    const chosen = succeeded ? success : failure;
    const isWrite = chosen.some((one) => one.request_put !== undefined);
    const isTorn = this.#breakage === 'atomic' && isWrite && chosen.length > 1 && this.#draw() > 100;
    const operations = isTorn ? chosen.slice(1) : chosen;
    const writes = operations.some((one) => one.request_put !== undefined || one.request_delete_range !== undefined);
    if (writes) {
      if (this.#breakage === 'linearisable') this.#past.push({ at: this.#clock.now, rows: new Map(this.#rows) });
      this.#revision += 1;
    }
    const written = new Map<string, string>();
    const responses = operations.map(({ request_put, request_range, request_delete_range }) => {
      if (request_put !== undefined) {
        const key = decoded(request_put.key);
        if (written.has(key)) throw new EtcdRefusal(3, 'duplicate key given in txn request');
        written.set(key, request_put.value);
        this.#rows.set(key, { value: request_put.value, revision: this.#revision });
      } else if (request_delete_range !== undefined) {
        for (const [key] of this.#between(request_delete_range, this.#rows)) this.#rows.delete(key);
      } else if (request_range !== undefined) return { response_range: this.#range(request_range) };
      return {};
    });
    if (written.size > 0) this.#written(written);
    for (const key of written.keys()) this.#ring(key);
    return { header: this.#header, succeeded, responses };
  }

  /** @returns The rows that a read sees. */
  #seen(): ReadonlyMap<string, Row> {
    if (this.#breakage !== 'linearisable' || this.#draw() < 64) return this.#rows;
    return this.#past.find(({ at }) => at >= this.#clock.now - STALE_MS)?.rows ?? this.#rows;
  }

  #between({ key, range_end }: { key: string; range_end?: string }, rows: ReadonlyMap<string, Row>): [string, Row][] {
    const from = decoded(key);
    const to = range_end === undefined ? undefined : decoded(range_end);
    return [...rows]
      .filter(([name]) => (to === undefined ? name === from : name >= from && name < to))
      .sort(([one], [other]) => (one < other ? -1 : 1));
  }

  #range({ limit = Number.POSITIVE_INFINITY, sort_order, sort_target, keys_only, count_only, ...range }: RangeRequest) {
    const found = this.#between(range, this.#seen());
    if (sort_target === 'MOD') found.sort(([, one], [, other]) => one.revision - other.revision);
    if (sort_order === 'DESCEND') found.reverse();
    const kvs = count_only
      ? []
      : found.slice(0, limit).map(
          ([key, { value, revision }]): KeyValue => ({
            key: Buffer.from(key).toString('base64'),
            mod_revision: String(revision),
            ...(!keys_only && { value }),
          }),
        );
    return { kvs, count: String(found.length) };
  }

  #ring(key: string): void {
    const revision = String(this.#revision);
    for (const watch of this.#watches) {
      if (watch.key !== key) continue;
      const { fate, delayMs } = this.fate();
      if (fate === 'lost') continue;
      for (let times = fate === 'late' ? 2 : 1; times > 0; times -= 1) {
        this.#clock.after(delayMs * times, () => this.#watches.has(watch) && watch.changed(revision));
      }
    }
  }
}

/** One connection: one call at a time, all answered by one process of etcd. */
export class ModelChannel implements EtcdChannel {
  readonly #etcd: ModelEtcd;
  readonly #generation: number;
  readonly #ended = new AbortController();
  readonly #onEnd: () => void;
  #last: Promise<unknown> = Promise.resolve();

  constructor(etcd: ModelEtcd, onEnd: () => void) {
    this.#etcd = etcd;
    this.#generation = etcd.generation;
    this.#onEnd = onEnd;
  }

  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  call<Response>(path: string, body: unknown): Promise<Response> {
    const sent = JSON.stringify(body);
    const made = this.#last.then(() => this.#call(path, sent));
    this.#last = made.catch(() => undefined);
    return made as Promise<Response>;
  }

  async watch(key: string, changed: (revision: string | undefined) => void): Promise<void> {
    const stop = this.#etcd.watch(key, changed);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended.addEventListener('abort', () => resolve(), { once: true });
    if (this.ended.aborted) resolve();
    // A watch that has ended without a word is opened again.
    if (this.#etcd.fate().fate === 'unanswered') this.#etcd.clock.after(CALL_MS, resolve);
    await promise;
    stop();
  }

  end(): void {
    if (this.ended.aborted) return;
    this.#ended.abort();
    this.#onEnd();
  }

  #call(path: string, sent: string): Promise<unknown> {
    const etcd = this.#etcd;
    const { clock } = etcd;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const fail = (): void => {
      this.end();
      reject(new JournalError('journal_unreachable', 'no answer'));
    };
    if (this.ended.aborted) {
      fail();
      return promise;
    }
    this.ended.addEventListener('abort', fail, { once: true });
    const { fate, delayMs } = etcd.fate();
    const run = (): unknown => {
      if (etcd.generation !== this.#generation) throw new JournalError('journal_unreachable', 'it has ended');
      return etcd.answer(path, JSON.parse(sent));
    };
    const answer = (): void => {
      try {
        const answered = JSON.stringify(run());
        clock.after(delayMs, () => resolve(JSON.parse(answered)));
      } catch (error) {
        reject(error);
      }
    };
    switch (fate) {
      case 'answered':
        clock.after(delayMs, answer);
        break;
      case 'refused':
        // As etcd refuses what has timed out: the call may have had its effect.
        clock.after(delayMs, () => {
          if (delayMs > 3) attempt(run);
          reject(new EtcdRefusal(14, 'etcdserver: request timed out'));
        });
        break;
      case 'lost':
        clock.after(CALL_MS, fail);
        break;
      case 'unanswered':
        clock.after(delayMs, () => attempt(run));
        clock.after(CALL_MS, fail);
        break;
      case 'late':
        clock.after(CALL_MS, fail);
        clock.after(CALL_MS + delayMs, () => attempt(run));
        break;
    }
    return promise;
  }
}

/** The outcome is of no consequence: no client waits for it. */
function attempt(run: () => unknown): void {
  try {
    run();
  } catch {
    // It has ended meanwhile.
  }
}

export function decoded(text: string): string {
  return Buffer.from(text, 'base64').toString();
}
