/**
 * Cache-Status: what this cache did with a request, and why (RFC 9211).
 * @module
 */
import type { HttpErrorCode } from '../http/errors.ts';
import type { UpstreamCause } from '../http/upstream/errors.ts';
import type { ForwardReason, OtherDetail, StoreRefusal } from './policy/refusals.ts';

/** Values of the parameter `detail`: each is in a table, and from there in docs/cache-status.md or docs/errors.md. */
export type CacheDetail = StoreRefusal | OtherDetail | HttpErrorCode | UpstreamCause;

export interface CacheStatus {
  readonly hit: boolean;
  /** Reason for going forward; absent on a hit. */
  readonly fwd?: ForwardReason | undefined;
  /** Status of the next tier's answer, where it is not the one that is sent. */
  readonly fwdStatus?: number | undefined;
  readonly stored?: boolean | undefined;
  /** The answer came with another request's (promise P2). */
  readonly collapsed?: boolean | undefined;
  /** Remaining lifetime; negative when stale. */
  readonly ttlMs?: number | undefined;
  readonly detail?: CacheDetail | undefined;
}

/**
 * Written out, as it is in every answer: the names are tokens and so are their
 * values, so nothing has to be escaped (RFC 9651, section 4.1).
 *
 * @param cache - Name of the node: letters, digits and hyphens.
 * @returns One list member, such as `"eu-1";fwd=uri-miss;stored;ttl=60`.
 */
export function formatCacheStatus(cache: string, status: CacheStatus): string {
  let text = `"${cache}"`;
  if (status.hit) text += ';hit';
  if (status.fwd !== undefined) text += `;fwd=${status.fwd}`;
  if (status.fwdStatus !== undefined) text += `;fwd-status=${status.fwdStatus}`;
  if (status.ttlMs !== undefined) text += `;ttl=${Math.floor(status.ttlMs / 1_000)}`;
  if (status.stored) text += ';stored';
  if (status.collapsed) text += ';collapsed';
  if (status.detail !== undefined) text += `;detail=${status.detail}`;
  return text;
}
