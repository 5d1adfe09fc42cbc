/**
 * Requests that the cache has nothing to say about.
 * @module
 */
import { allowedFields } from '../config/allowed-fields.ts';
import type { SiteConfig } from '../config/schema.ts';
import { lowerCase, type RawHeaders } from '../http/fields/headers.ts';

/**
 * Returns whether a field that the site lets through may make the response differ from the one that the key identifies.
 */
export function carriesAllowed(site: SiteConfig, headers: RawHeaders): boolean {
  const allowed = allowedFields(site);
  if (allowed.size === 0) return false;
  for (let i = 0; i < headers.length; i += 2) if (allowed.has(lowerCase(headers[i] as string))) return true;
  return false;
}
