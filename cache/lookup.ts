/**
 * Lookup of a request in the store (RFC 9111, section 4): chooses the stored response that the request selects, and
 * decides whether it may answer. Synchronous, and the only place that decides either, for requests that are answered at
 * once as for those that go through the engine's steps.
 * @module
 */
import { preconditionsHold } from '../http/fields/conditional.ts';
import { withPlainTags } from '../http/fields/encoded-tag.ts';
import { firstLine, type RawHeaders } from '../http/fields/headers.ts';
import type { ByteRange } from '../http/fields/range.ts';
import type { EpochMs, MonotonicMs } from '../lib/clock.ts';
import { rangeApplies, resolved } from './answer.ts';
import type { KeyedRequest } from './key.ts';
import type { JournalPosition, Ledger, Verdict } from './ledger.ts';
import { NO_REQUEST_DIRECTIVES } from './policy/directives.ts';
import type { ForwardReason } from './policy/refusals.ts';
import { currentAge, permitsStale, type Reuse, reuse } from './policy/reuse.ts';
import type { RequestProfile } from './request-profile.ts';
import type { KeyBytes } from './store/key-bytes.ts';
import type { Store } from './store/store.ts';
import { factsOf, type RuledPath, type StoredFacts } from './stored-facts.ts';
import { coveringRange, isComplete, type StoredResponse } from './stored-response.ts';

/** Request of method GET or HEAD without a body. What is not asked for need not be worked out. */
export interface LookupRequest extends RuledPath {
  readonly method: string;
  /** `undefined` for a target that is not valid. */
  readonly keyed: KeyedRequest | undefined;
  /** Minimum journal position of the response (rule 5). */
  readonly minPosition: JournalPosition;
}

/**
 * Outcome of a lookup: how the selected response may be used, or else
 *
 * - `none`: nothing is stored that the request selects;
 * - `pass`: the request is neither looked up nor collapsed;
 * - `undecided`: the profile does not tell.
 */
export type Outcome = Reuse | 'none' | 'pass' | 'undecided';

export interface Found {
  readonly outcome: Outcome;
  /** Response that the request selects. */
  readonly stored: StoredResponse | undefined;
  readonly facts: StoredFacts | undefined;
  /** Reason to go upstream. */
  readonly reason: ForwardReason | undefined;
  /** False if a purge may have named the response, which then must not be served when the origin fails (rule 6). */
  readonly isTrusted: boolean;
  /** True if a purge may have named it only because the lease has ended. */
  readonly isUnverified: boolean;
  /** True if a precondition for the origin does not hold for the response. */
  readonly isRefused: boolean;
  /** Number of the newest purge that has named it, where that is why it is not fresh. */
  readonly purge?: number | undefined;
}

/** Lookup of a request that was made before the cache got it, in the same turn of the event loop. */
export interface EarlyLookup {
  readonly found: Found;
  readonly now: EpochMs;
}

export interface LookupIn {
  readonly store: Store;
  readonly ledger: Ledger;
}

/**
 * @param key - The key that the request has, or would have if its target were spelt as targets are stored.
 * @param at - The time by the other clock.
 */
export function lookup(
  { store, ledger }: LookupIn,
  key: string | KeyBytes,
  request: LookupRequest,
  profile: RequestProfile,
  now: EpochMs,
  at: MonotonicMs,
): Found {
  if (profile.carriesAllowed) return NOT_LOOKED_UP;
  const variants = store.get(key);
  const first = variants[0];
  if (first === undefined) return request.rules.bypasses(request.path) ? BYPASSED : NOTHING_STORED;
  const firstFacts = factsOf(first, request);
  if (firstFacts.bypasses) return BYPASSED;
  let reason: ForwardReason = 'vary-miss';
  let purge: number | undefined;
  for (const stored of variants) {
    const isSelected = profile.selects(stored.vary);
    if (isSelected === undefined) return UNDECIDED;
    if (!isSelected) continue;
    const facts = stored === first ? firstFacts : factsOf(stored, request);
    if (facts.isWithheldFrom(profile)) {
      if (profile.isShared) return UNDECIDED; // cookies that do not count at its path are not told apart here
      reason = 'bypass';
      continue;
    }
    const verdict = verdictOn(ledger, stored, request);
    if (verdict === undefined) return UNDECIDED;
    // What a purge has taken away is as good as never stored.
    if (verdict !== 'hard') return judged(ledger, facts, stored, verdict, request, profile, now, at);
    if (reason === 'vary-miss') reason = 'uri-miss';
    purge ??= newestPurge(ledger, stored, request);
  }
  const found = reason === 'bypass' ? PERSONAL : reason === 'vary-miss' ? OTHER_VARIANTS : NOTHING_STORED;
  return purge === undefined ? found : { ...found, purge };
}

/** @returns Number of the newest purge that has named a response. */
function newestPurge(ledger: Ledger, stored: StoredResponse, { keyed }: LookupRequest): number | undefined {
  if (keyed === undefined) return undefined;
  const { hard, soft } = ledger.newestPurges(stored, keyed);
  return Math.max(hard, soft) || undefined;
}

function verdictOn(ledger: Ledger, stored: StoredResponse, request: LookupRequest): Verdict | undefined {
  if (ledger.isStillCurrent(stored.stamp)) return 'current';
  const { keyed } = request; // a request whose target has not been read yet reads it for this
  return keyed && ledger.check(stored, keyed);
}

function judged(
  ledger: Ledger,
  facts: StoredFacts,
  stored: StoredResponse,
  verdict: Verdict,
  request: LookupRequest,
  profile: RequestProfile,
  now: EpochMs,
  at: MonotonicMs,
): Found {
  const isRefused = profile.isForOriginOnly && !holds(stored, profile.headers, now);
  if (!facts.isComplete && !coversRequest(stored, request.method, profile, now)) return { ...PARTIAL, isRefused };
  const usable = reuse(stored, facts.honoursRequests ? profile.directives : NO_REQUEST_DIRECTIVES, now);
  const isKnown = verdict !== 'unverified' && ledger.isNewEnough(stored.stamp, request.minPosition);
  const isTrusted = isKnown && (ledger.holdsLease(now, at) || ledger.leaseCovers(currentAge(stored, now), now));
  const outcome = isTrusted ? afterPurges(stored, verdict, usable) : usable === 'request' ? usable : 'stale';
  if (outcome === 'fresh' && !isRefused) return facts.fresh;
  const reason = outcome === 'stale' || outcome === 'request' ? outcome : undefined;
  const purge = verdict === 'soft' ? newestPurge(ledger, stored, request) : undefined;
  return { outcome, stored, facts, reason, isTrusted, isUnverified: isKnown && !isTrusted, isRefused, purge };
}

/**
 * Usability of a stored response that purges have named softly, or not at all (rules 4, 5 and 7 of docs/purging.md).
 */
function afterPurges(stored: StoredResponse, verdict: Verdict, usable: Reuse): Reuse {
  if (verdict !== 'soft' || usable !== 'fresh') return usable;
  return permitsStale(stored) ? 'while-revalidate' : 'stale';
}

const IF_MATCH = ['if-match'] as const;

/**
 * If-Match and If-Unmodified-Since are the origin's to evaluate, but a cache may ignore them (RFC 9110, sections 13.1.1
 * and 13.1.4): where they hold for the stored response, and where more requests of the key than a few already ask the
 * origin.
 */
function holds({ headers }: StoredResponse, request: RawHeaders, now: EpochMs): boolean {
  const selected = { etag: firstLine(headers, 'etag'), lastModified: firstLine(headers, 'last-modified') };
  return preconditionsHold(withPlainTags(request, IF_MATCH), selected, now);
}

/** Returns whether the stored bytes hold all that the request asks for. */
export function coversRequest(stored: StoredResponse, method: string, profile: RequestProfile, now: EpochMs): boolean {
  if (isComplete(stored) || stored.generation !== undefined) return true; // chunks that are missing are fetched
  if (method === 'HEAD') return true;
  if (profile.ranges === undefined || !rangeApplies(profile.headers, stored.headers, now)) return false; // the whole
  const ranges = resolved(profile.ranges, stored.length);
  return Array.isArray(ranges) && ranges.every(({ start, end }: ByteRange) => coveringRange(stored, start, end));
}

function without(outcome: Outcome, reason: ForwardReason | undefined): Found {
  return {
    outcome,
    stored: undefined,
    facts: undefined,
    reason,
    isTrusted: true,
    isUnverified: false,
    isRefused: false,
  };
}

const NOT_LOOKED_UP = without('pass', 'request');
const BYPASSED = without('pass', 'bypass');
const UNDECIDED = without('undecided', undefined);
const NOTHING_STORED = without('none', 'uri-miss');
const OTHER_VARIANTS = without('none', 'vary-miss');
/** The stored responses that it selects are for requests of which nothing personal is known. */
const PERSONAL = without('none', 'bypass');
/** The range that it asks for is not in the store. */
const PARTIAL = without('none', 'partial');
