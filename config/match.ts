/**
 * Finds what the config says about a request: the site for a host, the rule for a path and a status. Everything that
 * depends on the config alone is worked out when it is loaded.
 * @module
 */
import { type CompiledCompression, compileCompression } from './compression.ts';
import { exactNames, type NameReader, nameReader } from './cookie-names.ts';
import { DEFAULT_RULE } from './default-rule.ts';
import { hostTable } from './host.ts';
import { compilePattern } from './pattern.ts';
import { NO_PATH, rulePattern } from './rule-path.ts';
import type { RuleConfig, SiteConfig } from './schema.ts';
import { fitsExtension, staticExtension } from './static-types.ts';
import { EVERY_STATUS, statusesOf } from './status-set.ts';

/** Cookies that make a request personal. */
export type CookiePolicy =
  | { readonly mode: 'bypass' | 'ignore' | 'key' }
  | { readonly mode: 'some'; readonly names: NameReader };

/** Caching rule for a response, with everything derived from it. */
export interface ResponseRule {
  readonly rule: RuleConfig;
  readonly cookies: CookiePolicy;
}

/** The cache rules of a site. Paths are in the form of `rulePath`. */
export interface CompiledRules {
  /** The first rule that matches, or one with every default. */
  ruleFor(path: string, status: number): RuleConfig;
  /** The same for a response that is there: a rule with a type guard counts only if the type fits. */
  responseRule(path: string, status: number, contentType: string | undefined): ResponseRule;
  /** Cookie policy before the status is known: that of a 200. */
  cookiesAt(path: string): CookiePolicy;
  /** True if cookies are part of the key at some path. */
  readonly keysCookies: boolean;
  /** Returns whether a cookie of this name leaves a request shareable. The name is compared as written. */
  readonly isIgnored: (name: string) => boolean;
  /** Names of the cookies that are in the key at every path. Absent: none is. */
  readonly keyed: NameReader | undefined;
  /** Absent: responses are sent as they are stored. */
  readonly compression: CompiledCompression | undefined;
  /**
   * Returns whether responses for `path` are never stored, whatever their status: such requests are neither looked up
   * nor collapsed.
   */
  bypasses(path: string): boolean;
}

interface CompiledRule extends ResponseRule {
  readonly statuses: ReadonlySet<number>;
  readonly isGuarded: boolean;
  /** Rule for responses that are not a success: their Content-Type says nothing about the resource. */
  readonly otherwise: ResponseRule;
  matchesPath(path: string): boolean;
}

const BYPASS: CookiePolicy = Object.freeze({ mode: 'bypass' });
const IGNORE: CookiePolicy = Object.freeze({ mode: 'ignore' });
const KEY: CookiePolicy = Object.freeze({ mode: 'key' });

/** Policy where no rule matches. */
const UNMATCHED: ResponseRule = Object.freeze({ rule: DEFAULT_RULE, cookies: BYPASS });

/** Policy for a path that servers read in different ways. */
const NEVER: ResponseRule = Object.freeze({
  rule: Object.freeze({ ...DEFAULT_RULE, cache: 'never' }),
  cookies: BYPASS,
});

/**
 * @returns For a host (lower case, without port) the site it belongs to: the
 *   one that names it, else the one with the longest wildcard that takes it,
 *   else the one with `*`.
 */
export function hostMatcher(sites: readonly SiteConfig[]): (host: string) => SiteConfig | undefined {
  return hostTable(sites.flatMap((site) => site.hosts.map((host) => [host, site] as const)));
}

const COMPILED = new WeakMap<SiteConfig, CompiledRules>();

/**
 * Prepares the rules of `site` for matching, in time linear in the length of a path for each rule; once for each site.
 */
export function compileRules(site: SiteConfig): CompiledRules {
  const known = COMPILED.get(site);
  if (known !== undefined) return known;
  const compiled = compile(site);
  COMPILED.set(site, compiled);
  return compiled;
}

function compile(site: SiteConfig): CompiledRules {
  const rules = site.rules.map(compileRule);
  const hasNever = rules.some(({ rule }) => rule.cache === 'never');
  const find = (path: string, status: number): CompiledRule | undefined => {
    for (const compiled of rules) {
      const { statuses } = compiled;
      if ((statuses === EVERY_STATUS || statuses.has(status)) && compiled.matchesPath(path)) return compiled;
    }
    return undefined;
  };

  return {
    ruleFor: (path, status) => (path === NO_PATH ? NEVER : (find(path, status) ?? UNMATCHED)).rule,
    responseRule(path, status, contentType) {
      if (path === NO_PATH) return NEVER;
      const found = find(path, status);
      if (found === undefined) return UNMATCHED;
      if (!isSuccess(status)) return found.otherwise;
      return found.isGuarded && !fitsExtension(path, contentType) ? UNMATCHED : found;
    },
    cookiesAt: (path) => (find(path, 200) ?? UNMATCHED).cookies,
    keysCookies: rules.some(({ cookies }) => cookies === KEY),
    isIgnored: exactNames(site.ignored_cookies),
    keyed: site.key.cookies.length === 0 ? undefined : nameReader(site.key.cookies),
    compression: site.compression && compileCompression(site.compression),
    bypasses(path) {
      if (path === NO_PATH) return true;
      if (!hasNever) return false;
      let open = EVERY_STATUS;
      for (const { rule, statuses, matchesPath } of rules) {
        if (!matchesPath(path)) continue;
        if (statuses === EVERY_STATUS) return rule.cache === 'never';
        // Rules for some statuses are rare; only they pay for sets.
        if (rule.cache === 'never') open = open.difference(statuses);
        else if (!open.isDisjointFrom(statuses)) return false;
        if (open.size === 0) return true;
      }
      return false;
    },
  };
}

function compileRule(rule: RuleConfig): CompiledRule {
  const patterns = rule.path === undefined ? [] : [rule.path].flat().map(rulePattern);
  const [first, ...others] = patterns.map(compilePattern);
  const isForFiles = patterns.length > 0 && patterns.every((pattern) => staticExtension(pattern) !== undefined);
  const cookies = cookiePolicy(rule, isForFiles);
  return {
    rule,
    cookies,
    statuses: statusesOf(rule),
    isGuarded: rule.type_guard ?? isForFiles,
    otherwise: { rule, cookies: rule.cookies === undefined ? BYPASS : cookies },
    matchesPath: (path) => first === undefined || first(path) || others.some((matches) => matches(path)),
  };
}

function cookiePolicy({ cache, cookies }: RuleConfig, isForFiles: boolean): CookiePolicy {
  switch (cookies) {
    case undefined:
      return isForFiles && cache !== 'never' ? IGNORE : BYPASS;
    case 'bypass':
      return BYPASS;
    case 'ignore':
      return IGNORE;
    case 'key':
      return KEY;
    default:
      return { mode: 'some', names: nameReader(cookies.bypass) };
  }
}

function isSuccess(status: number): boolean {
  return status < 300 || status === 304;
}

/**
 * Returns whether the lifetimes of `rule` apply to a response with this status. Lifetimes without a list of statuses
 * apply only to successes and to permanent redirects.
 */
export function hasLifetimes(rule: RuleConfig, status: number): boolean {
  return rule.status !== undefined || isSuccess(status) || status === 301 || status === 308;
}
