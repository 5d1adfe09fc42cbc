/**
 * The HTTP method PURGE on the public listener, as plugins of WordPress,
 * Drupal and others send it to Varnish. Off by default.
 *
 *     PURGE /path                             the URL with all its variants
 *     PURGE /path/.*                          everything below the path
 *     PURGE /path/.*  X-Purge-Method: regex   the same
 *     PURGE /a*b      X-Purge-Method: exact   the URL, though it has an asterisk
 *     PURGE /any      Cache-Tag, Surrogate-Key or xkey: these tags
 *     PURGE /any      X-Purge-Method: tags, X-Cache-Tags-Pattern: a|b   these tags
 *     Fastly-Soft-Purge: 1                    stale instead of gone
 *
 * What would purge nothing, or not what its sender means, is refused: the
 * sender takes 200 for done.
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { KeyedRequest } from '../cache/key.ts';
import { MAX_TAG_LENGTH, MAX_TAGS, responseTags } from '../cache/tags.ts';
import type { SiteConfig } from '../config/schema.ts';
import { HttpError } from '../http/errors.ts';
import { fieldValue, type RawHeaders } from '../http/fields/headers.ts';
import type { Purge } from '../journal/journal.ts';
import { cidrSetOf } from '../lib/cidr-set.ts';

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
 * @throws {HttpError} `method_not_allowed` where the site does not allow this, `purge_forbidden` to others,
 *   `bad_purge` for what it cannot do.
 */
export function readPurge({ site, keyed, headers, ip }: PurgeRequest): Purge[] {
  const { from, token_sha256: hashes } = site.purge_method;
  if (from.length === 0 && hashes.length === 0) throw new HttpError('method_not_allowed');
  if (from.length > 0 && !cidrSetOf(from).has(ip)) throw new HttpError('purge_forbidden', ip);
  if (hashes.length > 0 && !hasToken(headers, hashes)) throw new HttpError('purge_forbidden', 'no valid token');
  const soft = fieldValue(headers, 'fastly-soft-purge') === '1';
  const purge = { site: site.name, soft, who: `PURGE from ${ip}`, why: '' };
  const method = fieldValue(headers, 'x-purge-method')?.toLowerCase() ?? 'default';
  const tags = method === 'tags' ? patternTags(headers) : responseTags(site, keyed.authority, headers);
  if (tags === undefined) throw new HttpError('bad_purge', 'too many tags, or one too long');
  if (tags.length > 0) return tags.map((selector) => ({ ...purge, kind: 'tag', selector }));
  const url = `//${keyed.authority}${keyed.target}`;
  switch (method) {
    case 'exact':
      return [{ ...purge, kind: 'url', selector: url }];
    case 'regex':
      return [{ ...purge, kind: 'prefix', selector: prefixOf(url) }];
    case 'default':
      // W3 Total Cache sends the expression without a word that it is one.
      if (url.includes('*')) return [{ ...purge, kind: 'prefix', selector: prefixOf(url) }];
      return [{ ...purge, kind: 'url', selector: url }];
    default:
      throw new HttpError('bad_purge', `X-Purge-Method: ${method}`);
  }
}

/** Characters that a URL does not have, and an expression does. */
const OF_AN_EXPRESSION = /[*\\^[\]{}|]/;

/** Returns the prefix in an expression for everything below a path, the only one that plugins send. */
function prefixOf(url: string): string {
  const prefix = url.endsWith('.*') ? url.slice(0, -2) : undefined;
  if (prefix === undefined || OF_AN_EXPRESSION.test(prefix)) throw new HttpError('bad_purge', url);
  return prefix;
}

/** Expressions in which plugins wrap tags that are to match whole: `\b`, `(^|,)`, `(,|$)`. */
const AROUND_TAGS = /\(\^\|,\)|\(,\|\$\)|\\b/g;

const TAG = /^[\w.:@/~-]+$/;

/** @returns The tags of an expression that is nothing but alternatives. */
function patternTags(headers: RawHeaders): readonly string[] | undefined {
  const pattern = fieldValue(headers, 'x-cache-tags-pattern') ?? '';
  const tags = [...new Set(pattern.replace(AROUND_TAGS, '').split('|'))];
  if (!tags.every((tag) => TAG.test(tag))) throw new HttpError('bad_purge', `X-Cache-Tags-Pattern: ${pattern}`);
  return tags.length <= MAX_TAGS && tags.every(({ length }) => length <= MAX_TAG_LENGTH) ? tags : undefined;
}

/** Compares digests: a token's own digest is no secret worth timing, but costs nothing to treat as one. */
function hasToken(headers: RawHeaders, hashes: readonly string[]): boolean {
  const bearer = /^Bearer +(\S+)$/i.exec(fieldValue(headers, 'authorization') ?? '')?.[1];
  const token = bearer ?? fieldValue(headers, 'x-purge-token');
  if (token === undefined) return false;
  const digest = createHash('sha256').update(token).digest();
  return hashes.some((hash) => timingSafeEqual(Buffer.from(hash, 'hex'), digest));
}
