/**
 * Metadata between nodes, in one field that visitors cannot set: it is removed from everything that arrives from
 * outside.
 *
 *     Seawall-Tier: secret="…", id="0b6e…", from="eu-1", proto=https, ask=owner, visitor="…", seq=12, journal="…"
 *     Seawall-Error: origin_timeout
 *     Seawall-Cause: connect_timeout
 *
 * A Dictionary and Tokens of RFC 9651. `seq` is a number of the journal of
 * purges, `journal` the identity of the term that gave it out (journal/terms.ts).
 * @module
 */
import type { JournalPosition } from '../cache/ledger.ts';
import { HTTP_ERRORS, type HttpError, type HttpErrorCode } from '../http/errors.ts';
import { firstLine, type RawHeaders } from '../http/fields/headers.ts';
import { formatTierField, readSecretTierField, readTierField, TIER_FIELD, token } from '../http/fields/tier-field.ts';
import type { Version } from '../http/message.ts';
import { type Fault, UPSTREAM_CAUSES, type UpstreamCause, UpstreamError } from '../http/upstream/errors.ts';

export { TIER_FIELD } from '../http/fields/tier-field.ts';
export const ERROR_FIELD = 'Seawall-Error';
/** Cause of an upstream error (http/upstream/errors.ts), beside its code. */
const CAUSE_FIELD = 'Seawall-Cause';

/** In lower case. */
export const TIER_FIELDS: ReadonlySet<string> = new Set(
  [TIER_FIELD, ERROR_FIELD, CAUSE_FIELD].map((name) => name.toLowerCase()),
);

export interface TierCall {
  /** The visitor's request, in every log and error page. */
  readonly id: string;
  /** Name of the node that asks. */
  readonly from: string;
  /** Scheme of the visitor's request: part of the cache key. */
  readonly proto: 'http' | 'https';
  /**
   * `owner`: an edge asks another one as the owner of the key, which then goes to the shield, never to a third edge.
   * `worker`: a worker of an edge asks another one of the same edge as the owner, which then goes to the shield.
   */
  readonly ask: 'owner' | 'worker' | 'shield';
  /** Block of addresses of the visitor, whose share of connections the request counts against. */
  readonly visitor?: string | undefined;
  /** Journal position of the requesting node. */
  readonly position: JournalPosition;
}

export function formatTierCall(call: TierCall, secret: string): string {
  return formatTierField({
    secret,
    id: call.id,
    from: call.from,
    proto: token(call.proto),
    ask: token(call.ask),
    visitor: call.visitor,
    ...positionMembers(call.position),
  });
}

/** @throws {HttpError} `unauthorised_tier` unless the request comes from a node that knows the secret. */
export function readTierCall(headers: RawHeaders, secret: string): TierCall {
  const members = readSecretTierField(headers, secret);
  return {
    id: String(members.get('id') ?? ''),
    from: String(members.get('from') ?? ''),
    proto: String(members.get('proto')) === 'https' ? 'https' : 'http',
    ask: askIn(String(members.get('ask'))),
    visitor: visitorIn(members.get('visitor')),
    position: positionIn(members),
  };
}

function visitorIn(visitor: unknown): string | undefined {
  return typeof visitor === 'string' ? visitor : undefined;
}

function askIn(ask: string): TierCall['ask'] {
  return ask === 'owner' || ask === 'worker' ? ask : 'shield';
}

/** Formats a node's metadata of a response to another one: `seq=12, journal="…", was-fresh, personal`. */
export function formatVersion({ wasFresh, isPersonal, ...position }: Version): string {
  const flags = { 'was-fresh': wasFresh || undefined, personal: isPersonal || undefined };
  return formatTierField({ ...positionMembers(position), ...flags });
}

/** @returns `undefined` where the other node does not say: its age is then unknown. */
export function readVersion(headers: RawHeaders): Version | undefined {
  const members = readTierField(headers);
  if (members === undefined) return undefined;
  const isSet = (flag: string): boolean => members.get(flag) === true;
  return { ...positionIn(members), wasFresh: isSet('was-fresh'), isPersonal: isSet('personal') };
}

function positionMembers({ identity, seq }: JournalPosition): { seq: number; journal: string | undefined } {
  return { seq, journal: identity };
}

function positionIn(members: ReadonlyMap<string, unknown>): JournalPosition {
  const [seq, identity] = [members.get('seq'), members.get('journal')];
  return {
    seq: typeof seq === 'number' && Number.isSafeInteger(seq) && seq >= 0 ? seq : 0,
    identity: typeof identity === 'string' ? identity : undefined,
  };
}

/** Returns the fields by which an answer tells another node that it stands for an error. */
export function errorFields({ code, reason }: HttpError): string[] {
  return [ERROR_FIELD, code, ...(reason === undefined ? [] : [CAUSE_FIELD, reason])];
}

/** Returns the error that a node's answer stands for, if it is one. */
export function relayedError(headers: RawHeaders, from: string): UpstreamError | undefined {
  const code = firstLine(headers, ERROR_FIELD);
  if (code === undefined || !Object.hasOwn(HTTP_ERRORS, code)) return undefined;
  const cause = firstLine(headers, CAUSE_FIELD);
  const reason = cause !== undefined && Object.hasOwn(UPSTREAM_CAUSES, cause) ? (cause as UpstreamCause) : undefined;
  return relayed(code as HttpErrorCode, from, reason);
}

/** Returns the error that this node makes of another one's answer. */
export function relayed(code: HttpErrorCode, from: string, reason?: UpstreamCause): UpstreamError {
  const detail = `from ${from}${reason === undefined ? '' : `: ${reason}`}`;
  const fault = RELAYED[code];
  // The nodes have not got the same config yet, which is nothing for visitors.
  if (fault === OUT_OF_STEP) return new UpstreamError('origin_unreachable', fault, `${code} ${detail}`, { reason });
  return new UpstreamError(code, fault, detail, { reason });
}

/** Fault of the request or the origin: another node would not help. */
const BEYOND: Fault = { source: 'beyond', sent: 'maybe', isAnswer: true };
const OF_REQUESTER: Fault = { source: 'requester', sent: 'maybe', isAnswer: true };
/** Fault of the node itself: another one may succeed. */
const OF_NODE: Fault = { source: 'target', sent: 'maybe', isAnswer: true };
const OUT_OF_STEP: Fault = { source: 'target', sent: 'no', isAnswer: true };

/** Faults behind the errors that another node answers with. */
const RELAYED: Readonly<Record<HttpErrorCode, Fault>> = {
  overloaded: OF_NODE,
  internal: OF_NODE,
  unauthorised_tier: OUT_OF_STEP,
  unknown_host: OUT_OF_STEP,
  origin_unreachable: BEYOND,
  origin_bad_response: BEYOND,
  origin_overloaded: BEYOND,
  origin_timeout: BEYOND,
  loop_detected: BEYOND,
  spool_full: BEYOND,
  journal_unreachable: BEYOND,
  bad_request: OF_REQUESTER,
  http2_without_tls: OF_REQUESTER,
  plain_http: OF_REQUESTER,
  bad_host: OF_REQUESTER,
  bad_target: OF_REQUESTER,
  bad_purge: OF_REQUESTER,
  method_override_refused: OF_REQUESTER,
  geo_blocked: OF_REQUESTER,
  legal_block: OF_REQUESTER,
  purge_forbidden: OF_REQUESTER,
  method_not_allowed: OF_REQUESTER,
  request_timeout: OF_REQUESTER,
  body_too_large: OF_REQUESTER,
  target_too_long: OF_REQUESTER,
  too_many_parameters: OF_REQUESTER,
  too_many_requests: OF_REQUESTER,
  header_too_large: OF_REQUESTER,
  method_not_implemented: OF_REQUESTER,
  slow_reader: OF_REQUESTER,
  only_if_cached: OF_REQUESTER,
  client_closed: OF_REQUESTER,
  bad_version: OF_REQUESTER,
};
