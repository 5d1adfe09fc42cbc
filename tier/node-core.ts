/**
 * Common part of edges and shields: the sites, the cache, and the steps from a cache request to a delivered response.
 * @module
 */
import type { Logger } from 'pino';
import type { Answer } from '../cache/answer.ts';
import { type CacheDetail, type CacheStatus, formatCacheStatus } from '../cache/cache-status.ts';
import type { DiskStore } from '../cache/disk/disk.ts';
import type { SegmentDisk } from '../cache/disk/segment-disk.ts';
import { withEncoderThread } from '../cache/encoding/encoder-thread.ts';
import { Encodings } from '../cache/encoding/encodings.ts';
import { CacheEngine } from '../cache/engine.ts';
import type { KeyedRequest } from '../cache/key.ts';
import { Ledger } from '../cache/ledger.ts';
import { openOwnStore } from '../cache/shared/shared-memory.ts';
import type { SharedStore } from '../cache/shared/shared-store.ts';
import { groupTag } from '../cache/tags.ts';
import type { ThreadFills } from '../cache/thread-fills.ts';
import { type CompiledRules, compileRules, hostMatcher } from '../config/match.ts';
import type { LimitsConfig, RegionConfig, SiteConfig } from '../config/schema.ts';
import { deliver } from '../http/body/deliver.ts';
import { errorPage, HTTP_ERRORS, HttpError, type HttpErrorCode } from '../http/errors.ts';
import type { ServerExchange } from '../http/exchange.ts';
import { fieldValue, type RawHeaders, withField } from '../http/fields/headers.ts';
import type { BodyReader, OwnHead, ResponseHead } from '../http/message.ts';
import type { NodeCondition } from '../journal/wire.ts';
import { type EpochMs, type MonotonicMs, monotonicNow, msSince, wallClock, wallNow } from '../lib/clock.ts';
import { Tracer } from '../lib/trace.ts';
import type { Traffic } from '../lib/traffic.ts';
import type { AccessFacts, AccessRequest } from '../telemetry/access-log/entry.ts';
import type { AccessLog } from '../telemetry/access-log/log.ts';
import { type AnswerCounter, type ListenerName, NodeMetrics, resultName, watchDisk } from '../telemetry/metrics.ts';
import type { NodeTrust } from '../telemetry/node-certificates.ts';
import { Repeated } from '../telemetry/repeated.ts';
import type { Result } from '../telemetry/results.ts';
import type { NodeCertificates } from '../trust/node-certificates.ts';
import { EventStreams } from './event-streams.ts';
import { type DiskHealth, diskHealth, diskState } from './node-disk.ts';
import { warnOfLess } from './process-memory.ts';
import { followPurges, type PurgedNode, type Purging } from './purges.ts';
import { WebSockets } from './web-sockets.ts';

export interface ServedSite {
  readonly site: SiteConfig;
  readonly rules: CompiledRules;
}

export interface NodeCoreOptions {
  readonly name: string;
  /** Name of the worker that this is, where there are several; by default that of the node. */
  readonly member?: string | undefined;
  readonly role: 'edge' | 'shield';
  readonly memoryBytes: number;
  /** Store that it shares with other threads of the process; absent: it has one of its own. */
  readonly shared?: SharedByThreads | undefined;
  /** Its limits, its sites and its journal are the node's. */
  readonly region: RegionConfig;
  readonly log: Logger;
  /** Absent: nodes know each other by their secret. */
  readonly trust?: NodeTrust | undefined;
  /** Keeps its ledger up to date; by default `followPurges`. */
  readonly follow?: ((node: PurgedNode, region: RegionConfig) => Purging) | undefined;
  /** `wallNow` but for tests. */
  readonly now?: (() => EpochMs) | undefined;
  /** `monotonicNow` but for tests. */
  readonly monotonic?: (() => MonotonicMs) | undefined;
  /** Access log for answers to visitors; by default none. */
  readonly accessLog?: { readonly current: AccessLog | undefined };
  /**
   * Returns a visitor's address, from the other end of the connection (by default) and the headers of trusted proxies.
   */
  readonly visitorAddress?: (sender: string, headers: RawHeaders) => string;
}

/** Store of several threads, as one of them has it. */
export interface SharedByThreads {
  readonly store: SharedStore;
  readonly fills: ThreadFills;
}

/** Parts of a request that the access log records. */
export type LoggedRequest = AccessRequest & Pick<ServerExchange, 'remoteAddress'>;

/** One request as it came in, for logs, metrics and error pages. */
export interface Arrival {
  readonly exchange: ServerExchange;
  readonly listener: ListenerName;
  /** Identifier in logs and error pages. */
  readonly id: string;
  /** Known once the head is read. */
  site: SiteConfig | undefined;
}

/** Answer of a node, before it is delivered. */
export interface Reply {
  readonly head: ResponseHead;
  readonly body: BodyReader | undefined;
  /** Complete once the body is read. */
  readonly trailers: () => RawHeaders;
  readonly result: Result;
  /** Answer of the cache that it was made from; absent: the node has made it itself. */
  readonly answer?: Answer | undefined;
}

/** Changes that a node makes to its cache's answer. */
export interface Finishing {
  /** Adds this node's own parameters to the cache's Cache-Status. */
  readonly describe: (status: CacheStatus) => CacheStatus;
  /** Returns the head as it leaves this node; Cache-Status is there already, and its fields may be changed in place. */
  readonly finish: (head: OwnHead, answer: Answer) => ResponseHead;
  /**
   * Identity of these changes: where it is the same, equal answers to requests with one key have equal heads. Absent:
   * they depend on the request.
   */
  readonly identity?: object | undefined;
}

/** Reply to several requests that have the same answer. */
class SharedReply {
  readonly identity: object;
  readonly head: ResponseHead;
  readonly result: Result;

  constructor(identity: object, { head, result }: Reply) {
    this.identity = identity;
    this.head = head;
    this.result = result;
  }
}

export class NodeCore {
  readonly name: string;
  readonly role: 'edge' | 'shield';
  /** Name of this worker in traces. */
  readonly member: string;
  readonly log: Logger;
  readonly #refusals = new Repeated();
  readonly #eventStreams = new EventStreams();
  /** WebSockets of visitors. */
  readonly webSockets: WebSockets = new WebSockets();
  readonly now: () => EpochMs;
  /** The same to a millisecond, for a request that came at this moment. */
  readonly nowAt: (at: MonotonicMs) => EpochMs;
  readonly store: SharedStore;
  /** Purge state of the node. */
  readonly ledger: Ledger;
  readonly engine: CacheEngine;
  /** Encodings of what it has stored, for visitors. */
  readonly encodings: Encodings;
  readonly metrics: NodeMetrics;
  readonly certificates: NodeCertificates | undefined;
  readonly tracer: Tracer;
  limits: LimitsConfig;
  readonly #accessLog: NodeCoreOptions['accessLog'];
  readonly visitorAddress: (sender: string, headers: RawHeaders) => string;
  /** Follows the journal from the start: no listener can be open before (rule 11 of docs/purging.md). */
  readonly purging: Purging;
  readonly #shared: SharedByThreads | undefined;
  /** Disk that this thread has. */
  #disk: SegmentDisk | undefined;
  #siteOf!: (host: string) => ServedSite | undefined;
  /** Edges of the region. */
  #edges: ReadonlySet<string>;
  readonly #isPeer = (name: string): boolean => this.#edges.has(name);

  constructor(options: NodeCoreOptions) {
    const { name, role, log, region } = options;
    const { limits, sites } = region;
    this.name = name;
    this.role = role;
    this.member = options.member ?? name;
    this.log = log;
    this.tracer = new Tracer(this.member, log);
    this.#accessLog = options.accessLog;
    this.visitorAddress = options.visitorAddress ?? ((sender) => sender);
    this.now = options.now ?? wallNow;
    this.nowAt = options.now ?? wallClock();
    this.limits = limits;
    const { shared } = options;
    this.#shared = shared;
    this.store = shared?.store ?? openOwnStore(options.memoryBytes);
    if (shared === undefined) warnOfLess(log, options.memoryBytes, this.store);
    this.ledger = new Ledger({ leaseMs: Number.POSITIVE_INFINITY });
    this.ledger.withoutJournal = region.purges.without_journal;
    const ownStore = shared === undefined ? this.store : undefined;
    this.metrics = new NodeMetrics(name, role, ownStore, this.ledger, () => this.engine.fills.size);
    this.encodings = new Encodings({ store: this.store, events: this.metrics, withThread: withEncoderThread });
    this.engine = new CacheEngine({
      store: this.store,
      encodings: this.encodings,
      ledger: this.ledger,
      threads: shared?.fills,
      now: this.now,
      monotonic: options.monotonic ?? monotonicNow,
      bounds: () => ({ fillWindowBytes: this.limits.fill_window, maxWaiters: this.limits.max_waiters }),
      events: this.metrics,
      invalidateGroups: (keyed, groups) => this.#invalidateGroups(keyed, groups),
    });
    this.certificates = options.trust?.certificates;
    options.trust?.watch(this.metrics.registry);
    this.#edges = edgesOf(region);
    this.#serve(sites);
    this.purging = (options.follow ?? followPurges)(this, region);
  }

  /** Stores on disk, too; before the first request. */
  useDisk(disk: DiskStore): void {
    this.engine.disk = disk;
    this.store.onReused = (key, variants) => disk.put(key, variants);
  }

  /** Stores on a disk that this thread has. */
  useOwnDisk(disk: SegmentDisk): void {
    this.#disk = disk;
    this.useDisk(disk);
    watchDisk(this.metrics.registry, disk);
  }

  /** State of a node of one thread, for operators. */
  readonly condition = (): NodeCondition => {
    const { bytesInUse: used, maxBytes: size } = this.store;
    const disk = this.#disk && diskState(this.#disk);
    return { workers: 1, memory: { used, size }, ...(disk && { disk }) };
  };

  /** Traffic since the last call, of a node of one thread. */
  readonly traffic = (): Traffic | undefined => this.metrics.traffic.take();

  /** Health of the disk that this thread has, for `/healthz`. */
  get diskHealth(): DiskHealth | undefined {
    return this.#disk && diskHealth(this.#disk);
  }

  /** Access log for answers to visitors, where the config asks for one. */
  get accessLog(): AccessLog | undefined {
    return this.#accessLog?.current;
  }

  /** Goes by the new config from now on; what is stored stays, as far as there is room. */
  update({ region, memoryBytes }: Pick<NodeCoreOptions, 'region' | 'memoryBytes'>): void {
    this.limits = region.limits;
    this.ledger.withoutJournal = region.purges.without_journal;
    this.#edges = edgesOf(region);
    // What threads share is resized by the one that supervises them.
    if (this.#shared === undefined && memoryBytes !== this.store.maxBytes) {
      this.store.resize(memoryBytes);
      warnOfLess(this.log, memoryBytes, this.store);
    }
    this.#serve(region.sites);
    this.purging.reload(region);
  }

  /** Ends what has no end of its own. */
  drain(): void {
    this.#eventStreams.end();
    this.webSockets.end();
  }

  /** Once its listeners are closed. */
  async close(): Promise<void> {
    this.encodings.close();
    await this.purging.close();
    this.#shared?.fills.close();
  }

  #serve(sites: readonly SiteConfig[]): void {
    const match = hostMatcher(sites);
    const served = new Map(sites.map((site): [SiteConfig, ServedSite] => [site, { site, rules: compileRules(site) }]));
    this.#siteOf = (host) => {
      const site = match(host);
      return site && served.get(site);
    };
  }

  findSite(host: string): ServedSite | undefined {
    return this.#siteOf(host);
  }

  /** @throws {HttpError} `unknown_host`. */
  siteOf(host: string): ServedSite {
    const served = this.findSite(host);
    if (served === undefined) throw new HttpError('unknown_host', host);
    return served;
  }

  async #invalidateGroups({ site, authority }: KeyedRequest, groups: readonly string[]): Promise<void> {
    const purge = { site, kind: 'tag', soft: false, who: this.name, why: 'Cache-Group-Invalidation' } as const;
    await this.purging.invalidate(groups.map((group) => ({ ...purge, selector: groupTag(authority, group) })));
  }

  /** Returns the reply that this node makes of its cache's answer. */
  replyOf(answer: Answer, finishing: Finishing): Reply {
    const { shared } = answer;
    const { identity } = finishing;
    if (shared === undefined || identity === undefined) return this.#ownReplyOf(answer, finishing);
    const { finished } = shared;
    if (finished instanceof SharedReply && finished.identity === identity) {
      const { head, result } = finished;
      return { head, body: answer.body, trailers: answer.trailers, result, answer };
    }
    const reply = this.#ownReplyOf(answer, finishing);
    shared.finished = new SharedReply(identity, reply);
    return reply;
  }

  #ownReplyOf(answer: Answer, finishing: Finishing): Reply {
    const status = finishing.describe(answer.status);
    const own = formatCacheStatus(this.name, status);
    const value = answer.above === undefined ? own : `${answer.above}, ${own}`;
    const { body, trailers } = answer;
    const { status: code, statusText, headers } = answer.head;
    const head = finishing.finish(
      { status: code, statusText, headers: withField(headers, 'Cache-Status', value) },
      answer,
    );
    return { head, body, trailers, result: resultName(status, answer.above, this.#isPeer), answer };
  }

  /** Logs the error and makes a page of it, with these fields besides. */
  errorReply(arrival: Arrival, error: HttpError, fields: readonly string[]): Reply {
    const { exchange, id } = arrival;
    if (error.status >= 500) {
      const fields = { id, code: error.code, cause: error.reason, detail: error.message, url: exchange.target };
      const write = (more: object): void => this.log[severityOf(error)]({ ...fields, ...more }, 'request failed');
      // Who asks for too much must not fill the log as well.
      if (isForWantOfRoom(error)) this.#refusals.note(error.code, (count) => write(count === 1 ? {} : { count }));
      else write({});
    }
    const page = errorPage(error, id, fieldValue(exchange.headers, 'accept'));
    // Visitors see the code; the cause is for the network.
    const detail = arrival.listener === 'tier' ? (error.reason ?? error.code) : error.code;
    const headers = [...page.headers, ...fields, ...this.#ownStatus(arrival, detail)];
    const head = { status: page.status, statusText: '', headers };
    return { head, body: bodyFor(exchange, page.body), trailers: none, result: error.code };
  }

  /** Reply with a head of this node's own, and perhaps a body. */
  ownReply(arrival: Arrival, head: ResponseHead, result: Result & CacheDetail, bytes?: Buffer): Reply {
    const headers = [...head.headers, ...this.#ownStatus(arrival, result)];
    return { head: { ...head, headers }, body: bodyFor(arrival.exchange, bytes), trailers: none, result };
  }

  /** Cache-Status of an answer of this node's own, for who may see it. */
  #ownStatus({ listener, site }: Arrival, detail: CacheDetail): string[] {
    if (listener === 'public' && site?.cache_status === false) return [];
    return ['Cache-Status', formatCacheStatus(this.name, { hit: false, detail })];
  }

  /** @returns Bytes of the body that were written. Never throws, and never rejects. */
  deliver(request: Pick<Arrival, 'exchange' | 'id'>, { head, body, trailers }: Reply): number | Promise<number> {
    return deliver(request.exchange, {
      head,
      body: this.#eventStreams.reader(head, body),
      trailers,
      writeTimeoutMs: this.limits.write_timeout,
      onBroken: (error) => this.log.info({ id: request.id, detail: (error as Error).message }, 'response aborted'),
    });
  }

  /**
   * Counts an answered request, and writes its line of the access log.
   *
   * @param request - Absent: there is no access log.
   * @param facts - Absent: it is not a visitor's.
   */
  answered(
    counter: AnswerCounter,
    status: number,
    bytes: number,
    startedAt: MonotonicMs,
    request: LoggedRequest | undefined,
    facts: AccessFacts | undefined,
  ): void {
    const seconds = msSince(startedAt) / 1_000;
    counter.add(status, bytes, seconds);
    const { listener, site, result } = counter;
    if (this.accessLog === undefined || request === undefined || facts === undefined || listener !== 'public') return;
    const { headers, remoteAddress = '' } = request;
    const host = fieldValue(headers, 'host') ?? '';
    const ip = this.visitorAddress(remoteAddress, headers);
    this.accessLog.add({ time: this.now(), ip, host, status, bytes, seconds, site, result, request, facts });
  }

  /** Counts a request that its listener turned away. */
  refused(listener: ListenerName, error: HttpError): void {
    const { code: result, status } = error;
    this.metrics.answers(listener, '', result).add(status, 0, 0);
  }

  /** Counts a request to speak another protocol. */
  upgraded(listener: ListenerName, site: SiteConfig, result: Result): void {
    const status = Object.hasOwn(HTTP_ERRORS, result) ? HTTP_ERRORS[result as HttpErrorCode].status : 101;
    this.metrics.answers(listener, site.name, result).add(status, 0, 0);
  }

  asHttpError(error: unknown, id: string): HttpError {
    if (error instanceof HttpError) return error;
    this.log.error({ id, err: error }, 'internal error');
    return new HttpError('internal');
  }
}

function edgesOf({ edges }: RegionConfig): ReadonlySet<string> {
  return new Set(edges.map(({ name }) => name));
}

/** A visitor that has gone away is nothing that an operator could mend. */
export function severityOf({ code }: HttpError): 'debug' | 'warn' {
  return code === 'client_closed' ? 'debug' : 'warn';
}

/** Returns whether the error is a shortage of resources; there may be thousands of those. */
function isForWantOfRoom({ code }: HttpError): boolean {
  return code === 'origin_overloaded' || code === 'spool_full' || code === 'slow_reader';
}

function none(): [] {
  return [];
}

function bodyFor({ method }: ServerExchange, bytes: Buffer | undefined): BodyReader | undefined {
  if (bytes === undefined || method === 'HEAD') return undefined;
  let left: Buffer | null = bytes;
  return {
    next: () => {
      const piece = left;
      left = null;
      return piece;
    },
    close: () => undefined,
  };
}
