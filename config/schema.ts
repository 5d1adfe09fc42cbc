/**
 * The one schema, of which schema/ has the parts: it validates a region file and a site, yields every default,
 * and is what the JSON Schema for editors and the reference page are made from.
 *
 * Keys are as written in YAML. Durations are milliseconds and sizes are bytes
 * once parsed (config/units.ts).
 * @module
 */
export type { DnsConfig } from './dns/schema.ts';
export { type LimitsConfig, limitsSchema } from './schema/limits.ts';
export { type DiskConfig, type EdgeConfig, edgeSchema, type ShieldConfig, shieldSchema } from './schema/node.ts';
export { type OriginConfig, originSchema } from './schema/origin.ts';
export { includeSchema, type RegionConfig, regionSchema } from './schema/region.ts';
export { type RuleConfig, ruleSchema } from './schema/rule.ts';
export { type SiteConfig, siteSchema } from './schema/site.ts';
