/**
 * Metadata between nodes, in one field that visitors cannot set: it is removed from everything that arrives from
 * outside.
 *
 *     Seawall-Tier: secret="…", id="0b6e…", from="eu-1", proto=https, ask=owner, visitor="…", seq=12, journal="…"
 *     Seawall-Error: origin_timeout
 *     Seawall-Cause: connect_timeout
 *     Seawall-Fault: source=beyond, sent=no
 *
 * A Dictionary and Tokens of RFC 9651. `seq` is a number of the journal of
 * purges, `journal` the identity of the term that gave it out (journal/terms.ts).
 * @module
 */
import type { JournalPosition } from '../cache/ledger.ts';
import { type Fault, type FaultSource, HTTP_ERRORS, HttpError, type HttpErrorCode } from '../http/errors.ts';
import { firstLine, type RawHeaders } from '../http/fields/headers.ts';
import { isPriority, type Priority } from '../http/fields/priority.ts';
import { formatTierField, readTierField, TIER_FIELD, token } from '../http/fields/tier-field.ts';
import type { Version } from '../http/message.ts';
import { UPSTREAM_CAUSES, type UpstreamCause, UpstreamError } from '../http/upstream/errors.ts';
import type { Authentication } from '../trust/authentication.ts';
import type { Permission } from '../trust/permissions.ts';

/** Target of heartbeats. */
export const HEARTBEAT_TARGET = '/.seawall-heartbeat';

/** Formats the field of a heartbeat. */
export function formatHeartbeat(from: string, secret: string | undefined): string {
  return formatTierField({ secret, from, ask: token('heartbeat') });
}

/** Formats the field of a message in JSON. */
export function formatMessage(from: string, ask: 'limits', secret: string | undefined): string {
  return formatTierField({ secret, from, ask: token(ask) });
}

/**
 * Returns whether the request is a heartbeat.
 *
 * @throws {HttpError} `unauthorised_tier` unless it comes from a node that may send one.
 */
export function isHeartbeat(headers: RawHeaders, connection: object, authentication: Authentication): boolean {
  const caller = authentication.identify(headers, connection);
  if (String(caller.members.get('ask')) !== 'heartbeat') return false;
  authentication.permit(caller, 'heartbeat');
  return true;
}

export { TIER_FIELD } from '../http/fields/tier-field.ts';
export const ERROR_FIELD = 'Seawall-Error';
/** Cause of an upstream error (http/upstream/errors.ts), beside its code. */
const CAUSE_FIELD = 'Seawall-Cause';
/** Party at fault, and whether anything was sent, as the node sees it that gets the answer. */
const FAULT_FIELD = 'Seawall-Fault';

/** In lower case. */
export const TIER_FIELDS: ReadonlySet<string> = new Set(
  [TIER_FIELD, ERROR_FIELD, CAUSE_FIELD, FAULT_FIELD].map((name) => name.toLowerCase()),
);

export interface TierCall {
  /** The visitor's request, in every log and error page. */
  readonly id: string;
  /** Name of the node that asks. */
  readonly from: string;
  /** Scheme of the visitor's request: part of the cache key. */
  readonly proto: 'http' | 'https';
  /**
   * `owner`: an edge asks the owner of the key, which then goes to the shield, never to a third edge.
   * `matches`: a control node asks how many stored responses a purge would match (tier/dry-run.ts).
   * `explain`: a control node asks what this node would do with a request (tier/explain.ts).
   * `limits`: an edge tells what it has counted for rate limits (edge/region-limits.ts).
   */
  readonly ask: 'owner' | 'shield' | 'matches' | 'explain' | 'limits';
  /** Block of addresses of the visitor, whose share of connections the request counts against. */
  readonly visitor?: string | undefined;
  /** Precedence of the request, if its header section does not say it. */
  readonly priority?: Priority | undefined;
  /** Journal position of the requesting node. */
  readonly position: JournalPosition;
  /** True if the response is wanted in the store, by a job: it is fetched though the requester goes away. */
  readonly background?: boolean | undefined;
  /** True if the requester does not store the response, so that an encoding of it will do. */
  readonly encoded?: boolean | undefined;
}

/** @param secret - Absent where the connection says who calls. */
export function formatTierCall(call: TierCall, secret: string | undefined): string {
  return formatTierField({
    secret,
    id: call.id,
    from: call.from,
    proto: token(call.proto),
    ask: token(call.ask),
    visitor: call.visitor,
    ...(call.priority !== undefined && { priority: token(call.priority) }),
    ...positionMembers(call.position),
    background: call.background || undefined,
    encoded: call.encoded || undefined,
  });
}

/** @throws {HttpError} `unauthorised_tier` unless the request comes from a node that may ask for this. */
export function readTierCall(headers: RawHeaders, connection: object, authentication: Authentication): TierCall {
  const caller = authentication.identify(headers, connection);
  const { members, name } = caller;
  const ask = askIn(String(members.get('ask')));
  authentication.permit(caller, PERMISSIONS_OF[ask]);
  return {
    id: String(members.get('id') ?? ''),
    from: name,
    proto: String(members.get('proto')) === 'https' ? 'https' : 'http',
    ask,
    visitor: visitorIn(members.get('visitor')),
    priority: priorityIn(members.get('priority')),
    position: positionIn(members),
    background: members.get('background') === true,
    ...(members.get('encoded') === true && { encoded: true }),
  };
}

function visitorIn(visitor: unknown): string | undefined {
  return typeof visitor === 'string' ? visitor : undefined;
}

function priorityIn(priority: unknown): Priority | undefined {
  const text = String(priority);
  return isPriority(text) ? text : undefined;
}

function askIn(ask: string): TierCall['ask'] {
  return Object.hasOwn(PERMISSIONS_OF, ask) ? (ask as TierCall['ask']) : 'shield';
}

const PERMISSIONS_OF: Readonly<Record<TierCall['ask'], Permission>> = {
  owner: 'ask_owner',
  shield: 'ask_shield',
  matches: 'count_matches',
  explain: 'explain_request',
  limits: 'share_limits',
};

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
export function errorFields({ code, reason, fault }: HttpError): string[] {
  const { source, sent } = faultForNodes(fault);
  const fields = [ERROR_FIELD, code, FAULT_FIELD, formatTierField({ source: token(source), sent: token(sent) })];
  return reason === undefined ? fields : [...fields, CAUSE_FIELD, reason];
}

/** Returns the error that a node's answer stands for, if it is one. */
export function relayedError(headers: RawHeaders, from: string): UpstreamError | undefined {
  const text = firstLine(headers, ERROR_FIELD);
  if (text === undefined) return undefined;
  const cause = firstLine(headers, CAUSE_FIELD);
  const reason = cause !== undefined && Object.hasOwn(UPSTREAM_CAUSES, cause) ? (cause as UpstreamCause) : undefined;
  const detail = `${text} from ${from}${cause === undefined ? '' : `: ${cause}`}`;
  const code = Object.hasOwn(HTTP_ERRORS, text) ? (text as HttpErrorCode) : 'internal'; // of a newer version
  const fault = readFault(headers) ?? faultForNodes(new HttpError(code).fault);
  const relayed: Fault = { ...fault, isAnswer: true };
  // The nodes have not got the same config yet, which is nothing for visitors: no fault of a node is theirs.
  const isHidden = relayed.source === 'target' && HTTP_ERRORS[code].status < 500;
  return new UpstreamError(isHidden ? 'origin_unreachable' : code, relayed, detail, { reason });
}

/**
 * Fault as it is for the node that asked this one: what this node has failed at itself, another one may do better; what
 * it has asked, another one would ask as well.
 */
function faultForNodes({ source, sent, forNodes }: Fault): Fault {
  return { source: forNodes ?? FOR_NODES[source], sent };
}

const FOR_NODES: Readonly<Record<FaultSource, FaultSource>> = {
  here: 'target',
  target: 'beyond',
  beyond: 'beyond',
  requester: 'requester',
};

function readFault(headers: RawHeaders): Fault | undefined {
  const members = readTierField(headers, FAULT_FIELD);
  const source = String(members?.get('source'));
  const sent = String(members?.get('sent')) === 'no' ? 'no' : 'maybe';
  return Object.hasOwn(FOR_NODES, source) ? { source: source as FaultSource, sent } : undefined;
}
