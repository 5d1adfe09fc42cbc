/**
 * Steering by redirect: a navigation that came to the wrong region is sent to
 * the host name of the right one.
 *
 * It cannot loop: who asks for a host that belongs to a region is never sent
 * on, whatever regions think of each other meanwhile.
 * @module
 */
import type { SiteConfig } from '../config/schema.ts';
import type { Decision } from '../geo/steering.ts';
import { fieldValue, type RawHeaders } from '../http/fields/headers.ts';
import type { ResponseHead } from '../http/message.ts';
import type { Target } from '../http/request-target.ts';

export interface SteeredRequest {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  readonly target: Target;
  readonly headers: RawHeaders;
}

/** Returns whether a request may be redirected to another region at all; called before any lookup. */
export function isSteered({ geo }: SiteConfig, { method, target, headers }: SteeredRequest): boolean {
  const hosts = Object.values(geo.redirect);
  if (hosts.length === 0 || hosts.includes(target.host)) return false;
  return (method === 'GET' || method === 'HEAD') && isNavigation(headers);
}

/**
 * @param region - Where the request is now.
 * @returns The redirect to the best healthy region that has a host name of its own; none when that is this one, or
 *   when nothing is known of where the visitor is.
 */
export function steer(
  { geo }: SiteConfig,
  region: string,
  { scheme, target }: SteeredRequest,
  { place, regions }: Decision,
): ResponseHead | undefined {
  if (place === undefined) return undefined;
  const best = regions.find(
    ({ name, state }) => state === 'healthy' && (name === region || Object.hasOwn(geo.redirect, name)),
  );
  const host = best === undefined || best.name === region ? undefined : geo.redirect[best.name];
  if (host === undefined) return undefined;
  const port = target.port === undefined ? '' : `:${target.port}`;
  return {
    status: 307,
    statusText: '',
    headers: [
      'Location',
      `${scheme}://${host}${port}${target.raw}`,
      'Content-Length',
      '0',
      'Cache-Control',
      'no-store',
    ],
  };
}

/**
 * Fetch Metadata says so; browsers that do not send it (over plain http) tell by the field that only navigations have.
 */
function isNavigation(headers: RawHeaders): boolean {
  const mode = fieldValue(headers, 'sec-fetch-mode');
  return mode === undefined ? fieldValue(headers, 'upgrade-insecure-requests') === '1' : mode === 'navigate';
}
