/**
 * Rate limits of sites, at one edge. Each thread counts for itself and tells the others of the edge what it has
 * counted, a few times a second, as it does other edges (edge/region-limits.ts): no request waits for that
 * (docs/adr/0030-rate-limits.md).
 * @module
 */
import { BroadcastChannel } from 'node:worker_threads';
import { compilePattern } from '../config/pattern.ts';
import { NO_PATH, rulePattern } from '../config/rule-path.ts';
import type { RateLimitConfig } from '../config/schema/rate-limit.ts';
import type { SiteConfig } from '../config/schema.ts';
import { fieldValue, type RawHeaders } from '../http/fields/headers.ts';
import type { MonotonicMs } from '../lib/clock.ts';
import { monotonicNow } from '../lib/clock.ts';
import { RateCounts } from '../lib/rate-counts.ts';
import { Repeated } from '../telemetry/repeated.ts';
import type { NodeCore } from '../tier/node-core.ts';

/** A request, as far as limits depend on it. */
export interface LimitedRequest {
  readonly method: string;
  readonly headers: RawHeaders;
}

/** A limit that a request is beyond. */
export interface Refusal {
  readonly limit: RateLimitConfig;
  /** Milliseconds until a request would be within it. */
  readonly waitMs: number;
}

/** Receiver of requests that are beyond a limit. */
export type OnLimited = (site: string, limit: RateLimitConfig) => void;

/** Interval at which the threads of an edge tell each other what they have counted. */
const SHARE_MS = 100;

/** Keys of a limit in one message. */
const MAX_SHARED_KEYS = 10_000;

/** Characters of a header value that count. */
const MAX_VALUE = 256;

/** Requests that came at another thread or another edge. */
export interface CountedRequests {
  /** Site, name and config of the limit. */
  readonly limit: string;
  readonly key: string;
  readonly count: number;
}

/** Limits of one site. */
export interface SiteLimits {
  /** True if some limit depends on the path. */
  readonly usesPath: boolean;
  /**
   * Counts a request.
   *
   * @param visitor - Its block of addresses.
   * @param path - In the form that rules go by; not used unless `usesPath`.
   * @returns The limit that it is beyond, if there is one that refuses it.
   */
  refusal(request: LimitedRequest, visitor: string, path: string): Refusal | undefined;
}

export class RateLimits {
  readonly #onLimited: OnLimited;
  readonly #now: () => MonotonicMs;
  readonly #channel: BroadcastChannel | undefined;
  /** By site, name and config: a reload of others keeps what was counted. */
  #limits = new Map<string, Limit>();
  #sites = new Map<string, SiteLimits>();
  #timer: NodeJS.Timeout | undefined;
  /** Receiver of what this thread has counted since it was last called; set before requests come. */
  onCounted: ((counted: readonly CountedRequests[]) => void) | undefined;

  /** @param edge - Name under which threads of one edge tell each other; absent: it has only this one. */
  constructor(
    sites: readonly SiteConfig[],
    onLimited: OnLimited,
    edge?: string | undefined,
    now: () => MonotonicMs = monotonicNow,
  ) {
    this.#onLimited = onLimited;
    this.#now = now;
    if (edge !== undefined) {
      const channel = new BroadcastChannel(`seawall-rate-limits-${edge}`);
      channel.onmessage = (message: unknown) =>
        this.#add((message as { readonly data: readonly CountedRequests[] }).data);
      (channel as unknown as { unref(): void }).unref();
      this.#channel = channel;
    }
    this.update(sites);
  }

  /** Goes by the new config from now on. */
  update(sites: readonly SiteConfig[]): void {
    const limits = new Map<string, Limit>();
    const bySite = new Map<string, SiteLimits>();
    for (const { name: site, rate_limits } of sites) {
      if (rate_limits.length === 0) continue;
      const own = rate_limits.map((config) => {
        const id = `${site} ${JSON.stringify(config)}`;
        const limit = this.#limits.get(id) ?? new Limit(config);
        limits.set(id, limit);
        return limit;
      });
      bySite.set(site, this.#ofSite(site, own));
    }
    this.#limits = limits;
    this.#sites = bySite;
  }

  /** Returns the limits of a site; `undefined`: it has none. */
  of(site: SiteConfig): SiteLimits | undefined {
    return site.rate_limits.length === 0 ? undefined : this.#sites.get(site.name);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#channel?.close();
  }

  /**
   * Counts requests that came at another edge, for all threads of this one.
   *
   * @returns For each count, the milliseconds until the bucket of the key is full again; undefined for a limit that is
   * not known, as the edges have not got the same config yet.
   */
  hear(counted: readonly CountedRequests[]): (number | undefined)[] {
    this.#channel?.postMessage(counted);
    this.#add(counted);
    const now = this.#now();
    return counted.map(({ limit, key }) => this.#limits.get(limit)?.counts.fullIn(key, now));
  }

  /** The bucket of a key is not full again before so many milliseconds. */
  raise(limit: string, key: string, fullInMs: number): void {
    this.#limits.get(limit)?.counts.raise(key, fullInMs, this.#now());
  }

  #ofSite(site: string, limits: readonly Limit[]): SiteLimits {
    return {
      usesPath: limits.some(({ config }) => config.path !== undefined),
      refusal: (request, visitor, path) => {
        const now = this.#now();
        const isShared = this.#channel !== undefined || this.onCounted !== undefined;
        let refusal: Refusal | undefined;
        for (const limit of limits) {
          if (!limit.isFor(request.method, path)) continue;
          const waitMs = limit.take(limit.keyOf(request.headers, visitor), now, isShared);
          if (waitMs === 0) continue;
          this.#onLimited(site, limit.config);
          if (limit.config.action === 'refuse') refusal ??= { limit: limit.config, waitMs };
        }
        if (isShared) this.#timer ??= setTimeout(() => this.share(), SHARE_MS).unref();
        return refusal;
      },
    };
  }

  /** Tells others what was counted; called by itself. */
  share(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const counted: CountedRequests[] = [];
    for (const [limit, own] of this.#limits) {
      for (const [key, count] of own.counted()) counted.push({ limit, key, count });
    }
    if (counted.length === 0) return;
    this.#channel?.postMessage(counted);
    this.onCounted?.(counted);
  }

  #add(counted: readonly CountedRequests[]): void {
    const now = this.#now();
    // A limit that is not known is of another version of the config.
    for (const { limit, key, count } of counted) this.#limits.get(limit)?.counts.add(key, count, now);
  }
}

class Limit {
  readonly config: RateLimitConfig;
  readonly counts: RateCounts;
  readonly #methods: ReadonlySet<string> | undefined;
  readonly #paths: readonly ((path: string) => boolean)[] | undefined;
  /** Counts since the last message to the other threads. */
  #unshared = new Map<string, number>();

  constructor(config: RateLimitConfig) {
    const { path, methods, requests, per } = config;
    this.config = config;
    this.counts = new RateCounts({ requests, perMs: per });
    this.#methods = methods && new Set(methods);
    this.#paths = path === undefined ? undefined : [path].flat().map(rulePattern).map(compilePattern);
  }

  isFor(method: string, path: string): boolean {
    if (this.#methods?.has(method) === false) return false;
    // A path that servers read in different ways may be any.
    return this.#paths === undefined || path === NO_PATH || this.#paths.some((matches) => matches(path));
  }

  keyOf(headers: RawHeaders, visitor: string): string {
    const { by } = this.config;
    if (by === 'address') return visitor;
    if (by === 'network') return networkOf(visitor);
    if (by === 'everyone') return '';
    const value = fieldValue(headers, by.header.toLowerCase());
    return value === undefined ? visitor : `=${value.slice(0, MAX_VALUE)}`;
  }

  take(key: string, now: MonotonicMs, isShared: boolean): number {
    const waitMs = this.counts.take(key, now);
    if (isShared && waitMs === 0 && (this.#unshared.size < MAX_SHARED_KEYS || this.#unshared.has(key))) {
      this.#unshared.set(key, (this.#unshared.get(key) ?? 0) + 1);
    }
    return waitMs;
  }

  counted(): ReadonlyMap<string, number> {
    const unshared = this.#unshared;
    if (unshared.size > 0) this.#unshared = new Map();
    return unshared;
  }
}

/** Returns the IPv4 /24 or the IPv6 /48 that a block of addresses (an IPv4 address, an IPv6 /64) is in. */
export function networkOf(block: string): string {
  if (!block.includes(':')) return `${block.slice(0, block.lastIndexOf('.'))}.0/24`;
  return `${block.split(':', 3).join(':')}::/48`;
}

/** Returns the fields of a 429 (draft-ietf-httpapi-ratelimit-headers-11; RFC 9110, section 10.2.3). */
export function refusalFields({ limit: { name, requests, per }, waitMs }: Refusal): string[] {
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000));
  return [
    ...['Retry-After', String(seconds)],
    ...['RateLimit-Policy', `"${name}";q=${requests};w=${Math.ceil(per / 1_000)}`],
    ...['RateLimit', `"${name}";r=0;t=${seconds}`],
  ];
}

/** Returns what counts requests beyond a rate limit, and logs them, once a second at most. */
export function reportLimited({ log, metrics }: Pick<NodeCore, 'log' | 'metrics'>): OnLimited {
  const repeated = new Repeated();
  return (site, { name: limit, action }) => {
    metrics.rateLimited(site, limit, action);
    repeated.note(`${site} ${limit}`, (count) => {
      log.warn({ site, limit, action, count }, `requests beyond the rate limit ${limit} of site ${site}`);
    });
  };
}
