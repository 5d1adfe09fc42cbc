/**
 * A line of the access log as a replay reads it (docs/logs.md, `replay`). Nothing in it is trusted for its type.
 * @module
 */
import { listMembers } from '../../http/fields/headers.ts';

export interface LoggedAnswer {
  readonly time: number;
  readonly method: string;
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly target: string;
  readonly status: number;
  /** Bytes of the body that were sent. */
  readonly bytes: number;
  /** Hash of the cache key. */
  readonly key: string | undefined;
  /** Bytes of the representation. */
  readonly length: number | undefined;
  readonly cacheStatus: string;
  /** Fields of the request, and of the response as the cache had it; names in lower case. */
  readonly request: readonly (readonly [name: string, value: string])[];
  readonly response: readonly (readonly [name: string, value: string])[];
  readonly purge: number | undefined;
}

/** Reasons to leave a line out. */
export type LeftOut = 'malformed' | 'sampled' | 'own' | 'without-facts';

/** @returns What it says, or why it cannot be replayed: `own` is an answer that a node has made itself. */
export function readLine(text: string): LoggedAnswer | LeftOut {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return 'malformed';
  }
  if (typeof line !== 'object' || line === null) return 'malformed';
  const { time, ms, method, scheme, host, target, status, bytes, key, length, cache_status, purge, sample } =
    line as Record<string, unknown>;
  const { request, response } = line as Record<string, unknown>;
  if (sample !== undefined) return 'sampled';
  if (![time, method, host, target].every((value) => typeof value === 'string')) return 'malformed';
  const at = Date.parse(time as string) - (typeof ms === 'number' ? ms : 0);
  if (!Number.isFinite(at) || typeof status !== 'number') return 'malformed';
  if (scheme !== 'http' && scheme !== 'https') return 'without-facts';
  if (cache_status === undefined || response === undefined) return 'own';
  return {
    time: at,
    ...{ method: method as string, scheme, host: host as string, target: target as string, status },
    bytes: countOf(bytes) ?? 0,
    key: typeof key === 'string' ? key : undefined,
    length: countOf(length),
    cacheStatus: String(cache_status),
    request: fieldsOf(request),
    response: fieldsOf(response),
    purge: countOf(purge),
  };
}

function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

function fieldsOf(fields: unknown): (readonly [string, string])[] {
  if (typeof fields !== 'object' || fields === null) return [];
  return Object.entries(fields).filter((pair): pair is [string, string] => typeof pair[1] === 'string');
}

/** Returns whether the origin was asked for this request: no tier had the answer, nor was it another request's. */
export function askedOrigin(cacheStatus: string): boolean {
  return listMembers(cacheStatus).every((member) => member.includes(';fwd=') && !member.includes(';collapsed'));
}

/** @returns The reason why the answer was not stored, or was not looked for, at the tier nearest to the visitor. */
export function unsharedReason(cacheStatus: string): string | undefined {
  const own = listMembers(cacheStatus).at(-1) ?? '';
  const detail = /;detail=([\w-]+)/.exec(own)?.[1];
  if (detail !== undefined && UNSHARED.has(detail)) return detail;
  return own.includes(';fwd=bypass') ? 'bypass' : undefined;
}

/** Reasons that are about who may have the answer. */
const UNSHARED: ReadonlySet<string> = new Set([
  ...['private', 'no-store', 'authorization', 'cookies', 'set-cookie', 'vary-star', 'rule-never', 'request-no-store'],
]);
