/**
 * Facts about a stored response that follow from the response and the site's rules alone. They are worked out once for
 * each object that the store has looked up, and kept on it.
 * @module
 */
import type { CompiledRules, CookiePolicy } from '../config/match.ts';
import { parseEntityTag } from '../http/fields/etag.ts';
import { fieldValue, firstLine } from '../http/fields/headers.ts';
import { isPersonal } from './credentials.ts';
import type { Found } from './lookup.ts';
import type { RequestProfile } from './request-profile.ts';
import { isComplete, type StoredResponse } from './stored-response.ts';

/** Site's rules, and the path that they are asked about. */
export interface RuledPath {
  readonly rules: CompiledRules;
  readonly path: string;
}

export class StoredFacts {
  readonly #stored: StoredResponse;
  readonly #rules: CompiledRules;
  /** True if requests for the path are neither looked up nor collapsed. */
  readonly bypasses: boolean;
  /** True if the requester's own Cache-Control is honoured. */
  readonly honoursRequests: boolean;
  /** True if the whole body is stored. */
  readonly isComplete: boolean;
  /** Entity tag, if an If-None-Match of the same text names it. */
  readonly tag: string | undefined;
  /** Cookies that make a request personal; `undefined` if the origin declares the response shareable. */
  readonly cookies: CookiePolicy | undefined;
  /** Result of a lookup that finds the response fresh. */
  readonly fresh: Found;

  constructor(stored: StoredResponse, { rules, path }: RuledPath) {
    this.#stored = stored;
    this.#rules = rules;
    this.bypasses = rules.bypasses(path);
    this.honoursRequests = rules.ruleFor(path, 200).request_directives === 'honour';
    this.isComplete = isComplete(stored);
    const { status, headers, policy } = stored;
    const tag = firstLine(headers, 'etag');
    this.tag = tag !== undefined && parseEntityTag(tag) !== undefined ? tag : undefined;
    const type = fieldValue(headers, 'content-type');
    this.cookies = policy.declared ? undefined : rules.responseRule(path, status, type).cookies;
    this.fresh = {
      outcome: 'fresh',
      stored,
      facts: this,
      reason: undefined,
      isTrusted: true,
      isUnverified: false,
      isRefused: false,
    };
  }

  /** Returns whether they are about this very object, by these rules. */
  isFor(stored: StoredResponse, rules: CompiledRules): boolean {
    return this.#stored === stored && this.#rules === rules;
  }

  /** Returns whether an If-None-Match names its entity tag; one that is spelt otherwise may do so as well. */
  isNamedBy(profile: RequestProfile): boolean {
    return this.tag !== undefined && profile.isNoneMatch(this.tag);
  }

  /** Returns whether the response may be another person's (docs/shared-answers.md). */
  isWithheldFrom({ credentials }: RequestProfile): boolean {
    return credentials !== undefined && this.cookies !== undefined && isPersonal(credentials, this.cookies);
  }
}

/** @param request - Whose path is one under whose key the response is stored. */
export function factsOf(stored: StoredResponse, request: RuledPath): StoredFacts {
  const known = stored.facts;
  if (known instanceof StoredFacts && known.isFor(stored, request.rules)) return known;
  const facts = new StoredFacts(stored, request);
  stored.facts = facts;
  return facts;
}
