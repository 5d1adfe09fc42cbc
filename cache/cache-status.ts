/**
 * Cache-Status: what this cache did with a request, and why (RFC 9211).
 * @module
 */
import { serializeItem, Token } from 'structured-headers';
import type { ForwardReason } from './policy/refusals.ts';

export interface CacheStatus {
  readonly hit: boolean;
  /** Why the request went forward; absent on a hit. */
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

/** @param cache - Name of the node. @returns One list member, such as `"eu-1"; fwd=uri-miss; stored; ttl=60`. */
export function formatCacheStatus(cache: string, status: CacheStatus): string {
  const parameters = new Map<string, string | number | boolean | Token>();
  if (status.hit) parameters.set('hit', true);
  if (status.fwd !== undefined) parameters.set('fwd', new Token(status.fwd));
  if (status.fwdStatus !== undefined) parameters.set('fwd-status', status.fwdStatus);
  if (status.ttlMs !== undefined) parameters.set('ttl', Math.floor(status.ttlMs / 1_000));
  if (status.stored) parameters.set('stored', true);
  if (status.collapsed) parameters.set('collapsed', true);
  if (status.detail !== undefined) parameters.set('detail', new Token(status.detail));
  return serializeItem([cache, parameters]);
}
