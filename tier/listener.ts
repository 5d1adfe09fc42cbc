/**
 * The listener for other nodes: lets nobody else in, and turns their request
 * into one for the cache.
 * @module
 */
import { setImmediate } from 'node:timers/promises';
import type { Answer } from '../cache/answer.ts';
import type { CacheStatus } from '../cache/cache-status.ts';
import { cacheKey } from '../cache/key.ts';
import { PERSONAL_REFUSALS } from '../cache/policy/refusals.ts';
import { rulePath } from '../config/rule-path.ts';
import type { LimitsConfig, SiteConfig } from '../config/schema.ts';
import { requestBody } from '../http/arriving-body.ts';
import type { HttpError } from '../http/errors.ts';
import { checkHead, type ServerExchange, type ServerRequest } from '../http/exchange.ts';
import { removeHopByHop } from '../http/forwarding.ts';
import { Front } from '../http/front.ts';
import { type RawHeaders, withField, withoutFields } from '../http/headers.ts';
import { type Listener, listen } from '../http/listener.ts';
import type { ResponseHead } from '../http/message.ts';
import { Recogniser } from '../http/recogniser.ts';
import { parseRequestTarget } from '../http/request-target.ts';
import { monotonicNow } from '../lib/clock.ts';
import { cacheRequest, type Routing } from './cache-request.ts';
import type { Arrival, NodeCore, ServedSite } from './node-core.ts';
import { errorFields, formatVersion, readTierCall, TIER_FIELD, TIER_FIELDS, type TierCall } from './protocol.ts';
import { answerUpgrade, type UpgradeCall } from './upgrade.ts';

export interface TierListenerOptions {
  readonly core: NodeCore;
  readonly address: string;
  readonly secret: () => string;
  readonly routing: RoutingFor;
  /** True if other processes listen on the address as well. */
  readonly reusePort?: boolean;
}

/** Decides where a miss is fetched from. The key is empty for what is not cached. */
export type RoutingFor = (call: TierCall, served: ServedSite, key: string) => Routing;

export async function listenForNodes(options: TierListenerOptions): Promise<Listener> {
  const { core, address } = options;
  const front = new Front({
    recogniser: () => recogniser,
    limits: () => limits,
    answer: () => false,
    ask: (_connection, _request, exchange) => void answer(options, exchange),
  });
  const readUpgrade = ({ method, target: text, headers }: ServerRequest): UpgradeCall => {
    const call = readTierCall(headers, options.secret());
    const target = parseRequestTarget(method, text, headers);
    const served = core.siteOf(target.host);
    const { id, visitor } = call;
    const { fetch } = options.routing(call, served, '');
    return { id, visitor, target, site: served.site, headers: endToEnd(headers), fetch };
  };
  let limits = forNodes(core.limits);
  let recogniser = recogniserFor(limits);
  const listener = await listen({
    address,
    reusePort: options.reusePort ?? false,
    limits,
    onConnection: (socket, wire, hasServed) => front.accept(socket, wire, hasServed),
    onRequest: (exchange) => void answer(options, exchange),
    onRefused: (error) => core.refused('tier', error),
    refusalFields: errorFields,
    onUpgrade: (request) => answerUpgrade(request, { core, listener: 'tier', read: readUpgrade, errorFields }),
  });
  return {
    ...listener,
    update: (next) => {
      limits = forNodes(next);
      recogniser = recogniserFor(limits);
      listener.update(limits);
    },
    close: async () => {
      front.close();
      await setImmediate(); // what it has handed over is read by then, and not taken for idle
      await listener.close();
    },
  };
}

/** Each section names the request, and so is met once. */
function recogniserFor(limits: LimitsConfig): Recogniser<undefined> {
  return new Recogniser({
    maxBytes: limits.max_header,
    maxLines: limits.max_headers * 2,
    meaningOf: () => undefined,
    repeats: false,
  });
}

/** Limits of requests from nodes, with room for the fields that a node adds to a visitor's. */
function forNodes(limits: LimitsConfig): LimitsConfig {
  return { ...limits, max_header: limits.max_header * 2 };
}

/** Never rejects. */
async function answer(options: TierListenerOptions, exchange: ServerExchange): Promise<void> {
  const { core } = options;
  let arrival: Arrival = { exchange, listener: 'tier', id: '', startedAt: monotonicNow() };
  let site: SiteConfig | undefined;
  const fail = (error: HttpError): Promise<void> => core.respondError(arrival, error, site, errorFields(error));
  try {
    const call = readTierCall(exchange.headers, options.secret());
    arrival = { ...arrival, id: call.id };
    checkHead(exchange, core.limits.max_headers * 2);
    const target = parseRequestTarget(exchange.method, exchange.target, exchange.headers);
    const served = core.siteOf(target.host);
    site = served.site;
    const headers = endToEnd(exchange.headers);
    const keyed = cacheKey(served.site, call.proto, target, headers);
    const request = cacheRequest({
      exchange,
      served,
      target,
      path: rulePath(target.path),
      keyed,
      headers,
      body: requestBody(exchange, served.site.max_request_body),
      visitor: call.visitor,
      routing: options.routing(call, served, keyed.key),
      forPeer: call.ask !== 'shield',
      needs: call.position,
    });
    const describe = (status: CacheStatus): CacheStatus => status;
    const finish = (head: ResponseHead, { stamp, wasFresh, status: { detail } }: Answer): ResponseHead => {
      const version = { ...core.ledger.positionOf(stamp), wasFresh, isPersonal: PERSONAL_REFUSALS.has(detail) };
      return { ...head, headers: withField(head.headers, TIER_FIELD, formatVersion(version)) };
    };
    await core.respond({ arrival, site: served.site, cacheRequest: request, describe, finish }, fail);
  } catch (error) {
    await fail(core.asHttpError(error, arrival.id));
  }
}

/** The fields that are not about the connection, nor between nodes. */
function endToEnd(headers: RawHeaders): RawHeaders {
  return withoutFields(removeHopByHop(headers), TIER_FIELDS);
}
