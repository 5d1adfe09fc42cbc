/**
 * Decides whether a response may be stored (RFC 9111, section 3).
 * @module
 */
import type { RuleConfig } from '../../config/schema.ts';
import { fieldValue, hasField, listMembers, type RawHeaders } from '../../http/fields/headers.ts';
import type { RequestDirectives, ResponseDirectives } from './directives.ts';
import type { StoreRefusal } from './refusals.ts';
import type { ResponsePolicy } from './response-policy.ts';
import { isHeuristicallyCacheable, isUnderstood } from './status.ts';
import { hasValidator } from './validation.ts';

export interface StoringInput {
  /** True if the request has Authorization that is not in the key. */
  readonly hasAuthorization: boolean;
  /** True if the request is personal under the rule (docs/shared-answers.md). */
  readonly isPersonal: boolean;
  readonly requestDirectives: RequestDirectives;
  readonly status: number;
  readonly headers: RawHeaders;
  readonly policy: ResponsePolicy;
  readonly rule: RuleConfig;
}

/** @returns `undefined` when the response may be stored, else the reason against it. */
export function storeRefusal(input: StoringInput): StoreRefusal | undefined {
  const { policy, rule, headers, status } = input;
  const { directives } = policy;
  if (rule.cache === 'never') return 'rule-never';
  // Section 5.2.2.3: where the status is understood, must-understand overrides no-store; else it forbids storing.
  if (directives.mustUnderstand && !isUnderstood(status)) return 'status';
  if (directives.noStore && !directives.mustUnderstand) return 'no-store';
  if (directives.isPrivate) return 'private'; // section 5.2.2.7: this cache is shared
  if (input.requestDirectives.noStore) return 'request-no-store';
  if (input.hasAuthorization && !(policy.declared && permitsAuthorization(directives))) return 'authorization';
  if (input.isPersonal && !policy.declared) return 'cookies';
  if (listMembers(fieldValue(headers, 'vary') ?? '').includes('*')) return 'vary-star';
  if (keepsSetCookie(input)) return 'set-cookie';
  if (status === 416) return 'partial'; // it says something of one visitor's Range only (RFC 9110, section 15.5.17)
  if (status === 304) return 'status'; // an answer to a condition of the visitor's own, not a representation
  const explicit = policy.explicitLifetimeMs !== undefined || directives.isPublic;
  if (!explicit && !isHeuristicallyCacheable(status)) return 'status';
  const reusable =
    policy.lifetimeMs > policy.initialAgeMs || policy.staleWhileRevalidateMs > 0 || policy.staleIfErrorMs > 0;
  if (!reusable && !hasValidator(headers)) return 'no-freshness';
  return undefined;
}

/** Section 3.5: what lets a shared cache keep the answer to a request with Authorization. */
function permitsAuthorization(directives: ResponseDirectives): boolean {
  return directives.mustRevalidate || directives.isPublic || directives.sMaxage !== undefined;
}

/**
 * RFC 9111, section 7.3 leaves Set-Cookie to max-age and the like; one
 * visitor's cookie for all is too dangerous to follow from that, so the
 * origin must say `public`, name a lifetime for shared caches, or name the
 * field in no-cache="…" or private="…", which keeps it out of the store.
 */
function keepsSetCookie({ policy, headers, rule }: StoringInput): boolean {
  const { directives } = policy;
  if (rule.set_cookie === 'store' || directives.isPublic || directives.sMaxage !== undefined) return false;
  if (policy.addressed && rule.origin_headers === 'honour') return false; // a targeted field speaks to shared caches only
  if (directives.noCacheFields.includes('set-cookie') || directives.privateFields.includes('set-cookie')) return false;
  return hasField(headers, 'set-cookie');
}
