/**
 * The counters of a node, read by Prometheus. Names of results and refusals
 * are those of Cache-Status (promise P7).
 * @module
 */
import { Counter, collectDefaultMetrics, Registry } from 'prom-client';
import type { CacheStatus } from '../cache/cache-status.ts';
import type { EngineEvents } from '../cache/engine.ts';
import type { Ledger } from '../cache/ledger.ts';
import type { StoreRefusal } from '../cache/policy/refusals.ts';
import type { Store } from '../cache/store/store.ts';
import type { HttpError } from '../http/errors.ts';
import { gauge } from './gauge.ts';
import { Histogram, registerHistograms, StatusTallies, type Tally, TallyCounter } from './tally.ts';

/** Listener of a request: visitors, or other nodes. */
export type ListenerName = 'public' | 'tier';

export interface RequestRecord {
  readonly listener: ListenerName;
  readonly site: string;
  /** `hit`, the reason it went forward, or the code of the error. */
  readonly result: string;
  /** Status of the answer. */
  readonly status: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** Bounds of the buckets of `seawall_request_duration_seconds`. */
const DURATION_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export class NodeMetrics implements EngineEvents {
  readonly registry = new Registry();
  readonly #requests: TallyCounter<'listener' | 'site' | 'result' | 'status'>;
  readonly #statuses = new Map<string, StatusTallies>();
  readonly #bytes: TallyCounter<'listener' | 'site'>;
  /** In seconds. */
  readonly durations: Readonly<Record<ListenerName, Histogram>> = {
    public: new Histogram({ listener: 'public' }, DURATION_SECONDS),
    tier: new Histogram({ listener: 'tier' }, DURATION_SECONDS),
  };
  readonly #fills: Counter;
  readonly #collapsed: Counter;
  readonly #stored: Counter;
  readonly #refused: Counter<'reason'>;
  readonly #upstreamErrors: Counter<'code' | 'cause'>;
  readonly #connectionsRefused: Counter<'reason'>;

  constructor(node: string, role: 'edge' | 'shield', store: Store, ledger: Ledger, fillsUnderWay: () => number) {
    const { registry } = this;
    registry.setDefaultLabels({ node, role });
    collectDefaultMetrics({ register: registry });
    const registers = [registry];
    this.#requests = new TallyCounter(
      registry,
      'seawall_requests_total',
      'Requests by listener, site, result and class of the status.',
    );
    this.#bytes = new TallyCounter(registry, 'seawall_response_body_bytes_total', 'Bytes of response bodies sent.');
    registerHistograms(
      registry,
      'seawall_request_duration_seconds',
      'From the request’s head to the end of its answer.',
      Object.values(this.durations),
    );
    this.#fills = new Counter({ name: 'seawall_fills_total', help: 'Requests sent upstream.', registers });
    this.#collapsed = new Counter({
      name: 'seawall_collapsed_total',
      help: 'Requests answered with another request’s fill.',
      registers,
    });
    this.#stored = new Counter({ name: 'seawall_stored_total', help: 'Responses stored or freshened.', registers });
    this.#refused = new Counter({
      name: 'seawall_store_refusals_total',
      help: 'Responses not stored, by reason.',
      labelNames: ['reason'],
      registers,
    });
    this.#upstreamErrors = new Counter({
      name: 'seawall_upstream_errors_total',
      help: 'Fills that failed, by error code and cause (docs/errors.md).',
      labelNames: ['code', 'cause'],
      registers,
    });
    this.#connectionsRefused = new Counter({
      name: 'seawall_connections_refused_total',
      help: 'TLS connections that got no further than their handshake, and HTTP/2 connections that asked for too much.',
      labelNames: ['reason'],
      registers,
    });
    gauge(registry, 'seawall_memory_bytes', 'Memory in use for responses.', () => store.bytesInUse);
    gauge(registry, 'seawall_memory_limit_bytes', 'Memory allowed for responses.', () => store.maxBytes);
    gauge(registry, 'seawall_stored_keys', 'Keys with a stored response.', () => store.size);
    gauge(registry, 'seawall_purges_applied', 'Number of the newest purge applied.', () => ledger.applied, 'min');
    gauge(registry, 'seawall_ledger_selectors', 'Selectors that the ledger remembers.', () => ledger.size, 'max');
    gauge(registry, 'seawall_ledger_bytes', 'Memory of the ledger, about.', () => ledger.bytes);
    gauge(registry, 'seawall_fills_under_way', 'Keys that are being fetched.', fillsUnderWay);
  }

  record({ listener, site, result, status, bytes, seconds }: RequestRecord): void {
    this.requests(listener, site, result).of(status).value++;
    this.bytes(listener, site).value += bytes;
    this.durations[listener].observe(seconds);
  }

  /** Returns the counters for requests with this result, for callers that count many. */
  requests(listener: ListenerName, site: string, result: string): StatusTallies {
    const key = `${listener}\n${site}\n${result}`;
    let tallies = this.#statuses.get(key);
    if (tallies === undefined) {
      tallies = new StatusTallies((status) => this.#requests.of({ listener, site, result, status }));
      this.#statuses.set(key, tallies);
    }
    return tallies;
  }

  /** Returns the counter of body bytes. */
  bytes(listener: ListenerName, site: string): Tally {
    return this.#bytes.of({ listener, site });
  }

  connectionRefused(reason: string): void {
    this.#connectionsRefused.inc({ reason });
  }

  fillStarted(): void {
    this.#fills.inc();
  }

  fillCollapsed(): void {
    this.#collapsed.inc();
  }

  fillFailed(error: HttpError): void {
    this.#upstreamErrors.inc({ code: error.code, cause: error.reason ?? '' });
  }

  stored(): void {
    this.#stored.inc();
  }

  refused(reason: StoreRefusal): void {
    this.#refused.inc({ reason });
  }
}

/** The nearest tier's account, where it says that it had the response: the name of its node. */
const HIT_ABOVE = /(?:^|,)\s*"([^"]+)"\s*;\s*hit\b[^,]*$/;

/**
 * @param above - Cache-Status of the node that was asked, if one was.
 * @param isPeer - Whether a node of this name is an edge of the same region.
 * @returns The result's name, as in Cache-Status; `peer-hit` when another edge of the region had the response,
 *   `revalidated` or `expired` when a stale one was asked about: `stale` is one that was served without asking.
 */
export function resultName(status: CacheStatus, above: string | undefined, isPeer: (name: string) => boolean): string {
  if (status.hit) return status.detail ?? 'hit';
  const peer = above === undefined ? undefined : HIT_ABOVE.exec(above)?.[1];
  if (peer !== undefined && isPeer(peer)) return 'peer-hit';
  if (status.detail === 'stale-if-error') return status.detail;
  if (status.fwd === 'stale') return status.fwdStatus === 304 ? 'revalidated' : 'expired';
  return status.fwd ?? 'miss';
}
