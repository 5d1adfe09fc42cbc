/**
 * Entity tags of encoded forms. A strong tag names bytes, so each encoding of a representation has its own (RFC 9110,
 * section 8.8.3.3): that of the representation with a suffix. A weak tag stays as it is.
 *
 *     "v1" → "v1~br", and "v1~br.1" while the encoding is a fast one
 * @module
 */
import type { Coding } from './content-coding.ts';
import { parseEntityTag, parseEntityTagList, weakMatch } from './etag.ts';
import { fieldValue, type RawHeaders, withField } from './headers.ts';

const SUFFIXED = /^("[^"]*)~(?:br|zstd|gzip)(?:\.1)?"$/;

/** @returns The tag of an encoding of the representation with this tag. */
export function encodedTag(tag: string, coding: Coding, isFast: boolean): string {
  return parseEntityTag(tag)?.weak === false ? `${tag.slice(0, -1)}~${coding}${isFast ? '.1' : ''}"` : tag;
}

/** @returns The tag of the representation that the tag names an encoding of; `undefined` if it names none. */
export function plainTag(tag: string): string | undefined {
  const plain = SUFFIXED.exec(tag)?.[1];
  return plain === undefined ? undefined : `${plain}"`;
}

/**
 * @param value - Of If-None-Match or If-Match.
 * @returns The tag in it that names the representation with this tag, or an encoding of it.
 */
export function namedForm(value: string, tag: string): string | undefined {
  const tags = parseEntityTagList(value);
  if (tags === undefined || tags === '*') return undefined;
  return tags.find((named) => weakMatch(named, tag) || plainTag(named) === tag);
}

/**
 * The preconditions of a request for one who has not heard of the suffixes: beside each tag of an encoding stands the
 * one of the representation.
 *
 * @param names - Fields to read.
 */
export function withPlainTags(headers: RawHeaders, names: readonly ConditionName[]): RawHeaders {
  return names.reduce((fields, name) => {
    const value = fieldValue(fields, name);
    if (value === undefined || !value.includes('~')) return fields;
    const tags = parseEntityTagList(value);
    if (tags === undefined || tags === '*') return fields;
    const all = tags.flatMap((tag) => {
      const plain = plainTag(tag);
      return plain === undefined || tags.includes(plain) ? [tag] : [tag, plain];
    });
    return all.length === tags.length ? fields : withField(fields, FIELD_NAMES[name], all.join(', '));
  }, headers);
}

type ConditionName = 'if-match' | 'if-none-match';

const FIELD_NAMES: Readonly<Record<ConditionName, string>> = {
  'if-match': 'If-Match',
  'if-none-match': 'If-None-Match',
};
