/**
 * The journal on the wire between the control node and those who follow it.
 *
 *     GET /v1/journal?identity=ID&after=N&role=edge&region=REGION&lease=MS
 *
 * answers `application/x-ndjson`: one message a line (message.ts), for as long
 * as both sides like. `identity` is of the term that gave out the number N
 * (journal/terms.ts); a node that knows no journal yet sends none, and 0.
 * `role`, `region` and `lease` register the node: which one of the region files
 * it takes itself for, and how long it serves what was purged when it hears
 * nothing more. It goes by a longer lease only on a connection that has said so.
 *
 *     POST /v1/journal/applied
 *
 * tells how far a node has got, in lines `{"node": NAME, "identity": ID, "seq": N}`
 * of the same type, ID again being that of the term of N. The call stays open for
 * a few seconds; it is answered 204 when it ends. The first line of a call may say
 * more, `"about": {"version": "1.2.3", "config": "0123456789ab", "since": "2026-…Z", …}` (`NodeAbout`).
 *
 * Both carry the field by which nodes know each other (http/fields/tier-field.ts):
 *
 *     Seawall-Tier: secret="…", from="eu-1"
 *
 * The secret is left out where both sides have shown certificates.
 * @module
 */

import { formatTierField } from '../http/fields/tier-field.ts';
import { checkPurge, fields, isIdentity, isNumber } from './check.ts';
import { JournalError } from './errors.ts';
import type { JournalState, Purge } from './journal.ts';
import type { JournalPosition } from './message.ts';
import { identityOf } from './terms.ts';

export const JOURNAL_PATH = '/v1/journal';
export const APPLIED_PATH = '/v1/journal/applied';
/** Path for reports of traffic: a line of JSON for each (lib/traffic.ts), in calls that stay open for a while. */
export const TRAFFIC_PATH = '/v1/traffic';
/** Path for appends: `POST {"purges":[…]}`, answered with an `AppendedAnswer`. */
export const PURGES_PATH = '/v1/journal/purges';
export const JOURNAL_CONTENT_TYPE = 'application/x-ndjson';

/** A longer line is refused. The longest record takes a tenth of it, were every character escaped. */
export const MAX_LINE_BYTES = 1024 * 1024;

/** Answer to an append: the numbers, and the identity of the term that assigned them. */
export interface AppendedAnswer {
  readonly first: number;
  readonly last: number;
  readonly identity: string | undefined;
}

/** @param appended - What the journal in this state has just taken. */
export function appendedAnswer({ terms }: JournalState, appended: { first: number; last: number }): AppendedAnswer {
  const { first, last } = appended;
  return { first, last, identity: identityOf(terms, last) };
}

/** Bytes in use, and those that there are. */
export interface Space {
  readonly used: number;
  readonly size: number;
}

/** Disk for stored responses. */
export interface DiskState {
  /** Bytes that it may take. */
  readonly size: number;
  readonly objects: number;
  /** False: it has failed, and is left out. */
  readonly ok: boolean;
}

/** State of a node beside its version and config, as it changes. */
export interface NodeCondition {
  /** Threads that serve. */
  readonly workers?: number;
  /** Memory for stored responses. */
  readonly memory?: Space;
  /** Absent where it has none. */
  readonly disk?: DiskState;
}

/** Description of a node by itself. */
export interface NodeAbout extends NodeCondition {
  /** Version of Seawall. */
  readonly version: string;
  /** Fingerprint of its region's config. */
  readonly config: string;
  /** ISO 8601: when it was started. */
  readonly since: string;
  /** ISO 8601: end of its certificate. */
  readonly certificate_expires?: string;
  /** SHA-256 of the list of revoked certificates that it goes by, in hexadecimal digits. */
  readonly revocations?: string;
}

/** Part of a request for the journal that registers the node; older versions send none of it. */
export interface Registration {
  readonly role?: 'edge' | 'shield' | undefined;
  readonly region?: string | undefined;
  readonly leaseMs?: number | undefined;
}

/** Progress report of a node. */
export interface AppliedReport {
  readonly about?: NodeAbout;
  readonly node: string;
  readonly identity: string;
  readonly seq: number;
}

/** @param secret - Absent where the connection says who calls. */
export function formatNodeField(node: string, secret: string | undefined): string {
  return formatTierField({ secret, from: node });
}

export function journalTarget(
  { identity, seq }: JournalPosition,
  { role, region, leaseMs }: Registration = {},
): string {
  const query = new URLSearchParams({
    ...(identity !== undefined && { identity }),
    after: String(seq),
    ...(role !== undefined && { role }),
    ...(region !== undefined && { region }),
    ...(leaseMs !== undefined && { lease: String(leaseMs) }),
  });
  return `${JOURNAL_PATH}?${query}`;
}

/**
 * @param target - Path and query of the request.
 * @throws {JournalError} `journal_bad_message` that names the parameter.
 */
export function readJournalTarget(target: string): JournalPosition {
  const query = queryOf(target);
  const [identity, after] = [query.get('identity') ?? undefined, query.get('after') ?? ''];
  if (identity !== undefined && !isIdentity(identity)) throw new JournalError('journal_bad_message', 'identity');
  if (!/^\d{1,16}$/.test(after) || !isNumber(Number(after))) throw new JournalError('journal_bad_message', 'after');
  return { identity, seq: Number(after) };
}

/** As in region files. */
const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

/**
 * @param target - Path and query of a request for the journal.
 * @throws {JournalError} `journal_bad_message` that names the parameter.
 */
export function readRegistration(target: string): Registration {
  const query = queryOf(target);
  const [role, region, lease] = ['role', 'region', 'lease'].map((name) => query.get(name) ?? undefined);
  if (role !== undefined && role !== 'edge' && role !== 'shield') throw new JournalError('journal_bad_message', 'role');
  if (region !== undefined && !NAME.test(region)) throw new JournalError('journal_bad_message', 'region');
  const isLease = lease === undefined || (/^\d{1,16}$/.test(lease) && isNumber(Number(lease)));
  if (!isLease) throw new JournalError('journal_bad_message', 'lease');
  return { role, region, leaseMs: lease === undefined ? undefined : Number(lease) };
}

function queryOf(target: string): URLSearchParams {
  return new URLSearchParams(target.split('?')[1] ?? '');
}

/** Purges that a node may append at once. */
const MAX_PURGES = 4_096;

/**
 * @param body - Of `POST` to `PURGES_PATH`, parsed as JSON.
 * @returns At least one, all of the same softness, by the same, for the same reason.
 * @throws {JournalError} `journal_bad_message` that names the field.
 */
export function readPurges(body: unknown): readonly [Purge, ...Purge[]] {
  const { purges } = fields(body, 'journal_bad_message');
  if (!Array.isArray(purges) || purges.length === 0 || purges.length > MAX_PURGES) {
    throw new JournalError('journal_bad_message', 'purges');
  }
  for (const purge of purges) {
    checkPurge(purge, 'journal_bad_message');
    const { soft, who, why } = purges[0] as Purge;
    const isAlike = purge.soft === soft && purge.who === who && purge.why === why;
    if (!isAlike) throw new JournalError('journal_bad_message', 'purges of one call differ');
  }
  return purges as unknown as readonly [Purge, ...Purge[]];
}

/**
 * @param body - Of the request, parsed as JSON.
 * @throws {JournalError} `journal_bad_message` that names the field.
 */
export function readAppliedReport(body: unknown): AppliedReport {
  const { node, identity, seq, about } = fields(body, 'journal_bad_message');
  if (typeof node !== 'string' || node === '') throw new JournalError('journal_bad_message', 'node');
  if (!isIdentity(identity)) throw new JournalError('journal_bad_message', 'identity');
  if (!isNumber(seq)) throw new JournalError('journal_bad_message', 'seq');
  return { node, identity, seq, ...(about !== undefined && { about: readAbout(about) }) };
}

const MAX_ABOUT_LENGTH = 64;
const SHA_256 = /^[0-9a-f]{64}$/;
const MAX_WORKERS = 1_024;

/** @returns What is known here of it: a newer version may say more. */
function readAbout(value: unknown): NodeAbout {
  const about = fields(value, 'journal_bad_message');
  const { version, config, since, workers, memory, disk, certificate_expires: expires, revocations } = about;
  const isShort = (text: unknown): text is string => typeof text === 'string' && text.length <= MAX_ABOUT_LENGTH;
  const isTime = (text: unknown): text is string => isShort(text) && !Number.isNaN(Date.parse(text));
  const isAbsentOr = (isGood: (value: unknown) => boolean, one: unknown): boolean => one === undefined || isGood(one);
  const isGood =
    isShort(version) &&
    isShort(config) &&
    isTime(since) &&
    isAbsentOr((one) => isNumber(one) && one <= MAX_WORKERS, workers) &&
    isAbsentOr(isSpace, memory) &&
    isAbsentOr(isDiskState, disk) &&
    isAbsentOr(isTime, expires) &&
    isAbsentOr((one) => isShort(one) && SHA_256.test(one), revocations);
  if (!isGood) throw new JournalError('journal_bad_message', 'about');
  return {
    version,
    config,
    since,
    ...(workers !== undefined && { workers: workers as number }),
    ...(memory !== undefined && { memory: spaceOf(memory as Space) }),
    ...(disk !== undefined && { disk: diskStateOf(disk as DiskState) }),
    ...(expires !== undefined && { certificate_expires: expires as string }),
    ...(revocations !== undefined && { revocations: revocations as string }),
  };
}

function isDiskState(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { size, objects, ok } = value as Partial<DiskState>;
  return isNumber(size) && isNumber(objects) && typeof ok === 'boolean';
}

function diskStateOf({ size, objects, ok }: DiskState): DiskState {
  return { size, objects, ok };
}

function isSpace(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { used, size } = value as Partial<Space>;
  return isNumber(used) && isNumber(size);
}

function spaceOf({ used, size }: Space): Space {
  return { used, size };
}
