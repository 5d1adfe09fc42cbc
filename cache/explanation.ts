/**
 * Explanation of a lookup: what is stored under a key, and why it may answer a request or may not. All of it is asked
 * of the code that decides (lookup.ts, policy/, ledger.ts); nothing is decided here.
 * @module
 */
import type { RulePlace } from '../config/rule-place.ts';
import type { SiteConfig } from '../config/schema.ts';
import { HTTP_ERRORS, type HttpErrorCode } from '../http/errors.ts';
import { fieldValue } from '../http/fields/headers.ts';
import type { EpochMs, MonotonicMs } from '../lib/clock.ts';
import { isPersonal } from './credentials.ts';
import type { DiskStore } from './disk/disk.ts';
import type { KeyedRequest } from './key.ts';
import { NOTHING_KNOWN, type Verdict } from './ledger.ts';
import { type LookupIn, type LookupRequest, lookup, type Outcome } from './lookup.ts';
import { NO_REQUEST_DIRECTIVES } from './policy/directives.ts';
import {
  DETAIL_MEANINGS,
  FORWARD_REASON_MEANINGS,
  type ForwardReason,
  STORE_REFUSAL_MEANINGS,
} from './policy/refusals.ts';
import { type Lifetime, lifetimeOf } from './policy/response-policy.ts';
import { currentAge, mayServeOnError, type Reuse, remainingLifetime, reuse } from './policy/reuse.ts';
import { RequestProfile } from './request-profile.ts';
import { factsOf } from './stored-facts.ts';
import { isComplete, type StoredResponse } from './stored-response.ts';
import { normalisedField } from './vary.ts';

/** Use of the stored response that a request selects: meanings of `Outcome`. */
export const OUTCOME_MEANINGS: Readonly<Record<Outcome, string>> = {
  fresh: 'It answers.',
  'while-revalidate': 'It is stale and answers; a new one is fetched in the background (RFC 5861, section 3).',
  'max-stale': 'It is stale and answers, as the request takes that (`max-stale`).',
  stale: 'It has to be validated first (RFC 9111, section 4.3).',
  request: 'It has to be validated first, as the request demands that (RFC 9111, section 5.2.1).',
  none: 'Nothing that is stored may answer: the request goes to the next node, or to the origin.',
  pass: 'The request passes the cache: it is neither looked up nor shared.',
  undecided: 'It is not known.',
};

/** Verdicts of the ledger. */
export const VERDICT_MEANINGS: Readonly<Record<Verdict, string>> = {
  current: 'No purge has named it since it was asked for.',
  soft: 'A soft purge has named it: it is stale, and may answer only where a stale one may.',
  hard: 'A purge has named it: it is as good as gone.',
  unverified: 'It was stored by another history of the journal: it has to be validated first.',
};

/** Source of a lifetime, by section. */
export const LIFETIME_MEANINGS: Readonly<Record<NonNullable<Lifetime['source']>, string>> = {
  's-maxage': '`s-maxage` of the origin (RFC 9111, section 5.2.2.10)',
  'max-age': '`max-age` of the origin (RFC 9111, section 5.2.2.1)',
  expires: '`Expires` less `Date` of the origin (RFC 9111, section 5.3)',
  rule: '`ttl` of the rule',
  heuristic: 'a tenth, or `heuristic_fraction`, of the time since Last-Modified (RFC 9111, section 4.2.2)',
};

/** Stored response under the key of a request, and what it is to that request. Times in seconds, to the millisecond. */
export interface StoredExplanation {
  readonly status: number;
  /** True if its `Vary` fields are those of the request. */
  readonly selected: boolean;
  readonly vary: readonly { readonly name: string; readonly stored: string | null; readonly asked: string | null }[];
  /** True if it may be another person's, and the request is personal (docs/shared-answers.md). */
  readonly withheld: boolean;
  /** Time at which it arrived, or was last validated. */
  readonly since: string;
  readonly bytes: number;
  readonly complete: boolean;
  readonly etag: string | null;
  readonly tags: readonly string[];
  readonly freshness: {
    readonly lifetime: number;
    readonly lifetime_from: Lifetime['source'] | null;
    /** Age when it arrived (`corrected_initial_age`, RFC 9111, section 4.2.3). */
    readonly initial_age: number;
    readonly age: number;
    /** Negative when it is stale. */
    readonly remaining: number;
    readonly stale_while_revalidate: number;
    readonly stale_if_error: number;
    /** Directives of the origin that forbid stale answers, or any without validation. */
    readonly directives: readonly string[];
    readonly usable: Reuse;
    /** True if it may stand in when the origin fails. */
    readonly on_error: boolean;
  };
  readonly purges: {
    readonly verdict: Verdict;
    /** Number of the journal that it is as new as. */
    readonly as_of: number;
    /** Newest purge that names it, hard or soft; null: none is remembered. */
    readonly newest: number | null;
  };
}

export interface LookupExplanation {
  readonly outcome: Outcome;
  readonly meaning: string;
  /** Reason to ask the next node, as in Cache-Status; null where it answers. */
  readonly fwd: ForwardReason | null;
  readonly fwd_meaning: string | null;
  /** True if purges may have been missed, as the node has not heard from the journal for longer than the lease. */
  readonly unverified: boolean;
  /** True if memory had nothing under the key, and what is stored has been read from disk. */
  readonly from_disk: boolean;
  readonly stored: readonly StoredExplanation[];
}

/** Request that is to be explained. */
export interface Question {
  readonly method: 'GET' | 'HEAD';
  readonly scheme: 'http' | 'https';
  /** Host and port. */
  readonly authority: string;
  /** Path and query. */
  readonly target: string;
  /** Other fields than Host. */
  readonly headers: readonly string[];
  /** Address of the visitor; absent: unknown. */
  readonly address: string | undefined;
  /** True to ask for it as well, through the cache: what is fetched is stored. */
  readonly fetch: boolean;
}

/** Fate of a request at a node, and the reasons. */
export interface Explanation {
  /** Error that it is refused with, before the cache. */
  readonly refused: { readonly code: string; readonly status: number; readonly meaning: string } | null;
  /** Location that its visitor is sent to, before the cache. */
  readonly redirect: string | null;
  readonly site: string | null;
  /** Rule for a response of status 200. */
  readonly rule: (RulePlace & { readonly bypasses: boolean }) | null;
  /** Form of the path that rules go by; null: servers read it in different ways, and nothing is stored for it. */
  readonly path: string | null;
  readonly key: {
    /** Scheme, host, port, path and query. */
    readonly url: string;
    /** Fields and cookies in the key, as `name:value`; a name alone: the request has none. */
    readonly more: readonly string[];
  } | null;
  /** Reason why the request is personal; null: it is not. */
  readonly personal: string | null;
  /** Edges in the order in which they own the key, and shields in the order in which they are asked. */
  readonly owners: readonly string[];
  readonly shields: readonly string[];
  readonly lookup: LookupExplanation | null;
  /** Present where the request was made. */
  readonly fetched?: { readonly status: number; readonly members: readonly StatusMember[] };
}

/** Request to be explained, as the cache gets it. */
export interface ExplainedRequest extends Omit<LookupRequest, 'keyed' | 'minPosition'> {
  readonly site: SiteConfig;
  readonly keyed: KeyedRequest;
  readonly headers: readonly string[];
}

/** One member of Cache-Status, and the meanings of its parameters. */
export interface StatusMember {
  readonly text: string;
  readonly meanings: readonly string[];
}

/** Explains a member of Cache-Status that a node of this network has written. */
export function explainMember(text: string): StatusMember {
  const meanings = text.split(';').flatMap((parameter) => {
    const [key, value = ''] = parameter.trim().split('=', 2);
    if (key === 'fwd') return meaningIn(FORWARD_REASON_MEANINGS, value);
    if (key !== 'detail') return [];
    const known = [STORE_REFUSAL_MEANINGS, DETAIL_MEANINGS].flatMap((table) => meaningIn(table, value));
    return known.length > 0 ? known : errorMeaning(value);
  });
  return { text, meanings };
}

function meaningIn(table: Readonly<Record<string, string>>, name: string): string[] {
  return Object.hasOwn(table, name) ? [table[name] as string] : [];
}

function errorMeaning(code: string): string[] {
  return Object.hasOwn(HTTP_ERRORS, code) ? [HTTP_ERRORS[code as HttpErrorCode].message] : [];
}

/** Cache of which a lookup is explained: memory, and the disk if there is one. */
export interface ExplainedCache extends LookupIn {
  readonly now: () => EpochMs;
  readonly monotonic: () => MonotonicMs;
  readonly disk: DiskStore | undefined;
}

/** Explains the lookup of a request. Changes nothing, but that what is only on disk is in memory afterwards. */
export async function explainLookup(cache: ExplainedCache, request: ExplainedRequest): Promise<LookupExplanation> {
  const { store, disk } = cache;
  const { key } = request.keyed;
  const isFromDisk = !store.has(key) && (await disk?.lookup(key)) === true;
  return { ...explainInMemory(cache, request, cache.now(), cache.monotonic()), from_disk: isFromDisk };
}

function explainInMemory(
  cache: LookupIn,
  request: ExplainedRequest,
  now: EpochMs,
  at: MonotonicMs,
): Omit<LookupExplanation, 'from_disk'> {
  const { site, rules, keyed, headers } = request;
  const profile = new RequestProfile({ site, rules, headers, credentials: keyed.credentials });
  const asked = { ...request, minPosition: NOTHING_KNOWN };
  const found = lookup(cache, keyed.key, asked, profile, now, at);
  // A precondition for the origin that does not hold for what is stored is the origin's to evaluate.
  const { outcome, reason, isUnverified } = found.isRefused
    ? { ...found, outcome: 'pass' as const, reason: 'request' as const }
    : found;
  const stored = cache.store.get(keyed.key).map((one) => explainStored(cache, one, request, profile, now));
  return {
    outcome,
    meaning: OUTCOME_MEANINGS[outcome],
    fwd: reason ?? null,
    fwd_meaning: reason === undefined ? null : FORWARD_REASON_MEANINGS[reason],
    unverified: isUnverified,
    stored,
  };
}

function explainStored(
  { ledger }: LookupIn,
  stored: StoredResponse,
  request: ExplainedRequest,
  profile: RequestProfile,
  now: EpochMs,
): StoredExplanation {
  const { status, headers, policy, responseTime } = stored;
  const { site, rules, path, keyed } = request;
  const facts = factsOf(stored, request);
  const { rule } = rules.responseRule(path, status, fieldValue(headers, 'content-type'));
  const lifetime = lifetimeOf({
    status,
    headers,
    requestTime: responseTime,
    responseTime,
    rule,
    targetedFields: site.targeted_fields,
    heuristic: { fraction: site.heuristic_fraction, maxMs: site.heuristic_max, maxErrorMs: site.heuristic_max_error },
  });
  const { hard, soft } = ledger.newestPurges(stored, keyed);
  const newest = Math.max(hard, soft);
  return {
    status,
    selected: profile.selects(stored.vary) === true,
    vary: stored.vary.map(({ name, value }) => ({
      name,
      stored: value ?? null,
      asked: normalisedField(request.headers, name) ?? null,
    })),
    withheld: facts.isWithheldFrom(profile),
    since: new Date(responseTime).toISOString(),
    bytes: stored.length,
    complete: isComplete(stored) || stored.generation !== undefined,
    etag: fieldValue(headers, 'etag') ?? null,
    tags: stored.tags,
    freshness: {
      lifetime: seconds(policy.lifetimeMs),
      lifetime_from: lifetime.source ?? null,
      initial_age: seconds(policy.initialAgeMs),
      age: seconds(currentAge(stored, now)),
      remaining: seconds(remainingLifetime(stored, now)),
      stale_while_revalidate: seconds(policy.staleWhileRevalidateMs),
      stale_if_error: seconds(policy.staleIfErrorMs),
      directives: decisive(stored),
      usable: reuse(stored, facts.honoursRequests ? profile.directives : NO_REQUEST_DIRECTIVES, now),
      on_error: mayServeOnError(stored, now),
    },
    purges: {
      verdict: ledger.check(stored, keyed),
      as_of: stored.stamp.asOf,
      newest: newest === 0 ? null : newest,
    },
  };
}

function decisive({ policy: { directives } }: StoredResponse): string[] {
  return [
    ...(directives.noCache ? ['no-cache'] : []),
    ...(directives.mustRevalidate ? ['must-revalidate'] : []),
    ...(directives.proxyRevalidate ? ['proxy-revalidate'] : []),
    ...(directives.sMaxage === undefined ? [] : ['s-maxage']),
    ...(directives.isPublic ? ['public'] : []),
  ];
}

function seconds(ms: number): number {
  return Math.round(ms) / 1_000;
}

/** Returns the reason why a request is personal where this path's policy counts; null: it is not. */
export function personalReason({ rules, path, keyed: { credentials } }: ExplainedRequest): string | null {
  if (!isPersonal(credentials, rules.cookiesAt(path))) return null;
  if (credentials?.hasAuthorization === true) return 'It has Authorization.';
  const names = credentials?.cookies?.map(({ name }) => name);
  return names === undefined
    ? 'It has more cookies than are read.'
    : `It has cookies that are neither ignored nor in the key: ${names.join(', ')}.`;
}
