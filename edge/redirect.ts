/**
 * Redirects that the edge answers itself: to https, or to the site's one host.
 * @module
 */
import type { SiteConfig } from '../config/schema.ts';
import type { ResponseHead } from '../http/message.ts';
import type { Target } from '../http/request-target.ts';

/** @returns The redirect, or `undefined` when the request is where it belongs. */
export function redirectFor(site: SiteConfig, scheme: 'http' | 'https', target: Target): ResponseHead | undefined {
  const { https, host, status } = site.redirect;
  const wantedScheme = https ? 'https' : scheme;
  const changesScheme = wantedScheme !== scheme;
  // A port belongs to the scheme it was asked for with.
  const wantedHost = host ?? (changesScheme ? target.host : target.authority);
  if (!changesScheme && (host === undefined || wantedHost === target.authority)) return undefined;
  const headers = ['Location', `${wantedScheme}://${wantedHost}${target.raw}`, 'Content-Length', '0'];
  return { status, statusText: '', headers };
}
