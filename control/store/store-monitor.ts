/**
 * Monitors the size of the store, for metrics, and warns in the log before etcd takes no more.
 * @module
 */
import type { Registry } from 'prom-client';
import { gauge, gauges } from '../../telemetry/instruments.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { ControlStore, StorePart } from './store.ts';

export interface StoreMonitorOptions {
  readonly store: Pick<ControlStore, 'measure'>;
  /** Size at which the store takes no more; undefined: none. */
  readonly quota: () => number | undefined;
  readonly registry: Registry;
  readonly log: Pick<Logger, 'warn' | 'error' | 'info'>;
  readonly intervalMs?: number;
}

const INTERVAL_MS = 10_000;
/** Part of the quota from which on the log warns. */
const WARN_AT = 0.8;

const FIX =
  'lower control.retention or control.max_records, or give etcd a higher --quota-backend-bytes; ' +
  'then `etcdctl defrag`, and `etcdctl alarm disarm` if it takes no more';

type Level = 'ok' | 'near' | 'full';

export class StoreMonitor {
  readonly #options: StoreMonitorOptions;
  readonly #timer: NodeJS.Timeout;
  #parts: readonly StorePart[] = [];
  #level: Level = 'ok';
  #measuring: Promise<void> | undefined;

  constructor(options: StoreMonitorOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.measure(), options.intervalMs ?? INTERVAL_MS);
    this.#timer.unref();
    const { registry, quota } = options;
    gauges(registry, 'seawall_store_bytes', () =>
      this.#parts.flatMap(({ name, bytes }) => (bytes === undefined ? [] : [[{ store: name }, bytes] as const])),
    );
    gauges(registry, 'seawall_store_up', () =>
      this.#parts.map(({ name, bytes }) => [{ store: name }, bytes === undefined ? 0 : 1] as const),
    );
    gauge(registry, 'seawall_store_quota_bytes', () => quota() ?? 0);
    void this.measure();
  }

  /** Never rejects. */
  measure(): Promise<void> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined;
    });
    return this.#measuring;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#measuring;
  }

  async #measure(): Promise<void> {
    const { store, quota, log } = this.#options;
    this.#parts = await store.measure();
    const largest = Math.max(0, ...this.#parts.map(({ bytes = 0 }) => bytes));
    const limit = quota() ?? Number.POSITIVE_INFINITY;
    const isFull = this.#parts.some((part) => part.isFull);
    const level: Level = isFull ? 'full' : largest >= WARN_AT * limit ? 'near' : 'ok';
    if (level === this.#level) return;
    this.#level = level;
    const facts = { bytes: largest, quota: limit, fix: FIX };
    if (level === 'full') log.error(facts, 'etcd takes no more writes, as its quota is reached: purges are refused');
    else if (level === 'near')
      log.warn(facts, 'the store is near its quota: etcd will take no more writes, and purges');
    else log.info({ bytes: largest, quota: limit }, 'the store is well below its quota again');
  }
}
