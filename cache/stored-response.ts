/**
 * A response as it is kept, and how it is made from a response's head.
 * @module
 */
import type { Coding } from '../http/fields/content-coding.ts';
import { formatHttpDate } from '../http/fields/date.ts';
import { FieldNames, fieldValue, hasField, type RawHeaders, withoutFields } from '../http/fields/headers.ts';
import type { EpochMs } from '../lib/clock.ts';
import type { Stamp } from './ledger.ts';
import type { ResponsePolicy } from './policy/response-policy.ts';
import type { StoredBody } from './store/store.ts';
import { type VaryMember, varyMembers } from './vary.ts';

/** Encoded form of a stored body, made by this node. */
export interface Encoding {
  readonly coding: Coding;
  /** True if it was made at a fast level: a smaller one may take its place. */
  readonly isFast: boolean;
  /** Absent: it would be no smaller than the body. */
  readonly body: StoredBody | undefined;
}

export interface StoredResponse {
  readonly status: number;
  readonly statusText: string;
  /**
   * End-to-end fields without Age and Cache-Status, which are made anew for each answer, and without those that
   * no-cache="…" or private="…" names.
   */
  readonly headers: RawHeaders;
  readonly trailers: RawHeaders;
  readonly vary: readonly VaryMember[];
  /** Tags for purges. */
  readonly tags: readonly string[];
  /** Journal position of the response. */
  readonly stamp: Stamp;
  readonly policy: ResponsePolicy;
  /** Time at which the response arrived, or was last validated: milliseconds. */
  readonly responseTime: EpochMs;
  /** Length of the whole representation in bytes, of which `body` may hold a part. */
  readonly length: number;
  readonly body: StoredBody;
  /**
   * Identifier of the generation whose chunks are the body (cache/large/), which is then empty here; absent: `body` has
   * all that is stored.
   */
  readonly generation?: string | undefined;
  /**
   * Encodings of `body`. They are part of the response: stored, replaced, evicted and purged with it, and not on disk.
   */
  readonly encodings?: readonly Encoding[] | undefined;
  /**
   * Caches for what follows from this object (stored-facts.ts), and for the component that answers with it: they live
   * as long as the object, and are not stored. A WeakMap would do the same, but its values outlive every collection of
   * the young generation.
   */
  facts?: object | undefined;
  prepared?: object | undefined;
  /** Cache for the forms that a request may get (encoding/forms.ts). */
  forms?: object | undefined;
}

export interface StoredHead
  extends Omit<
    StoredResponse,
    'body' | 'trailers' | 'length' | 'generation' | 'encodings' | 'facts' | 'prepared' | 'forms'
  > {}

export interface StoredHeadInput {
  readonly status: number;
  readonly statusText: string;
  readonly headers: RawHeaders;
  readonly requestHeaders: RawHeaders;
  readonly policy: ResponsePolicy;
  readonly responseTime: EpochMs;
  readonly tags: readonly string[];
  readonly stamp: Stamp;
}

/** @returns What is kept of a response's head (RFC 9111, section 3.1). Hop-by-hop fields are gone already. */
export function storedHead(input: StoredHeadInput): StoredHead {
  const { policy } = input;
  const { noCacheFields, privateFields } = policy.directives;
  const named = noCacheFields.length > 0 || privateFields.length > 0;
  const dropped = named ? new Set([...MADE_ANEW, ...noCacheFields, ...privateFields]) : MADE_ANEW;
  const kept = withoutFields(input.headers, dropped);
  // RFC 9110, section 6.6.1: a response without Date gets one before it is stored or passed on.
  const headers = hasField(kept, 'date') ? kept : [...kept, 'Date', formatHttpDate(input.responseTime)];
  return {
    status: input.status,
    statusText: input.statusText,
    headers,
    vary: varyMembers(input.headers, input.requestHeaders),
    tags: input.tags,
    stamp: input.stamp,
    policy,
    responseTime: input.responseTime,
  };
}

/** Fields that each answer gets of its own. */
const MADE_ANEW: ReadonlySet<string> = new FieldNames(['age', 'cache-status']);

export function isComplete(stored: StoredResponse): boolean {
  return coveringRange(stored, 0, stored.length);
}

/** Returns whether the stored bytes hold `[start, end)` in one piece. */
export function coveringRange(stored: StoredResponse, start: number, end: number): boolean {
  if (start === end) return true;
  return stored.body.ranges.some((range) => range.start <= start && range.end >= end);
}

/**
 * @returns The strong validator that tells two parts of one representation from parts of two (RFC 9111, section 3.4).
 */
export function strongValidator(headers: RawHeaders): string | undefined {
  const etag = fieldValue(headers, 'etag');
  return etag?.startsWith('"') ? etag : undefined;
}

/** Returns whether two stored parts belong to one representation (RFC 9111, section 3.4). */
export function sameRepresentation(a: StoredResponse, b: StoredResponse): boolean {
  const validator = strongValidator(a.headers);
  return validator !== undefined && validator === strongValidator(b.headers) && a.length === b.length;
}

/** Bodies that are stored with a response: its own, then those of its encodings. */
export function bodiesOf({ body, encodings }: StoredResponse): readonly StoredBody[] {
  if (encodings === undefined) return [body];
  return [body, ...encodings.flatMap((encoding) => encoding.body ?? [])];
}

/**
 * The response with other bodies. An encoding whose body is gone is left out.
 *
 * @param change - Returns what takes the body's place; `undefined` if it is gone.
 * @returns `undefined` if its own body is gone.
 */
export function withBodies(
  stored: StoredResponse,
  change: (body: StoredBody) => StoredBody | undefined,
): StoredResponse | undefined {
  const { encodings } = stored;
  const body = change(stored.body);
  if (body === undefined) return undefined;
  if (encodings === undefined) return body === stored.body ? stored : { ...stored, body };
  const changed = encodings.flatMap((encoding): Encoding[] => {
    if (encoding.body === undefined) return [encoding];
    const other = change(encoding.body);
    return other === undefined ? [] : [other === encoding.body ? encoding : { ...encoding, body: other }];
  });
  const isSame = body === stored.body && changed.every((encoding, i) => encoding === encodings[i]);
  return isSame && changed.length === encodings.length ? stored : { ...stored, body, encodings: changed };
}
