/**
 * Profile of a request's header section: the parts that a lookup in the store depends on. A profile holds for all
 * requests with the same section, whatever their target.
 * @module
 */
import type { CompiledRules } from '../config/match.ts';
import type { SiteConfig } from '../config/schema.ts';
import { isForOriginOnly } from '../http/fields/conditional.ts';
import { type AcceptedCodings, acceptedCodings } from '../http/fields/content-coding.ts';
import { fieldValue, hasField, type RawHeaders } from '../http/fields/headers.ts';
import { parseRange, type RangeSpec } from '../http/fields/range.ts';
import type { Credentials } from './credentials.ts';
import type { CacheRequest } from './exchange.ts';
import { carriesAllowed } from './passing.ts';
import { NO_REQUEST_DIRECTIVES, type RequestDirectives, requestDirectives } from './policy/directives.ts';
import { normalisedField, type VaryMember } from './vary.ts';

export interface ProfileOptions {
  readonly site: SiteConfig;
  readonly rules: CompiledRules;
  /** End-to-end fields, Host included. */
  readonly headers: RawHeaders;
  /** Credentials of the request that are not in the key. */
  readonly credentials: Credentials | undefined;
  /**
   * Returns whether a field differs between requests that share the profile. Present for a section that several
   * requests have; absent for one request's own, by which everything can be decided.
   */
  readonly differs?: (name: string) => boolean;
}

/** Value of a field that the profile does not tell. */
const DIFFERS = Symbol('differs between requests with this section');

type Value = string | undefined | typeof DIFFERS;

/** Fields that are remembered for a section: what responses vary by is for origins to choose. */
const MAX_NORMALISED = 32;

export class RequestProfile {
  readonly rules: CompiledRules;
  readonly headers: RawHeaders;
  readonly credentials: Credentials | undefined;
  /** True if several requests share it: what it leaves open is undecided. */
  readonly isShared: boolean;
  /** True if the request carries a field that may make its response differ from the one that the key identifies. */
  readonly carriesAllowed: boolean;
  /** True if it has a precondition for the origin (RFC 9111, section 4.3.2). */
  readonly isForOriginOnly: boolean;
  /** True if it has a precondition that a cache evaluates. */
  readonly hasConditions: boolean;
  /** Ranges that a GET asks for. */
  readonly ranges: readonly RangeSpec[] | undefined;
  #ifNoneMatch: string | undefined;
  #accepted: AcceptedCodings | undefined;
  #directives: RequestDirectives | undefined;
  readonly #differs: ProfileOptions['differs'];
  /** Values of fields that responses vary by, in the form in which they are compared. */
  #normalised: Map<string, Value> | undefined;

  constructor({ site, rules, headers, credentials, differs }: ProfileOptions) {
    this.rules = rules;
    this.headers = headers;
    this.credentials = credentials;
    this.isShared = differs !== undefined;
    this.carriesAllowed = carriesAllowed(site, headers);
    this.isForOriginOnly = isForOriginOnly(headers);
    this.#ifNoneMatch = fieldValue(headers, 'if-none-match');
    this.hasConditions = this.#ifNoneMatch !== undefined || hasField(headers, 'if-modified-since');
    this.ranges = parseRange(fieldValue(headers, 'range'));
    this.#differs = differs;
  }

  /** Cache directives of the request, whether the site honours them or not. */
  get directives(): RequestDirectives {
    this.#directives ??= directivesOf(this.headers);
    return this.#directives;
  }

  get ifNoneMatch(): string | undefined {
    return this.#ifNoneMatch;
  }

  /** Codings that the request accepts; `undefined` where the site sends what is stored. */
  get acceptedCodings(): AcceptedCodings | undefined {
    const { compression } = this.rules;
    if (compression === undefined) return undefined;
    this.#accepted ??= acceptedCodings(fieldValue(this.headers, 'accept-encoding'), compression.codings);
    return this.#accepted;
  }

  /** Returns whether If-None-Match is this text. */
  isNoneMatch(text: string): boolean {
    if (this.#ifNoneMatch !== text) return false;
    this.#ifNoneMatch = text; // the very string: next time the pointers are equal, and no character is compared
    return true;
  }

  /**
   * Returns whether the section selects a response that varies by these members, as `matchesVary` does.
   *
   * @returns `undefined` where requests with this section differ.
   */
  selects(vary: readonly VaryMember[]): boolean | undefined {
    for (const { name, value } of vary) {
      const own = this.#value(name);
      if (own === DIFFERS) return undefined;
      if (own !== value) return false;
    }
    return true;
  }

  #value(name: string): Value {
    this.#normalised ??= new Map();
    const known = this.#normalised.get(name);
    if (known !== undefined || this.#normalised.has(name)) return known;
    const value = this.#differs?.(name) === true ? DIFFERS : normalisedField(this.headers, name);
    if (this.#normalised.size < MAX_NORMALISED) this.#normalised.set(name, value);
    return value;
  }
}

/** Returns the profile of a request's own header section, which is worked out once if the section is remembered. */
export function profileOf({
  site,
  rules,
  headers,
  memo,
  keyed: { credentials },
}: Pick<CacheRequest, 'site' | 'rules' | 'headers' | 'memo' | 'keyed'>): RequestProfile {
  if (memo?.headers !== headers) return new RequestProfile({ site, rules, headers, credentials });
  const { profile } = memo;
  const isSame = profile instanceof RequestProfile && profile.rules === rules && profile.credentials === credentials;
  const known = isSame ? profile : new RequestProfile({ site, rules, headers, credentials });
  memo.profile = known;
  return known;
}

function directivesOf(headers: RawHeaders): RequestDirectives {
  const cacheControl = fieldValue(headers, 'cache-control');
  const pragma = fieldValue(headers, 'pragma');
  if (cacheControl === undefined && pragma === undefined) return NO_REQUEST_DIRECTIVES;
  return requestDirectives(cacheControl, pragma);
}
