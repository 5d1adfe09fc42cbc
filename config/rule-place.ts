/**
 * Place of a rule in the files of a config, for people.
 * @module
 */
import { type Environment, readRegion } from './read.ts';
import type { RuleConfig, SiteConfig } from './schema.ts';

export interface RulePlace {
  /** Number of the rule among those of its site, from 1; null: no rule matches, and every default counts. */
  readonly number: number | null;
  /** File that has the rule; null where it cannot be read any more. */
  readonly file: string | null;
  /** Line, as the file is now: it may have changed since it was loaded. */
  readonly line: number | null;
}

/** @param file - Region file that names the site. */
export function placeOfRule(
  file: string,
  site: SiteConfig,
  rule: RuleConfig,
  env: Environment = process.env,
): RulePlace {
  const index = site.rules.indexOf(rule);
  if (index < 0) return { number: null, file: null, line: null };
  const placed = readRegion(file, env).sites.find(({ config }) => config.name === site.name);
  if (placed === undefined) return { number: index + 1, file: null, line: null };
  const { source } = placed;
  return { number: index + 1, file: source.file, line: source.problem(['rules', index], '', '').line };
}
