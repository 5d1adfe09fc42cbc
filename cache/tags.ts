/**
 * The names by which purges call stored responses: tags that the origin gives
 * them (Cache-Tag, Surrogate-Key, xkey), and the groups of RFC 9875.
 * @module
 */
import { type Item, parseList } from 'structured-headers';
import type { SiteConfig } from '../config/schema.ts';
import { fieldLines, hasField, type RawHeaders, trimOws } from '../http/fields/headers.ts';

/** A response with more is not stored: a purge must never miss one because it has many. */
export const MAX_TAGS = 4_096;

/** The longest tag, in bytes; a response with a longer one is not stored. Others' limit is 1,024 as well. */
export const MAX_TAG_LENGTH = 1_024;

/**
 * @param authority - Host and port: groups belong to one origin (RFC 9875, section 2).
 * @returns The tags, each once; `undefined` when there are too many, or one is too long.
 */
export function responseTags(site: SiteConfig, authority: string, headers: RawHeaders): readonly string[] | undefined {
  const { fields } = site.tags;
  if (!hasField(headers, 'cache-groups') && !fields.some((field) => hasField(headers, field))) return NO_TAGS;
  const tags = new Set<string>();
  for (const field of fields) {
    for (const line of fieldLines(headers, field)) {
      // Cache-Tag separates by commas, Surrogate-Key by spaces, xkey by either: both separate everywhere.
      // White space is spaces and tabs: 0xa0, which Latin-1 has for one more, is a byte of `à` and of `Р` in UTF-8.
      for (const tag of line.split(field.toLowerCase() === 'cache-tag' ? /,/ : /[ \t,]+/)) {
        const name = trimOws(tag);
        if (name !== '') tags.add(name);
      }
    }
  }
  for (const group of cacheGroups(headers, 'cache-groups')) tags.add(groupTag(authority, group));
  if (tags.size > MAX_TAGS) return undefined;
  for (const tag of tags) if (tag.length > MAX_TAG_LENGTH) return undefined;
  return [...tags];
}

const NO_TAGS: readonly string[] = [];

/** @returns The groups of Cache-Group-Invalidation, each once, that a stored response can be of. */
export function invalidatedGroups(authority: string, headers: RawHeaders): readonly string[] {
  const groups = new Set(cacheGroups(headers, 'cache-group-invalidation'));
  return [...groups].filter((group) => groupTag(authority, group).length <= MAX_TAG_LENGTH);
}

/**
 * @returns The strings of Cache-Groups or Cache-Group-Invalidation; none where the field is not valid (RFC 9875,
 * section 2).
 */
function cacheGroups(headers: RawHeaders, field: 'cache-groups' | 'cache-group-invalidation'): string[] {
  const lines = fieldLines(headers, field);
  if (lines.length === 0) return [];
  try {
    return parseList(lines.join(', ')).flatMap((member) => {
      const bare = (member as Item)[0];
      return typeof bare === 'string' ? [bare] : [];
    });
  } catch {
    return []; // the parser throws on every syntax error; the field is then ignored (RFC 9651, section 4.2)
  }
}

/** @returns The tag that a group is kept as; no origin can send it as a tag, as tags have no commas. */
export function groupTag(authority: string, group: string): string {
  return `group,${authority},${group}`;
}
