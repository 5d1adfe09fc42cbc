/**
 * Phases of a visitor's request at an edge. docs/request-life.md draws them.
 * @module
 */
import type { Readable } from 'node:stream';
import { withoutReplaced } from '../cache/credentials.ts';
import { NOTHING_KNOWN } from '../cache/ledger.ts';
import { PERSONAL_REFUSALS } from '../cache/policy/refusals.ts';
import { rulePath } from '../config/rule-path.ts';
import type { SiteConfig } from '../config/schema.ts';
import { requestBody } from '../http/arriving-body.ts';
import { visitorAddress } from '../http/client-address.ts';
import { HttpError, PASSED_METHODS } from '../http/errors.ts';
import { checkHead, type ServerExchange } from '../http/exchange.ts';
import { withoutHop } from '../http/forwarding.ts';
import type { RawHeaders } from '../http/headers.ts';
import type { ResponseHead } from '../http/message.ts';
import { type MonotonicMs, monotonicNow } from '../lib/clock.ts';
import type { RequestTrace } from '../lib/trace.ts';
import { cacheRequest } from '../tier/cache-request.ts';
import type { NodeCore, Reply } from '../tier/node-core.ts';
import { deliverReply, logReply, type Phases, type RequestContext, runPhases } from '../tier/pipeline.ts';
import { finishedHead } from './finish.ts';
import { readPurge } from './purge-method.ts';
import { redirectFor } from './redirect.ts';
import { senderOf } from './senders.ts';
import { siteGeo } from './site-geo.ts';
import {
  asSent,
  bodyToSend,
  isAdmitted,
  readHead,
  routing,
  steered,
  type Visit,
  type Visited,
  visitorBlock,
} from './visitor.ts';

/** One request of a visitor. */
class VisitorRequest implements RequestContext {
  readonly core: NodeCore;
  /** The config that it is answered by, whatever is reloaded meanwhile. */
  readonly visit: Visit;
  readonly exchange: ServerExchange;
  readonly listener = 'public';
  readonly startedAt: MonotonicMs = monotonicNow();
  /** Block of addresses that it counts for. */
  readonly visitor: string;
  /** Its head, once it is read. */
  visited: Visited | undefined;
  /** Its header section and body, as they go upstream. */
  headers: RawHeaders = [];
  body: Readable | undefined;
  site: SiteConfig | undefined;
  /** True while it counts for the load of this edge as an owner. */
  isOwn = false;
  reply: Reply | undefined;
  bytes = 0;
  readonly trace: RequestTrace | undefined;
  #id: string | undefined;

  constructor(visit: Visit, exchange: ServerExchange, visitor: string, visited: Visited | undefined) {
    this.core = visit.core;
    this.visit = visit;
    this.exchange = exchange;
    this.visitor = visitor;
    this.visited = visited;
    this.trace = visit.core.tracer.begin(this);
  }

  /** Made when it is first used: most requests are neither logged nor sent to another node. */
  get id(): string {
    this.#id ??= crypto.randomUUID();
    return this.#id;
  }
}

type Phase = 'receive' | 'admit' | 'purge' | 'route' | 'body' | 'cache' | 'deliver' | 'log';

const PHASES: Phases<Phase, VisitorRequest> = {
  receive,
  admit,
  purge,
  route,
  body: takeBody,
  cache,
  deliver: deliverReply,
  log: logReply,
};

/**
 * Answers a visitor's request. Never rejects.
 *
 * @param known - Head of the request, where it is read already.
 * @param visitor - Block of addresses that it counts for.
 */
export async function answerVisitor(
  visit: Visit,
  exchange: ServerExchange,
  known?: Visited,
  visitor: string = visitorBlock(visit, exchange),
): Promise<void> {
  const { core, requests, peers } = visit;
  const context = new VisitorRequest(visit, exchange, visitor, known);
  if (!requests.begin(visitor, core.limits.requests_per_address)) {
    fail(context, new HttpError('too_many_requests', visitor));
    await runPhases(PHASES, 'deliver', context, fail);
    return;
  }
  try {
    await runPhases(PHASES, 'receive', context, fail);
  } finally {
    context.body?.destroy(); // or what it has in the spool would stay there
    if (context.isOwn) peers.ownInFlight--;
    requests.end(visitor);
  }
}

function fail(context: VisitorRequest, cause: unknown): void {
  const { core, id } = context;
  context.reply = core.errorReply(context, core.asHttpError(cause, id), []);
}

/** Reads the head, strictly, cleans it of what no visitor may say, and finds the site and the key. */
function receive(context: VisitorRequest): 'admit' | 'purge' {
  const { core, visit, exchange } = context;
  if (context.visited === undefined) checkHead(exchange, core.limits.max_headers);
  context.visited ??= readHead(visit, exchange);
  context.site = context.visited.served.site;
  return exchange.method === 'PURGE' ? 'purge' : 'admit';
}

/** Purges by the method PURGE, for who may. */
async function purge(context: VisitorRequest): Promise<'deliver'> {
  const { core, visit, exchange, visited } = context;
  const { served, keyed } = visited as Visited;
  const { headers, remoteAddress = '' } = exchange;
  const ip = visitorAddress(senderOf(visit.region, remoteAddress), headers);
  await core.purging.purge(readPurge({ site: served.site, keyed, headers, ip }));
  context.reply = core.ownReply(context, PURGED, 'purged');
  return 'deliver';
}

/** Refuses visitors from where the site does not answer any. */
function admit(context: VisitorRequest): 'route' | 'deliver' {
  const { core } = context;
  const visited = context.visited as Visited;
  if (isAdmitted(visited)) return 'route';
  const geo = siteGeo(visited.served.site);
  const own = geo.refusal();
  const code = geo.refusalCode;
  context.reply =
    own === undefined
      ? core.errorReply(context, new HttpError(code), geo.refusalFields())
      : core.ownReply(context, own.head, code, own.body);
  return 'deliver';
}

/** Sends the visitor elsewhere, or answers what is for this network itself; all else is for the cache. */
function route(context: VisitorRequest): 'body' | 'deliver' {
  const { core, visit } = context;
  const visited = context.visited as Visited;
  const { served, scheme, target, method, headers } = visited;
  const redirect = redirectFor(served.site, scheme, target) ?? steered(visit, visited);
  if (redirect !== undefined) {
    context.reply = core.ownReply(context, redirect, 'redirect');
    return 'deliver';
  }
  const sent = withoutHop(method, headers);
  if (sent === undefined) {
    context.reply = core.ownReply(context, OPTIONS_HERE, 'max-forwards');
    return 'deliver';
  }
  context.headers = sent;
  return 'body';
}

/** Takes the request's body, if it has one. */
function takeBody(context: VisitorRequest): 'cache' | Promise<'cache'> {
  const { visit, exchange, visited, visitor } = context;
  const { site } = (visited as Visited).served;
  const arriving = requestBody(exchange, site.max_request_body);
  if (arriving === undefined) return 'cache';
  const body = bodyToSend(visit, site, arriving, visitor);
  if (!(body instanceof Promise)) {
    context.body = body;
    return 'cache';
  }
  return body.then((whole) => {
    context.body = whole;
    return 'cache';
  });
}

/** Answers from the cache, or from upstream. */
async function cache(context: VisitorRequest): Promise<'deliver'> {
  const { core, visit, exchange, body, visitor } = context;
  const visited = context.visited as Visited;
  const { served, target, keyed, headers } = visited;
  const own = routing(visit, context, visited, { key: keyed.key, asked: 'by-visitor', hot: visit.hot });
  const path = rulePath(target.path);
  const request = cacheRequest({
    exchange,
    served,
    target,
    path,
    ...asSent(visited, context.headers, path, body !== undefined),
    body,
    visitor,
    routing: own,
    forPeer: false,
    needs: NOTHING_KNOWN,
    trace: context.trace,
  });
  if (own.isOwner) {
    context.isOwn = true;
    visit.peers.ownInFlight++;
  }
  context.reply = await core.cachedReply(request, {
    describe: (status) =>
      status.hit && !own.isOwner && status.detail === undefined ? { ...status, detail: 'hot-copy' } : status,
    finish: (head, { status: { hit, detail } }) => {
      const fields = hit ? head.headers : withoutReplaced(head.headers, headers, request.headers);
      return finishedHead(served, path, { ...head, headers: fields }, PERSONAL_REFUSALS.has(detail));
    },
  });
  return 'deliver';
}

const PURGED: ResponseHead = {
  status: 200,
  statusText: 'Purged',
  headers: ['Content-Length', '0', 'Cache-Control', 'no-store'],
};

/** Answer to OPTIONS requests for this network itself. */
const OPTIONS_HERE: ResponseHead = {
  status: 204,
  statusText: '',
  headers: ['Allow', PASSED_METHODS, 'Cache-Control', 'no-store'],
};
