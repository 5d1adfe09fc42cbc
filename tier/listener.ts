/**
 * The listener for other nodes: rejects all other clients, and turns node requests
 * into one for the cache.
 * @module
 */
import { setImmediate } from 'node:timers/promises';
import type { CacheRequest } from '../cache/engine.ts';
import { cacheKey } from '../cache/key.ts';
import { PERSONAL_REFUSALS } from '../cache/policy/refusals.ts';
import { rulePath } from '../config/rule-path.ts';
import type { LimitsConfig } from '../config/schema.ts';
import { requestBody } from '../http/body/arriving-body.ts';
import { HttpError } from '../http/errors.ts';
import { checkHead, type ServerExchange, type ServerRequest } from '../http/exchange.ts';
import { removeHopByHop } from '../http/fields/forwarding.ts';
import { HOP_BY_HOP } from '../http/fields/forwarding-fields.ts';
import type { RawHeaders } from '../http/fields/headers.ts';
import { Recogniser } from '../http/http1/recogniser.ts';
import { Http1Server } from '../http/http1/server.ts';
import { type Listener, listen } from '../http/listener/listener.ts';
import type { SecureListening } from '../http/listener/tls.ts';
import { parseRequestTarget } from '../http/request-target.ts';
import type { Started } from '../lib/components.ts';
import type { RequestTrace } from '../lib/trace.ts';
import type { Authentication } from '../trust/authentication.ts';
import { cacheRequest, type Routing } from './cache-request.ts';
import { answerMatches, type CountMatches } from './dry-run.ts';
import { answerExplanation, type Explain } from './explain.ts';
import { answerJson } from './json-answer.ts';
import type { Finishing, NodeCore, ServedSite } from './node-core.ts';
import {
  cacheReply,
  deliverReply,
  logReply,
  type Phases,
  type Pipeline,
  type RequestContext,
  runPhases,
} from './pipeline.ts';
import {
  errorFields,
  formatVersion,
  HEARTBEAT_TARGET,
  isHeartbeat,
  readTierCall,
  TIER_FIELD,
  TIER_FIELDS,
  type TierCall,
} from './protocol.ts';
import { answerUpgrade, type UpgradeCall } from './upgrade.ts';

export interface TierListenerOptions {
  readonly core: NodeCore;
  readonly address: string;
  readonly authentication: Authentication;
  /** With certificates on both sides; absent: without TLS. */
  readonly secure?: SecureListening | undefined;
  /** Counts stored responses for dry runs. */
  readonly matches: CountMatches;
  readonly explain: Explain;
  /** Takes what another edge has counted for rate limits; absent: no edge tells this node. */
  readonly limits?: ((message: unknown) => object) | undefined;
  readonly routing: RoutingFor;
  /** True if other threads listen on the address as well. */
  readonly reusePort?: boolean;
}

/** Decides where a miss is fetched from. The key is empty for what is not cached. */
export type RoutingFor = (call: TierCall, served: ServedSite, key: string, trace?: RequestTrace) => Routing;

/** Options, and what follows from them for all requests. */
interface TierContext extends TierListenerOptions {
  readonly finishing: Finishing;
}

export async function listenForNodes(started: Started, given: TierListenerOptions): Promise<Listener> {
  const { core, address } = given;
  const options: TierContext = { ...given, finishing: finishingFor(core) };
  const front = new Http1Server({
    recogniser: () => recogniser,
    limits: () => limits,
    onRequest: (exchange) => answer(options, exchange),
  });
  const readUpgrade = (
    { method, target: text, headers, connection }: ServerRequest,
    trace: RequestTrace | undefined,
  ): UpgradeCall => {
    const call = readTierCall(headers, connection, options.authentication);
    if (call.ask !== 'owner' && call.ask !== 'shield') throw new HttpError('bad_request');
    const target = parseRequestTarget(method, text, headers);
    const served = core.siteOf(target.host);
    const { id, visitor } = call;
    const { fetch } = options.routing(call, served, '', trace);
    return { id, visitor, target, site: served.site, headers: endToEnd(headers), fetch };
  };
  let limits = forNodes(core.limits);
  let recogniser = recogniserFor(limits);
  const listener = await listen(started, {
    address,
    reusePort: options.reusePort ?? false,
    secure: options.secure,
    limits,
    onConnection: (socket, wire, unread) => front.accept(socket, wire, unread),
    onRequest: (exchange) => answer(options, exchange),
    onRefused: (error) => core.refused('tier', error),
    refusalFields: errorFields,
    onRetire: () => front.retire(),
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

/** Bytes of a message about rate limits. */
const MAX_LIMITS_BYTES = 4 * 2 ** 20;

/** Each section names the request, and so is met once. */
function recogniserFor(limits: LimitsConfig): Recogniser {
  return new Recogniser({
    maxBytes: limits.max_header,
    maxLines: limits.max_headers * 2,
    repeats: false,
  });
}

/** Limits of requests from nodes, with room for the fields that a node adds to a visitor's. */
function forNodes(limits: LimitsConfig): LimitsConfig {
  return { ...limits, max_header: limits.max_header * 2 };
}

/** One request of another node. */
interface TierRequest extends RequestContext {
  /** Identifier of the visitor's request, from the other node. */
  id: string;
  readonly options: TierContext;
  cacheRequest: CacheRequest | undefined;
  trace: RequestTrace | undefined;
}

const PHASES: Phases<'receive' | 'cache' | 'deliver' | 'log', TierRequest> = {
  receive,
  cache,
  deliver: deliverReply,
  log: logReply,
};

const PIPELINE: Pipeline<'receive' | 'cache', TierRequest> = { phases: PHASES, fail };

/** Never throws. */
function answer(options: TierContext, exchange: ServerExchange): void {
  if (exchange.target === HEARTBEAT_TARGET && answersHeartbeat(options, exchange)) return;
  const context: TierRequest = {
    core: options.core,
    options,
    exchange,
    listener: 'tier',
    startedAt: exchange.arrivedAt,
    id: '',
    site: undefined,
    cacheRequest: undefined,
    reply: undefined,
    bytes: 0,
    trace: undefined,
  };
  context.trace = options.core.tracer.begin(context);
  runPhases(PIPELINE, 'receive', context);
}

/** Answers a heartbeat, which is neither counted nor logged. @returns False for any other request. */
function answersHeartbeat({ authentication }: TierContext, exchange: ServerExchange): boolean {
  try {
    if (!isHeartbeat(exchange.headers, exchange.connection, authentication)) return false;
  } catch {
    return false; // refused like any request of its sender
  }
  exchange.head({ status: 204, statusText: '', headers: [] });
  exchange.end();
  return true;
}

function fail(context: TierRequest, cause: unknown): void {
  const { core, id } = context;
  const error = core.asHttpError(cause, id);
  context.reply = core.errorReply(context, error, errorFields(error));
}

/** Reads the head, and lets nodes of this network in only. */
function receive(context: TierRequest): 'cache' | 'done' {
  const { core, options, exchange } = context;
  const call = readTierCall(exchange.headers, exchange.connection, options.authentication);
  context.id = call.id;
  if (call.ask === 'matches') {
    void answerMatches(options.matches, exchange);
    return 'done';
  }
  if (call.ask === 'explain') {
    void answerExplanation(options.explain, exchange);
    return 'done';
  }
  if (call.ask === 'limits') {
    const { limits } = options;
    if (limits === undefined) throw new HttpError('bad_request');
    void answerJson(exchange, MAX_LIMITS_BYTES, limits);
    return 'done';
  }
  checkHead(exchange, core.limits.max_headers * 2);
  const target = parseRequestTarget(exchange.method, exchange.target, exchange.headers);
  const served = core.siteOf(target.host);
  const { site } = served;
  context.site = site;
  const headers = endToEnd(exchange.headers);
  const keyed = cacheKey(site, call.proto, target, headers);
  context.cacheRequest = cacheRequest({
    exchange,
    served,
    target,
    path: rulePath(target.path),
    keyed,
    headers,
    body: requestBody(exchange, site.max_request_body),
    visitor: call.visitor,
    priority: call.priority,
    routing: options.routing(call, served, keyed.key, context.trace),
    forPeer: call.ask !== 'shield',
    mayEncode: call.ask === 'owner' && call.encoded === true,
    minPosition: call.position,
    continues: call.background,
    trace: context.trace,
  });
  return 'cache';
}

/** Answers from the cache or from upstream, and says how new the answer is against the journal. */
function cache(context: TierRequest): 'deliver' | Promise<'deliver'> {
  return cacheReply(context, context.cacheRequest as CacheRequest, context.options.finishing);
}

function finishingFor({ ledger }: NodeCore): Finishing {
  return {
    describe: (status) => status,
    finish: (head, { stamp, wasFresh, status: { detail } }) => {
      const version = { ...ledger.positionOf(stamp), wasFresh, isPersonal: PERSONAL_REFUSALS.has(detail) };
      head.headers.push(TIER_FIELD, formatVersion(version)); // it has none: no origin's and no node's is passed on
      return head;
    },
  };
}

/** The fields that are not about the connection, nor between nodes. */
function endToEnd(headers: RawHeaders): RawHeaders {
  return removeHopByHop(headers, NOT_END_TO_END);
}

const NOT_END_TO_END: ReadonlySet<string> = HOP_BY_HOP.union(TIER_FIELDS);
