/**
 * Request fields that a site lets through to its origin although visitors may
 * not set them by default (`request_headers.allow`).
 * @module
 */
import type { SiteConfig } from './schema.ts';

const KNOWN = new WeakMap<SiteConfig['request_headers'], ReadonlySet<string>>();

/** Their names, in lower case. */
export function allowedFields({ request_headers: changes }: SiteConfig): ReadonlySet<string> {
  let known = KNOWN.get(changes);
  if (known === undefined) {
    known = new Set(changes.allow.map((name) => name.toLowerCase()));
    KNOWN.set(changes, known);
  }
  return known;
}
