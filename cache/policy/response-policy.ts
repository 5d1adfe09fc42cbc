/**
 * Caching policy of a response, from its head and the site's rule; computed once, when the head arrives. Milliseconds.
 * @module
 */
import { hasLifetimes } from '../../config/match.ts';
import type { RuleConfig } from '../../config/schema.ts';
import { parseHttpDate } from '../../http/fields/date.ts';
import { fieldLines, firstLine, type RawHeaders } from '../../http/fields/headers.ts';
import type { EpochMs } from '../../lib/clock.ts';
import { correctedInitialAge, parseAge } from './age.ts';
import { NO_RESPONSE_DIRECTIVES, type ResponseDirectives } from './directives.ts';
import {
  type ExplicitSource,
  explicitLifetime,
  explicitSource,
  type FreshnessInput,
  type Heuristic,
  heuristicLifetime,
} from './freshness.ts';
import { type CacheControl, cacheControl } from './targeted.ts';

export interface ResponsePolicyInput {
  readonly status: number;
  readonly headers: RawHeaders;
  readonly requestTime: EpochMs;
  readonly responseTime: EpochMs;
  readonly rule: RuleConfig;
  readonly targetedFields: readonly string[];
  readonly heuristic: Heuristic;
}

export interface ResponsePolicy {
  readonly directives: ResponseDirectives;
  /** True if a targeted field (RFC 9213) or the rule decides: the origin addresses this cache, not caches at large. */
  readonly addressed: boolean;
  /** True if the origin itself declares the response shareable: by `public`, a targeted field, or a lifetime. */
  readonly declared: boolean;
  readonly explicitLifetimeMs: number | undefined;
  readonly lifetimeMs: number;
  readonly initialAgeMs: number;
  /**
   * `stale-while-revalidate`: the origin's window, else the rule's where there is a lifetime; 0 where staleness is
   * forbidden.
   */
  readonly staleWhileRevalidateMs: number;
  /** `stale-if-error`, likewise. */
  readonly staleIfErrorMs: number;
}

/** Lifetime of a response, and the source that it comes from. */
export interface Lifetime {
  readonly source: ExplicitSource | 'rule' | 'heuristic' | undefined;
  /** Lifetime that the origin names; `undefined` when it names none. */
  readonly declaredMs: number | undefined;
  /** The same, or the one of the rule. */
  readonly explicitMs: number | undefined;
  readonly ms: number;
}

export function responsePolicy(input: ResponsePolicyInput): ResponsePolicy {
  return policyOf(input, controlOf(input));
}

/** Returns the lifetime that a response has by the policy that `responsePolicy` makes of it. */
export function lifetimeOf(input: ResponsePolicyInput): Lifetime {
  return lifetime(input, freshnessOf(input, controlOf(input)));
}

function controlOf({ rule, headers, targetedFields }: ResponsePolicyInput): CacheControl {
  return rule.origin_headers === 'ignore'
    ? { directives: NO_RESPONSE_DIRECTIVES, expiresCounts: false, addressed: true }
    : cacheControl(headers, targetedFields);
}

function freshnessOf(
  { status, headers, responseTime }: ResponsePolicyInput,
  { directives, expiresCounts }: CacheControl,
): FreshnessInput {
  // RFC 9110, section 6.6.1: without a usable Date, the time of arrival stands for it.
  const dateMs = parseHttpDate(firstLine(headers, 'date') ?? '', responseTime) ?? responseTime;
  return { status, headers, directives, expiresCounts, dateMs, responseTime };
}

function lifetime({ rule, status, heuristic }: ResponsePolicyInput, freshness: FreshnessInput): Lifetime {
  const declaredMs = explicitLifetime(freshness);
  if (declaredMs !== undefined) {
    return { source: explicitSource(freshness), declaredMs, explicitMs: declaredMs, ms: declaredMs };
  }
  const ruleMs = hasLifetimes(rule, status) ? rule.ttl : undefined;
  if (ruleMs !== undefined) return { source: 'rule', declaredMs, explicitMs: ruleMs, ms: ruleMs };
  const ms = heuristicLifetime(freshness, heuristic);
  return { source: ms > 0 ? 'heuristic' : undefined, declaredMs, explicitMs: undefined, ms };
}

function policyOf(input: ResponsePolicyInput, origin: CacheControl): ResponsePolicy {
  const { rule, headers, requestTime, responseTime } = input;
  const { directives } = origin;
  const freshness = freshnessOf(input, origin);
  const { dateMs } = freshness;
  const { declaredMs, explicitMs: explicitLifetimeMs, ms: lifetimeMs } = lifetime(input, freshness);
  // What is never fresh has no window of a rule's, and what has no lifetime has none at all: a window is no licence to
  // give away what nothing says is for others.
  const windows: Partial<RuleConfig> = lifetimeMs > 0 ? rule : {};
  const own = declaredMs !== undefined || lifetimeMs > 0 ? directives : undefined;
  const ageMs = parseAge(fieldLines(headers, 'age').join(', '));
  return {
    directives,
    addressed: origin.addressed,
    declared:
      directives.isPublic ||
      directives.sMaxage !== undefined ||
      (declaredMs ?? 0) > 0 ||
      (origin.addressed && rule.origin_headers === 'honour'),
    explicitLifetimeMs,
    lifetimeMs,
    initialAgeMs: correctedInitialAge({ ageMs, dateMs, requestTime, responseTime }),
    staleWhileRevalidateMs: staleWindow(directives, own?.staleWhileRevalidate, windows.stale_while_revalidate),
    staleIfErrorMs: staleWindow(directives, own?.staleIfError, windows.stale_if_error),
  };
}

/**
 * RFC 9111, section 4.2.4: nothing stale where no-cache, must-revalidate,
 * proxy-revalidate or s-maxage forbids it. One deviation: s-maxage beside an
 * explicit stale-… directive does not forbid what that directive allows. Taken
 * literally, section 5.2.2.10 would make the pair senseless, while origins
 * send it on purpose (`s-maxage=60, stale-while-revalidate=300`).
 */
function staleWindow(directives: ResponseDirectives, seconds: number | undefined, ruleMs: number | undefined): number {
  if (directives.noCache || directives.mustRevalidate || directives.proxyRevalidate) return 0;
  if (seconds !== undefined) return seconds * 1_000;
  return directives.sMaxage === undefined ? (ruleMs ?? 0) : 0;
}
