/**
 * Request methods, the same for HTTP/1.1 and HTTP/2.
 * @module
 */

/**
 * Methods that are forwarded by default: those of RFC 9110, PATCH (RFC 5789), PURGE, and those of WebDAV and its
 * relatives. CONNECT and TRACE are refused before.
 */
export const KNOWN_METHODS: ReadonlySet<string> = new Set([
  ...['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PURGE', 'QUERY', 'LINK', 'UNLINK'],
  // RFC 4918, 3253, 3744, 5323, 5842 and 4791.
  ...['PROPFIND', 'PROPPATCH', 'MKCOL', 'COPY', 'MOVE', 'LOCK', 'UNLOCK', 'REPORT', 'MKACTIVITY', 'CHECKOUT', 'MERGE'],
  ...['ACL', 'SEARCH', 'BIND', 'REBIND', 'UNBIND', 'MKCALENDAR'],
  // UPnP.
  ...['M-SEARCH', 'NOTIFY', 'SUBSCRIBE', 'UNSUBSCRIBE'],
]);

/** Methods that change nothing (RFC 9110, section 9.2.1): requests that came at once may be answered at once. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY']);

export function isSafe(method: string | undefined): boolean {
  return method !== undefined && SAFE.has(method);
}
