/**
 * Fields that a proxy must remove, must keep, and must not trust; each with its source.
 * @module
 */

import { cgiName, claimOf, hasPlainName } from '../../config/untrusted-fields.ts';
import { remembered } from './headers.ts';

/**
 * Never forwarded and never stored. Each with its reason; Trailer goes because
 * trailer sections are not passed on (RFC 9110, section 6.5.1 permits that),
 * so it would announce fields that never come.
 */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection', // RFC 9110, section 7.6.1
  'proxy-connection', // RFC 9112, appendix C.2.2
  'keep-alive', // RFC 2068, section 19.7.1
  'te', // RFC 9110, section 10.1.4: about the next hop's trailers and codings
  'trailer', // RFC 9110, section 6.6.2
  'transfer-encoding', // RFC 9112, section 6.1: of the message, not of the content; sending adds its own
  'upgrade', // RFC 9110, section 7.8
  'http2-settings', // RFC 7540, section 3.2.1: belongs to Upgrade
  'proxy-authenticate', // RFC 9110, section 11.7.1: for the next client only; RFC 9111, section 3.1: not stored
  'proxy-authentication-info', // RFC 9110, section 11.7.3
  'proxy-authorization', // RFC 9110, section 11.7.2: for the proxy that asked, and we never ask
]);

/**
 * Returns whether Connection must not remove a field. It "MUST NOT" name one "intended for all recipients of the
 * content" (RFC 9110, section 7.6.1), yet attackers do, to make a proxy drop what another proxy added or what decides
 * how a message is read: Nathan Davison, "Abusing HTTP hop-by-hop request headers", 2019.
 */
export function isEndToEnd(name: string): boolean {
  return END_TO_END.has(name) || name.startsWith('x-forwarded-') || name.startsWith('seawall-');
}

const END_TO_END = nameSet(
  // How the message is framed and read.
  'host content-length content-type content-encoding content-language content-range content-location expect',
  'max-forwards',
  // What decides on storing and reuse.
  'cache-control cdn-cache-control surrogate-control pragma age date expires vary etag last-modified cache-status',
  'cache-groups cache-group-invalidation cache-tag surrogate-key xkey',
  // What the request asks for, and in whose name.
  'range if-match if-none-match if-modified-since if-unmodified-since if-range authorization cookie set-cookie origin',
  // Where it has been. RFC 8586, section 2: CDN-Loop is never to be removed.
  'via cdn-loop forwarded x-real-ip',
);

/** Facts of a field's name that a proxy goes by. */
export interface FieldFacts {
  readonly lower: string;
  /** As {@link cgiName}. */
  readonly asCgiReadsIt: string;
  readonly isHopByHop: boolean;
  /** True if visitors must not set it for the origin, unless its site allows it. */
  readonly isUntrusted: boolean;
  /** True if it asks for another method than that of the request line. */
  readonly isMethodOverride: boolean;
  /** True if it names the sender, in whatever spelling: `setForwarded` writes it anew for each visitor. */
  readonly isForwarded: boolean;
}

const FORWARDED_FIELDS: ReadonlySet<string> = new Set([
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
]);

/** Facts of a name, found out together: a name that is new costs a search for each thing that is remembered of it. */
export const fieldFacts: (name: string) => FieldFacts = remembered((name) => {
  const lower = name.toLowerCase();
  const folded = cgiName(name);
  const claim = claimOf(name);
  return {
    lower,
    asCgiReadsIt: folded,
    isHopByHop: HOP_BY_HOP.has(lower),
    isUntrusted: claim !== undefined || !hasPlainName(name),
    isMethodOverride: claim === 'method',
    isForwarded: FORWARDED_FIELDS.has(folded),
  };
});

export function isUntrusted(name: string): boolean {
  return fieldFacts(name).isUntrusted;
}

export function asCgiReadsIt(name: string): string {
  return fieldFacts(name).asCgiReadsIt;
}

function nameSet(...lines: readonly string[]): ReadonlySet<string> {
  return new Set(lines.flatMap((line) => line.split(' ')));
}
