/**
 * The HTTP method PURGE on the public listener, as modules of WordPress,
 * Drupal and others send it to Varnish: for those whom the site allows, off by
 * default.
 *
 *     PURGE /path                         the URL, all of its variants
 *     PURGE /path/.*  X-Purge-Method: regex   everything below the path
 *     PURGE /any      Cache-Tag, Surrogate-Key or xkey: those tags
 *     Fastly-Soft-Purge: 1                stale rather than gone
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { KeyedRequest } from '../cache/key.ts';
import { responseTags } from '../cache/tags.ts';
import type { SiteConfig } from '../config/schema.ts';
import { HttpError } from '../http/errors.ts';
import { fieldValue, type RawHeaders } from '../http/headers.ts';
import { trustedProxies } from '../http/trusted-proxies.ts';
import type { Purge } from '../journal/journal.ts';

export interface PurgeRequest {
  readonly site: SiteConfig;
  readonly keyed: KeyedRequest;
  /** The visitor's own. */
  readonly headers: RawHeaders;
  /** The visitor's address. */
  readonly ip: string;
}

/**
 * @returns What it asks to be purged.
 * @throws {HttpError} `method_not_allowed` where the site lets nobody purge like this, `purge_forbidden` to others.
 */
export function readPurge({ site, keyed, headers, ip }: PurgeRequest): Purge[] {
  const { from, token_sha256: hashes } = site.purge_method;
  if (from.length === 0 && hashes.length === 0) throw new HttpError('method_not_allowed');
  if (from.length > 0 && !trustedProxies(from)(ip)) throw new HttpError('purge_forbidden', ip);
  if (hashes.length > 0 && !hasToken(headers, hashes)) throw new HttpError('purge_forbidden', 'no valid token');
  const soft = fieldValue(headers, 'fastly-soft-purge') === '1';
  const purge = { site: site.name, soft, who: `PURGE from ${ip}`, why: '' };
  const tags = responseTags(site, keyed.authority, headers);
  if (tags === undefined) throw new HttpError('bad_request', 'too many tags, or one too long');
  if (tags.length > 0) return tags.map((selector) => ({ ...purge, kind: 'tag', selector }));
  const url = `//${keyed.authority}${keyed.target}`;
  if (fieldValue(headers, 'x-purge-method')?.toLowerCase() === 'regex') {
    return [{ ...purge, kind: 'prefix', selector: prefixOf(url) }];
  }
  return [{ ...purge, kind: 'url', selector: url }];
}

/** The one expression that these modules send: everything below a path. */
function prefixOf(url: string): string {
  if (!url.endsWith('.*')) throw new HttpError('bad_request', 'X-Purge-Method: regex takes a path that ends with .*');
  return url.slice(0, -2);
}

/** Compares digests: a token's own digest is no secret worth timing, but costs nothing to treat as one. */
function hasToken(headers: RawHeaders, hashes: readonly string[]): boolean {
  const bearer = /^Bearer +(\S+)$/i.exec(fieldValue(headers, 'authorization') ?? '')?.[1];
  const token = bearer ?? fieldValue(headers, 'x-purge-token');
  if (token === undefined) return false;
  const digest = createHash('sha256').update(token).digest();
  return hashes.some((hash) => timingSafeEqual(Buffer.from(hash, 'hex'), digest));
}
