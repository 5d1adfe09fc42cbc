/**
 * The counters of a node, read by Prometheus. Names of results and refusals
 * are those of Cache-Status (promise P7).
 * @module
 */
import type { Counter, Registry } from 'prom-client';
import type { CacheStatus } from '../cache/cache-status.ts';
import type { SegmentDisk } from '../cache/disk/segment-disk.ts';
import type { EncodingEvents, EncodingOutcome } from '../cache/encoding/encodings.ts';
import type { EngineEvents } from '../cache/engine.ts';
import type { GenerationEnd } from '../cache/large/generation.ts';
import type { ChunkSource } from '../cache/large/reader.ts';
import type { Ledger } from '../cache/ledger.ts';
import type { StoreRefusal } from '../cache/policy/refusals.ts';
import type { Store } from '../cache/store/store.ts';
import type { HttpError } from '../http/errors.ts';
import type { Coding } from '../http/fields/content-coding.ts';
import type { Priority } from '../http/fields/priority.ts';
import type { Certificates } from '../http/listener/certificates.ts';
import type { ConnectionRefusal } from '../http/listener/connection-refusals.ts';
import type { UpstreamLoad } from '../http/upstream/connection-shares.ts';
import type { ShedReason } from '../http/upstream/shedding.ts';
import { type CounterCell, FastCounter, Histogram, registerHistograms, StatusCounters } from './fast-counter.ts';
import { counter, counters, gauge, gauges } from './instruments.ts';
import type { LeftOutCause } from './left-out-causes.ts';
import { METRICS } from './metric-table.ts';
import { nodeRegistry } from './registry.ts';
import type { Result } from './results.ts';
import { type Sampling, TrafficMeter } from './traffic-meter.ts';

/** Health of a target, as it is read. */
export interface TargetReading {
  readonly name: string;
  readonly isLeftOut: boolean;
  readonly load?: UpstreamLoad | undefined;
}

/** Listener of a request: visitors, or other nodes. */
export type ListenerName = 'public' | 'tier';

const { buckets: DURATION_SECONDS } = METRICS.seawall_request_duration_seconds;

export class NodeMetrics implements EngineEvents, EncodingEvents {
  readonly registry: Registry;
  /** For reports to the control nodes. */
  readonly traffic: TrafficMeter;
  readonly #requests: FastCounter<'seawall_requests_total'>;
  readonly #answers: Record<ListenerName, Map<string, Map<Result, AnswerCounter>>> = {
    public: new Map(),
    tier: new Map(),
  };
  readonly #bytes: FastCounter<'seawall_response_body_bytes_total'>;
  /** In seconds. */
  readonly durations: Readonly<Record<ListenerName, Histogram>> = {
    public: new Histogram({ listener: 'public' }, DURATION_SECONDS),
    tier: new Histogram({ listener: 'tier' }, DURATION_SECONDS),
  };
  readonly #fills: CounterCell;
  readonly #collapsed: CounterCell;
  readonly #stored: CounterCell;
  readonly #refused: Counter<'reason'>;
  readonly #chunks: Readonly<Record<ChunkSource, CounterCell>>;
  readonly #generationsEnded: Counter<'reason'>;
  readonly #upstreamErrors: Counter<'code' | 'cause'>;
  readonly #targets: Iterable<TargetReading>[] = [];
  readonly #targetsLeftOut: Counter<'target' | 'cause'>;
  readonly #hedges: Counter<'result'>;
  readonly #retries: Counter<'cause'>;
  readonly #shed: Counter<'target' | 'reason' | 'priority'>;
  /** Counter of edges: no visitor connects to a shield. */
  readonly #connectionsRefused: Counter<'reason'> | undefined;
  /** Counters of edges: only they encode. */
  readonly #encodings: Counter<'coding' | 'level' | 'outcome'> | undefined;
  readonly #encodingsRefused: Counter | undefined;
  /** Counter of edges: they work on jobs. */
  readonly #jobUrls: Counter<'outcome'> | undefined;
  readonly #rateLimited: Counter<'site' | 'limit' | 'action'> | undefined;

  /** @param store - Absent where another thread counts it. */
  constructor(
    node: string,
    role: 'edge' | 'shield',
    store: Store | undefined,
    ledger: Ledger,
    fillsInFlight: () => number,
  ) {
    const registry = nodeRegistry(node, role);
    this.registry = registry;
    this.traffic = new TrafficMeter(this.#answers.public);
    this.#requests = new FastCounter(registry, 'seawall_requests_total');
    this.#bytes = new FastCounter(registry, 'seawall_response_body_bytes_total');
    registerHistograms(registry, 'seawall_request_duration_seconds', Object.values(this.durations));
    this.#fills = new FastCounter(registry, 'seawall_fills_total').of({});
    this.#collapsed = new FastCounter(registry, 'seawall_requests_collapsed_total').of({});
    this.#stored = new FastCounter(registry, 'seawall_responses_stored_total').of({});
    this.#refused = counter(registry, 'seawall_store_refusals_total');
    this.#upstreamErrors = counter(registry, 'seawall_upstream_errors_total');
    const chunks = new FastCounter(registry, 'seawall_chunks_read_total');
    this.#chunks = {
      memory: chunks.of({ source: 'memory' }),
      disk: chunks.of({ source: 'disk' }),
      collapsed: chunks.of({ source: 'collapsed' }),
      upstream: chunks.of({ source: 'upstream' }),
    };
    this.#generationsEnded = counter(registry, 'seawall_generations_ended_total');
    if (role === 'edge') {
      this.#encodings = counter(registry, 'seawall_encodings_total');
      this.#encodingsRefused = counter(registry, 'seawall_encodings_refused_total');
      this.#connectionsRefused = counter(registry, 'seawall_connections_refused_total');
      this.#rateLimited = counter(registry, 'seawall_rate_limited_requests_total');
      this.#jobUrls = counter(registry, 'seawall_job_urls_total');
    }
    this.#targetsLeftOut = counter(registry, 'seawall_targets_left_out_total');
    this.#hedges = counter(registry, 'seawall_hedges_total');
    this.#retries = counter(registry, 'seawall_retries_total');
    this.#shed = counter(registry, 'seawall_shed_requests_total');
    const targets = this.#targets;
    watchLoads(registry, targets);
    gauges(registry, 'seawall_target_up', function* () {
      const up = new Map<string, number>();
      for (const { name, isLeftOut } of targets.flatMap((group) => [...group])) {
        up.set(name, isLeftOut ? 0 : (up.get(name) ?? 1)); // sites may share a server
      }
      for (const [target, value] of up) yield [{ target }, value] as const;
    });
    if (store !== undefined) watchStore(registry, store);
    gauge(registry, 'seawall_purges_applied', () => ledger.applied);
    gauge(registry, 'seawall_ledger_selectors', () => ledger.size);
    gauge(registry, 'seawall_ledger_bytes', () => ledger.bytes);
    gauge(registry, 'seawall_fills_in_flight', fillsInFlight);
  }

  /** Reads the health of these targets, too. */
  watchTargets(targets: Iterable<TargetReading>): void {
    this.#targets.push(targets);
  }

  encoded(coding: Coding, isFast: boolean, outcome: EncodingOutcome): void {
    this.#encodings?.inc({ coding, level: isFast ? 'fast' : 'high', outcome });
  }

  encodingRefused(): void {
    this.#encodingsRefused?.inc();
  }

  targetLeftOut(target: string, cause: LeftOutCause): void {
    this.#targetsLeftOut.inc({ target, cause });
  }

  hedged(result: 'won' | 'lost' | 'refused'): void {
    this.#hedges.inc({ result });
  }

  shed(target: string, reason: ShedReason, priority: Priority): void {
    this.#shed.inc({ target, reason, priority });
  }

  retried(cause: 'failed' | 'silent' | 'late' | 'status' | 'body'): void {
    this.#retries.inc({ cause });
  }

  watchCertificates(certificates: Certificates): void {
    this.traffic.certificates = certificates;
    gauges(this.registry, 'seawall_certificate_expiry_timestamp_seconds', function* () {
      for (const [site, at] of certificates.expiries()) yield [{ site }, at / 1_000] as const;
    });
  }

  /**
   * Returns the counter for answers with this result. Sites and results are from the config and a list, so there are
   * few.
   */
  answers(listener: ListenerName, site: string, result: Result): AnswerCounter {
    const sites = this.#answers[listener];
    let results = sites.get(site);
    if (results === undefined) {
      results = new Map();
      sites.set(site, results);
    }
    let counter = results.get(result);
    if (counter === undefined) {
      const statuses = new StatusCounters((status) => this.#requests.of({ listener, site, result, status }));
      const bytes = this.#bytes.of({ listener, site });
      const [first] = results.values();
      counter = new AnswerCounter({
        listener,
        site,
        result,
        statuses,
        bytes,
        durations: this.durations[listener],
        siteDurations: first?.siteDurations ?? new Array<number>(DURATION_SECONDS.length + 1).fill(0),
        sampling: this.traffic.samplingOf(listener, result),
      });
      results.set(result, counter);
    }
    return counter;
  }

  rateLimited(site: string, limit: string, action: 'refuse' | 'log'): void {
    this.#rateLimited?.inc({ site, limit, action });
  }

  connectionRefused(reason: ConnectionRefusal): void {
    this.#connectionsRefused?.inc({ reason });
  }

  fillStarted(): void {
    this.#fills.value++;
  }

  fillCollapsed(): void {
    this.#collapsed.value++;
  }

  fillFailed(error: HttpError): void {
    this.#upstreamErrors.inc({ code: error.code, cause: error.reason ?? '' });
    this.traffic.failed(error.code, error.reason ?? '');
  }

  /** A URL of a job was asked for by this node. */
  jobUrl(outcome: string): void {
    this.#jobUrls?.inc({ outcome });
  }

  stored(): void {
    this.#stored.value++;
  }

  refused(reason: StoreRefusal): void {
    this.#refused.inc({ reason });
  }

  chunkRead(source: ChunkSource): void {
    this.#chunks[source].value++;
  }

  generationEnded(reason: GenerationEnd): void {
    this.#generationsEnded.inc({ reason });
  }
}

/** Shows what is under way to origin servers, and how much may be. */
function watchLoads(registry: Registry, targets: readonly Iterable<TargetReading>[]): void {
  const read = (value: (load: UpstreamLoad) => number) =>
    function* () {
      const values = new Map<string, number>();
      for (const { name, load } of targets.flatMap((group) => [...group])) {
        if (load !== undefined) values.set(name, (values.get(name) ?? 0) + value(load)); // sites may share a server
      }
      for (const [target, sum] of values) yield [{ target }, sum] as const;
    };
  gauges(
    registry,
    'seawall_target_in_flight',
    read(({ inFlight, waiting }) => inFlight - waiting),
  );
  gauges(
    registry,
    'seawall_target_waiting',
    read(({ waiting }) => waiting),
  );
  gauges(
    registry,
    'seawall_target_concurrency_limit',
    read(({ capacity }) => capacity),
  );
}

/** Shows how much is stored. */
export function watchStore(registry: Registry, store: Pick<Store, 'bytesInUse' | 'maxBytes' | 'size'>): void {
  gauge(registry, 'seawall_cache_bytes', () => store.bytesInUse);
  gauge(registry, 'seawall_cache_limit_bytes', () => store.maxBytes);
  gauge(registry, 'seawall_cache_keys', () => store.size);
}

/** Shows what is stored on disk. */
export function watchDisk(registry: Registry, disk: SegmentDisk): void {
  gauge(registry, 'seawall_disk_up', () => (disk.failure === undefined ? 1 : 0));
  gauge(registry, 'seawall_disk_objects', () => disk.objects);
  gauge(registry, 'seawall_disk_limit_bytes', () => disk.maxBytes);
  gauge(registry, 'seawall_disk_index_bytes', () => disk.indexBytes);
  counters(registry, 'seawall_disk_reads_total', () =>
    Object.entries(disk.reads).map(([result, count]) => [{ result }, count] as const),
  );
  counters(registry, 'seawall_disk_written_bytes_total', () => [
    [{ kind: 'stored' }, disk.counts.appendedBytes],
    [{ kind: 'kept' }, disk.counts.reinsertedBytes],
  ]);
  counters(registry, 'seawall_disk_refusals_total', () =>
    Object.entries(disk.refusals).map(([reason, count]) => [{ reason }, count] as const),
  );
  counters(registry, 'seawall_disk_corrupt_total', () => [[{}, disk.counts.corrupt]]);
  counters(registry, 'seawall_disk_failures_total', () => [[{}, disk.failures]]);
}

interface AnswerCounterOptions {
  readonly listener: ListenerName;
  readonly site: string;
  readonly result: Result;
  readonly statuses: StatusCounters;
  readonly bytes: CounterCell;
  readonly durations: Histogram;
  readonly siteDurations: number[];
  readonly sampling: Sampling;
}

/** Counter of the answers of one listener and site with the same result. */
export class AnswerCounter {
  readonly listener: ListenerName;
  readonly site: string;
  /** `hit`, the reason it went forward, or the code of the error. */
  readonly result: Result;
  readonly #statuses: StatusCounters;
  readonly #bytes: CounterCell;
  readonly #durations: Histogram;
  /** Answers of the site, whatever their result, by the bucket of their duration. */
  readonly siteDurations: number[];
  readonly sampling: Sampling;
  /** Bytes of bodies. */
  bytes = 0;

  constructor(options: AnswerCounterOptions) {
    const { listener, site, result, statuses, bytes, durations, siteDurations, sampling } = options;
    this.listener = listener;
    this.site = site;
    this.result = result;
    this.#statuses = statuses;
    this.#bytes = bytes;
    this.#durations = durations;
    this.siteDurations = siteDurations;
    this.sampling = sampling;
  }

  /** Answers by the class of their status. */
  get counts(): number[] {
    return this.#statuses.counts;
  }

  /** @param bytes - Of the body. */
  add(status: number, bytes: number, seconds: number): void {
    this.#statuses.of(status).value++;
    this.#bytes.value += bytes;
    this.bytes += bytes;
    const at = this.#durations.observe(seconds);
    this.siteDurations[at] = (this.siteDurations[at] as number) + 1;
  }
}

/** The nearest tier's account, where it says that it had the response: the name of its node. */
const HIT_ABOVE = /(?:^|,)\s*"([^"]+)"\s*;\s*hit\b[^,]*$/;

/** All requests that share one response have one account of it. */
let lastAbove = '';
let lastHit: string | undefined;

/** @returns The node that says that it had the response. */
function hitAbove(above: string): string | undefined {
  if (above === lastAbove) return lastHit;
  lastAbove = above;
  lastHit = HIT_ABOVE.exec(above)?.[1];
  return lastHit;
}

/**
 * @param above - Cache-Status of the node that was asked, if one was.
 * @param isPeer - Whether a node of this name is an edge of the same region.
 * @returns The result's name, as in Cache-Status; `peer-hit` when another edge of the region had the response,
 *   `revalidated` or `expired` when a stale one was asked about: `stale` is one that was served without asking.
 */
export function resultName(status: CacheStatus, above: string | undefined, isPeer: (name: string) => boolean): Result {
  if (status.hit) return status.detail ?? 'hit';
  const peer = above === undefined ? undefined : hitAbove(above);
  if (peer !== undefined && isPeer(peer)) return 'peer-hit';
  if (status.detail === 'stale-if-error' || status.detail === 'unverified') return status.detail;
  if (status.fwd === 'stale') return status.fwdStatus === 304 ? 'revalidated' : 'expired';
  return status.fwd ?? 'uri-miss';
}
