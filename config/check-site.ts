import type { Source } from './document.ts';
import type { ConfigProblem } from './problem.ts';
import type { SiteConfig } from './schema.ts';
export function checkSite(_site: SiteConfig, _source: Source): ConfigProblem[] {
  return [];
}
