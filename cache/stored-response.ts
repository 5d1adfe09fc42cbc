/**
 * A response as it is kept, and how it is made from a response's head.
 * @module
 */
import { formatHttpDate } from '../http/date.ts';
import { fieldValue, hasField, type RawHeaders, withoutFields } from '../http/headers.ts';
import type { Stamp } from './ledger.ts';
import type { ResponsePolicy } from './policy/response-policy.ts';
import type { StoredBody } from './store/store.ts';
import { type VaryMember, varyMembers } from './vary.ts';

export interface StoredResponse {
  readonly status: number;
  readonly statusText: string;
  /** End-to-end fields without Age and Cache-Status, which are made anew for each answer, and without those that no-cache="…" or private="…" names. */
  readonly headers: RawHeaders;
  readonly trailers: RawHeaders;
  readonly vary: readonly VaryMember[];
  /** What purges by tag name it by. */
  readonly tags: readonly string[];
  /** How new it is against the journal of purges. */
  readonly stamp: Stamp;
  readonly policy: ResponsePolicy;
  /** When the response arrived, or was last validated: milliseconds. */
  readonly responseTime: number;
  /** Length of the whole representation in bytes, of which `body` may hold a part. */
  readonly length: number;
  readonly body: StoredBody;
}

export interface StoredHead extends Omit<StoredResponse, 'body' | 'trailers' | 'length'> {}

export interface StoredHeadInput {
  readonly status: number;
  readonly statusText: string;
  readonly headers: RawHeaders;
  readonly requestHeaders: RawHeaders;
  readonly policy: ResponsePolicy;
  readonly responseTime: number;
  readonly tags: readonly string[];
  readonly stamp: Stamp;
}

/** @returns What is kept of a response's head (RFC 9111, section 3.1). Hop-by-hop fields are gone already. */
export function storedHead(input: StoredHeadInput): StoredHead {
  const { policy } = input;
  const dropped = new Set([
    'age',
    'cache-status',
    ...policy.directives.noCacheFields,
    ...policy.directives.privateFields,
  ]);
  const headers = withoutFields(input.headers, dropped);
  for (let i = 0; i < headers.length; i += 2) {
    const name = shared(headers[i] as string);
    headers[i] = name;
    if (REPEATED_VALUES.has(name.toLowerCase())) headers[i + 1] = shared(headers[i + 1] as string);
  }
  // RFC 9110, section 6.6.1: a response without Date gets one before it is stored or passed on.
  if (!hasField(headers, 'date')) headers.push('Date', formatHttpDate(input.responseTime));
  return {
    status: input.status,
    statusText: input.statusText,
    headers,
    vary: sharedVary(varyMembers(input.headers, input.requestHeaders)),
    tags: input.tags.length === 0 ? NONE : input.tags,
    stamp: input.stamp,
    policy,
    responseTime: input.responseTime,
  };
}

/** Fields whose values many responses share: one text for all of them. */
const REPEATED_VALUES: ReadonlySet<string> = new Set([
  ...['cache-control', 'cdn-cache-control', 'content-type', 'content-encoding', 'content-language', 'vary', 'server'],
  ...['accept-ranges', 'access-control-allow-origin', 'strict-transport-security', 'x-content-type-options'],
]);

const NONE: readonly string[] = [];

/** Texts that stored responses share, and lists of what they vary by; forgotten when there are too many. */
const MAX_SHARED = 4_096;
const MAX_SHARED_LENGTH = 128;
const texts = new Map<string, string>();
const varies = new Map<string, readonly VaryMember[]>();

function shared(text: string): string {
  return text.length > MAX_SHARED_LENGTH ? text : sharedOf(texts, text, text);
}

function sharedVary(vary: readonly VaryMember[]): readonly VaryMember[] {
  const text = JSON.stringify(vary);
  return text.length > MAX_SHARED_LENGTH ? vary : sharedOf(varies, text, vary);
}

function sharedOf<T>(all: Map<string, T>, text: string, value: T): T {
  const known = all.get(text);
  if (known !== undefined) return known;
  if (all.size >= MAX_SHARED) all.clear();
  all.set(text, value);
  return value;
}

export function isComplete(stored: StoredResponse): boolean {
  return coveringRange(stored, 0, stored.length);
}

/** Whether the stored bytes hold `[start, end)` in one piece. */
export function coveringRange(stored: StoredResponse, start: number, end: number): boolean {
  if (start === end) return true;
  return stored.body.ranges.some((range) => range.start <= start && range.end >= end);
}

/** What an entry costs besides its body and its strings: objects, arrays, its place in the LRU. Measured by load-tests/micro. */
export const ENTRY_OVERHEAD_BYTES = 1_150;

/** What a tag costs besides its characters. */
const TAG_BYTES = 24;

/** @returns Bytes that the response costs in memory: body, headers, overhead. */
export function sizeOf(stored: StoredResponse): number {
  let bytes = ENTRY_OVERHEAD_BYTES + stored.body.size;
  for (const text of stored.headers) bytes += text.length;
  for (const text of stored.trailers) bytes += text.length;
  for (const tag of stored.tags) bytes += tag.length + TAG_BYTES;
  for (const { name, value } of stored.vary) bytes += name.length + (value?.length ?? 0);
  return bytes;
}

/** @returns The strong validator that tells two parts of one representation from parts of two (RFC 9111, section 3.4). */
export function strongValidator(headers: RawHeaders): string | undefined {
  const etag = fieldValue(headers, 'etag');
  return etag?.startsWith('"') ? etag : undefined;
}
