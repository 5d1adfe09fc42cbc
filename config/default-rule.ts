/**
 * The rule for what no rule of a site matches: every default of the schema, written out, so that threads of an edge,
 * which get their config parsed, need not load the schema.
 * @module
 */
import type { RuleConfig } from './schema/rule.ts';

export const DEFAULT_RULE: RuleConfig = Object.freeze({
  cache: 'allow',
  origin_headers: 'honour',
  set_cookie: 'refuse',
  request_directives: 'ignore',
});
