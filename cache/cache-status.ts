/**
 * Cache-Status: what this cache did with a request, and why (RFC 9211).
 * @module
 */
import type { ForwardReason } from './policy/refusals.ts';

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
  /** The name of a refusal, or how a hit came about: `stale`, `stale-if-error`, `hot-copy`. */
  readonly detail?: string | undefined;
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
