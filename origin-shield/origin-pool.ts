/**
 * The origin servers of one site: who is asked, with which headers, and who
 * next when one fails.
 * @module
 */
import { readFileSync } from 'node:fs';
import { isOriginError } from '../cache/policy/status.ts';
import type { OriginConfig, SiteConfig } from '../config/schema.ts';
import type { Fault } from '../http/errors.ts';
import { appendCdnLoop, appendVia, DIFFER_BY_VISITOR } from '../http/fields/forwarding.ts';
import { fieldValue, type RawHeaders, withField, withoutFields } from '../http/fields/headers.ts';
import type { Fetch, UpstreamRequest } from '../http/message.ts';
import { UpstreamClient } from '../http/upstream/client.ts';
import { ConcurrencyLimit } from '../http/upstream/concurrency-limit.ts';
import { fieldsText } from '../http/upstream/request.ts';
import type { SheddingEvents } from '../http/upstream/shedding.ts';
import { monotonicNow } from '../lib/clock.ts';
import { failover, type Target } from '../tier/failover.ts';
import { TIER_FIELDS } from '../tier/protocol.ts';
import type { TargetHealth } from '../tier/target-health.ts';
import { Targets } from '../tier/targets.ts';
import { probingOf } from './origin-check.ts';

/** A server that fails this often in a row is left out, first for so long, at most for so long. */
const LEFT_OUT = { failures: 3, firstPauseMs: 1_000, maxPauseMs: 30_000 };

interface Server {
  readonly client: UpstreamClient;
  readonly target: Target;
  readonly health: TargetHealth;
  readonly weight: number;
  /** Credit of smooth weighted round-robin (nginx, ngx_http_upstream_round_robin.c). */
  credit: number;
}

export class OriginPool {
  readonly #targets: Targets;
  readonly #servers: readonly Server[];
  readonly #only: readonly Target[];
  readonly #main: readonly Server[];
  readonly #backups: readonly Server[];
  readonly #slowStartMs: number;
  /**
   * Latest GET that one of the servers has answered well. One that was only sent may be for a page that fails at every
   * server, and with it for its trial no server that was left out would ever be used again.
   */
  #latest: UpstreamRequest | undefined;
  /** Sends a request to the origin. */
  readonly fetch: Fetch;

  /**
   * @param network - Identifier in CDN-Loop and Via.
   * @param targets - Those that its servers belong to, until it is closed.
   */
  constructor(origin: OriginConfig, network: string, targets: Targets = new Targets()) {
    this.#targets = targets;
    const ca = origin.tls.ca_file === undefined ? undefined : readFileSync(origin.tls.ca_file, 'utf8');
    const failoverStatuses: ReadonlySet<number> = new Set(origin.failover_on);
    this.#slowStartMs = origin.slow_start;
    const healths: TargetHealth[] = [];
    this.#servers = origin.servers.map(({ url, weight, backup }): Server => {
      const client = new UpstreamClient({
        url,
        connectTimeoutMs: origin.connect_timeout,
        firstByteTimeoutMs: origin.first_byte_timeout,
        idleTimeoutMs: origin.idle_timeout,
        maxConnections: origin.max_connections,
        limit: origin.concurrency === 'adaptive' ? new ConcurrencyLimit(origin.max_connections) : undefined,
        maxWaiting: origin.max_waiting,
        maxWaitingBytes: origin.max_waiting_size,
        maxWaitMs: origin.connect_timeout,
        busyCode: 'origin_overloaded',
        busyFault: BUSY,
        shedding: sheddingOf(targets, url, () => client),
        visitorShare: origin.visitor_share,
        minReadRate: origin.min_read_rate,
        anyTransferCoding: origin.transfer_codings === 'any',
        bareLf: origin.bare_lf === 'accept',
        withheld: NOT_FROM_ORIGINS,
        tls: { verify: origin.tls.verify, ca, serverName: origin.tls.server_name },
      });
      const host = new URL(url).host;
      const fetch: Fetch = (request, sink) => client.send(forOrigin(client, request, origin, host, network), sink);
      const latest = (): UpstreamRequest | undefined =>
        this.#latest && plainRequest(this.#latest, origin, host, network);
      const checked = { url, client, latest };
      const probing = origin.servers.length === 1 ? undefined : probingOf(checked, origin);
      const health = targets.add({
        name: url,
        ...LEFT_OUT,
        siblings: () => healths,
        probing,
        load: () => client.shares,
        onSilence: () => client.breakStalled(),
      });
      healths.push(health);
      const target = { name: url, health, failoverStatuses, isBackup: backup, fetch, onAnswer: this.#onAnswer };
      return { client, health, weight, credit: 0, target };
    });
    this.#only = this.#servers.map(({ target }) => target);
    this.#main = this.#servers.filter(({ target }) => target.isBackup !== true);
    this.#backups = this.#servers.filter(({ target }) => target.isBackup === true);
    this.fetch = failover(() => this.#order(), targets);
  }

  /** Ends kept connections at once; requests under way get to their end. */
  async close(): Promise<void> {
    this.#forget();
    await Promise.all(this.#servers.map(({ client }) => client.close()));
  }

  /** Cuts off what is under way. */
  async destroy(): Promise<void> {
    this.#forget();
    await Promise.all(this.#servers.map(({ client }) => client.destroy()));
  }

  readonly #onAnswer = (request: UpstreamRequest, status: number): void => {
    const { method, body, upgrade } = request;
    if (method !== 'GET' || body !== undefined || upgrade !== undefined || isOriginError(status)) return;
    this.#latest = request;
  };

  #forget(): void {
    for (const { health } of this.#servers) this.#targets.remove(health);
  }

  /** @returns The servers, the one whose turn it is first. */
  #order(): readonly Target[] {
    if (this.#servers.length === 1) return this.#only;
    return [...this.#byTurn(this.#main), ...this.#byTurn(this.#backups)];
  }

  #byTurn(servers: readonly Server[]): readonly Target[] {
    const now = monotonicNow();
    const used = servers.filter(({ health }) => !health.isLeftOut);
    const turns = used.length === 0 ? servers : used;
    let total = 0;
    for (const server of turns) {
      const weight = server.weight * server.health.shareAt(now, this.#slowStartMs);
      total += weight;
      server.credit += weight;
    }
    const order = [...turns].sort((a, b) => b.credit - a.credit);
    if (order[0] !== undefined) order[0].credit -= total;
    // One that is left out does not save up turns for its return.
    const rest = servers.filter((server) => !turns.includes(server));
    for (const server of rest) server.credit = 0;
    return [...order, ...rest].map(({ target }) => target);
  }
}

/** @param client - Sends it; it writes the fields of a header section that is remembered only once. */
function forOrigin(
  client: UpstreamClient,
  request: UpstreamRequest,
  origin: OriginConfig,
  serverHost: string,
  network: string,
): UpstreamRequest {
  const { method, target, headers, memo, body, upgrade, visitor, priority, idField } = request;
  if (memo?.headers !== headers) {
    const fields = fieldsForOrigin(headers, origin, serverHost, network);
    return { method, target, headers: fields, body, upgrade, visitor, priority, idField };
  }
  let text = memo.texts.get(client);
  if (text === undefined) {
    text = fieldsText(fieldsForOrigin(headers, origin, serverHost, network), DIFFER_BY_VISITOR, headers);
    memo.texts.set(client, text);
  }
  return { method, target, headers, text, body, upgrade, visitor, priority, idField };
}

/** Returns what reports the requests that a server's queue refuses. */
function sheddingOf(targets: Targets, server: string, client: () => UpstreamClient): SheddingEvents {
  return {
    shed: (reason, priority) => targets.events?.shed(server, reason, priority),
    began: () => targets.events?.sheddingBegan(server, client().shares),
    ended: (count, ms) => targets.events?.sheddingEnded(server, count, ms),
  };
}

/** The same request, its fields written out. */
function plainRequest(
  { method, target, headers }: UpstreamRequest,
  origin: OriginConfig,
  serverHost: string,
  network: string,
): UpstreamRequest {
  return { method, target, headers: fieldsForOrigin(headers, origin, serverHost, network), body: undefined };
}

function fieldsForOrigin(
  headers: RawHeaders,
  { host_header, via }: OriginConfig,
  serverHost: string,
  network: string,
): RawHeaders {
  const visitorHost = fieldValue(headers, 'host') ?? serverHost;
  const host = host_header === 'visitor' ? visitorHost : host_header === 'origin' ? serverHost : host_header;
  const fields = withField(via === 'omit' ? withoutFields(headers, VIA) : headers, 'Host', host);
  if (via !== 'omit') appendVia(fields, '1.1', via === 'send' ? network : via);
  appendCdnLoop(fields, network);
  return fields;
}

/**
 * Another server of the origin may have connections left; another node is not to be asked for those that the origin is
 * spared here.
 */
const BUSY: Fault = { source: 'here', sent: 'no', forNodes: 'beyond' };

const VIA: ReadonlySet<string> = new Set(['via']);

/**
 * Fields that are not an origin's to say to visitors: what nodes tell each other, and where else the site may be found
 * (RFC 7838), which would lead visitors past the network.
 */
const NOT_FROM_ORIGINS: ReadonlySet<string> = new Set([...TIER_FIELDS, 'alt-svc']);

/** The pools of all sites of a node. */
export class OriginPools {
  readonly #network: string;
  /** All servers of all origins. */
  readonly targets: Targets = new Targets();
  /** Requests that were sent to the origin of each site. */
  readonly requests = new Map<string, { value: number }>();
  #pools = new Map<string, { readonly pool: OriginPool; readonly config: string }>();

  constructor(network: string, sites: readonly SiteConfig[]) {
    this.#network = network;
    this.update(sites);
  }

  /** @param site - One of those that it was last told of. */
  fetchFor(site: SiteConfig): Fetch {
    const entry = this.#pools.get(site.name);
    if (entry === undefined) throw new Error(`no origin pool for site ${site.name}`);
    // Asked again at each fetch: a request under way may begin one after its pool was replaced.
    const count = this.requests.get(site.name) ?? { value: 0 };
    this.requests.set(site.name, count);
    return (request, sink) => {
      count.value++;
      return (this.#pools.get(site.name) ?? entry).pool.fetch(request, sink);
    };
  }

  /** Keeps the connections of origins that have not changed; those of the others end when they are idle. */
  update(sites: readonly SiteConfig[]): void {
    const pools = new Map<string, { readonly pool: OriginPool; readonly config: string }>();
    for (const { name, origin } of sites) {
      const config = JSON.stringify(origin);
      const known = this.#pools.get(name);
      pools.set(
        name,
        known?.config === config ? known : { pool: new OriginPool(origin, this.#network, this.targets), config },
      );
    }
    for (const [name, { pool }] of this.#pools) {
      if (pools.get(name)?.pool !== pool) pool.close().catch(() => undefined); // requests under way end by themselves
    }
    for (const name of this.requests.keys()) if (!pools.has(name)) this.requests.delete(name);
    this.#pools = pools;
  }

  /** Cuts off what is still under way. */
  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(({ pool }) => pool.destroy()));
  }
}
