/**
 * What of the config counts for a request: the site of a host, the rule of a
 * path and a status. Everything that depends on the config alone is worked out
 * when it is loaded.
 * @module
 */
import { hostTable } from './host.ts';
import { compilePattern } from './pattern.ts';
import { type RuleConfig, ruleSchema, type SiteConfig } from './schema.ts';
import { EVERY_STATUS, statusesOf } from './status-set.ts';

/** The cache rules of a site. */
export interface CompiledRules {
  /**
   * The first rule that matches, or one with every default.
   *
   * @param path - As the visitor sent it, without the query.
   */
  ruleFor(path: string, status: number): RuleConfig;
  /**
   * Whether nothing at `path` is ever stored, whatever the status: such a
   * request is neither looked up nor collapsed.
   */
  bypasses(path: string): boolean;
}

interface CompiledRule {
  readonly rule: RuleConfig;
  readonly statuses: ReadonlySet<number>;
  matchesPath(path: string): boolean;
}

/** What counts where no rule matches. */
const DEFAULT_RULE: RuleConfig = Object.freeze(ruleSchema.parse({}));

/**
 * @returns For a host (lower case, without port) the site it belongs to: the
 *   one that names it, else the one with the longest wildcard that takes it,
 *   else the one with `*`.
 */
export function hostMatcher(sites: readonly SiteConfig[]): (host: string) => SiteConfig | undefined {
  return hostTable(sites.flatMap((site) => site.hosts.map((host) => [host, site] as const)));
}

/** Prepares the rules of `site` for matching, in time linear in the length of a path for each rule. */
export function compileRules(site: SiteConfig): CompiledRules {
  const rules = site.rules.map(compileRule);
  const hasNever = rules.some(({ rule }) => rule.cache === 'never');

  return {
    ruleFor(path, status) {
      for (const { rule, statuses, matchesPath } of rules) {
        if ((statuses === EVERY_STATUS || statuses.has(status)) && matchesPath(path)) return rule;
      }
      return DEFAULT_RULE;
    },
    bypasses(path) {
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
  const patterns = rule.path === undefined ? [] : [rule.path].flat().map(compilePattern);
  const [first, ...others] = patterns;
  return {
    rule,
    statuses: statusesOf(rule),
    matchesPath: (path) => first === undefined || first(path) || others.some((matches) => matches(path)),
  };
}
