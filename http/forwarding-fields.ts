/**
 * Which fields a proxy must drop, must keep, and must not believe; each with
 * its source.
 * @module
 */

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
 * Whether Connection must not remove a field. It "MUST NOT" name one "intended
 * for all recipients of the content" (RFC 9110, section 7.6.1), yet attackers
 * do, to make a proxy drop what another proxy added or what decides how a
 * message is read: Nathan Davison, "Abusing HTTP hop-by-hop request headers",
 * 2019.
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

/**
 * Whether no visitor may set a field for the origin.
 *
 * Sources of the list: James Kettle, "Practical Web Cache Poisoning" (2018),
 * and the header list of his tool Param Miner; Nguyen, Lo Iacono and Federrath,
 * "Your Cache Has Fallen" (CCS 2019), for the method overrides; the
 * documentation of other networks for the names under which they tell the
 * visitor's address.
 */
export function isUntrusted(name: string): boolean {
  const folded = asCgiReadsIt(name);
  return UNTRUSTED.has(folded) || folded.startsWith('x-forwarded-') || folded.startsWith('seawall-');
}

const UNTRUSTED = nameSet(
  // Who asks.
  'forwarded forwarded-for forwarded-proto x-forward-for x-forward-proto x-original-forwarded-for',
  'x-real-ip client-ip x-client-ip x-cluster-client-ip x-originating-ip x-remote-ip x-remote-addr',
  'true-client-ip cf-connecting-ip cf-connecting-ipv6 cf-pseudo-ipv4 fastly-client-ip fly-client-ip',
  'x-azure-clientip x-azure-socketip x-envoy-external-address incap-client-ip',
  // For which scheme, host and path. X-Original-URL and X-Rewrite-URL also: CVE-2018-14773.
  'x-scheme x-url-scheme front-end-https x-https x-ssl x-arr-ssl cf-visitor',
  'x-host x-original-host x-http-host-override proxy-host x-server-name x-server-port',
  'x-original-url x-original-uri x-rewrite-url x-override-url x-http-destinationurl x-proxy-url',
  'x-http-path-override x-envoy-original-path request-uri base-url',
  // With which method.
  'x-http-method-override x-http-method x-method-override',
  'proxy', // becomes HTTP_PROXY in CGI programs: httpoxy, CVE-2016-5385 and its kin
  'x-middleware-subrequest', // skips the authorisation of Next.js: CVE-2025-29927
  'surrogate-capability', // Edge Architecture Specification 1.0: spoken by surrogates to origins
  'cache-status', // RFC 9211 defines it for responses
);

/**
 * CGI and its heirs read `X_Forwarded_For` and `X-Forwarded-For` as one
 * variable (RFC 3875, section 4.1.18), so neither may pass where the other may
 * not: CVE-2015-0219.
 */
export const asCgiReadsIt: (name: string) => string = remembered((name) => {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-');
});

function nameSet(...lines: readonly string[]): ReadonlySet<string> {
  return new Set(lines.flatMap((line) => line.split(' ')));
}
