/**
 * Entity tags and how they compare (RFC 9110, section 8.8.3).
 *
 * A tag that does not follow the grammar matches nothing, not even itself: two
 * parsers could disagree on where it ends, and the price of "no match" is only
 * a full response.
 * @module
 */

export interface EntityTag {
  readonly weak: boolean;
  /** Text between the quotes. A backslash is an ordinary character here, not an escape. */
  readonly opaque: string;
}

/** @returns `undefined` unless the text is exactly one entity tag. `W/` is case-sensitive. */
export function parseEntityTag(text: string): EntityTag | undefined {
  const match = ENTITY_TAG.exec(text);
  return match === null ? undefined : { weak: match[1] !== undefined, opaque: match[2] as string };
}

/** Section 8.8.3.2: equal, and neither is weak. */
export function strongMatch(a: string, b: string): boolean {
  const [left, right] = [parseEntityTag(a), parseEntityTag(b)];
  if (left === undefined || right === undefined) return false;
  return !left.weak && !right.weak && left.opaque === right.opaque;
}

/** Section 8.8.3.2: equal, weak or not. */
export function weakMatch(a: string, b: string): boolean {
  const [left, right] = [parseEntityTag(a), parseEntityTag(b)];
  return left !== undefined && right !== undefined && left.opaque === right.opaque;
}

/**
 * Reads `If-Match` and `If-None-Match` (sections 13.1.1 and 13.1.2).
 *
 * @param value - The field's lines, joined by commas.
 * @returns The tags as written, `*`, or `undefined` if any member is malformed
 *   or there is none.
 */
export function parseEntityTagList(value: string): string[] | '*' | undefined {
  if (value === '*') return '*';
  const tags: string[] = [];
  let at = 0;
  while (at < value.length) {
    MEMBER.lastIndex = at;
    const match = MEMBER.exec(value);
    if (match === null) return undefined;
    if (match[1] !== undefined) tags.push(match[1]);
    at = MEMBER.lastIndex;
  }
  return tags.length === 0 ? undefined : tags;
}

/** etagc is VCHAR without the quote, or obs-text: bytes 0x80 to 0xff. */
const OPAQUE_TAG = '"([\\x21\\x23-\\x7e\\x80-\\xff]*)"';
const ENTITY_TAG = new RegExp(`^(W/)?${OPAQUE_TAG}$`);
/** One member, perhaps empty (section 5.6.1.2), with what separates it from the next. Takes linear time. */
const MEMBER = new RegExp(`[ \\t]*(?:((?:W/)?${OPAQUE_TAG})[ \\t]*)?(?:,|$)`, 'y');
