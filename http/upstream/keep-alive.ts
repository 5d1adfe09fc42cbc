/**
 * Idle time for which a kept connection to a server is still safe to use.
 *
 * A server may close a kept connection while a request is on its way to it. A request without effects is sent again
 * then; any other one is lost, as the server may have read it (RFC 9110, section 9.2.2). So a request that must not be
 * repeated goes on a kept connection only if that has been idle for less than the server is known to wait: the time
 * that it has announced, less a margin, or the time for which its connections were seen to stay open, of the last
 * second at most. A server that closes one earlier is trusted with half of that time for a minute.
 *
 * HAProxy's `http-reuse safe` is the model: there the first request of a session never goes on a kept connection.
 * @module
 */
import { LONG_AGO, later, type MonotonicMs } from '../../lib/clock.ts';
import type { UpstreamRequest } from '../message.ts';

/** A server that says how long it keeps a connection may close it a little earlier. */
const MARGIN_MS = 1_000;

/** A server that says more than this is not believed. */
const MAX_KEEP_ALIVE_MS = 60_000;

/** Idle time that servers are trusted with if they announce none. */
const MAX_SURE_MS = 1_000;

/** Time for which a server that has closed an idle connection is trusted with less. */
const WARY_MS = 60_000;

/** Returns whether the request is sent once more when a kept connection was lost under it, without a byte in return. */
export function isRepeatable({ method, body, upgrade }: UpstreamRequest): boolean {
  const isSafe = method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
  return isSafe && body === undefined && upgrade === undefined;
}

/** Returns the maximum idle time of a connection, from `Keep-Alive: timeout=N`; 0 or less: it is not kept. */
export function announcedIdleMs(seconds: number): number {
  return Math.min(seconds * 1_000 - MARGIN_MS, MAX_KEEP_ALIVE_MS);
}

export class KeepAlive {
  /** Idle time for which connections are known to stay open. */
  #sureMs = 0;
  /** End of the time for which announcements, and what was seen before, do not count. */
  #waryUntil = LONG_AGO;

  /**
   * Returns whether a request that must not be repeated may go on a connection.
   *
   * @param idleMs - Time for which it has been idle.
   * @param announcedMs - Idle time that the server has announced for it, less the margin; absent: none.
   */
  isSafe(idleMs: number, announcedMs: number | undefined, now: MonotonicMs): boolean {
    if (announcedMs !== undefined && now >= this.#waryUntil) return idleMs <= announcedMs;
    return idleMs <= this.#sureMs;
  }

  /** Records that an idle connection is open after this time. */
  stayedOpen(idleMs: number, now: MonotonicMs): void {
    if (now >= this.#waryUntil && idleMs > this.#sureMs) this.#sureMs = Math.min(idleMs, MAX_SURE_MS);
  }

  /** Records that the server has closed a connection that was idle for this time. */
  closed(idleMs: number, now: MonotonicMs): void {
    this.#sureMs = Math.min(this.#sureMs, idleMs / 2);
    this.#waryUntil = later(now, WARY_MS);
  }
}
