/**
 * A cache that a log is played to: the engine, the policy and the store that nodes use, with the log in the place of
 * the origin and of the clock.
 *
 * It stands for the edges of a region together, which have each key once: their memory added up.
 * @module
 */
import type { Answer } from '../../cache/answer.ts';
import { withPlainCookies } from '../../cache/credentials.ts';
import { CacheEngine } from '../../cache/engine.ts';
import { cacheKey, siteAuthority } from '../../cache/key.ts';
import { Ledger, NOTHING_KNOWN } from '../../cache/ledger.ts';
import { profileOf } from '../../cache/request-profile.ts';
import { openOwnStore } from '../../cache/shared/shared-memory.ts';
import type { StoredResponse } from '../../cache/stored-response.ts';
import { compileRules, hostMatcher } from '../../config/match.ts';
import { rulePath } from '../../config/rule-path.ts';
import type { RegionConfig, SiteConfig } from '../../config/schema.ts';
import { asSent } from '../../edge/visitor.ts';
import { HttpError } from '../../http/errors.ts';
import { formatHttpDate, parseHttpDate } from '../../http/fields/date.ts';
import { fieldValue } from '../../http/fields/headers.ts';
import type { Fetch, ResponseHead, UpstreamRequest } from '../../http/message.ts';
import { parseRequestTarget } from '../../http/request-target.ts';
import { type EpochMs, epochMs, monotonicMs } from '../../lib/clock.ts';
import { cacheRequest, type Requester } from '../../tier/cache-request.ts';
import type { ServedSite } from '../../tier/node-core.ts';
import type { LoggedAnswer } from './line.ts';

/** Field by which a stored response says which line it came from: its key's hash, and why that was not shared. */
const FROM_FIELD = 'seawall-replay-from';

/** Answer that the model gives a line. */
export interface Replayed {
  /** True if it was answered from what is stored. */
  readonly isHit: boolean;
  /** Requests that the origin got because of it, and the bytes of their bodies. */
  readonly originRequests: number;
  readonly originBytes: number;
  /** Present on a hit: the line that had brought what is stored. */
  readonly from?: { readonly key: string; readonly reason: string | undefined } | undefined;
  /** True if what came is stored now. */
  readonly isStored: boolean;
}

export class ReplayModel {
  readonly #engine: CacheEngine;
  readonly #siteOf: (host: string) => SiteConfig | undefined;
  readonly #served: ReadonlyMap<SiteConfig, ServedSite>;
  #now = epochMs(0);
  #requests = 0;
  #bytes = 0;
  /** Fetches that have not come to their end. */
  #open = 0;

  constructor({ sites }: Pick<RegionConfig, 'sites'>, memoryBytes: number) {
    // What is stored in chunks is stored as a whole here: the log does not say which parts were asked for.
    const whole = sites.map((site): SiteConfig => ({ ...site, chunk_above: 'never' }));
    this.#siteOf = hostMatcher(whole);
    this.#served = new Map(whole.map((site) => [site, { site, rules: compileRules(site) }]));
    this.#engine = new CacheEngine({
      store: openOwnStore(memoryBytes),
      ledger: new Ledger({ leaseMs: Number.POSITIVE_INFINITY }),
      now: () => this.#now,
      monotonic: () => monotonicMs(this.#now),
      bounds: () => ({ fillWindowBytes: 1024 * 1024, maxWaiters: 1_000 }),
      events: NO_EVENTS,
    });
  }

  /** @returns `undefined` for what this config does not serve, or refuses. */
  async play(line: LoggedAnswer, unshared: string | undefined): Promise<Replayed | undefined> {
    const request = this.#requestOf(line, unshared);
    if (request === undefined) return undefined;
    this.#now = epochMs(Math.max(this.#now, line.time));
    this.#requests = 0;
    this.#bytes = 0;
    if (line.purge !== undefined) this.#engine.invalidate(request.keyed.key, undefined);
    const isLookedUp = line.method === 'GET' || line.method === 'HEAD';
    const at = monotonicMs(this.#now);
    const found = isLookedUp
      ? this.#engine.lookup(request.keyed.key, request, profileOf(request), this.#now, at)
      : undefined;
    if (found?.outcome === 'fresh' && !found.isRefused && found.stored !== undefined) return this.#hit(found.stored);
    const stored = found?.stored;
    let answer: Answer;
    try {
      const given = this.#engine.handle(request, found && { found, now: this.#now });
      answer = given instanceof Promise ? await given : given;
    } catch (error) {
      if (error instanceof HttpError) return undefined;
      throw error;
    }
    answer.body?.close();
    // Background validation, and the rest of a fill.
    for (let turns = 0; this.#open > 0 && turns < MAX_TURNS; turns++) await Promise.resolve();
    const { hit, stored: isStored = false } = answer.status;
    const rest = { originRequests: this.#requests, originBytes: this.#bytes };
    return { isHit: hit, ...rest, isStored, from: hit && stored !== undefined ? fromOf(stored) : undefined };
  }

  #hit(stored: StoredResponse): Replayed {
    return { isHit: true, originRequests: 0, originBytes: 0, from: fromOf(stored), isStored: false };
  }

  /** @returns The number of the site's rule that a response goes by, from 1; `undefined`: the defaults. */
  ruleOf({ host, target, status, response }: LoggedAnswer): number | undefined {
    const site = this.#siteOf(hostOf(host));
    if (site === undefined) return undefined;
    const { rules } = this.#served.get(site) as ServedSite;
    const type = response.find(([name]) => name === 'content-type')?.[1];
    const { rule } = rules.responseRule(rulePath(target.split('?', 1)[0] as string), status, type);
    const index = site.rules.indexOf(rule);
    return index < 0 ? undefined : index + 1;
  }

  #requestOf(line: LoggedAnswer, unshared: string | undefined) {
    const { method, scheme, host, target: text } = line;
    const site = this.#siteOf(hostOf(host));
    const served = site && this.#served.get(site);
    if (served === undefined) return undefined;
    try {
      const target = parseRequestTarget(method, text, ['Host', host], { dotSegments: () => served.site.dot_segments });
      const fields = line.request.flat();
      const headers = withPlainCookies(served.site, ['Host', siteAuthority(served.site, scheme, target), ...fields]);
      const keyed = cacheKey(served.site, scheme, target, headers);
      const path = rulePath(target.path);
      const parsed = { method, target, scheme, served, headers, keyed, ip: undefined, place: undefined };
      const sent = asSent(parsed, headers, path, false);
      return cacheRequest({
        exchange: new Replayer(method),
        ...{ served, target, path, keyed: sent.keyed, headers: sent.headers, body: undefined, visitor: undefined },
        routing: { fetch: this.#originOf(line, unshared), asksPeer: false, shouldStore: () => true },
        ...{ forPeer: false, minPosition: NOTHING_KNOWN, continues: true },
      });
    } catch (error) {
      if (error instanceof HttpError) return undefined;
      throw error;
    }
  }

  /** The origin, as far as the line tells of it. */
  #originOf(line: LoggedAnswer, unshared: string | undefined): Fetch {
    return (request, sink) => {
      let isOver = false;
      this.#open++;
      queueMicrotask(() => {
        this.#open--;
        if (isOver) return;
        const head = headOf(line, request, unshared, this.#now);
        const bytes = head.status === 304 || request.method === 'HEAD' ? 0 : (line.length ?? line.bytes);
        this.#requests++;
        this.#bytes += bytes;
        sink.onHead(head);
        const body = sink.body ?? sink;
        for (let left = bytes; left > 0 && !isOver; left -= ZEROS.length) body.onData(ZEROS.subarray(0, left));
        if (!isOver) body.onEnd([]);
      });
      return { pause: () => undefined, resume: () => undefined, abort: () => (isOver = true) };
    };
  }
}

/** Steps that the rest of a fill may take. */
const MAX_TURNS = 1_000;

const ZEROS = Buffer.alloc(64 * 1024);

/** Statuses of answers whose representation has status 200. */
const OF_200: ReadonlySet<number> = new Set([206, 304, 416]);

function headOf(
  { status: sent, response, length, bytes, key }: LoggedAnswer,
  request: UpstreamRequest,
  unshared: string | undefined,
  now: EpochMs,
): ResponseHead {
  const headers: string[] = [];
  const facts = new Map(response);
  const date = parseHttpDate(facts.get('date') ?? '', now);
  for (const [name, value] of response) {
    if (name === 'date' || name === 'age') continue; // of that answer, not of one that the origin would give now
    const expires = name === 'expires' ? parseHttpDate(value, now) : undefined;
    const isShifted = expires !== undefined && date !== undefined;
    headers.push(name, isShifted ? formatHttpDate(now + expires - date) : value);
  }
  headers.push('date', formatHttpDate(now), FROM_FIELD, `${key ?? ''} ${unshared ?? ''}`);
  const etag = facts.get('etag');
  const known = fieldValue(request.headers, 'if-none-match');
  const since = fieldValue(request.headers, 'if-modified-since');
  const isKnown = known === undefined ? since !== undefined && since === facts.get('last-modified') : known === etag;
  if (isKnown) return { status: 304, statusText: '', headers };
  headers.push('content-length', String(length ?? bytes));
  return { status: OF_200.has(sent) ? 200 : sent, statusText: '', headers };
}

function fromOf({ headers }: StoredResponse): Replayed['from'] {
  const value = fieldValue(headers, FROM_FIELD);
  if (value === undefined) return undefined;
  const [key = '', reason = ''] = value.split(' ');
  return { key, reason: reason || undefined };
}

function hostOf(host: string): string {
  return host.replace(/:\d+$/, '').toLowerCase();
}

class Replayer implements Requester {
  readonly method: string;
  readonly isClosed = false;

  constructor(method: string) {
    this.method = method;
  }

  onClose(): void {
    // It stays.
  }

  interim(): void {
    // Nothing waits for it.
  }
}

const NO_EVENTS = {
  fillStarted: () => undefined,
  fillCollapsed: () => undefined,
  fillFailed: () => undefined,
  stored: () => undefined,
  refused: () => undefined,
  chunkRead: () => undefined,
  generationEnded: () => undefined,
};
