/**
 * Phases of a visitor's request at an edge. docs/request-life.md draws them.
 * @module
 */
import type { Readable } from 'node:stream';
import type { Answer } from '../cache/answer.ts';
import { type CacheStatus, formatCacheStatus } from '../cache/cache-status.ts';
import { withoutReplaced } from '../cache/credentials.ts';
import type { CacheRequest } from '../cache/engine.ts';
import { NOTHING_KNOWN } from '../cache/ledger.ts';
import { PERSONAL_REFUSALS } from '../cache/policy/refusals.ts';
import { NO_PATH, rulePath } from '../config/rule-path.ts';
import type { SiteConfig } from '../config/schema.ts';
import { requestBody } from '../http/body/arriving-body.ts';
import { HttpError, PASSED_METHODS } from '../http/errors.ts';
import { checkHead, type ServerExchange } from '../http/exchange.ts';
import { visitorAddress } from '../http/fields/client-address.ts';
import { acceptedCodings } from '../http/fields/content-coding.ts';
import { withoutHop } from '../http/fields/forwarding.ts';
import { fieldValue, hasField, type RawHeaders, withField } from '../http/fields/headers.ts';
import type { OwnHead, ResponseHead } from '../http/message.ts';
import { lastId, writeNewId } from '../http/request-id.ts';
import { type MonotonicMs, msSince } from '../lib/clock.ts';
import type { RequestTrace } from '../lib/trace.ts';
import type { AccessFacts } from '../telemetry/access-log/entry.ts';
import { cacheRequest } from '../tier/cache-request.ts';
import type { Finishing, NodeCore, Reply } from '../tier/node-core.ts';
import { cacheReply, deliverReply, logReply, type Phases, type RequestContext, runPhases } from '../tier/pipeline.ts';
import { finishedHead } from './finish.ts';
import { PreparedAnswer } from './prepared-answer.ts';
import { readPurge } from './purge-method.ts';
import { type Refusal, refusalFields, type SiteLimits } from './rate-limits.ts';
import { redirectFor } from './redirect.ts';
import type { EdgeRouting } from './routing.ts';
import { keyedTarget, parsedAs, type SectionProfile } from './section-profile.ts';
import { senderOf } from './senders.ts';
import { siteGeo } from './site-geo.ts';
import {
  asSent,
  bodyToSend,
  type EdgeContext,
  isAdmitted,
  type ParsedRequest,
  readHead,
  requestId,
  routing,
  steerVisitor,
  UNKNOWN_ADDRESS,
} from './visitor.ts';
import { rememberedProfile, rememberedVisitor } from './visitor-memory.ts';

/** One request of a visitor. */
class VisitorRequest implements RequestContext, AccessFacts {
  /** The config that it is answered by, whatever is reloaded meanwhile. */
  edge: EdgeContext;
  exchange: ServerExchange;
  startedAt: MonotonicMs;
  readonly listener = 'public';
  readonly prepared = new PreparedAnswer();
  /** Block of addresses that it counts for, while it does. */
  visitor: string | undefined;
  /** Its head, once it is read. */
  parsed: ParsedRequest | undefined;
  /** Its header section and body, as they go upstream. */
  headers: RawHeaders = [];
  body: Readable | undefined;
  site: SiteConfig | undefined;
  /** True while it counts for the load of this edge as an owner. */
  isOwn = false;
  /** As the cache has got it; absent: it has not. */
  cacheRequest: CacheRequest | undefined;
  reply: Reply | undefined;
  bytes = 0;
  /** Time until the head of the answer was there; of one that was not there at once. */
  headMs: number | undefined;
  trace: RequestTrace | undefined;
  /** True if it was answered at once, and left nothing behind: the next request may have this object. */
  isReusable = false;
  #id: string | undefined;
  /** True if its identifier is the last that was written. */
  #hasWrittenId = false;

  constructor(edge: EdgeContext, exchange: ServerExchange) {
    this.edge = edge;
    this.exchange = exchange;
    this.startedAt = exchange.arrivedAt;
  }

  /** Begins anew; for one that is reusable. */
  begin(edge: EdgeContext, exchange: ServerExchange): this {
    this.edge = edge;
    this.exchange = exchange;
    this.startedAt = exchange.arrivedAt;
    this.prepared.isFound = false;
    this.isReusable = false;
    this.#id = undefined;
    this.#hasWrittenId = false;
    return this;
  }

  get core(): NodeCore {
    return this.edge.core;
  }

  /** Made when it is first used: most are written into an answer, and seen nowhere else. */
  get id(): string {
    this.#id ??= this.#hasWrittenId ? lastId() : requestId(this.edge, this.exchange);
    return this.#id;
  }

  get facts(): this {
    return this;
  }

  get scheme(): 'http' | 'https' | undefined {
    return this.prepared.isFound ? this.prepared.scheme : this.parsed?.scheme;
  }

  get key(): string | undefined {
    if (this.prepared.isFound) return this.prepared.keyOf(this.exchange.target);
    return this.cacheRequest?.keyed.key;
  }

  get storedHeaders(): RawHeaders | undefined {
    return this.prepared.isFound ? this.prepared.storedHeaders : this.reply?.answer?.head.headers;
  }

  get length(): number | undefined {
    return this.prepared.isFound ? this.prepared.length : undefined;
  }

  get cacheStatus(): string | undefined {
    const { name } = this.core;
    if (this.prepared.isFound) {
      return formatCacheStatus(name, { hit: true, detail: this.prepared.isOwner ? undefined : 'hot-copy' });
    }
    const answer = this.reply?.answer;
    if (answer === undefined) return undefined;
    const own = formatCacheStatus(name, answer.status);
    return answer.above === undefined ? own : `${answer.above}, ${own}`;
  }

  get purge(): number | undefined {
    return this.cacheRequest?.purge;
  }

  get keyHeaders(): readonly string[] {
    const { served } = this.prepared.isFound ? this.prepared : (this.parsed ?? {});
    return served?.site.key.headers ?? [];
  }

  /** Writes the identifier of a request that no proxy has given one. */
  writeId(bytes: Buffer, at: number): void {
    if (this.#id !== undefined) bytes.write(this.#id, at, 'latin1');
    else {
      writeNewId(bytes, at);
      this.#hasWrittenId = true;
    }
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
  deliver,
  log,
};

/** Answers visitors' requests. */
export class VisitorPipeline {
  /** Context of the requests that begin. */
  readonly #visits: { readonly current: EdgeContext };
  /** One that was answered at once: requests like it, which are most, need no object of their own. */
  #spare: VisitorRequest | undefined;

  constructor(visits: { readonly current: EdgeContext }) {
    this.#visits = visits;
  }

  /** Never throws. */
  readonly answer = (exchange: ServerExchange): void => {
    const edge = this.#visits.current;
    const context = this.#spare?.begin(edge, exchange) ?? new VisitorRequest(edge, exchange);
    this.#spare = undefined;
    runPhases(PIPELINE, 'receive', context);
    if (context.isReusable) this.#spare = context;
  };
}

function finish({ edge, body, isOwn, visitor }: VisitorRequest): void {
  body?.destroy(); // or what it has in the spool would stay there
  if (isOwn) edge.peers.ownInFlight--;
  if (visitor !== undefined) edge.requests.end(visitor);
}

const PIPELINE = { phases: PHASES, fail, finish };

function fail(context: VisitorRequest, cause: unknown): void {
  const { core, exchange, id } = context;
  if (exchange.prepared?.claim() === false) exchange.abort(); // a defect, before requests that came with it
  context.reply = core.errorReply(context, core.asHttpError(cause, id), []);
}

/** Answers at once what the store can answer in prepared form; reads all other requests. */
function receive(context: VisitorRequest): 'deliver' | 'admit' | 'purge' | 'done' {
  const { edge, exchange, prepared } = context;
  const sink = exchange.prepared;
  if (sink === undefined) return read(context, null);
  const profile = rememberedProfile(edge, exchange.peer, sink.section);
  const limits = profile?.rateLimits;
  if (limits !== undefined) {
    const refusal = refusalOf(context, profile as SectionProfile, limits);
    if (refusal !== undefined) return sink.claim() ? refuse(context, refusal) : 'done';
  }
  if (profile === null || !prepared.find(edge, exchange, sink, profile)) {
    return sink.claim() ? read(context, profile) : 'done';
  }
  const { tracer } = edge.core;
  if (tracer.isOnForPrepared) {
    context.trace = tracer.begin(context);
    context.site = profile.served.site;
    context.reply = prepared.asReply();
  }
  return 'deliver';
}

/** Counts a request with a known section for the limits of its site. */
function refusalOf(
  { edge, exchange }: VisitorRequest,
  profile: SectionProfile,
  limits: SiteLimits,
): Refusal | undefined {
  const target = limits.usesPath ? keyedTarget(profile, exchange.target)?.target : undefined;
  // A target that is not valid is refused by name, and counts as any.
  const path = target === undefined ? NO_PATH : rulePath(target.path);
  return limits.refusal(exchange, rememberedVisitor(edge, exchange), path);
}

/** Makes the answer to a request that is beyond a rate limit. */
function refuse(context: VisitorRequest, refusal: Refusal): 'deliver' {
  const error = new HttpError('rate_limited', refusal.limit.name);
  context.reply = context.core.errorReply(context, error, refusalFields(refusal));
  return 'deliver';
}

/** Reads the head, strictly, cleans it of what no visitor may say, and finds the site and the key. */
function read(context: VisitorRequest, profile: SectionProfile | null): 'admit' | 'purge' | 'deliver' {
  const { core, edge, exchange } = context;
  const { method, target, remoteAddress = UNKNOWN_ADDRESS } = exchange;
  context.trace = core.tracer.begin(context);
  const visitor = rememberedVisitor(edge, exchange);
  if (!edge.requests.begin(visitor, core.limits.requests_per_address)) {
    throw new HttpError('too_many_requests', visitor);
  }
  context.visitor = visitor;
  const known = profile === null ? undefined : parsedAs(profile, method, target, remoteAddress);
  if (known === undefined) checkHead(exchange, core.limits.max_headers);
  context.parsed = known ?? readHead(edge, exchange);
  const { site } = context.parsed.served;
  context.site = site;
  // One with a profile has been counted.
  const limits = profile === null ? edge.rateLimits.of(site) : undefined;
  const refusal = limits?.refusal(exchange, visitor, rulePath(context.parsed.target.path));
  if (refusal !== undefined) return refuse(context, refusal);
  return method === 'PURGE' ? 'purge' : 'admit';
}

/** Sends the answer: at once, if it is in one piece and there is room for it. */
function deliver(context: VisitorRequest): 'log' | Promise<'log'> {
  const { edge, prepared } = context;
  if (!prepared.isFound) {
    context.headMs = msSince(context.startedAt);
    addId(context);
    return deliverReply(context);
  }
  context.trace?.note('lookup', { hit: true, detail: prepared.isOwner ? undefined : 'hot-copy' });
  prepared.note(edge);
  if (prepared.send(context)) {
    context.bytes = prepared.bodyBytes;
    context.isReusable = context.trace === undefined;
    return 'log';
  }
  if (prepared.isOwner) {
    context.isOwn = true;
    edge.peers.ownInFlight++;
  }
  return prepared.stream(edge, context.id).then((written) => {
    context.bytes = written;
    return 'log';
  });
}

/** Puts the identifier of the request into its answer. */
function addId(context: VisitorRequest): void {
  const { name } = context.edge.idName ?? {};
  if (name === undefined) return;
  const reply = context.reply as Reply;
  context.reply = { ...reply, head: { ...reply.head, headers: withField(reply.head.headers, name, context.id) } };
}

/** Counts the answer, and writes the line of the access log. */
function log(context: VisitorRequest): 'done' {
  const { core, exchange, prepared, startedAt, bytes } = context;
  if (!prepared.isFound) return logReply(context);
  const { counter } = prepared;
  core.answered(counter, prepared.status, bytes, startedAt, exchange, context);
  core.metrics.traffic.note(counter, exchange);
  return 'done';
}

/** Purges by the method PURGE, for who may. */
async function purge(context: VisitorRequest): Promise<'deliver'> {
  const { core, edge, exchange, parsed } = context;
  const { served, keyed } = parsed as ParsedRequest;
  const { headers, remoteAddress = '' } = exchange;
  const ip = visitorAddress(senderOf(edge.region, remoteAddress), headers);
  await core.purging.purge(readPurge({ site: served.site, keyed, headers, ip }));
  context.reply = core.ownReply(context, PURGED, 'purged');
  return 'deliver';
}

/** Refuses visitors from where the site does not answer any. */
function admit(context: VisitorRequest): 'route' | 'deliver' {
  const { core } = context;
  const parsed = context.parsed as ParsedRequest;
  if (isAdmitted(parsed)) return 'route';
  const geo = siteGeo(parsed.served.site);
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
  const { core, edge } = context;
  const parsed = context.parsed as ParsedRequest;
  const { served, scheme, target, method, headers } = parsed;
  const redirect = redirectFor(served.site, scheme, target) ?? steerVisitor(edge, parsed);
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
  const { edge, exchange, parsed, visitor = '' } = context;
  const { site } = (parsed as ParsedRequest).served;
  const arriving = requestBody(exchange, site.max_request_body);
  if (arriving === undefined) return 'cache';
  const body = bodyToSend(edge, site, arriving, visitor);
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
function cache(context: VisitorRequest): 'deliver' | Promise<'deliver'> {
  const { edge, exchange, body, visitor, prepared } = context;
  const parsed = context.parsed as ParsedRequest;
  const { served, target, keyed } = parsed;
  const own = routing(edge, context, parsed, {
    key: keyed.key,
    asksOwner: true,
    hot: edge.hot,
    acceptsEncoded: acceptsEncoded(parsed),
  });
  const path = rulePath(target.path);
  const sent = asSent(parsed, context.headers, path, body !== undefined);
  const request = cacheRequest({
    exchange,
    served,
    target,
    path,
    keyed: sent.keyed,
    headers: sent.headers,
    memo: sent.memo,
    body,
    visitor,
    routing: own,
    forPeer: false,
    mayEncode: true,
    minPosition: NOTHING_KNOWN,
    trace: context.trace,
  });
  context.cacheRequest = request;
  if (own.isOwner) {
    context.isOwn = true;
    edge.peers.ownInFlight++;
  }
  const finishing = new EdgeFinishing(parsed, request, own);
  // A body may have taken time to come; without one, no other request had its turn since the lookup.
  return cacheReply(context, request, finishing, body === undefined ? prepared.early : undefined);
}

/** Returns whether an encoding of the whole response will do for the request. */
function acceptsEncoded({ method, served: { rules }, headers }: ParsedRequest): boolean {
  const { compression } = rules;
  if (compression === undefined || (method !== 'GET' && method !== 'HEAD') || hasField(headers, 'range')) return false;
  return acceptedCodings(fieldValue(headers, 'accept-encoding'), compression.codings).order.length > 0;
}

/** Changes that an edge makes to its cache's answer. */
class EdgeFinishing implements Finishing {
  readonly #parsed: ParsedRequest;
  readonly #request: CacheRequest;
  readonly #routing: EdgeRouting;

  constructor(parsed: ParsedRequest, request: CacheRequest, routing: EdgeRouting) {
    this.#parsed = parsed;
    this.#request = request;
    this.#routing = routing;
  }

  describe(status: CacheStatus): CacheStatus {
    const isCopy = status.hit && !this.#routing.isOwner && status.detail === undefined;
    return isCopy ? { ...status, detail: 'hot-copy' } : status;
  }

  finish(head: OwnHead, { status: { hit, detail } }: Answer): ResponseHead {
    const { headers: sent, path } = this.#request;
    const { headers, served } = this.#parsed;
    const fields = hit ? head.headers : withoutReplaced(head.headers, headers, sent);
    const own = fields === head.headers ? head : { ...head, headers: fields };
    return finishedHead(served, path, own, PERSONAL_REFUSALS.has(detail));
  }

  /** Cookies of the request that were taken out show in an answer that is no hit. */
  get identity(): object | undefined {
    return this.#request.headers === this.#parsed.headers ? this.#parsed.served : undefined;
  }
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
