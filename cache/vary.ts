/**
 * Choosing among the stored responses of one key by the request fields that
 * Vary names (RFC 9111, section 4.1).
 * @module
 */
import { fieldValue, listMembers, type RawHeaders, trimOws } from '../http/fields/headers.ts';
import { isEncoded } from './policy/encoding.ts';

/** One field named by Vary, with the normalised value of the request that was answered. */
export interface VaryMember {
  /** Lower case. */
  readonly name: string;
  /** `undefined`: the request had no such field. */
  readonly value: string | undefined;
}

/**
 * @returns The members in order; `*` never gets here, such a response is not stored. An origin that has encoded a
 * response
 *   and does not say that it varies by Accept-Encoding has forgotten to: not every client could read it.
 */
export function varyMembers(response: RawHeaders, request: RawHeaders): readonly VaryMember[] {
  const named = fieldValue(response, 'vary');
  const encoded = isEncoded(response);
  if (named === undefined && !encoded) return NO_MEMBERS;
  const names = new Set(listMembers(named ?? '').map((member) => member.toLowerCase()));
  if (encoded) names.add('accept-encoding');
  return [...names].map((name) => ({ name, value: normalisedField(request, name) }));
}

const NO_MEMBERS: readonly VaryMember[] = [];

/** Returns whether a request selects the response to a request with these values. */
export function matchesVary(vary: readonly VaryMember[], request: RawHeaders): boolean {
  return vary.every(({ name, value }) => normalisedField(request, name) === value);
}

/** @returns The field's value in a form in which equal meaning is equal text; `undefined` when it is absent. */
export function normalisedField(request: RawHeaders, name: string): string | undefined {
  const value = fieldValue(request, name);
  if (value === undefined) return undefined;
  // A field of excessive length is not parsed: only equal text is equal then, which is safe.
  if (value.length > MAX_LIST_CHARS) return trimOws(value);
  switch (name) {
    case 'accept-encoding':
    case 'accept-language': {
      const members = weighted(value);
      // What is no weight may be read in several ways, or shown: then only equal text is equal.
      if (members.some(({ q }) => Number.isNaN(q))) return trimOws(value);
      return members.map(({ token, q }) => (q === 1 ? token : `${token};q=${q}`)).join(',');
    }
    default:
      // Section 4.1 lets us combine lines and drop whitespace where the syntax is a list; it is for what has commas.
      // Not for empty members: a list may have them, but to a field that is none, such as Origin, they make another
      // value.
      return value.includes(',') && !HAS_EMPTY_MEMBER.test(value) ? listMembers(value).join(',') : trimOws(value);
  }
}

/** Maximum length of a list that is normalised before it is compared. Browsers' lists have some 150. */
const MAX_LIST_CHARS = 1_024;

/** List with empty members. Within quotes a match is harmless: the text is then compared as it is. */
const HAS_EMPTY_MEMBER = /^[ \t]*,|,[ \t]*(?:,|$)/;

/** RFC 9110, section 12.4.2. */
const QVALUE = /^q=(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/;

interface Weighted {
  readonly token: string;
  readonly q: number;
}

/** Members of Accept-Encoding or Accept-Language, heaviest first, then by name (RFC 9110, section 12.4.2). */
function weighted(value: string): Weighted[] {
  return listMembers(value)
    .map((member): Weighted => {
      const [token = '', ...parameters] = member.split(';').map((part) => trimOws(part).toLowerCase());
      const [q, ...others] = parameters;
      const isWeight = q !== undefined && others.length === 0 && QVALUE.test(q);
      const weight = q === undefined ? 1 : isWeight ? Number(q.slice(2)) : Number.NaN;
      return { token: token === 'x-gzip' ? 'gzip' : token, q: weight };
    })
    .sort((a, b) => b.q - a.q || (a.token < b.token ? -1 : a.token > b.token ? 1 : 0));
}
