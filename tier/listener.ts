/**
 * The listener for other nodes: lets nobody else in, and turns their request
 * into one for the cache.
 * @module
 */
import { setImmediate } from 'node:timers/promises';
import type { Answer } from '../cache/answer.ts';
import type { CacheStatus } from '../cache/cache-status.ts';
import type { CacheRequest } from '../cache/engine.ts';
import { cacheKey } from '../cache/key.ts';
import { PERSONAL_REFUSALS } from '../cache/policy/refusals.ts';
import { rulePath } from '../config/rule-path.ts';
import type { LimitsConfig, SiteConfig } from '../config/schema.ts';
import { requestBody } from '../http/arriving-body.ts';
import type { HttpError } from '../http/errors.ts';
import { checkHead, type ServerExchange } from '../http/exchange.ts';
import { removeHopByHop } from '../http/forwarding.ts';
import { Front } from '../http/front.ts';
import { withField, withoutFields } from '../http/headers.ts';
import { type Listener, listen, refuse } from '../http/listener.ts';
import type { Fetch, ResponseHead } from '../http/message.ts';
import { Recogniser } from '../http/recogniser.ts';
import { parseRequestTarget } from '../http/request-target.ts';
import { monotonicNow } from '../lib/clock.ts';
import { goneSignal } from './gone.ts';
import type { Arrival, NodeCore, ServedSite } from './node-core.ts';
import { errorFields, formatVersion, readTierCall, TIER_FIELD, TIER_FIELDS, type TierCall } from './protocol.ts';
import { passUpgrade } from './upgrade.ts';

export interface TierListenerOptions {
  readonly core: NodeCore;
  readonly address: string;
  readonly secret: () => string;
  /** Source of responses for misses. */
  readonly fetchFor: FetchFor;
  /** Returns whether the key belongs to another process of this node, which is tried first; by default never. */
  readonly asksWorker?: (call: TierCall, key: string) => boolean;
  /** True if other processes listen on the address as well. */
  readonly reusePort?: boolean;
}

/** @param onOwner - Told when this node answers itself for one that it would have asked first. */
export type FetchFor = (call: TierCall, served: ServedSite, key: string, onOwner?: () => void) => Fetch;

export async function listenForNodes(options: TierListenerOptions): Promise<Listener> {
  const { core, address } = options;
  const front = new Front({
    recogniser: () => recogniser,
    limits: () => limits,
    answer: () => false,
    ask: (_connection, _request, exchange) => void answer(options, exchange),
  });
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
    onUpgrade: (request) => {
      try {
        const call = readTierCall(request.headers, options.secret());
        const target = parseRequestTarget(request.method, request.target, request.headers);
        const served = core.siteOf(target.host);
        const headers = withoutFields(removeHopByHop(request.headers), TIER_FIELDS);
        passUpgrade({
          request,
          upstream: {
            method: 'GET',
            target: target.raw,
            headers,
            body: undefined,
            upgrade: 'websocket',
            visitor: call.visitor,
          },
          fetch: options.fetchFor(call, served, ''),
          writeTimeoutMs: core.limits.write_timeout,
          refusalFields: errorFields,
          onError: (error) =>
            core.log.info(
              { id: call.id, code: error.code, cause: error.reason, detail: error.message },
              'upgrade failed',
            ),
          onOutcome: (result) => core.upgraded('tier', served.site, result),
        });
      } catch (error) {
        const refusal = core.asHttpError(error, '');
        core.refused('tier', refusal);
        refuse(request.socket, refusal, errorFields(refusal));
      }
    },
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
    const { method } = exchange;
    const target = parseRequestTarget(method, exchange.target, exchange.headers);
    const served = core.siteOf(target.host);
    site = served.site;
    const headers = withoutFields(removeHopByHop(exchange.headers), TIER_FIELDS);
    const keyed = cacheKey(served.site, call.proto, target, headers);
    let asksWorker = options.asksWorker?.(call, keyed.key) ?? false;
    const cacheRequest: CacheRequest = {
      method,
      keyed,
      rawTarget: target.raw,
      path: rulePath(target.path),
      headers,
      body: requestBody(exchange, served.site.max_request_body),
      visitor: call.visitor,
      site: served.site,
      rules: served.rules,
      fetch: options.fetchFor(call, served, keyed.key, () => {
        asksWorker = false; // the worker does not answer: this one stands in for it
      }),
      asksPeer: asksWorker ? 'near' : false,
      forPeer: call.ask !== 'shield',
      keeps: () => !asksWorker,
      onInterim: (status, fields) => exchange.interim(status, fields),
      gone: goneSignal(exchange),
      needs: call.position,
    };
    const describe = (status: CacheStatus): CacheStatus => status;
    const finish = (head: ResponseHead, { stamp, wasFresh, status: { detail } }: Answer): ResponseHead => {
      const version = { ...core.ledger.positionOf(stamp), wasFresh, isPersonal: PERSONAL_REFUSALS.has(detail) };
      return { ...head, headers: withField(head.headers, TIER_FIELD, formatVersion(version)) };
    };
    await core.respond({ arrival, site: served.site, cacheRequest, describe, finish }, fail);
  } catch (error) {
    await fail(core.asHttpError(error, arrival.id));
  }
}
