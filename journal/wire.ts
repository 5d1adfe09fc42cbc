/**
 * The journal on the wire between the control node and those who follow it.
 *
 *     GET /v1/journal?identity=ID&after=N
 *
 * answers `application/x-ndjson`: one message a line (message.ts), for as long
 * as both sides like. `identity` is of the term that gave out the number N
 * (journal/terms.ts); a node that knows no journal yet sends none, and 0.
 *
 *     POST /v1/journal/applied
 *
 * tells how far a node has got, in lines `{"node": NAME, "identity": ID, "seq": N}`
 * of the same type, ID again being that of the term of N. The call stays open for
 * a few seconds; it is answered 204 when it ends. The first line of a call may say
 * more, `"about": {"version": "1.2.3", "config": "0123456789ab", "since": "2026-…Z"}`.
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

/** Description of a node by itself. */
export interface NodeAbout {
  /** Version of Seawall. */
  readonly version: string;
  /** Fingerprint of its region's config. */
  readonly config: string;
  /** ISO 8601: when it was started. */
  readonly since: string;
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

export function journalTarget({ identity, seq }: JournalPosition): string {
  const known = identity === undefined ? '' : `identity=${encodeURIComponent(identity)}&`;
  return `${JOURNAL_PATH}?${known}after=${seq}`;
}

/**
 * @param target - Path and query of the request.
 * @throws {JournalError} `journal_bad_message` that names the parameter.
 */
export function readJournalTarget(target: string): JournalPosition {
  const query = new URLSearchParams(target.split('?')[1] ?? '');
  const [identity, after] = [query.get('identity') ?? undefined, query.get('after') ?? ''];
  if (identity !== undefined && !isIdentity(identity)) throw new JournalError('journal_bad_message', 'identity');
  if (!/^\d{1,16}$/.test(after) || !isNumber(Number(after))) throw new JournalError('journal_bad_message', 'after');
  return { identity, seq: Number(after) };
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

function readAbout(value: unknown): NodeAbout {
  const { version, config, since } = fields(value, 'journal_bad_message');
  const isShort = (text: unknown): text is string => typeof text === 'string' && text.length <= MAX_ABOUT_LENGTH;
  if (!isShort(version) || !isShort(config) || !isShort(since) || Number.isNaN(Date.parse(since))) {
    throw new JournalError('journal_bad_message', 'about');
  }
  return { version, config, since };
}
