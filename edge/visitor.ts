/**
 * Reading of visitors' requests: strict, and cleaned of what no visitor may say.
 * edge/pipeline.ts answers them.
 * @module
 */
import type { Readable } from 'node:stream';
import { isPersonal, keyCookies, withoutIgnored, withPlainCookies } from '../cache/credentials.ts';
import type { CacheRequest } from '../cache/engine.ts';
import { cacheKey, hasTooManyParameters, type KeyedRequest, siteAuthority } from '../cache/key.ts';
import { NOTHING_KNOWN } from '../cache/ledger.ts';
import { carriesAllowed } from '../cache/passing.ts';
import { allowedFields } from '../config/allowed-fields.ts';
import { rulePath } from '../config/rule-path.ts';
import type { RegionConfig, SiteConfig } from '../config/schema.ts';
import type { GeoLocation } from '../geo/location.ts';
import { endWhenStalled } from '../http/body/body-pace.ts';
import type { Spool } from '../http/body/spool.ts';
import { HttpError } from '../http/errors.ts';
import { checkHead, hasBody, type ServerRequest } from '../http/exchange.ts';
import { believedChain, believedScheme, visitorAddress } from '../http/fields/client-address.ts';
import { boundedFields } from '../http/fields/field-bounds.ts';
import { hasCdnLoop, refusedOverride, setForwarded } from '../http/fields/forwarding.ts';
import { FieldNames, hasField, lowerCase, type RawHeaders } from '../http/fields/headers.ts';
import { WholeBody } from '../http/http1/whole-body.ts';
import { addressBlock } from '../http/listener/address-block.ts';
import type { AddressCounts } from '../http/listener/address-counts.ts';
import type { ResponseHead, SectionMemo } from '../http/message.ts';
import { KNOWN_METHODS } from '../http/methods.ts';
import { newRequestId, proxyId, requestIdField } from '../http/request-id.ts';
import { parseRequestTarget, type Target } from '../http/request-target.ts';
import type { RequestTrace } from '../lib/trace.ts';
import type { NodeCore, ServedSite } from '../tier/node-core.ts';
import type { UpgradeCall } from '../tier/upgrade.ts';
import type { EdgeGeo } from './edge-geo.ts';
import { cleanedHeaders } from './finish.ts';
import type { HotKeys } from './hot.ts';
import type { OriginAccess, Peers } from './peers.ts';
import type { PreparedResponses } from './prepared-responses.ts';
import type { RateLimits } from './rate-limits.ts';
import { EdgeRouting, type RoutingOptions } from './routing.ts';
import { isProxy, senderOf } from './senders.ts';
import { siteGeo } from './site-geo.ts';
import { isSteered, steer } from './steer.ts';

/** Context for answering visitors; a reload makes a new one. */
export interface EdgeContext {
  readonly core: NodeCore;
  readonly region: RegionConfig;
  /** Name of the field with a request's identifier; `undefined`: there is none. */
  readonly idName: IdName | undefined;
  readonly origin: OriginAccess | undefined;
  readonly peers: Peers;
  readonly hot: HotKeys;
  /** Request bodies until they are whole. */
  readonly spool: Spool;
  /** Requests under way that are not answered at once, by their visitors' blocks of addresses. */
  readonly requests: AddressCounts;
  readonly rateLimits: RateLimits;
  /** Source of visitors' locations. */
  readonly geo: EdgeGeo;
  readonly prepared: PreparedResponses;
}

/** A visitor's request, read and cleaned. */
export interface ParsedRequest {
  readonly method: string;
  readonly target: Target;
  readonly scheme: 'http' | 'https';
  readonly served: ServedSite;
  readonly headers: RawHeaders;
  /** Absent where the header section is not remembered. */
  readonly memo?: SectionMemo | undefined;
  readonly keyed: KeyedRequest;
  /** The visitor's own address, and where it is; looked up where the site wants to know. */
  readonly ip: string | undefined;
  readonly place: GeoLocation | undefined;
}

/** @returns A visitor's request to switch protocols, on its way to a shield or the origin. @throws {HttpError} */
export function readUpgrade(
  edge: EdgeContext,
  request: ServerRequest,
  trace: RequestTrace | undefined,
  id: string,
): UpgradeCall {
  checkHead(request, edge.core.limits.max_headers);
  // Its bytes could be read as the other protocol's (RFC 9110, section 7.8, has the switch after the request).
  if (hasBody(request.headers)) throw new HttpError('bad_request', 'a body with Upgrade');
  const parsed = readHead(edge, request);
  const { served, target, headers } = parsed;
  const { site } = served;
  const refusal = edge.rateLimits.of(site)?.refusal(request, visitorBlock(edge, request), rulePath(target.path));
  if (refusal !== undefined) throw new HttpError('rate_limited', refusal.limit.name);
  if (!isAdmitted(parsed)) throw new HttpError(siteGeo(site).refusalCode);
  const { fetch } = routing(edge, { id, trace }, parsed, { key: '', asksOwner: false });
  return { id, site, target, headers, visitor: visitorBlock(edge, request), fetch };
}

export function routing(
  { core, peers, origin, region }: EdgeContext,
  arrival: { readonly id: string; readonly trace?: RequestTrace | undefined; readonly background?: boolean },
  { served: { site }, scheme: proto }: ParsedRequest,
  options: Pick<RoutingOptions, 'key' | 'asksOwner' | 'hot' | 'acceptsEncoded'>,
): EdgeRouting {
  const { id, background } = arrival;
  const { key, asksOwner, hot, acceptsEncoded } = options;
  const call = () => ({ id, from: core.name, proto, position: core.ledger.positionFor(NOTHING_KNOWN), background });
  const idField = requestIdField(region.request_id, id);
  const { trace } = arrival;
  return new EdgeRouting({ peers, origin, site, call, idField, trace, key, asksOwner, hot, acceptsEncoded });
}

/**
 * Key and header section with which a request goes on. Where its answer may be one for all, the cookies that do not
 * count are taken out, so that no visitor puts into a page of all what the key does not say.
 */
export function asSent(
  { method, served: { site, rules }, keyed, memo }: ParsedRequest,
  headers: RawHeaders,
  path: string,
  hasBody: boolean,
): Pick<CacheRequest, 'keyed' | 'headers' | 'memo'> {
  const policy = rules.cookiesAt(path);
  const isShared = (method === 'GET' || method === 'HEAD') && !hasBody && !carriesAllowed(site, headers);
  if (!isShared || rules.bypasses(path) || isPersonal(keyed.credentials, policy)) {
    return { keyed, headers, memo };
  }
  const sent = withoutIgnored(site, policy, headers);
  return sent === headers
    ? { keyed, headers, memo }
    : { keyed: { ...keyed, credentials: keyCookies(site, sent).credentials }, headers: sent };
}

/** The body as it goes upstream: whole, unless the site wants it sent on as it arrives. */
export function bodyToSend(
  { core, spool }: EdgeContext,
  site: SiteConfig,
  body: Readable,
  visitor: string,
): Readable | Promise<Readable> {
  if (body instanceof WholeBody) return spool.takeWhole(body, visitor);
  return site.request_buffering ? spool.take(body, visitor) : endWhenStalled(body, core.limits.body_timeout);
}

/** Name of the field with a request's identifier. */
export interface IdName {
  readonly name: string;
  readonly names: ReadonlySet<string>;
}

export function idNameOf({ request_id: name }: Pick<RegionConfig, 'request_id'>): IdName | undefined {
  return name === 'off' ? undefined : { name, names: new FieldNames([name.toLowerCase()]) };
}

/** @returns The identifier that a trusted proxy has given the request. */
export function givenId({ region, idName }: EdgeContext, { remoteAddress, headers }: VisitorHead): string | undefined {
  if (idName === undefined || !isProxy(region, remoteAddress ?? UNKNOWN_ADDRESS)) return undefined;
  return proxyId(headers, idName.name);
}

/** @returns The identifier of a request: that of a trusted proxy, or a new one. */
export function requestId(edge: EdgeContext, head: VisitorHead): string {
  return givenId(edge, head) ?? newRequestId();
}

/** The block of addresses that a request counts for: its visitor's own, where a trusted proxy sent it. */
export function visitorBlock(edge: EdgeContext, { remoteAddress = '', headers }: VisitorHead): string {
  return addressBlock(visitorAddress(senderOf(edge.region, remoteAddress), headers));
}

/** Parts of a request's head, and of the connection that it came on, that an edge reads. */
export type VisitorHead = Pick<ServerRequest, 'method' | 'target' | 'headers' | 'remoteAddress' | 'isTls'> &
  Partial<Pick<ServerRequest, 'version' | 'localAuthority'>>;

/** Stands for the other end of a connection that has gone. */
export const UNKNOWN_ADDRESS = '0.0.0.0';

/** @throws {HttpError} for what is malformed, unknown here, or has been here before. */
export function readHead(edge: EdgeContext, head: VisitorHead): ParsedRequest {
  const { core, region } = edge;
  const { method, remoteAddress: sender = UNKNOWN_ADDRESS } = head;
  const impliedHost = head.version === '1.0' ? head.localAuthority : undefined;
  const rawHeaders = boundedFields(head.headers);
  if (head.target.length > core.limits.max_target) throw new HttpError('target_too_long');
  const target = parseRequestTarget(method, head.target, rawHeaders, {
    impliedHost,
    dotSegments: (host) => core.findSite(host)?.site.dot_segments ?? 'refuse',
  });
  // RFC 9110, section 9.3.8: TRACE shows a visitor's own credentials to whatever script made the request.
  if (method === 'TRACE' || target.path === '*') throw new HttpError('method_not_allowed');
  const isImplied = impliedHost !== undefined && !hasField(rawHeaders, 'host');
  if (isImplied && core.findSite(target.host) === undefined) throw new HttpError('bad_host', 'no Host field');
  const served = core.siteOf(target.host);
  if (served.site.methods === 'known' && !KNOWN_METHODS.has(method)) {
    throw new HttpError('method_not_implemented', method);
  }
  if (hasTooManyParameters(served.site, target.query)) throw new HttpError('too_many_parameters');
  if (hasCdnLoop(rawHeaders, region.network)) throw new HttpError('loop_detected');
  const override = refusedOverride(method, rawHeaders, allowedFields(served.site));
  if (override !== undefined) throw new HttpError('method_override_refused', override);
  const by = senderOf(region, sender);
  // A proxy in front may have taken TLS off.
  const scheme = believedScheme(by, rawHeaders) ?? (head.isTls ? 'https' : 'http');
  const ip = siteGeo(served.site).isUsed ? visitorAddress(by, rawHeaders) : undefined;
  const place = ip === undefined ? undefined : edge.geo.locate(ip);
  const headers = cleanedHeaders(rawHeaders, served.site, place, edge.idName?.names);
  const authority = siteAuthority(served.site, scheme, target);
  setForwarded(headers, { ip: sender, proto: scheme, host: authority }, believedChain(by, rawHeaders));
  const cleaned = withPlainCookies(served.site, withHost(headers, authority));
  const keyed = cacheKey(served.site, scheme, target, cleaned);
  return { method, target, scheme, served, headers: cleaned, keyed, ip, place };
}

export function isAdmitted({ served, ip, place }: ParsedRequest): boolean {
  return ip === undefined || siteGeo(served.site).admits(ip, place);
}

/** @returns Redirect to another region, where the site wants it. */
export function steerVisitor(
  { geo, region }: EdgeContext,
  { served, method, scheme, target, headers, ip }: ParsedRequest,
): ResponseHead | undefined {
  const asked = { method, scheme, target, headers };
  const decision = ip !== undefined && isSteered(served.site, asked) ? geo.where(ip) : undefined;
  return decision && steer(served.site, region.region, asked, decision);
}

/** RFC 9112, section 3.2.2: the authority of an absolute request target replaces Host; so does the site's one host. */
function withHost(headers: RawHeaders, authority: string): string[] {
  const rest: string[] = ['Host', authority];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!isHostOrExpect(name)) rest.push(name, headers[i + 1] as string);
  }
  return rest;
}

/** Names of one length differ from all others at once. */
function isHostOrExpect(name: string): boolean {
  if (name.length === HOST_CHARS) return lowerCase(name) === 'host';
  return name.length === EXPECT_CHARS && lowerCase(name) === 'expect';
}

const HOST_CHARS = 'host'.length;
const EXPECT_CHARS = 'expect'.length;
